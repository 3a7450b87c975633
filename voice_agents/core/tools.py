"""What an agent may have done for it: listed tools only, few at once, not too many a minute."""

from __future__ import annotations

from voice_agents.core import orders, talk
from voice_agents.core.session import Session, Step, replace

MOST_AT_ONCE = 4
MOST_A_MINUTE = 30
_MINUTE_S = 60.0


def called(session: Session, tool: talk.CallTool, now: float) -> Step:
    """Run the tool, or say why not."""
    usage = session.usage
    recent = tuple(at for at in usage.tools if now - at < _MINUTE_S)
    error = ""
    if tool.name not in session.terms.spec.tools_allow:
        error = "not_allowed"
    elif len(recent) >= MOST_A_MINUTE:
        error = "too_many_tools"
    elif usage.running >= MOST_AT_ONCE:
        error = "too_many_at_once"
    if error:
        session = replace(session, usage=replace(usage, tools=recent, refused=usage.refused + 1))
        return session, (orders.Tell(talk.ToolResult(tool.id, False, error=error)),)
    usage = replace(usage, tools=(*recent, now), running=usage.running + 1, tool_calls=usage.tool_calls + 1)
    detail = (("tool", tool.name), ("step", "called"))
    return replace(session, usage=usage), (orders.Publish("agent.tool", detail), orders.RunTool(tool))


def done(session: Session, result: talk.ToolResult) -> Step:
    """The tool's answer, which an agent is still told while it ends."""
    usage = replace(session.usage, running=max(0, session.usage.running - 1))
    return replace(session, usage=usage), (orders.Tell(result),)
