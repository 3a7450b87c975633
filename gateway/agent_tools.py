"""What an agent asks of the application: one signed POST to the agent's ``tools_url``.

The body is a webhook of type ``agent.tool.call`` whose data names the session, the call, the tool and its
arguments (``gateway.signed_hooks``). A 2xx with JSON is the tool's result; 204, or no body, is ``null``.
Anything else, and an answer that is late, is an error with a code of its own. Fits
``voice_agents.ports.Tools``; never raises.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from gateway.http.body import parse_json
from gateway.signed_hooks import SignedHooks
from gateway.webhooks.core.backoff import Answer, NoReply
from telephony.errors import InvalidInput, StorageUnavailable
from telephony.ids import TenantId
from voice_agents.core.agent import AgentSpec
from voice_agents.core.record import SessionRecord
from voice_agents.core.talk import CallTool, ToolResult

_log = structlog.get_logger("gateway.agent_tools")
TOOL_CALL: Final = "agent.tool.call"


class ToolHooks:
    """Asks the application. The poster of ``hooks`` keeps whole replies."""

    def __init__(self, hooks: SignedHooks) -> None:
        self._hooks = hooks

    async def call(
        self, spec: AgentSpec, session: SessionRecord, tool: CallTool, deadline_s: float
    ) -> ToolResult:
        """The tool's answer, within ``deadline_s`` seconds."""
        result = await self._asked(spec, session, tool, deadline_s)
        if not result.ok:
            _log.warning("tool.failed", session=session.id, why=result.error)
        return result

    async def _asked(
        self, spec: AgentSpec, session: SessionRecord, tool: CallTool, deadline_s: float
    ) -> ToolResult:
        if not spec.tools_url:
            return ToolResult(tool.id, ok=False, error="no_tools_url")
        try:
            arguments = parse_json(tool.arguments.encode())
        except InvalidInput:
            return ToolResult(tool.id, ok=False, error="arguments_not_json")
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._ask(spec, session, tool, arguments)
        except TimeoutError:
            return ToolResult(tool.id, ok=False, error="timeout")
        except StorageUnavailable:
            return ToolResult(tool.id, ok=False, error="unavailable")
        return _result(tool.id, answer)

    async def _ask(
        self, spec: AgentSpec, session: SessionRecord, tool: CallTool, arguments: object
    ) -> Answer:
        told = {
            "session_id": session.id,
            "call_id": session.call_id,
            "agent_id": spec.id,
            "agent_version": spec.version,
            "tool_call_id": tool.id,
            "name": tool.name,
            "arguments": arguments,
        }
        tenant = TenantId(session.tenant)
        return await self._hooks.ask(tenant, spec.tools_url, TOOL_CALL, told, subject=session.id)


def _result(tool_id: str, answer: Answer) -> ToolResult:
    if isinstance(answer, NoReply):
        return ToolResult(tool_id, ok=False, error=answer.kind)
    if not 200 <= answer.status < 300:
        return ToolResult(tool_id, ok=False, error=f"status_{answer.status}")
    if not answer.body:
        return ToolResult(tool_id, ok=True)
    try:
        parse_json(answer.body)
    except InvalidInput:
        return ToolResult(tool_id, ok=False, error="not_json")
    return ToolResult(tool_id, ok=True, result=answer.body.decode())
