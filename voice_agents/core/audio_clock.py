"""The call's audio clock: milliseconds since the first frame the caller sent. Pure."""

from __future__ import annotations

from voice_agents.core.audio import FRAME_MS

_SLACK_MS = 200
"""Frames may be late by so much before they count as left out."""


class AudioClock:
    """Counts frames; where the caller's line leaves some out, as for silence, true time makes up for it."""

    def __init__(self) -> None:
        self.ms = 0
        self._first_at: float | None = None

    def frame(self, now: float) -> None:
        """A frame of the caller's came; ``now`` in seconds."""
        if self._first_at is None:
            self._first_at = now
            return
        self.ms += FRAME_MS
        true_ms = round((now - self._first_at) * 1000)
        if true_ms - self.ms > _SLACK_MS:
            self.ms = true_ms - true_ms % FRAME_MS
