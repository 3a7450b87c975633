"""Our own ears on the caller: the echo gate fed with what was really played, then the detection of speech."""

from __future__ import annotations

from collections import deque

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.echo_gate import EchoGate
from voice_agents.core.sound import rms
from voice_agents.ports import SpeechDetector, Voicing


class CallerEars:
    """One session's. Levels of what is queued wait here until the caller has heard it: only then can it
    come back."""

    def __init__(self, codec: Codec, detector: SpeechDetector | None) -> None:
        self._codec, self._detector = codec, detector
        self.gate = EchoGate()
        self._levels: deque[int] = deque()
        self._levels_from = 0
        """The frame, counted over all sound ever queued, whose level is the first that waits."""

    @property
    def detects(self) -> bool:
        """Whether it tells when the caller begins and stops to speak."""
        return self._detector is not None

    def queued(self, sound: bytes, end_ms: int) -> None:
        """Sound was queued up to this place."""
        size = self._codec.frame_bytes
        levels = [rms(self._codec, sound[at : at + size]) for at in range(0, len(sound), size)]
        if not self._levels:
            self._levels_from = max(self._levels_from, end_ms // FRAME_MS - len(levels))
        self._levels.extend(levels)

    def dropped(self, place_ms: int) -> None:
        """What was queued up to this place will not be heard."""
        self._levels.clear()
        self._levels_from = place_ms // FRAME_MS

    def without_echo(self, frame: bytes, ear_ms: int) -> bytes:
        """A frame of the caller's that came while the agent is heard, or silence where it may be its echo.
        ``ear_ms``: the place that the caller hears."""
        ear = ear_ms // FRAME_MS
        played = min(max(0, ear - self._levels_from), len(self._levels))
        for _ in range(played):
            self.gate.sent(self._levels.popleft())
        if not played:
            self.gate.sent(0)
        self._levels_from = max(self._levels_from, ear)
        return frame if self.gate.passes(rms(self._codec, frame)) else self._codec.silence

    def voicing(self, frame: bytes) -> Voicing | None:
        """Whether the caller began or stopped to speak with this frame."""
        return None if self._detector is None else self._detector.feed(frame)
