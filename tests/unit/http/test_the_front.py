"""What every answer has, what every error looks like, what is logged and counted."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from prometheus_client import generate_latest

from gateway.http import error_codes, errors
from gateway.http.limits import judge, rolled
from telephony import errors as tree
from tests.unit.http.rig import CALLS, FROM, NUMBER_LIMITS, TO, Rig, open_rig

pytestmark = pytest.mark.unit

ENVELOPE = {"request_id", "timestamp"}


async def test_every_answer_carries_the_security_headers(rig: Rig):
    for path in (CALLS, "/healthz", "/nothing", "/docs", "/openapi.json"):
        headers = (await rig.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers.get("content-security-policy", "frame-ancestors 'none'")
        assert re.fullmatch(r"req_[0-9A-Z]{26}", headers["x-request-id"])


async def test_answers_of_the_api_are_not_stored_on_the_way(rig: Rig):
    assert (await rig.client.get(CALLS)).headers["cache-control"] == "no-store"
    assert (await rig.client.post(CALLS, {"to": 1})).headers["cache-control"] == "no-store"


async def test_an_error_has_the_whole_shape(rig: Rig):
    answer = await rig.client.post(CALLS, {"to": TO, "from": FROM, "ring_timeout": 1})
    assert set(answer.json) == {"error", "meta"}
    error = answer.error
    assert set(error) == {"code", "message", "status", "details"}
    assert error["status"] == answer.status == 422
    assert error["details"] == {"field": "ring_timeout", "value": 1, "expected": "at least 5"}
    assert set(answer.json["meta"]) == ENVELOPE | {"docs_url"}
    assert answer.json["meta"]["docs_url"] == "https://gw.example/docs#error-VALIDATION_ERROR"


async def test_a_head_request_is_answered_like_a_get(rig: Rig):
    assert (await rig.client.ask("HEAD", CALLS)).status == 200


KINDS = [
    kind
    for module in (tree, errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, tree.PatchbayError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_a_status_and_a_described_code(kind: type[tree.PatchbayError]):
    status = errors.status_of_kind(kind)
    assert 400 <= status <= 504
    assert (status == 500) is (kind in (tree.PatchbayError, errors.OperationFailed))
    assert kind.code in error_codes.CODES


def test_the_described_codes_are_those_that_are_given():
    root = Path(errors.__file__).parents[2]
    rooms = ("gateway/http", "gateway/policy", "gateway/webhooks", "gateway/storage", "dialplan")
    rooms += ("proxy_pool", "telephony", "video_rooms", "voice_agents")
    sources = [path for room in rooms for path in (root / room).rglob("*.py")] + [root / "gateway/auth.py"]
    described = root / "gateway/http/error_codes.py"
    texts = [path.read_text() for path in sources if path != described]
    named = {code for text in texts for code in re.findall(r'code="([A-Z_]+)"', text)}
    assert named - set(error_codes.CODES) == set()
    quoted = {word.upper() for text in texts for word in re.findall(r'"([A-Za-z_]+)"', text)}
    unused = set(error_codes.CODES) - quoted
    assert unused == set()


def test_what_is_nobodys_error_says_nothing_of_its_text():
    told = errors.describe(ValueError("password=hunter2"))
    assert told.status == 500
    assert "hunter2" not in str(told.error)


def test_values_are_shown_back_short_and_safe():
    assert errors.shown_value("x" * 500) == "x" * 100 + "…"
    assert errors.shown_value(10**40) == "a number beyond 2^53"
    assert errors.shown_value({"a": 1}) == "dict"
    assert errors.shown_value("\ud800") == "?"


async def test_a_defect_is_a_500_that_is_logged_whole_and_told_bare(rig: Rig):
    async def break_(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inner secret")

    rig.face.books.calls.page = break_
    with structlog.testing.capture_logs() as lines:
        answer = await rig.client.get(CALLS)
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert b"secret" not in answer.body
    assert isinstance(
        next(line for line in lines if line["event"] == "http.defect")["exc_info"], ZeroDivisionError
    )


async def test_one_line_a_request_without_ids_in_the_path_or_numbers(rig: Rig):
    call_id = await rig.ringing()
    with structlog.testing.capture_logs() as lines:
        await rig.client.get(f"{CALLS}/{call_id}?x=%2B14155552671")
        await rig.client.get(f"{CALLS}?to=%2B14155552671")
        await rig.client.get("/healthz")
    assert [line["action"] for line in lines] == ["http.request", "http.request"]
    first, second = lines
    assert (first["route"], first["status"], first["method"]) == (f"{CALLS}/{{call_id}}", 200, "GET")
    assert first["tenant"] == "ten_ours"
    assert first["call_id"] == call_id
    assert second["took_ms"] >= 0
    assert "4155552671" not in repr(lines)


async def test_requests_are_counted_by_route_and_never_by_id_or_number(rig: Rig):
    call_id = await rig.ringing()
    await rig.client.get(f"{CALLS}/{call_id}")
    await rig.client.ask("MADE-UP", CALLS)
    await rig.client.get(f"/{TO}/{call_id}")
    text = generate_latest(rig.face.registry).decode()
    assert (
        f'patchbay_http_requests_total{{method="GET",route="{CALLS}/{{call_id}}",status="200"}} 1.0' in text
    )
    assert 'method="other"' in text
    assert 'route="unmatched",status="404"' in text
    assert call_id not in text
    assert "4155552671" not in text


# ------------------------------------------------------------ limits


async def test_placing_calls_is_limited_by_key_and_says_where_one_stands(rig: Rig):
    first = await rig.client.post(CALLS, {"to": 1})
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("60", "59")
    assert first.headers["x-ratelimit-reset"] == str(int(rig.clock.now()) + 60)
    for _ in range(59):
        await rig.client.post(CALLS, {"to": 1})
    refused = await rig.client.post(CALLS, {"to": TO})
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    assert refused.error["details"] == {"retry_after": 60, "limit": 60, "window": "minute"}
    assert refused.headers["retry-after"] == "60"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert (await rig.as_role("admin").post(CALLS, {"to": TO})).status == 201
    assert (await rig.client.get(CALLS)).status == 200


async def test_a_tenants_own_limits_replace_the_installations(rig: Rig):
    async def own(_: object) -> object:
        from gateway.storage.records import Tenant

        limits = {"calls_per_minute": 1, "concurrent": 1, "countries": ["JM"], "daily_minutes": True, "x": 1}
        return Tenant(rig.face_tenant, "ours", rig.clock.wall(), {"limits": limits})

    rig.face.books.tenants.get = own
    rig.clock.advance(6)
    assert (await rig.client.post(CALLS, {"to": TO})).code == "COUNTRY_NOT_ALLOWED"
    assert (await rig.client.post(CALLS, {"to": TO})).code == "RATE_LIMITED"
    rig.clock.advance(120)
    assert (await rig.client.post(CALLS, {"to": "+18765551234"})).status == 201
    rig.clock.advance(120)
    assert (await rig.client.post(CALLS, {"to": "+18765551234"})).code == "CONCURRENCY_LIMIT"


async def test_the_daily_cap_counts_what_was_talked_and_ends_at_midnight(rig: Rig):
    await rig.face.books.usage.add(rig.face_tenant, rig.clock.wall().date(), 100 * 60)
    answer = await rig.client.post(CALLS, {"to": TO})
    assert (answer.status, answer.code) == (429, "DAILY_MINUTES_LIMIT")
    assert answer.error["details"] == {"retry_after": 12 * 3600, "limit": 100, "window": "day"}
    rig.clock.advance(12 * 3600)
    assert (await rig.client.post(CALLS, {"to": TO})).status == 201


async def test_two_requests_never_take_one_place(rig: Rig):
    import asyncio

    for _ in range(19):
        await rig.place()
    answers = await asyncio.gather(*(rig.client.post(CALLS, {"to": TO}) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201, 429, 429, 429, 429, 429]


async def test_a_key_may_have_less_room_than_its_tenant(tmp_path: Path):
    async with open_rig(tmp_path, limits=replace(NUMBER_LIMITS, concurrent_per_key=15)) as rig:
        for _ in range(15):
            await rig.place()
        refused = await rig.client.post(CALLS, {"to": TO})
        assert (refused.code, refused.error["details"]["limit"]) == ("CONCURRENCY_LIMIT", 15)
        other = rig.as_role("admin")
        answers = [await other.post(CALLS, {"to": TO}) for _ in range(6)]
        assert [answer.status for answer in answers] == [201] * 5 + [429]
        assert answers[-1].error["details"]["limit"] == 20


def test_a_window_moves_and_admits_no_double_burst():
    count = rolled(None, 0.0)
    hits = []
    for second in range(180):
        count = rolled(count, float(second))
        rate = judge(count, 60, float(second))
        while rate.allowed:
            hits.append(second)
            count = type(count)(count.window, count.current + 1, count.previous)
            rate = judge(count, 60, float(second))
        assert rate.reset_s >= 1
    for start in range(120):
        assert sum(start <= hit < start + 60 for hit in hits) <= 61
    assert len(hits) >= 150


def test_a_quiet_minute_forgets_everything():
    busy = rolled(None, 0.0)
    busy = type(busy)(busy.window, 60, 60)
    assert judge(rolled(busy, 125.0), 60, 125.0).remaining == 60
