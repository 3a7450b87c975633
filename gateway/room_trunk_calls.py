"""Calls of the switch's to LiveKit's SIP service, one for each telephone that is brought into a room by it.

Our own end of such a call is a media socket: the switch opens it first (Originate), then dials the service
from it (context ``rooms-out``). So it ends with that socket, whoever ends it, and with this process. What
became of it is heard from the switch's events, as of every call. Fits ``video_rooms.ports_trunk.TrunkCalls``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import quote

import structlog

from dialplan.ami.message import Message
from dialplan.ami.translate import translate
from dialplan.ami.wire import AmiAction, variable
from dialplan.core.agent_dial import CALL_MARK, channel_and_token
from dialplan.core.heard import Heard, What
from telephony.errors import OutcomeUnknown, RoomsUnavailable, SwitchRefused, SwitchUnavailable, UnsafeValue
from telephony.ids import ChannelId
from video_rooms.ports_trunk import TrunkCall, TrunkEar

_log = structlog.get_logger("gateway.rooms")
CONTEXT: Final = "rooms-out"
DEADLINE_S: Final = 3.0
OPEN_S: Final = 5
"""How long the switch may take to open our socket."""
LONGEST_NAME: Final = 60


class Actor(Protocol):
    """A connection to the switch that orders are given over."""

    async def act(self, action: AmiAction, *, deadline_s: float) -> Message: ...


class _Live:
    """A call that is being made. ``dialled``: the channel towards the service, once there is one."""

    def __init__(self, ear: TrunkEar) -> None:
        self.ear = ear
        self.dialled: ChannelId | None = None
        self.taken = False


class SwitchedTrunkCalls:
    """``hear_message`` must be told of every event of the switch."""

    def __init__(self, control: Actor) -> None:
        self._control = control
        self._calls: dict[str, _Live] = {}
        self._dialled: dict[ChannelId, str] = {}

    def __len__(self) -> int:
        return len(self._calls)

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        self._calls[call.id] = _Live(ear)
        try:
            await self._control.act(_originate(call), deadline_s=DEADLINE_S)
        except (SwitchUnavailable, SwitchRefused, OutcomeUnknown, UnsafeValue) as failure:
            self.forget(call.id)
            raise RoomsUnavailable("the switch does not call the media server's SIP service") from failure
        except BaseException:  # why: cancelled or broken, the call is not kept; it is raised on
            self.forget(call.id)
            raise

    def forget(self, call_id: str) -> None:
        live = self._calls.pop(call_id, None)
        if live is not None and live.dialled is not None:
            self._dialled.pop(live.dialled, None)

    def hear_message(self, message: Message) -> None:
        """An event of the switch. Never waits, never raises."""
        if self._calls:
            heard = translate(message)
            if heard is not None:
                self.hear(heard)

    def hear(self, heard: Heard) -> None:
        if heard.what is What.DIALED and heard.by is not None and heard.by in self._calls:
            self._calls[heard.by].dialled = heard.channel
            self._dialled[heard.channel] = heard.by
            return
        call_id = self._dialled.get(heard.channel)
        if call_id is not None:
            live = self._calls[call_id]
            if heard.what is What.ANSWERED and not live.taken:
                live.taken = True
                self._tell(live.ear.taken)
        elif heard.channel in self._calls and heard.what in (What.HUNG_UP, What.ORIGINATE_FAILED):
            self._over(heard.channel, heard.cause)

    def _over(self, call_id: str, cause: int | None) -> None:
        live = self._calls[call_id]
        self.forget(call_id)
        _log.info("room.call_over", call=call_id, cause=cause, taken=live.taken)
        self._tell(lambda: live.ear.over(cause))

    @staticmethod
    def _tell(say: Callable[[], None]) -> None:
        try:
            say()
        except Exception:  # noqa: BLE001  # why: a listener that breaks must not end the switch's events
            _log.exception("room.ear_broken")


def _originate(call: TrunkCall) -> AmiAction:
    """Raises UnsafeValue for what the switch must not be told."""
    channel, token = channel_and_token(call.socket)
    return AmiAction(
        "Originate",
        (
            ("Channel", channel),
            ("ChannelId", call.id),
            ("Context", CONTEXT),
            ("Exten", "call"),
            ("Priority", "1"),
            ("Timeout", str(OPEN_S * 1000)),
            ("Async", "true"),
            variable(CALL_MARK, token),
            variable("PB_TO", call.number),
            variable("PB_FROM", call.caller),
            variable("PB_RING", str(call.ring_s)),
            variable("__PB_LEG", call.leg_id),
            variable("__PB_NAME", coded(call.name)),
        ),
    )


def coded(name: str) -> str:
    """A name for a SIP header, percent-encoded: without what cannot be printed, cut to 60 letters."""
    printed = "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME].strip()
    return quote(printed, safe="").replace("~", "%7E")
