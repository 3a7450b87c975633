"""The end of a session, whoever wants it: the agent is told first, may say goodbye, and is heard to the end.

``FAREWELL → DRAIN → TAIL → GOING → CLOSING``; whatever cannot be waited for is skipped, nothing is waited
for without a deadline, and the first accepted end is the only one.
"""

from __future__ import annotations

from voice_agents.core import facts, orders, talk
from voice_agents.core.record import BUSY, How, State
from voice_agents.core.session import (
    PATIENCE,
    Barge,
    EndStep,
    Farewell,
    Media,
    Patience,
    Phase,
    Session,
    Step,
    replace,
)
from voice_agents.core.talk import Reason

_SPEAKING = (EndStep.FAREWELL, EndStep.DRAIN, EndStep.TAIL)
_FAR_SIDE_GONE = (Reason.CALLER, Reason.REMOVED, Reason.ROOM_ENDED)
_NOBODY_TO_HEAR = (*_FAR_SIDE_GONE, Reason.TRANSFERRED)
DRAIN_DEADLINE_MS = 2000
"""How long a farewell may take when the gateway itself is in a hurry."""


def end(session: Session, asked: facts.EndAsked, now: float, patience: Patience = PATIENCE) -> Step:
    """Accept the end, or let one that was accepted go faster. Anything else is late."""
    if session.over is not None:
        return session, ()
    if session.ending is not None:
        return _hurry(session, session.ending, asked, now)
    ending = _plan(session, asked, now, patience)
    told = ending.notified_at is not None
    detail = (("reason", str(asked.reason)), ("initiated_by", asked.by), ("may_speak", _speaks(ending)))
    out: list[orders.Order] = []
    if told:
        most_ms = 0 if asked.force else round((ending.deadline - now) * 1000)
        out.append(orders.Tell(talk.Ending(asked.reason, asked.by, most_ms, _speaks(ending))))
    out += [orders.Publish("agent.session.ending", detail), orders.Save()]
    if session.barge.paused_at is not None:
        out.append(orders.ResumeSound())
    if session.comforting:
        out.append(orders.HoldSound(False))
    if not session.line.open and session.line.phase is not Phase.DOWN:
        out.append(orders.CloseLine(1001))
        session = replace(session, line=replace(session.line, phase=Phase.DOWN, at=now))
    session = replace(session, ending=ending, barge=Barge(), comforting=False, moving=None, warned=True)
    session, more = _set_off(session, ending, asked, now, patience)
    return session, (*out, *more)


def _speaks(ending: Farewell) -> bool:
    return ending.step is EndStep.FAREWELL


def _plan(session: Session, asked: facts.EndAsked, now: float, patience: Patience) -> Farewell:
    """What this end will be: whether there is anybody to speak, anybody to hear it, and for how long."""
    shutdown = session.terms.spec.shutdown
    reason, told = asked.reason, session.line.open
    nobody = reason in _NOBODY_TO_HEAR or session.media.arrived_at is None
    greeted = session.gate_open and session.line.phase is Phase.READY
    silenced = session.muted or session.held_by == "human"
    may_speak = told and greeted and not (nobody or silenced or asked.force or reason is Reason.AGENT)
    most_ms = shutdown.deadline_ms if asked.deadline_ms is None else asked.deadline_ms
    if reason is Reason.DRAIN:
        most_ms = min(most_ms, DRAIN_DEADLINE_MS)
    if not may_speak:
        most_ms = shutdown.summary_ms
    how: How | None = None
    if asked.force:
        how = How.FORCED
    elif reason in _FAR_SIDE_GONE:
        how = How.CALLER_GONE
    elif reason is Reason.AGENT:
        how = How.ACKED
    elif not told:
        how = How.AGENT_LOST
    elif reason is Reason.TRANSFERRED:
        how = How.ACKED
    elif not may_speak:
        how = How.FORCED if silenced else How.CALLER_GONE
    short = reason in (Reason.MAX_DURATION, Reason.DRAIN)
    return Farewell(
        reason,
        asked.by,
        now,
        EndStep.FAREWELL if may_speak else EndStep.DRAIN,
        now,
        now + most_ms / 1000,
        patience.short_drain_s if short else patience.drain_s,
        notified_at=now if told else None,
        how=how,
        gone=nobody,
        leaves_at=now if reason is Reason.AGENT else None,
        idle_at=None if session.sounding else now,
    )


