"""The masking story: a buyer and a seller call and text one another, and neither learns the other's number.

Both phones, a stranger's and the buyer's second one are behind one simulated carrier, which keeps every SIP
message it gets. What belongs to one side is told apart by the call or the receiver of the text.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Final

from gateway.trial.audio import active_seconds
from gateway.trial.demo.report import Told
from gateway.trial.demo.stage import CARRIER_IP, Json, Stage, StoryBroken
from gateway.trial.listener import Delivery
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_message import Headers, Request, parse, user_in
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone

BUYER: Final = "+14155550171"
SELLER: Final = "+14155550172"
STRANGER: Final = "+14155550173"
BUYERS_OTHER_PHONE: Final = "+14155550174"
POOL: Final = ("+12025550131", "+12025550132", "+12025550133")
_WRONG_PIN: Final = "000000#"
_CALL_IDS = itertools.count(1)


async def masking(stage: Stage, told: Told) -> None:
    """A session from its opening to its end: calls both ways, texts, a stranger, a PIN, and nobody after."""
    async with await SipPhone.open(
        CARRIER_IP, stage.carrier_port, decide=lambda _: answers(after_ms=200), name="carrier"
    ) as carrier:
        play = _Play(stage, told, carrier)
        session = await play.open()
        await play.calls_both_ways(session)
        await play.texts_both_ways(session)
        await play.stranger(session)
        await play.second_phone(session)
        await play.end(session)
        play.no_number_shows()


class _Play:
    """The story's state: the stage, the carrier, and which messages were whose."""

    def __init__(self, stage: Stage, told: Told, carrier: SipPhone) -> None:
        self._stage = stage
        self._told = told
        self._carrier = carrier
        self._hidden: list[tuple[str, str]] = []
        """(Call-ID, the number that must not show in what was received of it)."""

    async def open(self) -> Json:
        """Numbers into the pool, then the session."""
        stage = self._stage
        for number in POOL:
            owned = {"e164": number, "capabilities": ["voice", "sms"]}
            await stage.ok("POST", "/api/v1/numbers", owned)
            await stage.ok("POST", "/api/v1/proxy/pool/numbers", {"e164": number, "carrier": "sip"})
        await stage.ok("PUT", "/api/v1/proxy/settings", {"unknown": {"ask_pin": True}})
        body = {
            "party_a": BUYER,
            "party_b": SELLER,
            "channels": ["voice", "sms"],
            "pin": {"mode": "unknown"},
            "webhook_url": stage.listener.url(),
        }
        session: Json = await stage.ok("POST", "/api/v1/proxy/sessions", body)
        stage.say(
            f"POST /api/v1/proxy/sessions: the buyer dials {session['proxy_number_a']}, "
            f"the seller {session['proxy_number_b']}"
        )
        told = self._told
        told.check("the session is open", session["status"] == "open", session["status"])
        numbers = {session["proxy_number_a"], session["proxy_number_b"]}
        told.check("its numbers are the pool's", numbers <= set(POOL), sorted(numbers))
        return session

    async def calls_both_ways(self, session: Json) -> None:
        """The buyer calls; the seller calls back the number that it saw."""
        told = self._told
        far = await self._talk(BUYER, session["proxy_number_a"])
        shown = far.facts.from_user
        self._hidden.append((far.facts.call_id, BUYER))
        told.check("the buyer's call rings the seller", far.facts.user == SELLER)
        told.check("the seller sees its proxy number", shown == session["proxy_number_b"], shown)
        back = await self._talk(SELLER, shown)
        self._hidden.append((back.facts.call_id, SELLER))
        told.check("redial rings the buyer", back.facts.user == BUYER)
        seen = back.facts.from_user
        told.check("the buyer sees its proxy number", seen == session["proxy_number_a"], seen)

    async def texts_both_ways(self, session: Json) -> None:
        """A text each way over SIP MESSAGE."""
        told = self._told
        first = await self._text(BUYER, session["proxy_number_a"], "Is the bicycle still there?")
        told.check("the seller gets the buyer's text", first is not None and _to(first) == SELLER)
        if first is None:
            return
        told.check("from its proxy number", _from(first) == session["proxy_number_b"], _from(first))
        second = await self._text(SELLER, _from(first), "Yes. Come at five.")
        told.check("the buyer gets the answer", second is not None and _to(second) == BUYER)
        for text, number in ((first, BUYER), (second, SELLER)):
            if text is not None:
                self._hidden.append((text.headers.first("Call-ID"), number))

    async def stranger(self, session: Json) -> None:
        """Somebody else dials the buyer's number: asked for a PIN, like everybody, and turned away."""
        before = len(self._carrier.incoming)
        call = self._dial(STRANGER, session["proxy_number_a"])
        await self._guess(call, _WRONG_PIN)
        told = self._told
        told.check("a stranger is turned away", len(self._carrier.incoming) == before)

    async def second_phone(self, session: Json) -> None:
        """The buyer's second phone is unknown, and comes in by the PIN."""
        before = len(self._carrier.incoming)
        call = self._dial(BUYERS_OTHER_PHONE, session["proxy_number_a"])
        await self._hears_question(call)
        call.stream.press(f"{session['pin_a']}#")
        far = await self._rings(before)
        self._told.check("the PIN lets the second phone through", far.facts.user == SELLER)
        self._told.check("shown as the session shows it", far.facts.from_user == session["proxy_number_b"])
        self._hidden.append((far.facts.call_id, BUYERS_OTHER_PHONE))
        await far.reaches(CallState.ANSWERED, within_s=10.0)
        await call.hang_up()
        await far.reaches(CallState.ENDED, within_s=10.0)

    async def end(self, session: Json) -> None:
        """The session closes; its numbers no longer connect these two."""
        stage, told = self._stage, self._told
        path = f"/api/v1/proxy/sessions/{session['id']}"
        interactions = await self._interactions(path, calls=3, texts=2)
        stage.say(" · ".join(f"{one['kind']} {one['status']}" for one in reversed(interactions)))
        closed = await stage.ok("DELETE", path)
        told.check("the session is closed", closed["status"] == "closed", closed["status"])
        before = len(self._carrier.incoming)
        for caller, number in (
            (BUYER, session["proxy_number_a"]),
            (SELLER, session["proxy_number_b"]),
        ):
            await self._guess(self._dial(caller, number), _WRONG_PIN)
        told.check("the numbers connect them no longer", len(self._carrier.incoming) == before)
        for type_ in ("session.opened", "session.in_progress", "session.closed"):
            await self._told_of(session["id"], type_)
        about = [d for d in stage.listener.deliveries if d.event["data"].get("id") == session["id"]]
        types = [str(d.event["type"]) for d in about]
        told.check(
            "webhooks told of its life",
            {"session.opened", "session.in_progress", "session.closed"} <= set(types),
            types,
        )
        leaked = [number for number in (BUYER, SELLER) if any(_shows(number, str(d.event)) for d in about)]
        told.check("no webhook shows a real number", not leaked, len(leaked))

    async def _told_of(self, session_id: str, type_: str) -> None:
        """Wait until this webhook about the session has come."""

        def it(delivery: Delivery) -> bool:
            return bool(delivery.event["type"] == type_ and delivery.event["data"].get("id") == session_id)

        await self._stage.listener.waits_for(it, 30.0, f"webhook {type_}")

    def no_number_shows(self) -> None:
        """Everything one side received about a call or a text, searched for the other's number."""
        found = []
        for traced in self._carrier.transport.trace:
            text = traced.raw.decode("utf-8", "replace")
            for call_id, number in self._hidden:
                if not traced.sent and call_id in text and _shows(number, text):
                    found.append(text.splitlines()[0])
        searched = len(self._hidden)
        self._told.check("the captured SIP shows no real number of the other", not found, len(found))
        self._stage.say(f"searched {searched} calls and texts as captured: {len(found)} show a real number")

    # ------------------------------------------------------------ what phones do

    def _dial(self, caller: str, number: str) -> OutgoingCall:
        assert self._stage.stack.switch is not None, "the demonstration runs its own switch"
        address = self._stage.stack.switch.address
        self._stage.say(f"{_who(caller)} dials {number}")
        return self._carrier.call(Dial(number, (address.sip_host, address.sip_port), caller))

    async def _talk(self, caller: str, number: str) -> IncomingCall:
        """A call from ring to hang-up; the far end that it reached."""
        before = len(self._carrier.incoming)
        call = self._dial(caller, number)
        far = await self._rings(before)
        await call.reaches(CallState.ANSWERED, within_s=10.0)
        self._stage.say(f"{_who(far.facts.user)} answers, and sees {far.facts.from_user}")
        await call.hang_up()
        await far.reaches(CallState.ENDED, within_s=10.0)
        return far

    async def _rings(self, before: int) -> IncomingCall:
        incoming = self._carrier.incoming
        await self._carrier.traces(lambda: len(incoming) > before, 15.0, "a phone that rings")
        return incoming[before]

    async def _hears_question(self, call: OutgoingCall) -> None:
        await call.reaches(CallState.ANSWERED, within_s=10.0)
        await call.hears(lambda pcm: active_seconds(pcm) > 1.0, 10.0, "a question")

    async def _guess(self, call: OutgoingCall, digits: str) -> None:
        """Type this whenever asked, until turned away."""
        await self._hears_question(call)
        async with asyncio.timeout(40.0):
            while call.state is not CallState.ENDED:
                call.stream.press(digits)
                await asyncio.sleep(1.0)  # a person's pace at the keys

    async def _text(self, sender: str, number: str, body: str) -> Request | None:
        """Send a text; what the other side got."""
        assert self._stage.stack.switch is not None, "the demonstration runs its own switch"
        address = self._stage.stack.switch.address
        where = (address.sip_host, address.sip_port)
        before = len(_texts(self._carrier))
        self._stage.say(f"{_who(sender)} writes to {number}")
        final = await self._carrier.transport.request(
            _message(sender, number, where, body), where
        ).final_response()
        if final.status != 202:
            raise StoryBroken(f"the switch answered {final.status} to a text")
        await self._carrier.traces(lambda: len(_texts(self._carrier)) > before, 15.0, "a text")
        got = _texts(self._carrier)[before]
        return got if got.body.decode() == body else None

    async def _interactions(self, path: str, *, calls: int, texts: int) -> list[Json]:
        """The session's interactions, once all of them are over."""
        async with asyncio.timeout(40.0):
            while True:
                found: list[Json] = await self._stage.ok("GET", f"{path}/interactions")
                done = [one["kind"] for one in found if one["status"] in ("completed", "sent", "delivered")]
                if done.count("voice") >= calls and done.count("message") >= texts:
                    self._told.check("every call and text is on record", True)
                    return found
                await asyncio.sleep(0.1)


