"""A dialect whose sound is another than the call's: converted on its way, both ways.

A call's sound is agreed with the switch once. An agent that joins it later, as another's standby, may carry
another: its sound is resampled here, where else the switch does it at less cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voice_agents.core.audio import Codec
from voice_agents.core.sound import Resampler, from_linear, to_linear
from voice_agents.core.talk import Audio, Begin, CallerAudio, Clear, Said, Told
from voice_agents.ports import Dialect, Wire


class ConvertedDialect:
    """``inner`` speaks of ``theirs``, the call is of ``ours``."""

    def __init__(self, inner: Dialect, ours: Codec, theirs: Codec) -> None:
        self._inner, self._ours, self._theirs = inner, ours, theirs
        self._there = Resampler(ours.rate_hz, theirs.rate_hz)
        self._back = Resampler(theirs.rate_hz, ours.rate_hz)

    @property
    def text_level(self) -> bool:
        return self._inner.text_level

    @property
    def has_ready(self) -> bool:
        return self._inner.has_ready

    @property
    def bye_by_closing(self) -> bool:
        return self._inner.bye_by_closing

    @property
    def has_pause(self) -> bool:
        return self._inner.has_pause

    @property
    def broken(self) -> str:
        return self._inner.broken

    def tell(self, told: Told) -> Sequence[Wire]:
        match told:
            case Begin():
                return self._inner.tell(replace(told, codec=self._theirs))
            case CallerAudio(frame=frame):
                pcm = self._there.feed(to_linear(self._ours, frame))
                return self._inner.tell(replace(told, frame=from_linear(self._theirs, pcm)))
        return self._inner.tell(told)

    def hear(self, message: Wire) -> Sequence[Said]:
        return [self._converted(said) for said in self._inner.hear(message)]

    def owed(self) -> Sequence[Wire]:
        return self._inner.owed()

    def _converted(self, said: Said) -> Said:
        if isinstance(said, Audio):
            return Audio(from_linear(self._ours, self._back.feed(to_linear(self._theirs, said.data))))
        if isinstance(said, Clear):
            self._back = Resampler(self._theirs.rate_hz, self._ours.rate_hz)
        return said