def _set_off(
    session: Session, ending: Farewell, asked: facts.EndAsked, now: float, patience: Patience
) -> Step:
    if ending.step is EndStep.FAREWELL:
        return session, ()
    if asked.force or (ending.gone and asked.reason not in _NOBODY_TO_HEAR):
        flush: tuple[orders.Order, ...] = (orders.Flush(),) if session.media.arrived_at is not None else ()
        session, more = hang_up(session, now, patience)
        return session, (*flush, *more)
    if ending.gone:
        return _close(_settled(session, now), now)
    if ending.how is How.AGENT_LOST:
        return _speak_for_it(session, now)
    return _drain(session, now)


def _hurry(session: Session, ending: Farewell, asked: facts.EndAsked, now: float) -> Step:
    """An end was accepted before: only force and the caller's own leaving change its course."""
    if asked.reason in _FAR_SIDE_GONE:
        return gone(session, now, release=True)
    if asked.force and ending.step in _SPEAKING:
        session = _with(session, how=How.FORCED)
        session, more = hang_up(session, now)
        return session, (orders.Flush(), *more)
    return _leaves(session, now) if asked.reason is Reason.AGENT else (session, ())


def _leaves(session: Session, now: float) -> Step:
    """The agent, too, wants the end: it has said what it had to say."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    if ending.leaves_at is None:
        session = _with(session, leaves_at=now)
    return _drain(_with(session, how=How.ACKED), now) if ending.step is EndStep.FAREWELL else (session, ())


def _with(session: Session, **changes: object) -> Session:
    assert session.ending is not None, "there is an end to change"
    return replace(session, ending=replace(session.ending, **changes))  # type: ignore[arg-type]


def _settled(session: Session, now: float) -> Session:
    """The farewell is over, whichever way."""
    assert session.ending is not None, "there is an end to settle"
    return session if session.ending.settled_at is not None else _with(session, settled_at=now)


# ---------------------------------------------------------------- the steps


def _speak_for_it(session: Session, now: float) -> Step:
    """There is no agent that could say goodbye: say what was registered for that, if we have a voice."""
    text = session.terms.spec.shutdown.farewell
    session = _settled(session, now)
    if text and session.terms.speaks and session.gate_open and session.media.arrived_at is not None:
        session = _with(session, step=EndStep.DRAIN, at=now, draining_since=now, prompting=True)
        return session, (orders.SayPrompt("farewell", text),)
    return _drain(session, now)


def _drain(session: Session, now: float) -> Step:
    """Wait until all that was said is heard."""
    ending = _settled(session, now).ending
    assert ending is not None, "an end is under way"
    since = now if ending.draining_since is None else ending.draining_since
    changed = replace(ending, draining_since=since, at=now, prompting=False, empty_at=None)
    if not session.sounding:
        return replace(session, ending=replace(changed, step=EndStep.TAIL, heard_at=now)), ()
    marks = session.marks + 1
    ending = replace(changed, step=EndStep.DRAIN)
    return replace(session, ending=ending, marks=marks), (orders.MarkEnd(marks),)


def hang_up(session: Session, now: float, patience: Patience = PATIENCE) -> Step:
    """Order the end of the call, once."""
    session = _settled(session, now)
    ending = session.ending
    assert ending is not None, "nothing is hung up that was not announced"
    if ending.hung_up_at is not None:
        return session, ()
    busy = session.terms.passed_over == BUSY and ending.reason is Reason.AGENT_LOST
    out: tuple[orders.Order, ...] = (orders.HangUpCall(BUSY if busy else str(ending.reason)),)
    if session.media.arrived_at is None:
        session, more = _close(_with(session, hung_up_at=now), now)
        return session, (*out, *more)
    return _with(session, step=EndStep.GOING, at=now, hung_up_at=now, prompting=False), out


def gone(session: Session, now: float, *, release: bool = False) -> Step:
    """The agent's channel, or the caller, is gone: nobody hears anything any more."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    out: tuple[orders.Order, ...] = ()
    if release and session.media.arrived_at is not None:
        out = (orders.ReleaseMedia(),)
    session = replace(session, media=Media(), sounding=False)
    if ending.step is EndStep.CLOSING:
        return _with(session, gone=True), out
    session = _with(_settled(session, now), gone=True, how=ending.how or How.CALLER_GONE)
    session, more = _close(session, now)
    return session, (*out, *more)


