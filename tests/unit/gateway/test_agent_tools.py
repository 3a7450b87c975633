"""What an agent asks of the application: told whole and signed, and every answer has a meaning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.agent_tools import ToolHooks
from gateway.signed_hooks import SignedHooks
from gateway.webhooks.core.backoff import Answer, NoReply, Reply
from gateway.webhooks.core.signing import make_secret, verify_standard
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.gateway.agent_records import SESSION, ULID
from tests.unit.voice_agents.sessions import SPEC
from voice_agents.core.agent import AgentSpec
from voice_agents.core.talk import CallTool, ToolResult

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.5
SECRET = make_secret(b"s" * 32)
URL = "https://app.example/tools"
AGENT = replace(SPEC, tools_url=URL)
BOOK = CallTool("t1", "book_table", '{"people": 2, "when": ["today", null]}')
OK = Reply(200, {}, body=b'{"booked": true}')


class App:
    """The tenant's application. Fits ``Poster``."""

    def __init__(self, answer: Answer = OK, takes_s: float = 0.0) -> None:
        self.answer = answer
        self.takes_s = takes_s
        self.heard: list[tuple[str, dict[str, str], bytes]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.heard.append((url, {name.lower(): value for name, value in headers.items()}, body))
        await asyncio.sleep(self.takes_s)
        return self.answer


async def known(tenant: TenantId) -> Sequence[str]:
    assert tenant == "ten_1"
    return (SECRET,)


async def away(tenant: TenantId) -> Sequence[str]:
    raise StorageUnavailable


def tools(app: App, secrets: Callable[[TenantId], Awaitable[Sequence[str]]] = known) -> ToolHooks:
    return ToolHooks(SignedHooks(app, secrets, lambda: NOW, lambda prefix: f"{prefix}_{ULID}"))


async def asked(app: App, tool: CallTool = BOOK, spec: AgentSpec = AGENT) -> ToolResult:
    return await tools(app).call(spec, SESSION, tool, 10.0)


async def test_a_tool_call_says_who_asks_for_what_and_is_signed() -> None:
    app = App()
    assert await asked(app) == ToolResult("t1", ok=True, result='{"booked": true}')
    ((url, headers, body),) = app.heard
    assert (url, headers["content-type"]) == (URL, "application/json")
    assert verify_standard(SECRET, headers, body, int(NOW))
    assert not verify_standard(make_secret(b"x" * 32), headers, body, int(NOW))
    event = json.loads(body)
    assert (event["type"], event["id"]) == ("agent.tool.call", f"evt_{ULID}")
    assert event["data"] == {
        "session_id": SESSION.id,
        "call_id": SESSION.call_id,
        "agent_id": "agt_1",
        "agent_version": 3,
        "tool_call_id": "t1",
        "name": "book_table",
        "arguments": {"people": 2, "when": ["today", None]},
    }


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Reply(201, {}, body=b'"done"'), ToolResult("t1", ok=True, result='"done"')),
        (Reply(200, {}, body='"Gr\u00fc\u00dfe"'.encode()), ToolResult("t1", ok=True, result='"Grüße"')),
        (Reply(204, {}), ToolResult("t1", ok=True)),
        (Reply(200, {}), ToolResult("t1", ok=True, result="null")),
        (Reply(200, {}, body=b"booked"), ToolResult("t1", ok=False, error="not_json")),
        (Reply(200, {}, body=b'{"a": 1, "a": 2}'), ToolResult("t1", ok=False, error="not_json")),
        (Reply(200, {}, body=b"\xff\xfe"), ToolResult("t1", ok=False, error="not_json")),
        (Reply(200, {}, body=b"[" * 40 + b"]" * 40), ToolResult("t1", ok=False, error="not_json")),
        (Reply(302, {}, body=b"{}"), ToolResult("t1", ok=False, error="status_302")),
        (Reply(403, {}, body=b"{}"), ToolResult("t1", ok=False, error="status_403")),
        (Reply(500, {}), ToolResult("t1", ok=False, error="status_500")),
        (NoReply("timeout", "no answer"), ToolResult("t1", ok=False, error="timeout")),
        (NoReply("refused", "a private address"), ToolResult("t1", ok=False, error="refused")),
        (NoReply("tls", "expired"), ToolResult("t1", ok=False, error="tls")),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_what_an_answer_means(answer: Answer, result: ToolResult) -> None:
    assert await asked(App(answer)) == result


@in_virtual_time
async def test_a_late_answer_is_none() -> None:
    began = asyncio.get_running_loop().time()
    result = await tools(App(OK, takes_s=60.0)).call(AGENT, SESSION, BOOK, 2.5)
    assert result == ToolResult("t1", ok=False, error="timeout")
    assert asyncio.get_running_loop().time() - began == 2.5


@in_virtual_time
async def test_a_secret_that_is_long_in_coming_is_within_the_deadline_too() -> None:
    async def slow(tenant: TenantId) -> Sequence[str]:
        await asyncio.sleep(3.0)
        return (SECRET,)

    app = App()
    result = await tools(app, slow).call(AGENT, SESSION, BOOK, 2.5)
    assert (result.error, app.heard) == ("timeout", [])


async def test_who_has_no_address_for_tools_has_none() -> None:
    app = App()
    result = await asked(app, spec=SPEC)
    assert result == ToolResult("t1", ok=False, error="no_tools_url")
    assert app.heard == []


@pytest.mark.parametrize("arguments", ["{", "", "{'a': 1}", '{"a": 1, "a": 2}', "NaN", "[" * 40 + "]" * 40])
async def test_arguments_that_are_no_json_go_nowhere(arguments: str) -> None:
    app = App()
    result = await asked(app, CallTool("t1", "book_table", arguments))
    assert result == ToolResult("t1", ok=False, error="arguments_not_json")
    assert app.heard == []


async def test_arguments_need_not_be_an_object() -> None:
    app = App()
    assert (await asked(app, CallTool("t1", "add", "[1, 2.5, 9007199254740993]"))).ok
    assert json.loads(app.heard[0][2])["data"]["arguments"] == [1, 2.5, 9007199254740993]


async def test_without_its_secret_a_tenant_is_not_asked() -> None:
    app = App()
    result = await tools(app, away).call(AGENT, SESSION, BOOK, 10.0)
    assert result == ToolResult("t1", ok=False, error="unavailable")
    assert app.heard == []
