"""Reaching the agent, keeping it, and what becomes of the caller when it cannot be had.

The agent (tried again every 250 ms while the caller hears ringing, then for half a minute in a call) → the
agent that stands in → a prompt of ours → a number → goodbye. Rungs that are not registered are passed over.
"""

from __future__ import annotations

from voice_agents.core import facts, orders, shutdown, talk
from voice_agents.core.session import (
    PATIENCE,
    Line,
    Moving,
    Patience,
    Phase,
    Rung,
    Session,
    Step,
    TransferStep,
    replace,
)
from voice_agents.core.talk import Reason

MOST_MALFORMED = 10
_FALLBACK_RING_S = 30


def begin(session: Session, now: float) -> Step:
    """Dial the agent, or what stands in for one that is not to be tried."""
    session = replace(session, line=replace(session.line, since=now))
    return next_rung(session, now) if session.terms.passed_over else _dial(session, now)


def _dial(session: Session, now: float) -> Step:
    line = session.line
    line = replace(line, number=line.number + 1, phase=Phase.OPENING, at=now, tries=line.tries + 1)
    order = orders.OpenLine(line.number, line.rung is Rung.STANDBY, session.ready_at is not None)
    return replace(session, line=line), (order,)


def opened(session: Session, now: float) -> Step:
    """The handshake is done: the agent has a while to say that it is ready."""
    if session.line.phase is not Phase.OPENING:
        return session, ()
    return replace(session, line=replace(session.line, phase=Phase.OPENED, at=now)), ()


def ready(session: Session, now: float) -> Step:
    """The agent will take the call; from here on it has it."""
    line = session.line
    if line.phase is not Phase.OPENED:
        return session, ()
    first = session.ready_at is None
    usage = session.usage
    if line.recovering:
        usage = replace(usage, reconnects=usage.reconnects + 1)
    session = replace(
        session,
        line=replace(line, phase=Phase.READY, at=now),
        ready_at=now if first else session.ready_at,
        usage=usage,
    )
    if session.ending is not None:
        return session, ()
    out: list[orders.Order] = []
    if session.comforting and not session.held_by:
        out.append(orders.HoldSound(False))
        session = replace(session, comforting=False)
    if line.recovering or line.rung is Rung.STANDBY:
        out.append(orders.Publish("agent.recovered", (("standby", line.rung is Rung.STANDBY),)))
    if first:
        out += [orders.Publish("agent.session.ready"), orders.Save()]
    if session.held_by:
        out.append(orders.Tell(talk.Held(True, session.held_by)))
    session, more = answer(session, now)
    out += more
    if session.gate_open:
        out.append(orders.TellAnswered())
    return session, tuple(out)


def answer(session: Session, now: float) -> Step:
    """Let the switch's channel go up once there is somebody to speak for it; until then the caller hears
    ringing."""
    media = session.media
    somebody = session.line.phase is Phase.READY or session.line.rung in (Rung.PROMPT, Rung.NUMBER)
    if media.arrived_at is None or media.answered_at is not None or not somebody:
        return session, ()
    return replace(session, media=replace(media, answered_at=now)), (orders.AnswerMedia(),)


def failed(session: Session, fact: facts.LineFailed, now: float, patience: Patience = PATIENCE) -> Step:
    """This attempt came to nothing: another one while there is time, else the next rung."""
    if session.line.phase is not Phase.OPENING:
        return session, ()
    session = replace(session, failure=fact.why)
    return _again(session, now, patience) if fact.again else next_rung(session, now, patience)


def _window_s(line: Line, patience: Patience) -> float:
    return patience.recover_s if line.recovering else patience.connect_s


def _pause_s(line: Line, patience: Patience) -> float:
    """In a recovery the pauses grow: 250 ms, doubled up to 5 s."""
    if not line.recovering:
        return patience.retry_s
    return min(patience.retry_most_s, patience.retry_s * float(1 << min(line.tries, 10)))


def retry_at(line: Line, patience: Patience = PATIENCE) -> float:
    """When the next attempt is due, in the phase ``WAITING``."""
    return line.at + _pause_s(line, patience)


def window_ends(line: Line, patience: Patience = PATIENCE) -> float:
    """When this rung is given up, in the phases ``OPENING`` and ``WAITING``."""
    return line.since + _window_s(line, patience)


def _again(session: Session, now: float, patience: Patience) -> Step:
    line = replace(session.line, phase=Phase.WAITING, at=now)
    if retry_at(line, patience) > window_ends(line, patience):
        return next_rung(session, now, patience)
    return replace(session, line=line), ()


def lost(
    session: Session, why: str, now: float, patience: Patience = PATIENCE, *, again: bool = True
) -> Step:
    """The line is gone. While it ends that is a matter of ``shutdown``; else the agent is looked for."""
    line = session.line
    if not line.open:
        return session, ()
    if session.ending is not None:
        return shutdown.line_lost(session, now)
    session = replace(session, failure=why)
    out: tuple[orders.Order, ...] = (orders.Publish("agent.lost", (("why", why),)),)
    if line.phase is Phase.OPENED and not line.recovering:
        # It never was ready: the caller still hears ringing, and the window for that goes on.
        session, more = _again(session, now, patience) if again else next_rung(session, now, patience)
        return session, (*out, *more)
    if not line.recovering or (line.phase is Phase.READY and now - line.at >= patience.steady_s):
        line = replace(line, since=now, tries=0, recovering=True)
    session, comfort = _comfort(replace(session, line=replace(line, malformed=0)))
    session, more = _again(session, now, patience) if again else next_rung(session, now, patience)
    return session, (*out, *comfort, *more)


