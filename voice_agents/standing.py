"""Where a session stands, as far as those who wait for it ask."""

from __future__ import annotations

from voice_agents.core.session import EndStep, Session


def settled(session: Session) -> bool:
    """Whether the agent is there, or its fallback, or nobody will be."""
    return not session.live or session.ready_at is not None or session.line.rung.value in ("prompt", "number")


def over(session: Session) -> bool:
    return session.over is not None


def call_is_over(session: Session) -> bool:
    """Whether only the agent's account is still awaited."""
    return session.ending is not None and session.ending.step is EndStep.CLOSING


def hang_up_ordered(session: Session) -> bool:
    ending = session.ending
    return session.over is not None or (
        ending is not None and (ending.hung_up_at is not None or ending.step is EndStep.CLOSING)
    )
