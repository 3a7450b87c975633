"""What agents' sessions do to calls, by way of the director. Fits ``voice_agents.ports.CallControl``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

import structlog

from dialplan.core.call import ROOM, Call, Connect, Endpoint, Phone, Trunk
from telephony.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, TooMany, Unavailable
from telephony.ids import CallId
from telephony.numbers import E164
from voice_agents.core.record import BUSY
from voice_agents.core.talk import Reason

_log = structlog.get_logger("gateway.agents")

PHONE: Final = "phone:"
UNAVAILABLE: Final = "agent_unavailable"
_API: Final = "api_hangup"
_LOST: Final = "agent_lost"
_OTHERWISE: Final = "hangup_by_agent"
_WHY: Final = {
    Reason.AGENT.value: "hangup_by_agent",
    Reason.MAX_DURATION.value: "max_duration",
    Reason.SILENCE.value: "silence",
    Reason.DRAIN.value: "gateway_stopping",
    Reason.TRANSFERRED.value: "transferred",
    Reason.AGENT_LOST.value: _LOST,
    Reason.MEDIA_LOST.value: _LOST,
    BUSY: BUSY,
}
"""What the call's termination says, by why its agent's session ended."""
_OUTCOMES: Final = {"agent_unavailable": "invalid", "ended": "declined"}
"""Ends of a move that an agent knows by another word."""


class Calls(Protocol):
    """The director, as far as it is needed here."""

    def live(self, call_id: CallId) -> Call | None: ...

    async def hang_up(self, call_id: CallId, *, patience_s: float = 5.0) -> None: ...

    def end_calls(self, call_ids: Iterable[CallId], why: str, after_s: float = 0.0) -> None: ...

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str: ...

    async def send_digits(self, call_id: CallId, digits: str) -> None: ...


class IntoRooms(Protocol):
    """Brings callers into video rooms. ``gateway.room_transfers.RoomTransfers`` fits."""

    async def reach(self, call: Call, room_id: str) -> Endpoint:
        """Make a place for the caller of this call. Raises NotFound, Conflict, RoomsUnavailable."""
        ...

    async def forget(self, call_id: CallId) -> None:
        """The caller did not come."""
        ...


class DirectedCalls:
    """``permits`` says whether the call's tenant may have this far end rung at all. ``rooms`` None: there are
    no video rooms here."""

    def __init__(
        self,
        calls: Calls,
        permits: Callable[[Call, str], Awaitable[bool]],
        rooms: IntoRooms | None = None,
    ) -> None:
        self._calls = calls
        self._permits = permits
        self._rooms = rooms

    async def hang_up(self, call_id: str, why: str) -> None:
        """Order the end. A call that is over is left alone; where the switch is away, its time ends it."""
        call = CallId(call_id)
        if why == _API:
            try:
                await self._calls.hang_up(call)
            except (Unavailable, OutcomeUnknown) as error:
                _log.warning("hangup.not_ordered", call_id=call_id, code=error.code)
            return
        live = self._calls.live(call)
        told = _WHY.get(why, _OTHERWISE)
        if told == _LOST and live is not None and live.answered_at is None:
            told = UNAVAILABLE  # it never was there
        self._calls.end_calls([call], told)

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        """Take the caller to ``to`` in the agent's place; what came of it, once that is known."""
        call = self._calls.live(CallId(call_id))
        if call is None:
            return "declined"
        try:
            if to.startswith(ROOM):
                outcome = await self._into_room(call, to.removeprefix(ROOM), ring_timeout_s)
            elif await self._permits(call, to):
                route = Connect(_endpoint(to), own_number(call))
                outcome = await self._calls.reroute(call.id, route, ring_timeout_s)
            else:
                return "policy_denied"
        except InvalidInput:
            return "invalid"
        except TooMany:
            return "busy"
        except (Conflict, NotFound, OutcomeUnknown, Unavailable) as error:
            _log.warning("transfer.not_made", call_id=call_id, code=error.code)
            return "declined"
        return _OUTCOMES.get(outcome, outcome)

    async def _into_room(self, call: Call, room_id: str, ring_timeout_s: int) -> str:
        """Take the caller into a room of its tenant's. Raises what ``IntoRooms`` and the director do."""
        if self._rooms is None:
            return "declined"
        try:
            end = await self._rooms.reach(call, room_id)
        except NotFound:
            return "invalid"
        outcome = ""
        try:
            outcome = await self._calls.reroute(call.id, Connect(end, own_number(call)), ring_timeout_s)
        finally:
            if outcome != "completed":
                await self._rooms.forget(call.id)
        return outcome

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Play digits to the caller's line. Raises what the director does."""
        await self._calls.send_digits(CallId(call_id), digits)


def own_number(call: Call) -> E164 | None:
    """The number of ours that the call goes over, which others may be shown; None where it has none."""
    text = call.terms.from_number if call.outbound else call.terms.to_number
    try:
        return E164(text if text.startswith("+") else f"+{text}")
    except InvalidInput:
        return None


def _endpoint(to: str) -> Endpoint:
    """Raises InvalidInput. The trunk is chosen by the director."""
    if to.startswith(PHONE):
        return Phone(to.removeprefix(PHONE))
    return Trunk(E164(to), "")
