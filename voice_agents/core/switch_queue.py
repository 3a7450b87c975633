"""What lies in the switch's queue of one channel, as far as it can be known from outside. Pure.

Asterisk's media WebSocket takes one frame from its queue every 20 ms; a tick that finds nothing is never
made up for, so whatever is in the queue too much stays there as delay until somebody sends less. The frames
that left are counted by a clock in step with the switch's own, and set right whenever the switch says that
a frame has left.
"""

from __future__ import annotations

TICK_S = 0.020
_STEADY = 3
"""Marks after which the switch's clock is known well enough to say that a tick found nothing."""
_NEAR_S = 0.003
_LEAN = 0.1
"""How far a mark that came late moves the clock: lateness is mostly the way's, not the clock's."""


class SwitchQueue:
    """``sent`` frames are numbered from 1; ``confirmed`` is the last the switch said has left."""

    def __init__(self) -> None:
        self.sent = 0
        self.confirmed = 0
        self.starved = 0
        """Ticks of the switch that found nothing to play, among those that were told of."""
        self._gone = 0
        self._next: float | None = None
        self._told = 0

    def send(self, now: float) -> int:
        """One frame more. Returns its number."""
        self.depth(now)
        if self._next is None:
            self._next = now + TICK_S
        self.sent += 1
        return self.sent

    def depth(self, now: float) -> int:
        """How many frames the switch has not played yet."""
        if self._next is not None and now >= self._next:
            ticks = int((now - self._next) / TICK_S) + 1
            self._next += ticks * TICK_S
            self._gone = min(self.sent, self._gone + ticks)
        return self.sent - self._gone

    def depth_soon(self, now: float) -> int:
        """The same, if the switch's next tick is so near that it may have been."""
        depth = self.depth(now)
        near = self._next is not None and self._next - now < _NEAR_S
        return max(0, depth - near)

    def gone(self, now: float) -> int:
        """The number of the last frame that left."""
        return self.sent - self.depth(now)

    def confirm(self, number: int, now: float) -> None:
        """The switch says that this frame left at a tick before, and that there was a tick just now."""
        if not self.confirmed < number <= self.sent:
            return
        self.depth(now)
        self.confirmed = number
        self._told += 1
        if number == self.sent and self._told > _STEADY:
            self.starved += 1
        self._gone = min(self.sent, number + 1)
        self._keep_step(now)

    def emptied(self) -> None:
        """The switch's queue was flushed."""
        self._gone = self.confirmed = self.sent

    @property
    def next_tick(self) -> float | None:
        """When the switch plays its next frame; None while its clock is not known."""
        return self._next if self._told else None

    def _keep_step(self, now: float) -> None:
        """A tick was at ``now`` or a little before."""
        if self._next is None or self._told == 1:
            self._next = now + TICK_S
            return
        late = TICK_S - (self._next - now)
        self._next = self._next + _LEAN * late if late < TICK_S / 2 else now + TICK_S
