"""Agents of every dialect whose last word can be told from anybody else's: a tone of its own frequency.

One server, one path a bot. A bot greets, notes when it is told that the call ends and in what words, says its
last word where it may, and never disturbs another. A bot of ConversationRelay writes its words; a model's
are a double's (``openai_double``).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gateway.trial.audio import tone, ulaw_encode
from gateway.trial.watch import Watch
from tests.rig.agent_servers import Socket, serving
from tests.rig.agents_bad import tone as voiced
from tests.rig.openai_double import CHUNK_MS, MS_A_CHARACTER, Double, Reply, openai_double

GREETING_HZ = 1000.0
GREETING_S, LAST_WORD_S = 0.4, 0.8
SECRET = "the-secret-of-those-with-a-last-word"
HELLO = "Hello there."
GOODBYE = "Thank you for calling, and goodbye."
HUMAN = "+14155552000"
"""Where bots send their callers."""
LEAVES, SENDS_ON = "agent", "transfer"
"""What a bot may do by itself once it has greeted; others wait until they are told."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an agent was told of the end. ``at`` is on the loop's clock; ``reason`` is what it was told of the
    why, a model in words; empty where there is no word for it."""

    at: float
    may_speak: bool
    reason: str = ""


@dataclass(slots=True)
class Bot:
    """``does`` is LEAVES, SENDS_ON or nothing. ``hz`` is the frequency of its last word."""

    dialect: str
    does: str
    hz: float
    api: str
    notices: list[Notice] = field(default_factory=list)
    rest: list[int] = field(default_factory=list)
    url: str = ""
    double: Double | None = None
    asking: asyncio.Task[None] | None = None
    watch: Watch = field(default_factory=Watch)

    async def told(self, within_s: float = 45.0) -> Notice:
        """What it was told of the end, waiting for that. Raises ``NotInTime``."""
        await self.watch.until(lambda: bool(self._notices()), within_s=within_s, what="the agent is told")
        return self._notices()[0]

    def _notices(self) -> list[Notice]:
        if self.double is None:
            return self.notices
        return [found for session in self.double.sessions for found in map(_of_model, session.taken) if found]

    def fields(self) -> dict[str, Any]:
        """What it is registered with, besides its name."""
        more: dict[str, dict[str, Any]] = {
            "native": {"codec": "ulaw", "auth": {"kind": "none"}},
            "twilio": {"auth": {"kind": "hmac", "secret": SECRET}},
            "conversationrelay": {"auth": {"kind": "none"}, "parameters": {"x-session-ending": "on"}},
            "openai": {"auth": {"kind": "none"}, "greeting": {"text": HELLO}},
        }
        url = self.url if self.double is None else self.double.url
        return {"dialect": self.dialect, "url": url, "transfer_allow": [HUMAN], **more[self.dialect]}

    def _told(self, may_speak: bool, reason: str) -> None:
        self.notices.append(Notice(asyncio.get_running_loop().time(), may_speak, reason))
        self.watch.changed()

    @property
    def last_word(self) -> bytes:
        """Its last word as the caller's telephone gets it: µ-law goes untouched from end to end."""
        if self.dialect == "openai":
            return voiced("ulaw", 8000, CHUNK_MS, self.hz) * round(1000 * LAST_WORD_S / CHUNK_MS)
        return _sound(self.hz, LAST_WORD_S)

    # ------------------------------------------------------------ native

    async def native(self, socket: Socket) -> None:
        await socket.event("session.begin")
        socket.send({"type": "session.ready"})
        await socket.event("session.answered")
        socket.send(_sound(GREETING_HZ, GREETING_S))
        if self.does:
            socket.send(_sound(self.hz, LAST_WORD_S))
            socket.send({"type": "hangup"} if self.does == LEAVES else {"type": "transfer", "to": HUMAN})
        ending = await socket.event("session.ending")
        self._told(ending["may_speak"], ending["reason"])
        if ending["may_speak"]:
            socket.send(_sound(self.hz, LAST_WORD_S))
        socket.send({"type": "session.ack"})
        await socket.gone.wait()

    # ------------------------------------------------------------ Media Streams

    async def twilio(self, socket: Socket) -> None:
        start = (await socket.event("start", key="event"))["start"]
        sid = start["streamSid"]
        _speak(socket, sid, GREETING_HZ, GREETING_S)
        if self.does:
            _speak(socket, sid, self.hz, LAST_WORD_S)
            socket.send({"event": "mark", "streamSid": sid, "mark": {"name": "said"}})
            await socket.event("mark", key="event")
            on = {"Twiml": f"<Response><Dial><Number>{HUMAN}</Number></Dial></Response>"}
            asked = self._ask(start, {"Status": "completed"} if self.does == LEAVES else on)
            self.asking = asyncio.create_task(asked)
        ending = (await socket.event("x-session-ending", key="event"))["sessionEnding"]
        self._told(ending["maySpeak"], ending["reason"])
        if ending["maySpeak"]:
            _speak(socket, sid, self.hz, LAST_WORD_S)
        await socket.gone.wait()
        if self.asking is not None:
            await self.asking

    async def _ask(self, start: dict[str, Any], form: dict[str, str]) -> None:
        account = start["accountSid"]
        url = f"{self.api}/2010-04-01/Accounts/{account}/Calls/{start['callSid']}.json"
        auth = aiohttp.BasicAuth(account, SECRET)
        async with aiohttp.ClientSession(auth=auth) as http, http.post(url, data=form) as response:
            self.rest.append(response.status)

    # ------------------------------------------------------------ ConversationRelay

    async def conversationrelay(self, socket: Socket) -> None:
        await socket.event("setup")
        socket.send({"type": "text", "token": HELLO, "last": True})
        if self.does:
            socket.send({"type": "text", "token": GOODBYE, "last": True})
        if self.does == LEAVES:
            socket.send({"type": "end"})
        ending = await socket.event("x-session-ending")
        self._told(ending["maySpeak"], ending["reason"])
        if ending["maySpeak"]:
            socket.send({"type": "text", "token": GOODBYE, "last": True})
        await socket.gone.wait()

    # ------------------------------------------------------------ a model

    def replies(self) -> list[Reply]:
        last = "g" * round(1000 * LAST_WORD_S / MS_A_CHARACTER)
        if not self.does:
            return [Reply(HELLO), Reply(last, hz=self.hz)]
        on = ("transfer_call", json.dumps({"to": HUMAN}))
        call = ("hang_up", '{"reason":"done"}') if self.does == LEAVES else on
        return [Reply(last, (call,), hz=self.hz)]