def _close(session: Session, now: float) -> Step:
    """The call is over for the agent: it may still give its account, if it has a word for that."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    session = _with(session, step=EndStep.CLOSING, at=now, prompting=False)
    wanted = session.terms.summarises and session.line.open and ending.notified_at is not None
    if wanted and not ending.summed and not ending.acked:
        return session, (orders.Save(),)
    return finish(session, now)


def finish(session: Session, now: float) -> Step:
    """It is over: the agent is told so last, and the world."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    failed = ending.reason in (Reason.AGENT_LOST, Reason.MEDIA_LOST) and (
        session.greeted_at is None or session.ready_at is None
    )
    state = State.FAILED if failed else State.ENDED
    since = session.bridged_at
    duration_ms = 0 if since is None else round((now - since) * 1000)
    out: list[orders.Order] = []
    if session.line.open:
        out.append(orders.Tell(talk.Ended(ending.reason, duration_ms)))
    if session.line.phase is not Phase.DOWN:
        out.append(orders.CloseLine(1000))
    how = "" if ending.how is None else str(ending.how)
    detail = (("reason", str(ending.reason)), ("how", how), ("duration_ms", duration_ms))
    event = "agent.session.failed" if failed else "agent.session.ended"
    out += [orders.ReleaseMedia(), orders.Publish(event, detail), orders.Save(), orders.Finish()]
    line = replace(session.line, phase=Phase.DOWN, at=now)
    return replace(session, over=state, over_at=now, line=line, media=Media(), sounding=False), tuple(out)


# ---------------------------------------------------------------- what happens meanwhile


def sound_began(session: Session, now: float) -> Step:
    ending = session.ending
    assert ending is not None, "an end is under way"
    match ending.step:
        case EndStep.FAREWELL:
            return _with(session, spoke=True, quiet_at=None, idle_at=None), ()
        case EndStep.DRAIN:
            return _with(session, empty_at=None), ()
        case EndStep.TAIL:
            return _drain(session, now)
    return session, ()


def sound_over(session: Session, now: float) -> Step:
    ending = session.ending
    assert ending is not None, "an end is under way"
    if ending.step is EndStep.FAREWELL:
        return _with(session, **{"quiet_at" if ending.spoke else "idle_at": now}), ()
    if ending.step is EndStep.DRAIN:
        return _with(session, empty_at=now), ()
    return session, ()


def end_heard(session: Session, fact: facts.EndHeard, now: float) -> Step:
    """The last mark was reached; where more was queued behind it, that is waited for too."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    if ending.step is not EndStep.DRAIN or ending.prompting or fact.mark != session.marks:
        return session, ()
    if fact.more:
        return replace(session, marks=session.marks + 1), (orders.MarkEnd(session.marks + 1),)
    return _tail(session, now), ()


def _tail(session: Session, now: float) -> Session:
    ending = session.ending
    assert ending is not None, "an end is under way"
    how = ending.how or (How.FAREWELL_HEARD if ending.spoke else How.DEADLINE)
    session = _with(session, step=EndStep.TAIL, at=now, heard_at=now, how=how)
    return replace(session, sounding=False)


def prompt_done(session: Session, now: float) -> Step:
    """Our own farewell was heard."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    return _drain(session, now) if ending.prompting else (session, ())


