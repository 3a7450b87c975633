"""What the way into rooms by SIP needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from video_rooms.core.trunks import CallOut, There, Thing, ThingKind


class TrunkDesk(Protocol):
    """The media server's SIP interface. Every method raises ``RoomsUnavailable`` where it does not answer, or
    has no Redis behind it, without which it has no SIP either."""

    async def found(self) -> Sequence[There]:
        """Every trunk and rule there is, whoever made it."""
        ...

    async def make(self, mark: str, thing: Thing) -> str:
        """Its id. Raises InvalidInput where it collides with another one."""
        ...

    async def change(self, mark: str, id_: str, thing: Thing) -> bool:
        """False where it is not there."""
        ...

    async def drop(self, kind: ThingKind, id_: str) -> None:
        """Nothing happens where it is not there."""
        ...

    async def call_out(self, call: CallOut, within_s: float) -> int:
        """Have the media server call the switch, and wait until that has answered: the SIP final, 200 for a
        call that was taken. Raises RoomsUnavailable where no call was made, for there is no such trunk or no
        SIP service, InvalidInput for what the server will not have, and OutcomeUnknown where it is not known
        what became of it. Never ask again then: whoever was to be in the room is removed instead."""
        ...

    async def introduce(self, room: str, identity: str, name: str) -> bool:
        """Show a participant under this name. False where they are not there."""
        ...

    async def unmute(self, room: str, identity: str) -> bool:
        """Take back a mute of a participant's sound. False: not there, or the server does not allow it."""
        ...


@dataclass(frozen=True, slots=True)
class TrunkCall:
    """One call of the switch's to the SIP service. ``socket``: what Dial() is given for our own end of it;
    ``number`` and ``caller``: what is dialled, and as whom (that name is worth a way into a room);
    ``ring_s``: for how long it may ring."""

    id: str
    socket: str = field(repr=False)
    number: str
    caller: str = field(repr=False)
    leg_id: str
    name: str = ""
    ring_s: int = 4


class TrunkEar(Protocol):
    """Who hears of a call. Must return at once."""

    def taken(self) -> None:
        """It was answered."""
        ...

    def over(self, cause: int | None) -> None:
        """It has ended, with this Q.850 cause (see ``core.trunk_ends``). Once."""
        ...


class TrunkCalls(Protocol):
    """Makes these calls."""

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        """Have the switch call. Raises RoomsUnavailable where it cannot be told to. A call is placed once:
        where it is not known whether it was, it counts as not placed, and its socket is worth nothing."""
        ...

    def forget(self, call_id: str) -> None:
        """Nobody wants to hear of this call any more."""
        ...
