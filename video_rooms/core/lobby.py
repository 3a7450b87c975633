"""The lobby: a guest who waits is connected, sees and hears nothing and is not heard, until let in.

That they wait is an attribute of the participant, which only the control side can change; a token made for
the lobby brings it. Who was let in, and comes back with the same pass, does not wait again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from video_rooms.core.live import PASS
from video_rooms.core.room import Person, Presence

LOBBY: Final = "patchbay.lobby"
WAITS: Final[Mapping[str, str]] = {LOBBY: "waiting"}
LET_IN: Final[Mapping[str, str]] = {LOBBY: ""}
"""An empty attribute is none."""


def waits(attributes: Mapping[str, str]) -> bool:
    return bool(attributes.get(LOBBY))


def was_admitted(line: Person | None, session: str, attributes: Mapping[str, str]) -> bool:
    """Whether this pass was let in before, in this live session."""
    if line is None or not line.admitted or line.session != session:
        return False
    return line.admitted == attributes.get(PASS, "")


def stands_waiting(line: Person | None) -> bool:
    return line is not None and line.presence is Presence.WAITING
