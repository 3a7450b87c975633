"""What an agent says before anybody can hear it: kept in its order, up to half a minute. Pure."""

from __future__ import annotations

from voice_agents.core import talk
from voice_agents.core.audio import Codec

Waiting = talk.Audio | talk.Mark | talk.Caption | talk.Guard | talk.HangUp | talk.Transfer
"""What has its place among an agent's sound."""
MOST_MS = 30_000


class Backlog:
    """Of one session."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._said: list[Waiting] = []
        self._ms = 0

    def __bool__(self) -> bool:
        return bool(self._said)

    def keep(self, said: Waiting) -> bool:
        """Keep this until it can be heard. False where it is too much: then nothing was kept."""
        if isinstance(said, talk.Audio):
            ms = self._codec.ms(len(said.data))
            if self._ms + ms > MOST_MS:
                return False
            self._ms += ms
        self._said.append(said)
        return True

    def take(self) -> list[Waiting]:
        """All that waits, which waits no longer."""
        said, self._said, self._ms = self._said, [], 0
        return said
