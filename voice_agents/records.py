"""A session's record, put together from its machine, its sound and its agent."""

from __future__ import annotations

from voice_agents.agent_path import AgentPath
from voice_agents.core.agent import AgentSpec
from voice_agents.core.record import ANNOUNCEMENT, NUMBER, AgentCall, Evidence, Figures, SessionRecord
from voice_agents.core.session import Rung, Session
from voice_agents.core.summary import summary
from voice_agents.sound_path import SoundPath


def evidence_of(session: Session, lost_ms: int) -> Evidence | None:
    """How the session ends, as far as it has got."""
    ending = session.ending
    if ending is None:
        return None
    return Evidence(
        ending.reason,
        ending.by,
        ending.asked_at,
        ending.notified_at,
        ending.how,
        ending.settled_at,
        ending.heard_at,
        ending.hung_up_at,
        lost_ms,
    )


def _answered_by(session: Session, agent: AgentPath) -> str:
    if session.ready_at is None and session.line.rung is Rung.NUMBER:
        return NUMBER
    if session.ready_at is None and session.line.prompted_at is not None:
        return ANNOUNCEMENT
    return agent.spec.id


def figures_of(session: Session, sound: SoundPath) -> Figures:
    """The session's counters."""
    usage, ledger = session.usage, sound.ledger
    first, bridged = sound.first_sound_at, session.bridged_at
    first_ms = None if first is None or bridged is None else max(0, round((first - bridged) * 1000))
    return Figures(
        caller_ms=sound.at_ms,
        agent_ms=ledger.agent_ms,
        dropped_ms=ledger.dropped_ms,
        stale_ms=sound.stale_ms,
        interruptions=usage.interruptions,
        false_alarms=usage.false_alarms,
        reconnects=usage.reconnects,
        underruns=sound.underruns,
        malformed=usage.malformed,
        tool_calls=usage.tool_calls,
        refused_tools=usage.refused,
        unsent_frames=sound.unsent,
        first_sound_ms=first_ms,
        slow_turns=usage.slow_turns,
    )


def record_of(
    session_id: str,
    call: AgentCall,
    spec: AgentSpec,
    session: Session,
    agent: AgentPath,
    sound: SoundPath,
) -> SessionRecord:
    """What is known of the session now; with a summary once it is over. ``spec``: the agent it began with."""
    figures = figures_of(session, sound)
    turns = sound.ledger.turns(sound.heard_ms, sound.at_ms)
    lost_ms = 0 if session.ending is None else sound.ledger.dropped_ms - sound.dropped_before_end
    evidence = evidence_of(session, max(0, lost_ms))
    text, by, fields = "", "", "{}"
    if session.state.final or agent.summary is not None:
        since, until = session.bridged_at, session.over_at
        lasted_ms = 0 if since is None or until is None else round((until - since) * 1000)
        text, by, fields = summary(agent.summary, turns, evidence, lasted_ms, figures)
    return SessionRecord(
        id=session_id,
        call_id=call.call_id,
        tenant=call.tenant,
        agent_id=spec.id,
        agent_version=spec.version,
        answered_by=_answered_by(session, agent),
        direction=call.direction,
        dialect=str(agent.spec.dialect),
        state=session.state,
        created_at=session.created_at,
        ready_at=session.ready_at,
        bridged_at=session.bridged_at,
        ended_at=session.over_at,
        evidence=evidence,
        failure=session.terms.passed_over or session.failure,
        turns=turns,
        summary=text,
        summary_by=by,
        summary_fields=fields,
        figures=figures,
    )