def _sound(hz: float, seconds: float) -> bytes:
    return ulaw_encode(tone(hz, seconds))


def _speak(socket: Socket, sid: str, hz: float, seconds: float) -> None:
    payload = base64.b64encode(_sound(hz, seconds)).decode()
    socket.send({"event": "media", "streamSid": sid, "media": {"payload": payload}})


def _of_model(event: dict[str, Any]) -> Notice | None:
    """A model is told in words, or by being asked for its account of the call outside the conversation."""
    match event:
        case {"type": "conversation.item.create", "item": {"role": "system", "content": [{"text": text}]}}:
            return Notice(event["at"], True, text) if "about to end" in text else None
        case {"type": "response.create", "response": {"conversation": "none"}}:
            return Notice(event["at"], False)
    return None


@asynccontextmanager
async def last_words(bots: dict[str, Bot]) -> AsyncIterator[None]:
    """All of them, each at an address of its own, until the block is left."""

    async def behave(socket: Socket) -> None:
        bot = bots[socket.path.strip("/")]
        await {"native": bot.native, "twilio": bot.twilio}.get(bot.dialect, bot.conversationrelay)(socket)

    async with serving(behave) as server:
        for name, bot in bots.items():
            bot.url = f"ws://127.0.0.1:{server.port}/{name}"
        async with _doubles([bot for bot in bots.values() if bot.dialect == "openai"]):
            yield


@asynccontextmanager
async def _doubles(bots: list[Bot]) -> AsyncIterator[None]:
    if not bots:
        yield
        return
    bot, *others = bots
    double = openai_double(replies=bot.replies(), on_taken=bot.watch.changed)
    async with double as bot.double, _doubles(others):
        yield
