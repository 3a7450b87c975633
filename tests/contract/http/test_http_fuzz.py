"""The API under schemathesis: whatever fits the document or just fails to, no 5xx and no other shape.

Requests go over real HTTP to the face on real storage, with a fake switch; each operation is tried by
three roles, with generated ids and with ids of things that are there.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.http.openapi import document
from gateway.policy.attempt import CallLimits
from tests.unit.http.rig import FROM, TO, Rig, open_rig

pytestmark = pytest.mark.contract

ROLES = ("owner", "developer", "viewer")
EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    result.ok().definition.raw["operationId"]: result.ok() for result in SCHEMA.get_all_operations()
}
PLENTY = CallLimits(
    frozenset({"US", "CA", "GB"}),
    concurrent=10**6,
    concurrent_per_key=10**6,
    daily_minutes=10**6,
    calls_per_minute=10**6,
)


@dataclass
class Live:
    """The face as it is served, and ids of things that are there."""

    url: str
    keys: dict[str, str]
    ids: dict[str, str]


async def _fill(rig: Rig) -> dict[str, str]:
    call_id = await rig.ended(record=True)
    (rig.folder / f"{call_id}-1.wav").write_bytes(b"RIFF" + bytes(40))
    hook = (await rig.client.post("/api/v1/webhooks", {"url": "https://a.example/", "events": ["*"]})).data
    sent = (await rig.client.post(f"/api/v1/webhooks/{hook['id']}/test")).data
    number = (await rig.client.get("/api/v1/numbers")).data[0]
    spare = (await rig.client.post("/api/v1/settings/api-keys", {"name": "spare", "role": "viewer"})).data
    return {
        "call_id": call_id,
        "recording_id": f"{call_id}-1",
        "webhook_id": hook["id"],
        "delivery_id": sent["delivery_id"],
        "number_id": number["id"],
        "key_id": spare["id"],
    }


class _Started(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def _served(folder: Path) -> Iterator[Live]:
    """The face in a thread with an event loop of its own."""
    found: list[Live] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        environment = {"PATCHBAY_API_RATE_PER_MINUTE": "1000000"}
        async with open_rig(folder, limits=PLENTY, environment=environment) as rig:
            ids = await _fill(rig)
            config = uvicorn.Config(rig.app, lifespan="off", log_level="error")
            server = _Started(config)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                port = listening.getsockname()[1]
                running = asyncio.create_task(server.serve(sockets=[listening]))
                await server.up.wait()
                found.append(Live(f"http://127.0.0.1:{port}", rig.keys, ids))
                ready.set()
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served-face")
    thread.start()
    try:
        assert ready.wait(20)
        yield found[0]
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with _served(tmp_path_factory.mktemp("fuzz")) as served:
        yield served


FRESH = count(1000)


def _real(name: str, value: Any) -> Any:
    """What a pattern alone does not make: numbers in use, addresses that lead out, names that exist."""
    real = {
        "to": TO,
        "from": FROM,
        "connect_to": "phone:alice",
        "e164": f"+1202555{next(FRESH)}",
        "url": "https://example.com/hooks",
        "webhook_url": "https://example.com/hooks",
        "events": ["call.completed"],
        "secret": None,
        "agent_id": None,
        "announcement": None,
    }
    return real[name] if name in real and value is not None else value


def _try(live: Live, role: str, operation: Any, mode: GenerationMode, checks: list[Any]) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def attempt(case: Any, known: bool) -> None:
        if known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = live.ids[name]
            if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
                case.body = {name: _real(name, value) for name, value in case.body.items()}
        case.headers = {**dict(case.headers or {}), "X-API-Key": live.keys[role]}
        case.headers.pop("Authorization", None)
        response = case.call(base_url=live.url)
        case.validate_response(response, checks=checks)

    attempt()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_fits_the_document_gets_a_documented_answer(live: Live, role: str, name: str):
    _try(live, role, OPERATIONS[name], GenerationMode.POSITIVE, CHECKS)


@pytest.mark.parametrize("name", sorted(name for name, op in OPERATIONS.items() if op.body or op.query))
def test_what_does_not_fit_is_refused_as_documented(live: Live, name: str):
    _try(live, "owner", OPERATIONS[name], GenerationMode.NEGATIVE, [*CHECKS, negative_data_rejection])
