"""What an agent said before the call had room for it. Pure.

An agent whose dialect has no word for a pause may send minutes of sound at once, as it may to those whom
the dialect was made for. It waits here, in its order, and is passed on as there is room. What cannot wait
overtakes it; a clear, and an interruption, drop the sound, and its marks go on, to come back as not heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from voice_agents.core.talk import (
    Audio,
    CallerSpoke,
    CallerWords,
    CallTool,
    Caption,
    Clear,
    Malformed,
    Said,
    Summary,
)

_URGENT = (CallerSpoke, CallerWords, CallTool, Malformed, Summary)


class WaitingRoom:
    """``piece``: octets of sound that are passed on at once, in one ``Audio`` at most. ``octets`` wait."""

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self._waiting: deque[Said] = deque()
        self._given = 0
        self.octets = 0
        self.shut = False
        """Whether nothing but what cannot wait is passed on."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, said: Said) -> Sequence[Said]:
        """The agent said this: what is passed on now."""
        if isinstance(said, _URGENT):
            return (said,)
        if isinstance(said, Clear):
            return (*self.clear(), said)
        if isinstance(said, Audio):
            self.octets += len(said.data)
            for at in range(0, len(said.data), self._piece):
                self._waiting.append(Audio(said.data[at : at + self._piece]))
        else:
            self._waiting.append(said)
        return self._passed()

    def turn(self) -> Sequence[Said]:
        """The loop has turned, and the call had its say: what is passed on now."""
        self._given = 0
        return self._passed()

    def clear(self) -> Sequence[Said]:
        """Drop the sound that waits; the rest is passed on."""
        rest = [said for said in self._waiting if not isinstance(said, Audio | Caption)]
        self._waiting.clear()
        self.octets = 0
        return rest

    def _passed(self) -> Sequence[Said]:
        passed: list[Said] = []
        while self._waiting and not self.shut:
            said = self._waiting[0]
            size = len(said.data) if isinstance(said, Audio) else 0
            if size and self._given and self._given + size > self._piece:
                break
            self._given += size
            self.octets -= size
            passed.append(self._waiting.popleft())
        return passed
