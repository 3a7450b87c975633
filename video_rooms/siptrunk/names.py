"""Names under which telephones call LiveKit's SIP service: random, and told to nobody but the switch.

LiveKit makes a participant's identity of the caller's name by hashing it, so that whoever sees the identity
in a room cannot call in its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from video_rooms.core.trunks import identity_of

_LETTERS: Final = 32
_MOST: Final = 20_000


class TrunkNames:
    """``hexes`` makes so many of ``0-9a-f`` that nobody can guess."""

    def __init__(self, hexes: Callable[[int], str]) -> None:
        self._hexes = hexes
        self._callers: OrderedDict[str, str] = OrderedDict()

    def identity(self, prefix: str = "") -> str:
        """A new identity, whatever the prefix wanted: LiveKit's are all ``sip_…``."""
        caller = self._hexes(_LETTERS)
        made = identity_of(caller)
        self._callers[made] = caller
        while len(self._callers) > _MOST:
            self._callers.popitem(last=False)
        return made

    def caller_of(self, identity: str) -> str | None:
        """Who calls so that they get this identity; None for one that was not made here."""
        return self._callers.get(identity)
