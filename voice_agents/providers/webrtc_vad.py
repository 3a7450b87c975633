"""Voice activity by the detector of WebRTC (webrtcvad-wheels), which takes 2 to 3 µs a frame.

It tells voices from steady noise, and takes line noise, clicks and breathing for speech now and then. So a
frame counts where it is also clearly louder than the line has lately been, and speech begins where enough
of the last frames count.
"""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.sound import Resampler, pcm_rms, to_linear
from voice_agents.ports import Voicing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import webrtcvad  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class VadSettings:
    """``mode`` 0 to 3: how strict the engine is. A frame counts if it is ``over`` times as loud as the line
    lately was at its quietest, and at least ``least`` (root mean square of 16-bit samples; 150 is about
    -47 dBFS). Speech stops after ``hangover_ms`` without such a frame. ``bridged_ms`` is how long a pause
    within a word may be while speech is about to begin."""

    mode: int = 2
    least: int = 150
    over: float = 2.5
    hangover_ms: int = 240
    bridged_ms: int = 60
    floor_ms: int = 4000


class WebrtcDetector:
    """``SpeechDetector`` of one call."""

    def __init__(self, codec: Codec, min_ms: int, settings: VadSettings) -> None:
        self._codec, self._settings = codec, settings
        self._engine = webrtcvad.Vad(settings.mode)
        self._rate = 16000 if codec.rate_hz > 8000 else 8000
        self._resampler = None if codec.rate_hz == self._rate else Resampler(codec.rate_hz, self._rate)
        self._needed = max(1, -(-min_ms // FRAME_MS))
        self._hangover = max(1, settings.hangover_ms // FRAME_MS)
        self._bridged = settings.bridged_ms // FRAME_MS
        self._floor = _Floor(max(1, settings.floor_ms // FRAME_MS))
        self._speaking = False
        self._voiced = self._since = self._pause = 0

    def feed(self, frame: bytes) -> Voicing | None:
        voiced = self._counts(frame)
        return self._still(voiced) if self._speaking else self._maybe(voiced)

    def _counts(self, frame: bytes) -> bool:
        pcm = to_linear(self._codec, frame)
        if self._resampler is not None:
            pcm = self._resampler.feed(pcm)
        loud = pcm_rms(pcm)
        floor = self._floor.before(loud)
        if loud < self._settings.least or loud < floor * self._settings.over:
            return False
        wanted = self._rate * FRAME_MS // 1000 * 2
        return bool(self._engine.is_speech(pcm[-wanted:].rjust(wanted, b"\0"), self._rate))

    def _maybe(self, voiced: bool) -> Voicing | None:
        """Whether speech begins. ``_since`` counts the frames from the first that counted."""
        if voiced:
            self._voiced, self._since, self._pause = self._voiced + 1, self._since + 1, 0
        elif self._voiced:
            self._since, self._pause = self._since + 1, self._pause + 1
            if self._pause > self._bridged:
                self._voiced = self._since = self._pause = 0
        if self._voiced < self._needed:
            return None
        ago, self._speaking, self._pause = self._since * FRAME_MS, True, 0
        self._voiced = self._since = 0
        return Voicing(True, ago)

    def _still(self, voiced: bool) -> Voicing | None:
        self._pause = 0 if voiced else self._pause + 1
        if self._pause < self._hangover:
            return None
        ago, self._speaking, self._pause = self._pause * FRAME_MS, False, 0
        return Voicing(False, ago)


class _Floor:
    """The least of the last levels, found without looking through them: of those that wait, one that is not
    less than a later one will never be the least again."""

    def __init__(self, frames: int) -> None:
        self._frames, self._count = frames, 0
        self._least = deque[tuple[int, int]]()

    def before(self, level: int) -> int:
        """The least level before this one, 0 where there is none; from now on this one is among them."""
        least = self._least
        if least and least[0][0] <= self._count - self._frames:
            least.popleft()
        found = least[0][1] if least else 0
        while least and least[-1][1] >= level:
            least.pop()
        self._count += 1
        least.append((self._count, level))
        return found


class WebrtcDetectors:
    """``Detectors`` by WebRTC's engine."""

    def __init__(self, settings: VadSettings | None = None) -> None:
        self._settings = VadSettings() if settings is None else settings

    def detector(self, codec: Codec, min_ms: int) -> WebrtcDetector:
        return WebrtcDetector(codec, min_ms, self._settings)