def _who(number: str) -> str:
    names = {BUYER: "the buyer", SELLER: "the seller", STRANGER: "a stranger"}
    return names.get(number, "the buyer's second phone")


def _message(sender: str, number: str, where: tuple[str, int], body: str) -> Request:
    uri = f"sip:{number}@{where[0]}:{where[1]}"
    headers = Headers(
        (
            ("From", f"<sip:{sender}@{CARRIER_IP}>;tag=demo"),
            ("To", f"<{uri}>"),
            ("Call-ID", f"demo-text-{next(_CALL_IDS)}"),
            ("CSeq", "1 MESSAGE"),
            ("Max-Forwards", "70"),
            ("Content-Type", "text/plain"),
        )
    )
    return Request("MESSAGE", uri, headers, body.encode())


def _texts(phone: SipPhone) -> list[Request]:
    """The texts that a phone received, without repetitions."""
    found: dict[str, Request] = {}
    for traced in phone.transport.trace:
        if not traced.sent and traced.raw.startswith(b"MESSAGE "):
            message = parse(traced.raw)
            if isinstance(message, Request):
                found.setdefault(message.headers.first("Call-ID"), message)
    return list(found.values())


def _to(text: Request) -> str:
    return user_in(text.uri)


def _from(text: Request) -> str:
    return user_in(text.headers.first("From"))


def _shows(number: str, text: str) -> bool:
    """Whether the digits stand in a text in any grouping, with or without the country's code."""
    digits = re.sub(r"\D", "", number)
    return digits[-10:] in re.sub(r"[\s().+\-%/]", "", text)
