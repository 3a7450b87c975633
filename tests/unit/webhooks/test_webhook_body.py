"""The body a receiver gets, and the names it can subscribe to."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.core.events import (
    CATALOGUE,
    MAX_BODY_BYTES,
    WebhookEvent,
    checked_subscriptions,
    render,
    wants,
)
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

MOMENT = datetime(2026, 3, 8, 12, 0, 0, 5_000, tzinfo=UTC)


def event(data: dict[str, object], moment: datetime = MOMENT) -> WebhookEvent:
    return WebhookEvent("evt_1", "call.answered", moment, "call_1", 3, data)


def test_the_body_has_both_schemes_fields() -> None:
    assert json.loads(render(event({"call_id": "call_1"}))) == {
        "id": "evt_1",
        "type": "call.answered",
        "created_at": "2026-03-08T12:00:00.005Z",
        "timestamp": "2026-03-08T12:00:00.005Z",
        "sequence": 3,
        "data": {"call_id": "call_1"},
    }


def test_times_are_told_in_utc() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5)))
    assert render(event({}, elsewhere)) == render(event({}))


@given(st.integers(MAX_BODY_BYTES - 400, MAX_BODY_BYTES + 400))
def test_no_body_reaches_the_limit_and_a_long_one_becomes_a_pointer(size: int) -> None:
    body = render(event({"text": "x" * size}))
    assert len(body) < MAX_BODY_BYTES
    told = json.loads(body)["data"]
    if "text" not in told:
        assert told == {"_truncated": True, "_original_bytes": size + 11, "id": "call_1"}
        assert size + 100 > MAX_BODY_BYTES - 100
    else:
        assert told == {"text": "x" * size}


@pytest.mark.parametrize(
    "name", ["", "Call.Answered", "call..x", "call.", ".call", "call answered", "call\n"]
)
def test_event_types_are_dotted_lower_case_words(name: str) -> None:
    with pytest.raises(InvalidInput):
        WebhookEvent("evt_1", name, MOMENT, "call_1", 1, {})


def test_ids_with_a_dot_and_times_without_a_zone_are_refused() -> None:
    with pytest.raises(InvalidInput):
        WebhookEvent("evt.1", "call.x", MOMENT, "call_1", 1, {})
    with pytest.raises(InvalidInput):
        WebhookEvent("evt_1", "call.x", MOMENT.replace(tzinfo=None), "call_1", 1, {})


def test_subscriptions_match_by_name_or_star() -> None:
    assert wants(("*",), "call.answered")
    assert wants(("call.busy", "call.answered"), "call.answered")
    assert not wants(("call.busy",), "call.answered")
    assert not wants(("call.answered.x",), "call.answered")


def test_subscriptions_are_checked_against_the_catalogue() -> None:
    assert checked_subscriptions(["*"]) == ("*",)
    assert checked_subscriptions(["call.busy", "call.busy"]) == ("call.busy",)
    assert checked_subscriptions(list(CATALOGUE)) == tuple(CATALOGUE)
    for wrong in ([], ["call.answerd"], ["call.*"], ["*", "nonsense"], ["x"] * 200):
        with pytest.raises(InvalidInput) as refused:
            checked_subscriptions(wrong)
        assert refused.value.field == "events"
