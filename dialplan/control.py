"""What may be asked of a live call, besides its end: a recording turned, its caller moved, digits played."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from dialplan import reconcile
from dialplan.core import facts
from dialplan.core.call import Call, Connect, Rank, Trunk
from dialplan.core.evolve import replace
from dialplan.core.moving import why_not
from dialplan.life import Life
from dialplan.lines import TRUNK_FULL, Lines
from dialplan.ports import Switch
from telephony.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SwitchRefused,
    SwitchUnavailable,
    TooMany,
)
from telephony.ids import CallId
from telephony.numbers import E164

LINES_RETRY_S = 5
_DIGITS = re.compile(r"[0-9*#A-Dw]{1,32}")
_PAUSE_S = 0.5
"""What ``w`` waits."""
_GAP_S = 0.1
"""The silence between two digits; networks want at least 40 ms of it (ITU-T Q.24)."""
_DIGIT_LIMIT_S = 1.0
"""How long the switch may take for one digit on the average; then all of them are given up."""
_WHY = re.compile(r"[a-z][a-z_]{0,39}")
_CANNOT_BE_MOVED = "CALL_CANNOT_BE_MOVED"
_SLACK_S = 30.0
"""What a move may take beyond the ringing: the switch's way to ask and to dial, and each wait's own limit."""


def trunk_is_full(lines: Lines, call: Call) -> TooMany | None:
    """The error for a call that would need a line of a trunk that has none left."""
    full = lines.full_for(call)
    if full is None:
        return None
    return TooMany(
        "the trunk has no free line",
        retry_after_s=LINES_RETRY_S,
        limit=lines.limit(full),
        window="concurrent",
        code=TRUNK_FULL.upper(),
    )


class CallControl:
    """The director's hands on live calls. Each verb raises NotFound for a call that is not live."""

    def __init__(
        self,
        lives: Mapping[CallId, Life],
        lines: Lines,
        switch: Switch,
        trunk_for: Callable[[E164], str],
    ) -> None:
        self._lives = lives
        self._lines = lines
        self._switch = switch
        self._trunk_for = trunk_for
        self._playing: set[CallId] = set()
        self._moving: set[CallId] = set()

    def _life(self, call_id: CallId) -> Life:
        life = self._lives.get(call_id)
        if life is None:
            raise NotFound("the call is not live")
        return life

    async def turn_tape(self, call_id: CallId, verb: str, patience_s: float) -> Call:
        """Start, stop, pause or resume a recording; returns when the switch has confirmed."""
        life = self._life(call_id)
        before = life.call
        reconcile.check_tape(before, verb)
        life.post(facts.TapeAsked(verb))
        if not await life.until(reconcile.tape_turned(before, verb), patience_s):
            raise Conflict("the switch did not confirm in time", code="RECORDING_NOT_CONFIRMED")
        reconcile.check_turned(before, life.call, verb)
        return life.call

    def entered_room(self, call_id: CallId, room_id: str) -> None:
        """The caller is in this video room. Never waits; a call that is over is left alone."""
        life = self._lives.get(call_id)
        if life is not None:
            life.post(facts.RoomEntered(room_id))

    async def reroute(self, call_id: CallId, route: Connect, ring_timeout_s: int, why: str) -> str:
        """Take the caller from its callee to another; what came of it, in the words of ``Move.outcome``.

        Conflict where the caller cannot be moved now, TooMany where the trunk has no line, SwitchUnavailable
        where nothing could be ordered: then nothing has changed.
        """
        if _WHY.fullmatch(why) is None:
            raise InvalidInput("not a token", field="why", expected="a-z and _")
        life = self._life(call_id)
        endpoint = route.endpoint
        if isinstance(endpoint, Trunk) and not endpoint.trunk:
            endpoint = Trunk(endpoint.number, self._trunk_for(endpoint.number))
        route = replace(route, endpoint=endpoint, ring_s=ring_timeout_s)
        refused = why_not(life.call) or ("the call is being moved" if call_id in self._moving else None)
        if refused is not None:
            raise Conflict(refused, code=_CANNOT_BE_MOVED)
        if not self._switch.ready:
            raise SwitchUnavailable
        full = trunk_is_full(self._lines, _as_if_moved(life.call, route))
        if full is not None:
            raise full
        self._moving.add(call_id)
        try:
            return await _move(life, facts.Reroute(route, why), ring_timeout_s + _SLACK_S)
        finally:
            self._moving.discard(call_id)

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        """Play these digits to the party on the caller's leg, one after another; back when all were played.

        InvalidInput for anything but 1 to 32 of ``0-9*#A-Dw``; Conflict where the call is not in progress, or
        ends before the last digit, where others are being played, or the switch takes too long.
        """
        if _DIGITS.fullmatch(digits) is None:
            raise InvalidInput("not digits that can be played", field="digits", expected="[0-9*#A-Dw]{1,32}")
        life = self._life(call_id)
        if call_id in self._playing:
            raise Conflict("other digits are being played", code="DIGITS_PLAYING")
        self._playing.add(call_id)
        limit_s = len(digits) * (_DIGIT_LIMIT_S + _PAUSE_S)
        try:
            async with asyncio.timeout(limit_s):
                await self._play(life, digits)
        except TimeoutError:
            raise Conflict("the switch did not play in time", code="DIGITS_NOT_CONFIRMED") from None
        except SwitchRefused:
            raise Conflict("the call is not in progress", code="CALL_NOT_IN_PROGRESS") from None
        finally:
            self._playing.discard(call_id)

    async def _play(self, life: Life, digits: str) -> None:
        for digit in digits:
            caller = life.call.caller
            if caller.rank is not Rank.UP or caller.channel is None or life.call.ended_by is not None:
                raise Conflict("the call is not in progress", code="CALL_NOT_IN_PROGRESS")
            if digit == "w":
                await asyncio.sleep(_PAUSE_S)
                continue
            with suppress(OutcomeUnknown):  # played or not: never twice
                await self._switch.play_digit(caller.channel, digit)
            await asyncio.sleep(_GAP_S)


def _as_if_moved(call: Call, route: Connect) -> Call:
    """The call with its new far end, as far as lines are concerned. The old one still has its own."""
    return replace(call, route=route)


async def _move(life: Life, wanted: facts.Reroute, patience_s: float) -> str:
    number = life.call.moves + 1

    def is_decided(call: Call) -> bool:
        if call.moves < number:  # not looked at yet, or refused
            return call.closed or why_not(call) is not None
        return call.closed or (call.move is not None and call.move.outcome is not None)

    life.post(wanted)
    await life.until(is_decided, patience_s)
    move = life.call.move
    if life.call.moves < number or move is None:
        raise Conflict(why_not(life.call) or "the far end had just left", code=_CANNOT_BE_MOVED)
    # A move that lasted longer than all its own limits has not been decided: the switch did not do it.
    return move.outcome or "timeout"
