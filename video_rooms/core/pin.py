"""What a meeting number opens, and how a telephone is called in a room. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from telephony.ids import TenantId
from video_rooms.core.names import number_shown, shown
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.schedule import is_open
from video_rooms.core.visit_words import Wait, Why

_PHONE: Final = "phone:"
NAMELESS: Final = "Phone"
"""Whoever withholds their number, or has a number that nobody may know."""


@dataclass(frozen=True, slots=True)
class PinJudgement:
    """The room that a number opens, and what is waited for first; or no room, and why."""

    room: Room | None
    wait: Wait = ""
    why: Why = Why.PIN


def judge_pin(room: Room | None, tenant: TenantId, people: Iterable[Person], now: datetime) -> PinJudgement:
    """Whether the tenant's dial-in line leads to this room now. A foreign room is none."""
    if room is None or room.tenant != tenant:
        return PinJudgement(None, why=Why.PIN)
    if room.status is Status.ENDED:
        return PinJudgement(None, why=Why.ENDED)
    if not is_open(room, now):
        return PinJudgement(None, why=Why.NOT_OPEN)
    if room.waiting_room:
        return PinJudgement(room, "lobby")
    return PinJudgement(room, "" if has_host(people) else "host")


def has_host(people: Iterable[Person]) -> bool:
    return any(one.role is Role.HOST and one.presence is Presence.JOINED for one in people)


def is_full(room: Room, people: Iterable[Person]) -> bool:
    """Whether nobody more can be called: those who ring and wait have a place each."""
    return sum(one.presence is not Presence.LEFT for one in people) >= room.max_participants


def phone_name(far_end: str, *, private: bool = False) -> str:
    """How the room sees a telephone without a name of its own: never by its number.

    >>> phone_name("+447700900123"), phone_name("phone:desk"), phone_name(""), phone_name("+1", private=True)
    ('+44 •••• 0123', 'desk', 'Phone', 'Phone')
    """
    if private or not far_end:
        return NAMELESS
    if far_end.startswith(_PHONE):
        return shown(far_end.removeprefix(_PHONE))
    if far_end.startswith("+"):
        return number_shown(far_end)
    return f"•••• {far_end[-4:]}" if len(far_end) >= 8 and far_end.isdigit() else NAMELESS