def said(session: Session, said: talk.Said, now: float) -> Step:
    """The agent's word while it ends. Control of the call is over: it is told so."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    match said:
        case talk.Ack() | talk.HangUp() if ending.step is EndStep.FAREWELL:
            return _leaves(_with(session, acked=isinstance(said, talk.Ack)), now)
        case talk.Ack() if ending.step is EndStep.CLOSING:
            return finish(session, now)
        case talk.Ack():
            return _with(session, acked=True), ()
        case talk.Summary():
            session = _with(session, summed=True)
            return finish(session, now) if ending.step is EndStep.CLOSING else (session, ())
        case talk.Clear():
            return session, ((orders.Flush(),) if ending.step in _SPEAKING else ())
        case talk.CallTool(id=id_):
            session, close = _refuse(session, now)
            return session, (orders.Tell(talk.ToolResult(id_, False, error="session_ending")), *close)
        case talk.HangUp() | talk.Transfer() | talk.SendDigits():
            session, close = _refuse(session, now)
            return session, (orders.Tell(talk.Fault("session_ending", "the session ends")), *close)
    return session, ()


MOST_REFUSED = 20
"""So often an agent may ask for what is over before it is taken for one that runs in circles."""


def _refuse(session: Session, now: float) -> Step:
    usage = session.usage
    refused = usage.refused_ending + 1
    session = replace(session, usage=replace(usage, refused=usage.refused + 1, refused_ending=refused))
    if refused <= MOST_REFUSED or not session.line.open:
        return session, ()
    session, more = line_lost(session, now)
    return session, (orders.CloseLine(4429), *more)


def line_lost(session: Session, now: float) -> Step:
    """The agent is gone while it ends: what it said is still heard, what it could not say we say."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    session = replace(session, line=replace(session.line, phase=Phase.DOWN, at=now))
    if ending.step is EndStep.CLOSING:
        return finish(session, now)
    if ending.step is not EndStep.FAREWELL:
        return session, ()
    session = _with(session, how=How.AGENT_LOST)
    return _drain(session, now) if ending.spoke else _speak_for_it(session, now)


def not_told(session: Session, now: float) -> Step:
    """The line took nothing: the agent does not know."""
    session = _with(session, notified_at=None)
    session, more = line_lost(session, now)
    return session, (orders.CloseLine(1011), *more)


def hang_up_failed(session: Session) -> Step:
    """The call's own control failed: end the agent's channel, and with it the call."""
    return session, (orders.ReleaseMedia(),)


def overdue(session: Session, name: str, now: float, patience: Patience = PATIENCE) -> Step:
    """A wait of the end is over."""
    ending = session.ending
    assert ending is not None, "an end is under way"
    match name:
        case "farewell" if ending.spoke and ending.quiet_at is not None:
            return hang_up(_tail(_settled(session, now), now), now, patience)
        case "farewell" if session.sounding:
            return _drain(session, now)
        case "farewell" | "idle":
            return _speak_for_it(_with(session, how=How.DEADLINE), now)
        case "gap":
            return hang_up(_tail(_settled(session, now), now), now, patience)
        case "grace":
            return _with(session, shut=True), ()
        case "unmarked":
            return _tail(session, now), ()
        case "tail":
            return hang_up(session, now, patience)
        case "drain":
            session = _with(session, how=ending.how or How.DEADLINE)
            session, more = hang_up(session, now, patience)
            return session, (orders.Flush(), *more)
        case "going":
            session = replace(session, media=Media(), sounding=False)
            session, more = _close(session, now)
            return session, (orders.ReleaseMedia(), *more)
        case "closing":
            return finish(session, now)
    raise AssertionError(name)