def swap(session: Session, fact: facts.SwapAsked, now: float) -> Step:
    """Another agent takes the call: what this one said is heard, and it is told that it is over for it."""
    line, out = session.line, list[orders.Order]()
    if line.open:
        since = session.bridged_at
        lasted_ms = 0 if since is None else round((now - since) * 1000)
        out.append(orders.Tell(talk.Ending(Reason.REPLACED, fact.by, 0, may_speak=False)))
        out.append(orders.Tell(talk.Ended(Reason.REPLACED, lasted_ms)))
    if line.phase is not Phase.DOWN:
        out.append(orders.CloseLine(1000))
    terms = replace(session.terms, spec=fact.spec, summarises=fact.summarises)
    fresh = Line(now, number=line.number, recovering=session.greeted_at is not None)
    quiet = replace(session.quiet, owed_at=None, slow=False)
    session, comfort = _comfort(replace(session, terms=terms, line=fresh, quiet=quiet))
    session, dial = _dial(session, now)
    told = orders.Publish("agent.failover", (("to", "replaced"), ("agent_id", fact.spec.id)))
    return session, (*out, told, *comfort, *dial)


def _comfort(session: Session) -> Step:
    if session.comforting or session.greeted_at is None:
        return session, ()
    return replace(session, comforting=True), (orders.HoldSound(True),)


def drop(session: Session, code: int, why: str, now: float, patience: Patience = PATIENCE) -> Step:
    """Close the line on an agent that cannot be borne with, and do not try that one again."""
    fault = (("why", why), ("code", code))
    out = (orders.Publish("agent.fault", fault), orders.CloseLine(code))
    session, more = lost(session, why, now, patience, again=False)
    return session, (*out, *more)


def reconnect(session: Session, code: int, why: str, now: float, patience: Patience = PATIENCE) -> Step:
    """Close a line that does not work, and try again."""
    if not session.line.open:
        return session, ()
    session, more = lost(session, why, now, patience)
    return session, (orders.CloseLine(code), *more)


def next_rung(session: Session, now: float, patience: Patience = PATIENCE) -> Step:
    """The present rung is given up."""
    fallback = session.terms.spec.fallback
    line = replace(session.line, phase=Phase.DOWN, at=now, since=now, tries=0, malformed=0)
    at = list(Rung).index(line.rung)
    open_rungs = {
        Rung.STANDBY: bool(fallback.agent_id),
        Rung.PROMPT: bool(fallback.prompt) and session.terms.speaks,
        Rung.NUMBER: bool(fallback.number),
        Rung.NOBODY: True,
    }
    rung = next(rung for rung in list(Rung)[at + 1 :] if open_rungs.get(rung, False))
    line = replace(line, rung=rung, recovering=line.recovering and rung is Rung.STANDBY)
    session = replace(session, line=line)
    told: tuple[orders.Order, ...] = (orders.Publish("agent.failover", (("to", str(rung)),)),)
    if rung is Rung.STANDBY:
        session, more = _dial(replace(session, line=replace(line, recovering=False)), now)
        return session, (*told, *more)
    if rung is Rung.NOBODY:
        asked = facts.EndAsked(Reason.AGENT_LOST, "gateway")
        return shutdown.end(session, asked, now, patience)
    session, more = answer(session, now)
    session, rest = take_care(session, now, patience)
    return session, (*told, *more, *rest)


def take_care(session: Session, now: float, patience: Patience = PATIENCE) -> Step:
    """On the rungs without an agent: speak, or transfer, once the caller is there to be spoken to."""
    line = session.line
    if not session.live or session.media.heard_at is None or session.moving is not None:
        return session, ()
    out: tuple[orders.Order, ...] = ()
    if line.rung in (Rung.PROMPT, Rung.NUMBER) and session.comforting:
        session, out = replace(session, comforting=False), (orders.HoldSound(False),)
    fallback = session.terms.spec.fallback
    if line.rung is Rung.PROMPT and line.prompted_at is None:
        line = replace(line, prompted_at=now)
        return replace(session, line=line), (*out, orders.SayPrompt("fallback", fallback.prompt))
    if line.rung is Rung.NUMBER:
        moving = Moving(fallback.number, _FALLBACK_RING_S, TransferStep.RINGING, now, fallback=True)
        order = orders.TransferCall(fallback.number, _FALLBACK_RING_S)
        return replace(session, moving=moving), (*out, order)
    return session, out


def prompt_done(session: Session, now: float, patience: Patience = PATIENCE) -> Step:
    """The caller was told that the agent is not there."""
    if session.line.rung is not Rung.PROMPT or not session.live:
        return session, ()
    return next_rung(session, now, patience)


def malformed(session: Session, why: str, now: float, patience: Patience = PATIENCE) -> Step:
    """A message that is not of the dialect: told, and at the tenth the line is closed."""
    line = replace(session.line, malformed=session.line.malformed + 1)
    usage = replace(session.usage, malformed=session.usage.malformed + 1)
    session = replace(session, line=line, usage=usage)
    out: tuple[orders.Order, ...] = (orders.Tell(talk.Fault("malformed_message", why)),)
    if line.malformed < MOST_MALFORMED:
        return session, out
    session, more = drop(session, 4400, "malformed", now, patience)
    return session, (*out, *more)


def overdue(session: Session, name: str, now: float, patience: Patience = PATIENCE) -> Step:
    """A wait of the ladder is over."""
    match name:
        case "connect":
            session, more = next_rung(replace(session, failure=session.failure or "timeout"), now, patience)
            return session, (orders.CloseLine(1001), *more)
        case "retry":
            return _dial(session, now)
        case "ready":
            return reconnect(session, 4408, "not_ready", now, patience)
        case "prompt":
            return next_rung(session, now, patience)
    raise AssertionError(name)
