"""A media port without a switch. Time passes when a test says so; it passes the drivers' contract tests.

port.expect("token…", Codec.ULAW, ear, 5.0)
leg = port.come("token…")   # the switch dialled
leg.says(frame)             # the caller speaks
leg.pass_ms(200)            # 200 ms of the call: what was queued is heard, marks are told
leg.heard                   # what the caller heard, silence too
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.playout import Limits, Playout
from voice_agents.ports import MediaEar
from voice_agents.wire.asterisk import check_token


class FakeLeg:
    """Fits ``voice_agents.ports.MediaLeg``. ``heard`` is the caller's ear, frame by frame."""

    def __init__(self, codec: Codec, ear: MediaEar, limits: Limits) -> None:
        self._codec, self._ear = codec, ear
        self._playout = Playout(codec, limits, direct=True)
        self._now = 0.0
        self.heard: list[bytes] = []
        self.answered = self.gone = False
        self._before: Callable[[], None] = lambda: None

    # ------------------------------------------------------------ MediaLeg

    @property
    def codec(self) -> Codec:
        return self._codec

    @property
    def queued_ms(self) -> int:
        return self._playout.queued_ms(self._now)

    @property
    def heard_ms(self) -> int:
        return self._playout.heard_ms(self._now)

    @property
    def fullness(self) -> float:
        return self._playout.fullness

    def answer(self) -> None:
        self.answered = self.answered or not self.gone

    def play(self, sound: bytes) -> bool:
        return not self.gone and self._playout.play(sound, self._now)

    def mark(self, name: str) -> None:
        if self.gone:
            self._ear.mark(name, False)
            return
        self._playout.mark(name)
        self._tell()

    def flush(self) -> int:
        dropped, _ = self._playout.flush(self._now)
        self._tell()
        return dropped

    def pause(self) -> None:
        self._playout.pause(self._now)

    def resume(self) -> None:
        self._playout.resume()

    def on_beat(self, do: Callable[[], None]) -> None:
        self._before = do

    def hang_up(self) -> None:
        self.ends("hangup")

    # ------------------------------------------------------------ for tests

    @property
    def sound(self) -> bytes:
        """What the caller heard that was not silence, as one piece."""
        return b"".join(frame for frame in self.heard if frame != self._codec.silence)

    def says(self, frame: bytes) -> None:
        """One frame of the caller's."""
        if not self.gone:
            self._ear.audio(frame)

    def presses(self, digit: str) -> None:
        if not self.gone:
            self._ear.digit(digit)

    def pass_ms(self, ms: int = FRAME_MS) -> None:
        """So much of the call goes by, in frames."""
        for _ in range(ms // FRAME_MS):
            self._now += FRAME_MS / 1000
            if self.gone:
                return
            self._before()
            for order in self._playout.take(self._now, fill=True):
                assert isinstance(order, bytes)
                self.heard.append(order)
            self._tell()

    def ends(self, why: str = "hangup") -> None:
        """The channel is no more; by the caller, unless ``why`` says else."""
        if not self.gone:
            self.gone = True
            self._playout.flush(self._now)
            self._tell()
            self._ear.gone(why)

    def _tell(self) -> None:
        for name, heard in self._playout.told:
            self._ear.mark(name, heard)


@dataclass(frozen=True, slots=True)
class _Awaited:
    codec: Codec
    ear: MediaEar
    within_s: float


class FakeMediaPort:
    """Fits ``voice_agents.ports.MediaPort``. ``legs``: token → the leg that came with it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._awaited: dict[str, _Awaited] = {}
        self.legs: dict[str, FakeLeg] = {}

    def dial_string(self, token: str, codec: Codec) -> str:
        return f"Fake/{check_token(token)}/{codec.asterisk}"

    def expect(self, token: str, codec: Codec, ear: MediaEar, within_s: float) -> None:
        self.never_comes(token)
        self._awaited[check_token(token)] = _Awaited(codec, ear, within_s)

    def forget(self, token: str) -> None:
        self._awaited.pop(token, None)

    # ------------------------------------------------------------ for tests

    def awaits(self, token: str) -> bool:
        return token in self._awaited

    def come(self, token: str) -> FakeLeg | None:
        """The switch comes with this token; None where it is not let in."""
        awaited = self._awaited.pop(token, None)
        if awaited is None:
            return None
        leg = FakeLeg(awaited.codec, awaited.ear, self._limits)
        self.legs[token] = leg
        awaited.ear.arrived(leg)
        return leg

    def never_comes(self, token: str) -> None:
        """The time for this token is over."""
        awaited = self._awaited.pop(token, None)
        if awaited is not None:
            awaited.ear.gone("never_came")
