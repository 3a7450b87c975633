"""Telephones in rooms, and the calls that they are: the one learns from the other.

A call's changes are told to the visit at once, and what a visit wants of its call goes to the director. Fits
``gateway.http.ports_rooms.RoomPhones``, ``video_rooms.ports.RoomCalls``, ``RoomVoice`` and ``PinTries``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from dialplan.control import CallControl
from dialplan.core.call import Call, Endpoint, Rank, VideoRoom
from gateway.http.limits import Rates
from telephony.causes import CallStatus
from telephony.ids import CallId, TenantId
from video_rooms.core.room import Person
from video_rooms.core.wishes import CallOut
from video_rooms.phones import PhoneDesk
from voice_agents.ports import TextToSpeech

_WHY: Final = {
    CallStatus.BUSY: "busy",
    CallStatus.NO_ANSWER: "no_answer",
    CallStatus.CANCELLED: "cancelled",
    CallStatus.COMPLETED: "hangup",
}
_SAID_NO: Final = {"declined", "forbidden"}
_HOUR_S: Final = 3600
TRIES_OF_CALLER: Final = 10
TRIES_OF_LINE: Final = 300
"""Meeting numbers that open nothing, an hour: of one caller, of all callers of a dial-in number."""
VOICES: Final = {"en": "en-US"}
_RATE_HZ: Final = 16_000


class Director(Protocol):
    """The director, as far as it is needed here."""

    @property
    def control(self) -> CallControl: ...

    def end_calls(self, call_ids: Iterable[CallId], why: str, after_s: float = 0.0) -> None: ...


class DirectedRooms:
    """What visits do to their calls. Fits ``RoomCalls``. ``director`` is set once it is there; before that no
    call is. ``tell_agent`` hears of every end before it is ordered: (call, why)."""

    def __init__(self) -> None:
        self.director: Director | None = None
        self.tell_agent: Callable[[str, str], None] = _no_agent

    def end(self, call_id: str, why: str) -> None:
        self.tell_agent(call_id, why)
        if self.director is not None:
            self.director.end_calls([CallId(call_id)], why)

    def entered(self, call_id: str, room_id: str) -> None:
        if self.director is not None:
            self.director.control.entered_room(CallId(call_id), room_id)


def _no_agent(call_id: str, why: str) -> None:
    """There are no agents here."""


class RoomsOnCalls:
    """``longest_s``: how long a telephone that is called may be in a room."""

    def __init__(self, desk: PhoneDesk, longest_s: float) -> None:
        self._desk = desk
        self._longest_s = longest_s

    def heard(self, before: Call, call: Call) -> None:
        """A call has changed: a telephone that rings, or is gone, is known at once on its room's roster."""
        if self._desk.guest(call.id) is None:
            return
        if call.status is CallStatus.RINGING and before.status is not CallStatus.RINGING:
            self._desk.call_rang(call.id)
        if call.closed and not before.closed:
            self._desk.call_over(call.id, why_over(call))
        elif call.caller.rank is Rank.ENDED and call.caller.answered_at is not None:
            self._desk.call_over(call.id, "hangup")

    async def prepare(
        self, tenant: TenantId, room_id: str, wanted: CallOut, call_id: CallId
    ) -> tuple[Endpoint, Person]:
        dial, line = await self._desk.call_out(tenant, room_id, wanted, call_id, self._longest_s)
        return VideoRoom(dial, room_id), line

    async def prepare_agent(
        self, tenant: TenantId, room_id: str, name: str, call_id: CallId
    ) -> tuple[VideoRoom, Person]:
        dial, line = await self._desk.bring_agent(tenant, room_id, name, call_id, self._longest_s)
        return VideoRoom(dial, room_id), line

    async def forget(self, call_id: CallId) -> None:
        await self._desk.forget(call_id)

    async def one(self, room_id: str, call_id: CallId) -> Person | None:
        return await self._desk.line_of(room_id, call_id)


def why_over(call: Call) -> str:
    """Why the telephone's side of a closed call ended, in the words of ``CallOver``."""
    ended = call.termination
    if call.status is CallStatus.COMPLETED and ended is not None and ended.reason.startswith("room_"):
        return ended.reason
    if ended is not None and ended.reason in _SAID_NO:
        return "declined"
    return _WHY.get(call.status, "failed")


class SpokenRooms:
    """What telephones hear, from the product's speech engine. Fits ``RoomVoice``."""

    def __init__(self, speech: TextToSpeech) -> None:
        self._speech = speech

    async def speak(self, text: str, language: str) -> Path:
        said = await self._speech.speak(text, voice=VOICES.get(language, VOICES["en"]), rate_hz=_RATE_HZ)
        return said.path


class RatedTries:
    """Counts meeting numbers that open nothing, by the machinery of all rates. Fits ``PinTries``.

    Names are hashed with ``secret``: no store of counters holds a number. Whoever withholds theirs counts as
    one caller of that line.
    """

    def __init__(self, rates: Rates, secret: bytes) -> None:
        self._rates = rates
        self._secret = secret

    async def allowed(self, caller: str, line: str) -> bool:
        of_caller, of_line = self._names(caller, line)
        first = await self._rates.peek(of_caller, TRIES_OF_CALLER, _HOUR_S)
        if not first.allowed:
            return False
        return (await self._rates.peek(of_line, TRIES_OF_LINE, _HOUR_S)).allowed

    async def failed(self, caller: str, line: str) -> None:
        of_caller, of_line = self._names(caller, line)
        await self._rates.take(of_caller, TRIES_OF_CALLER, _HOUR_S)
        await self._rates.take(of_line, TRIES_OF_LINE, _HOUR_S)

    def _names(self, caller: str, line: str) -> tuple[str, str]:
        return self._name("caller", caller or f"withheld:{line}"), self._name("line", line)

    def _name(self, kind: str, of: str) -> str:
        digest = hmac.new(self._secret, f"{kind}:{of}".encode(), hashlib.sha256).hexdigest()
        return f"room.pin:{kind}:{digest[:24]}"
