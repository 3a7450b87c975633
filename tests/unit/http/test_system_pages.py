"""Health, metrics, the OpenAPI document and the documentation page."""

import json
import re

import pytest

from gateway.http import openapi
from gateway.http.error_codes import CODES
from gateway.http.pages import FOLDER
from gateway.http.ports import Health
from gateway.http.rooms import FACE_ROOMS
from telephony.errors import StorageUnavailable
from tests.unit.http.asgi import Client
from tests.unit.http.rig import Rig

pytestmark = pytest.mark.unit


async def test_alive_needs_nothing(rig: Rig):
    assert rig.backend is not None
    rig.backend.away = True
    answer = await rig.client.having(None).get("/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_ready_names_each_dependency(rig: Rig):
    answer = await rig.client.having(None).get("/readyz")
    assert answer.status == 200
    assert answer.json["dependencies"] == {
        "database": {"ok": True, "detail": ""},
        "switch": {"ok": True, "detail": ""},
    }
    rig.health["switch"] = Health(False, "no login")
    answer = await rig.client.having(None).get("/readyz")
    assert (answer.status, answer.json["status"]) == (503, "not_ready")
    assert answer.json["dependencies"]["switch"] == {"ok": False, "detail": "no login"}


async def test_a_probe_that_raises_or_hangs_is_not_well():
    import asyncio

    from gateway.http import system

    async def away() -> Health:
        raise StorageUnavailable

    async def hang() -> Health:
        await asyncio.Event().wait()
        return Health(True)

    system_deadline = system.PROBE_DEADLINE_S
    system.PROBE_DEADLINE_S = 0.01
    try:
        found = await system.probe_all({"a": away, "b": hang})
    finally:
        system.PROBE_DEADLINE_S = system_deadline
    assert not found["a"].ok
    assert found["b"].detail == "no answer in time"


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}, 401),
        ("127.0.0.1", {"forwarded": "for=192.0.2.7"}, 401),
    ],
)
async def test_metrics_are_for_this_machine(rig: Rig, address: str, headers: dict[str, str], status: int):
    answer = await Client(rig.client._app, None, address).ask("GET", "/metrics", headers=headers)
    assert answer.status == status


async def test_metrics_are_for_administrators(rig: Rig):
    assert (await rig.as_role("admin").get("/metrics")).status == 200
    assert (await rig.as_role("developer").get("/metrics")).status == 403


async def test_the_document_is_served_twice_and_is_the_one_in_docs(rig: Rig):
    served = (await rig.client.having(None).get("/openapi.json")).body
    assert (await rig.client.having(None).get("/api/v1/openapi.json")).body == served
    assert json.loads(openapi.FILE.read_bytes()) == json.loads(served), "run python -m gateway.http.openapi"
    assert openapi.FILE.read_bytes() == openapi.rendered()


def test_the_document_has_every_operation_once():
    document = openapi.document()
    assert document["openapi"] == "3.1.0"
    named = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert sorted(named) == sorted(op.name for room in FACE_ROOMS for op in room.operations)
    assert len(set(named)) == len(named)


def test_every_reference_in_the_document_leads_somewhere():
    document = openapi.document()
    text = json.dumps(document)
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names
    assert names <= set(document["components"]["schemas"])


def test_every_operation_tells_its_errors_and_rights():
    for item in openapi.document()["paths"].values():
        for method, op in item.items():
            statuses = set(op["responses"])
            if op.get("security") != []:
                assert {"401", "403", "429", "503"} <= statuses
                assert op["x-scope"]
                assert "owner" in op["x-roles"]
            if method == "post" and op.get("security") != []:
                assert {"409", "422"} <= statuses
                assert any(p["name"] == "Idempotency-Key" for p in op["parameters"])


async def test_the_page_comes_with_all_it_needs(rig: Rig):
    page = await rig.client.having(None).get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    wanted = re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.body.decode())
    assert wanted
    for path in wanted:
        assert (await rig.client.having(None).get(path)).status == 200
    script = (await rig.client.having(None).get("/docs/docs.js")).body.decode()
    for imported in re.findall(r'from "(/docs/[^"]+)"', script):
        assert (
            (await rig.client.having(None).get(imported))
            .headers["content-type"]
            .startswith("text/javascript")
        )


def test_the_page_asks_no_other_host():
    for file in FOLDER.iterdir():
        text = file.read_text()
        assert re.findall(r"https?://", text) == [], file.name
        assert "innerHTML" not in text
        assert "localStorage" not in text


def test_every_error_code_is_on_the_page():
    assert openapi.document()["x-error-codes"] == CODES
