"""Every wait of an agent's session and its deadline: no state waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from voice_agents.core import ladder, silence
from voice_agents.core.agent import DialectName
from voice_agents.core.session import (
    PATIENCE,
    EndStep,
    Farewell,
    Patience,
    Phase,
    Rung,
    Session,
    TransferStep,
)


class Wait(NamedTuple):
    """Something waited for, and until when (epoch seconds)."""

    name: str
    at: float


def waits(session: Session, patience: Patience = PATIENCE) -> Iterator[Wait]:
    """Everything this session waits for. Empty only when it is over."""
    if session.over is not None:
        return
    if session.ending is not None:
        yield from _end_waits(session, session.ending, patience)
        return
    yield from _line_waits(session, patience)
    yield from _media_waits(session, patience)
    yield from _talk_waits(session, patience)
    moving = session.moving
    if moving is not None:
        lasts_s = {
            TransferStep.SPEAKING: patience.drain_s,
            TransferStep.RINGING: moving.ring_timeout_s + patience.transfer_s,
            TransferStep.RETURNING: patience.return_s,
        }[moving.step]
        until = moving.at + lasts_s
        if moving.step is TransferStep.SPEAKING and moving.empty_at is not None and not session.sounding:
            until = min(until, moving.empty_at + patience.unmarked_s)
        yield Wait(f"transfer_{moving.step}", until)


def _line_waits(session: Session, patience: Patience) -> Iterator[Wait]:
    line = session.line
    if line.phase in (Phase.OPENING, Phase.WAITING):
        yield Wait("connect", ladder.window_ends(line, patience))
    if line.phase is Phase.WAITING:
        yield Wait("retry", ladder.retry_at(line, patience))
    if line.phase is Phase.OPENED:
        yield Wait("ready", line.at + patience.ready_s)
    if line.rung is Rung.PROMPT and line.prompted_at is not None:
        yield Wait("prompt", line.prompted_at + patience.prompt_s)


def _media_waits(session: Session, patience: Patience) -> Iterator[Wait]:
    media, moving = session.media, session.moving
    if session.bridged_at is None and media.heard_at is None:
        yield Wait("media", session.created_at + session.terms.media_within_s + patience.media_s)
    if media.answered_at is not None and media.heard_at is None:
        yield Wait("first_frame", media.answered_at + patience.first_frame_s)
    if media.heard_at is not None and not (moving is not None and moving.step is TransferStep.RINGING):
        yield Wait("frames", max(media.heard_at, media.frame_at) + patience.frames_s)
    if media.heard_at is not None and session.greeted_at is None:
        yield Wait("greet", media.heard_at + patience.greet_s)
    if session.bridged_at is not None:
        ends_at = session.bridged_at + session.terms.max_duration_s
        yield Wait("max_duration", ends_at - end_takes_s(session, patience))
        if not session.warned and session.terms.max_duration_s >= 2 * patience.warn_s:
            yield Wait("warn", ends_at - patience.warn_s)


def end_takes_s(session: Session, patience: Patience = PATIENCE) -> float:
    """How long before the longest duration its end must begin to be over in time."""
    shutdown = session.terms.spec.shutdown
    takes_s = (shutdown.deadline_ms + shutdown.tail_ms) / 1000 + patience.short_drain_s
    return min(takes_s, session.terms.max_duration_s / 2)


def _talk_waits(session: Session, patience: Patience) -> Iterator[Wait]:
    spec, quiet = session.terms.spec, session.quiet
    if session.barge.paused_at is not None:
        yield Wait("decide", session.barge.paused_at + spec.barge_in.decision_ms / 1000)
    if silence.paused(session):
        return
    asking = spec.silence.prompt_s > 0 and not session.sounding and not session.barge.speaking
    if asking and quiet.since is not None:
        yield Wait("silence", quiet.since + spec.silence.prompt_s)
    if spec.silence.most_s > 0 and quiet.lively_at is not None:
        yield Wait("noise", quiet.lively_at + spec.silence.most_s)
    if quiet.owed_at is not None and session.line.phase is Phase.READY:
        if not quiet.slow:
            yield Wait("slow", quiet.owed_at + patience.slow_s)
        elif not quiet.lives and silence.can_fail_over(session):
            yield Wait("failover", quiet.owed_at + patience.failover_s)


def _cannot_ack(session: Session) -> bool:
    """Whether the agent's protocol has no word for having nothing to say: one that knows nothing of an end
    that is near, and one that has nothing to say to it, are silent alike."""
    silent = (DialectName.TWILIO, DialectName.CONVERSATION_RELAY)
    return session.line.rung is Rung.AGENT and session.terms.spec.dialect in silent


def _end_waits(session: Session, ending: Farewell, patience: Patience) -> Iterator[Wait]:
    shutdown = session.terms.spec.shutdown
    speaking = ending.step in (EndStep.FAREWELL, EndStep.DRAIN, EndStep.TAIL)
    if speaking and ending.leaves_at is not None and not ending.shut:
        yield Wait("grace", ending.leaves_at + patience.grace_s)
    match ending.step:
        case EndStep.FAREWELL:
            yield Wait("farewell", ending.deadline)
            if ending.quiet_at is not None:
                yield Wait("gap", ending.quiet_at + patience.gap_s)
            if ending.idle_at is not None and _cannot_ack(session):
                yield Wait("idle", ending.idle_at + (ending.deadline - ending.asked_at) / 2)
        case EndStep.DRAIN:
            since = ending.at if ending.draining_since is None else ending.draining_since
            yield Wait("drain", since + (patience.prompt_s if ending.prompting else ending.drain_s))
            if ending.empty_at is not None and not ending.prompting:
                yield Wait("unmarked", ending.empty_at + patience.unmarked_s)
        case EndStep.TAIL:
            yield Wait("tail", ending.at + shutdown.tail_ms / 1000)
        case EndStep.GOING:
            yield Wait("going", ending.at + patience.gone_s)
        case EndStep.CLOSING:
            yield Wait("closing", ending.at + shutdown.summary_ms / 1000)


def next_deadline(session: Session, patience: Patience = PATIENCE) -> float | None:
    """When ``TimerFired`` is due next; None only when it is over."""
    return min((wait.at for wait in waits(session, patience)), default=None)
