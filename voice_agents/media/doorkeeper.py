"""Who may come in: each token once, for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from voice_agents.core.audio import Codec
from voice_agents.ports import MediaEar


@dataclass(slots=True)
class DoorCounts:
    """What became of those who were expected, and of others."""

    arrived: int = 0
    refused: int = 0
    never_came: int = 0
    stalled: int = 0
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Expected:
    codec: Codec
    ear: MediaEar
    timer: asyncio.TimerHandle = field(repr=False)


class Doorkeeper:
    """Keys are what the wire shows of a token."""

    def __init__(self) -> None:
        self.counts = DoorCounts()
        self._expected: dict[Hashable, Expected] = {}

    def expect(self, key: Hashable, codec: Codec, ear: MediaEar, within_s: float) -> None:
        """Let one in with this key. A key that is expected already is replaced, its ear told."""
        self._give_up(key)
        timer = asyncio.get_running_loop().call_later(within_s, self._give_up, key)
        self._expected[key] = Expected(codec, ear, timer)

    def admit(self, key: Hashable) -> Expected | None:
        """Who comes with this key, if anybody may: it is worth nothing from now on."""
        found = self._expected.pop(key, None)
        if found is None:
            self.counts.refused += 1
            return None
        found.timer.cancel()
        self.counts.arrived += 1
        return found

    def forget(self, key: Hashable) -> None:
        found = self._expected.pop(key, None)
        if found is not None:
            found.timer.cancel()

    def close(self) -> None:
        """Nobody comes any more; all who waited are told."""
        for key in tuple(self._expected):
            self._give_up(key)

    def _give_up(self, key: Hashable) -> None:
        found = self._expected.pop(key, None)
        if found is not None:
            found.timer.cancel()
            self.counts.never_came += 1
            found.ear.gone("never_came")
