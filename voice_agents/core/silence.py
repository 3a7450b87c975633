"""Who has said nothing for how long: the caller that is asked again, and the agent that is slow to answer.

Energy is no proof of a conversation: a line that hums can look like speech for ever. So one clock runs on
regardless, and only words, keys and the agent's own sound, while nobody had to be asked, set it back.
"""

from __future__ import annotations

from voice_agents.core import facts, ladder, orders, shutdown, talk
from voice_agents.core.session import PATIENCE, Patience, Session, Step, replace
from voice_agents.core.talk import Reason


def caller_began(session: Session) -> Session:
    """The caller makes a sound."""
    return replace(session, quiet=replace(session.quiet, since=None, owed_at=None, slow=False))


ANSWERABLE_MS = 400
"""Speech that is shorter may be a cough: nobody owes it an answer."""


def caller_over(session: Session, at_ms: int, now: float) -> Session:
    """The caller fell silent; unless the agent is speaking already, it owes an answer."""
    short = at_ms - session.barge.began_ms < ANSWERABLE_MS
    owed_at = None if session.sounding or short else now
    quiet = replace(session.quiet, since=now, owed_at=owed_at, slow=False, lives=False)
    return replace(session, quiet=quiet)


def agent_lives(session: Session) -> Session:
    """The agent says something that is no sound: slow it may be, gone it is not."""
    if session.quiet.owed_at is None or session.quiet.lives:
        return session
    return replace(session, quiet=replace(session.quiet, lives=True))


def meant(session: Session, now: float) -> Session:
    """Words or a key: a caller, not a noise."""
    quiet = replace(session.quiet, asked=0, lively_at=now)
    return replace(session, quiet=replace(quiet, since=None if quiet.since is None else now))


def agent_began(session: Session, now: float) -> Session:
    """The agent is heard."""
    quiet = replace(session.quiet, since=None, owed_at=None, slow=False)
    return replace(session, quiet=quiet if quiet.asked else replace(quiet, lively_at=now))


def agent_over(session: Session, now: float) -> Session:
    """All that the agent said is heard."""
    if session.barge.speaking:
        return session
    return replace(session, quiet=replace(session.quiet, since=now))


def greeted(session: Session, now: float) -> Session:
    """The conversation begins: with silence."""
    return replace(session, quiet=replace(session.quiet, since=now, lively_at=now))


def resumed(session: Session, now: float) -> Session:
    """Somebody can be expected to speak again: the time in which nobody could does not count."""
    quiet = replace(session.quiet, since=now, lively_at=now, owed_at=None, slow=False)
    media = session.media
    if media.heard_at is not None:
        session = replace(session, media=replace(media, frame_at=now))
    return replace(session, quiet=quiet)


def paused(session: Session) -> bool:
    """Whether nobody can be expected to speak."""
    return bool(session.held_by) or session.moving is not None or not session.gate_open


def overdue(session: Session, name: str, now: float, patience: Patience = PATIENCE) -> Step:
    """A wait of the silence is over."""
    terms, quiet = session.terms, session.quiet
    match name:
        case "silence" if quiet.asked < terms.spec.silence.times:
            asked = quiet.asked + 1
            session = replace(session, quiet=replace(quiet, asked=asked, since=now))
            silence = terms.spec.silence
            if silence.prompt and terms.speaks:
                return session, (orders.SayPrompt("silence", silence.prompt),)
            told = talk.CallerSilent(silence.prompt_s * 1000, asked, silence.times - asked)
            return session, (orders.Tell(told),)
        case "silence" | "noise":
            return shutdown.end(session, facts.EndAsked(Reason.SILENCE, "gateway"), now, patience)
        case "slow":
            usage = replace(session.usage, slow_turns=session.usage.slow_turns + 1)
            session = replace(session, quiet=replace(quiet, slow=True), usage=usage)
            filler = terms.spec.filler
            out: tuple[orders.Order, ...] = (orders.Publish("agent.slow"),)
            if filler and terms.speaks:
                out = (*out, orders.SayPrompt("filler", filler))
            return session, out
        case "failover":
            session = replace(session, quiet=replace(quiet, owed_at=None))
            return ladder.drop(session, 4408, "silent", now, patience)
    raise AssertionError(name)


def can_fail_over(session: Session) -> bool:
    """Whether an agent that does not answer has anybody to stand in for it."""
    fallback = session.terms.spec.fallback
    return bool(fallback.agent_id or fallback.number or (fallback.prompt and session.terms.speaks))
