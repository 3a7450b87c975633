"""Taking the caller to somebody else: where that is allowed, once all that was said is heard, and back when
it came to nothing."""

from __future__ import annotations

import re

from voice_agents.core import facts, orders, shutdown, silence, talk
from voice_agents.core.registry import may_transfer
from voice_agents.core.session import (
    PATIENCE,
    Media,
    Moving,
    Patience,
    Session,
    Step,
    TransferStep,
    replace,
)
from voice_agents.core.talk import Reason

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_PHONE = re.compile(r"phone:[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_ROOM = re.compile(r"room:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHAPES = (_NUMBER, _PHONE, _ROOM)
_ANYWHERE = ("+*", "phone:*", "room:*")
"""What others than the agent may ask for: they were judged where they asked."""
GUARD_MS = 30_000
"""The longest that a prompt of ours may keep the caller from interrupting."""
DIGITS = re.compile(r"[0-9*#A-Dw]{1,64}")
"""What may be played to a caller's line."""
_RING_S = (5, 120)
OUTCOMES = frozenset({"completed", "busy", "no_answer", "declined", "invalid", "timeout", "policy_denied"})


def refusal(allow: tuple[str, ...], to: str) -> str:
    """Why a caller may not be taken there, as an outcome; empty where it may.

    Nothing listed, nothing allowed.
    """
    if not any(shape.fullmatch(to) for shape in _SHAPES):
        return "invalid"
    return "" if may_transfer(allow, to) else "policy_denied"


def asked(session: Session, fact: facts.TransferAsked, now: float) -> Step:
    """Begin a transfer, or say why not."""
    to = fact.to
    allow = session.terms.spec.transfer_allow if fact.by == "agent" else _ANYWHERE
    why = refusal(allow, to)
    if session.moving is not None or session.media.heard_at is None:
        return session, (orders.Tell(talk.Fault("transfer_refused", "there is nobody to transfer now")),)
    if why:
        detail = (("outcome", why),)
        told = orders.Tell(talk.TransferOutcome(to, why))
        return session, (told, orders.Publish("agent.transfer", detail))
    ring_s = max(_RING_S[0], min(fact.ring_timeout_s, _RING_S[1]))
    moving = Moving(to, ring_s, TransferStep.SPEAKING, now, by=fact.by, keep=fact.keep)
    out: tuple[orders.Order, ...] = (orders.Publish("agent.transfer", (("outcome", "started"),)),)
    if session.barge.paused_at is not None:
        session = replace(session, barge=replace(session.barge, paused_at=None))
        out = (orders.ResumeSound(), *out)
    session = replace(session, moving=moving)
    if not session.sounding:
        session, more = go(session, now)
        return session, (*out, *more)
    marks = session.marks + 1
    return replace(session, marks=marks), (*out, orders.MarkEnd(marks))


def go(session: Session, now: float) -> Step:
    """Everything that was said is heard: ring."""
    moving = session.moving
    if moving is None or moving.step is not TransferStep.SPEAKING:
        return session, ()
    moving = replace(moving, step=TransferStep.RINGING, at=now)
    order = orders.TransferCall(moving.to, moving.ring_timeout_s)
    return replace(session, moving=moving, sounding=False), (order,)


def emptied(session: Session, now: float) -> Session:
    """All of the sound has left our queue; its mark is still awaited, for a moment."""
    moving = session.moving
    if moving is None or moving.step is not TransferStep.SPEAKING:
        return session
    return replace(session, moving=replace(moving, empty_at=now))


def end_heard(session: Session, fact: facts.EndHeard, now: float) -> Step:
    """The mark behind the agent's last words was reached."""
    if session.moving is None or fact.mark != session.marks:
        return session, ()
    if fact.more and session.moving.step is TransferStep.SPEAKING:
        return replace(session, marks=session.marks + 1), (orders.MarkEnd(session.marks + 1),)
    return go(session, now)


def done(session: Session, outcome: str, now: float, patience: Patience = PATIENCE) -> Step:
    """The outcome is known."""
    moving = session.moving
    if moving is None or moving.step is not TransferStep.RINGING:
        return session, ()
    word = outcome if outcome in OUTCOMES else "declined"
    out: tuple[orders.Order, ...] = (
        orders.Tell(talk.TransferOutcome(moving.to, word)),
        orders.Publish("agent.transfer", (("outcome", word),)),
    )
    if word == "completed" and moving.keep:
        session = replace(session, media=Media(), sounding=False, moving=None, held_by="human")
        held = orders.Publish("agent.held", (("on", True), ("by", "human")))
        return session, (*out, orders.Tell(talk.Held(True, "human")), held)
    if word == "completed":
        by = "gateway" if moving.fallback else moving.by
        session = replace(session, media=Media(), sounding=False)
        session, more = shutdown.end(session, facts.EndAsked(Reason.TRANSFERRED, by), now, patience)
        return session, (*out, *more)
    if moving.fallback:
        session, more = shutdown.end(session, facts.EndAsked(Reason.AGENT_LOST, "gateway"), now, patience)
        return session, (*out, *more)
    if session.media.heard_at is not None:
        return silence.resumed(replace(session, moving=None), now), out
    return replace(session, moving=replace(moving, step=TransferStep.RETURNING, at=now)), out


def hand_back(session: Session, now: float) -> Step:
    """The human is done: the caller comes back to the agent, which waited."""
    if session.held_by != "human" or session.media.arrived_at is not None or session.moving is not None:
        return session, ()
    moving = Moving("", 0, TransferStep.RETURNING, now, keep=True)
    return replace(session, moving=moving), ()


def stays(session: Session) -> Session:
    """Nobody could take the caller from the human: it stays there, and may be asked for again."""
    moving = session.moving
    handed = moving is not None and moving.step is TransferStep.RETURNING and session.held_by == "human"
    return replace(session, moving=None) if handed and session.media.arrived_at is None else session


def back(session: Session, now: float) -> Step:
    """The caller is with the agent again."""
    moving = session.moving
    if moving is None or moving.step is not TransferStep.RETURNING:
        return session, ()
    session = silence.resumed(replace(session, moving=None), now)
    if not moving.keep or not session.held_by:
        return session, ()
    tell = orders.Tell(talk.Held(False, session.held_by))
    held = orders.Publish("agent.held", (("on", False), ("by", session.held_by)))
    return replace(session, held_by=""), (tell, held)
