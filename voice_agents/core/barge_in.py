"""What the caller's speech does to the agent's: nothing, or drops it, or holds it until that is decided.

A pause is not a loss: speech that turns out to be a cough lets the agent go on where it was. What decides:
words that were understood, the agent's own detection, or speech that goes on past the time for deciding.
"""

from __future__ import annotations

from bisect import bisect_right

from voice_agents.core import facts, orders, talk
from voice_agents.core.agent import BargeMode
from voice_agents.core.session import Session, Step, replace

GUARD_MOST_MS = 30_000
"""The longest that anything may be guarded, whatever was asked for."""


def began(session: Session, fact: facts.SpeechBegan) -> Step:
    """The caller began to speak."""
    session = replace(session, barge=replace(session.barge, speaking=True, began_ms=fact.at_ms))
    mode = session.terms.spec.barge_in.mode
    out: tuple[orders.Order, ...] = ()
    if mode is not BargeMode.OFF or not session.sounding:
        out = (orders.Tell(talk.SpeechStarted(fact.at_ms)),)
    if fact.guarded or not session.bargeable:
        return session, out
    if mode is BargeMode.CLEAR:
        session, more = interrupt(session)
        return session, (*out, *more)
    return session, out


def pause(session: Session, fact: facts.SpeechBegan, now: float) -> Step:
    """Hold the agent's sound until it is known what the caller's is."""
    mode = session.terms.spec.barge_in.mode
    if mode is not BargeMode.PAUSE or fact.guarded or not session.bargeable:
        return session, ()
    if session.barge.paused_at is not None:
        return session, ()
    return replace(session, barge=replace(session.barge, paused_at=now)), (orders.PauseSound(),)


def over(session: Session, fact: facts.SpeechOver) -> Step:
    """The caller fell silent: what was held before it was decided was a false alarm."""
    mode = session.terms.spec.barge_in.mode
    out: tuple[orders.Order, ...] = ()
    if mode is not BargeMode.OFF or not session.sounding:
        out = (orders.Tell(talk.SpeechStopped(fact.at_ms)),)
    session = replace(session, barge=replace(session.barge, speaking=False))
    if session.barge.paused_at is None:
        return session, out
    session, more = resume(session)
    return session, (*out, *more)


def resume(session: Session) -> Step:
    """It was nothing: go on where the agent was held."""
    if session.barge.paused_at is None:
        return session, ()
    usage = replace(session.usage, false_alarms=session.usage.false_alarms + 1)
    session = replace(session, barge=replace(session.barge, paused_at=None), usage=usage)
    return session, (orders.ResumeSound(),)


def words(session: Session) -> Step:
    """Somebody understood words: that was no cough."""
    return interrupt(session) if session.barge.paused_at is not None else (session, ())


def pressed(session: Session, fact: facts.Pressed) -> Step:
    """A key drops the agent's sound where keys are what interrupts; in ``clear`` and ``pause`` too."""
    off = session.terms.spec.barge_in.mode in (BargeMode.OFF, BargeMode.NOTIFY)
    if off or fact.guarded or not session.bargeable:
        return session, ()
    return interrupt(session)


def far_end(session: Session, guarded: bool) -> Step:
    """The agent's own detection: at once, in every mode, but not over what it asked to have guarded."""
    if guarded or not (session.live and session.sounding):
        return session, ()
    return interrupt(session)


def interrupt(session: Session) -> Step:
    """Drop what has not been heard, and tell the agent how much was."""
    usage = replace(session.usage, interruptions=session.usage.interruptions + 1)
    session = replace(session, barge=replace(session.barge, paused_at=None), usage=usage, sounding=False)
    return session, (orders.Flush(interrupted=True), orders.Publish("agent.interrupted"))


class Guards:
    """Which spans of the queued sound are not to be interrupted. Places are milliseconds of all sound ever
    queued. Mutable: one a session, kept by its shell."""

    __slots__ = ("_ends", "_from", "_most_ms", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._from: int | None = None
        self._most_ms = 0

    def on(self, place_ms: int, most_ms: int) -> None:
        """What is queued from here on is guarded, for at most ``most_ms`` of its sound."""
        if self._from is None:
            self._from, self._most_ms = place_ms, max(0, min(most_ms, GUARD_MOST_MS))

    def off(self, place_ms: int) -> None:
        """What is queued from here on may be interrupted."""
        if self._from is None:
            return
        end = min(place_ms, self._from + self._most_ms)
        if end > self._from:
            self._starts.append(self._from)
            self._ends.append(end)
        self._from = None

    def covers(self, place_ms: int) -> bool:
        """Whether the sound at this place is guarded."""
        if self._from is not None and self._from <= place_ms < self._from + self._most_ms:
            return True
        at = bisect_right(self._starts, place_ms) - 1
        return at >= 0 and place_ms < self._ends[at]
