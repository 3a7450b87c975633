"""What the switch said about one channel, before anyone knows which leg of which call it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dialplan.core import facts
from dialplan.core.call import Role
from telephony.ids import ChannelId


class What(StrEnum):
    DIALED = "dialed"
    RANG = "rang"
    ANSWERED = "answered"
    END_REQUESTED = "end_requested"
    HUNG_UP = "hung_up"
    ORIGINATE_FAILED = "originate_failed"
    TAPE = "tape"


@dataclass(frozen=True, slots=True)
class Heard:
    """``by`` names the channel that dialled this one; ``detail`` is a reason or a recording's turn."""

    what: What
    channel: ChannelId
    by: ChannelId | None = None
    cause: int | None = None
    sip: int | None = None
    detail: str = ""


def as_fact(heard: Heard, role: Role) -> facts.Fact:
    """The fact this means once the channel's leg is known."""
    match heard.what:
        case What.DIALED:
            return facts.Dialed(role, heard.channel)
        case What.RANG:
            return facts.Rang(role, heard.channel)
        case What.ANSWERED:
            return facts.Answered(role, heard.channel)
        case What.END_REQUESTED:
            return facts.EndRequested(role, heard.cause, heard.sip, heard.channel)
        case What.HUNG_UP:
            return facts.HungUp(role, heard.cause, heard.sip, heard.channel)
        case What.ORIGINATE_FAILED:
            return facts.OriginateFailed(heard.detail)
        case What.TAPE:
            return facts.TapeTurned(heard.detail)
