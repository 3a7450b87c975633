"""Events of calls on their way to webhooks: made for whoever wants them, and for nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from dialplan.core.call import Call, Direction, Leg, Role, Terms
from dialplan.core.record import CallEvent, record
from gateway.announcer import WebhookAnnouncer, event_id
from gateway.webhooks.core.events import WebhookEvent
from telephony.ids import CallId, LegId, TenantId

pytestmark = pytest.mark.unit

CONN = cast("Connection", object())
URL = "https://example.com/hook"


class Sink:
    """Takes what it wants, and remembers the events that were made."""

    def __init__(self, *wants: str) -> None:
        self.wants = wants
        self.made: list[tuple[WebhookEvent, str | None]] = []

    def wanted(self, conn: Connection, tenant_id: str, event_type: str) -> bool:
        return event_type in self.wants

    def fan_out(
        self, conn: Connection, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        self.made.append((event, per_call_url))
        return (f"lane of {tenant_id}",)

    def send_to(self, conn: Connection, endpoint: Any, event: WebhookEvent) -> str:
        raise AssertionError("a call's events go to whoever wants them, not to one endpoint")


def events(*types: str, url: str | None = None) -> list[CallEvent]:
    terms = Terms(TenantId("ten_1"), Direction.INBOUND, "+12025550100", "+12025550111", webhook_url=url)
    call = Call(CallId("call_01"), terms, 1.0, Leg(LegId("l1"), Role.CALLER), Leg(LegId("l2"), Role.CALLEE))
    known = record(call)
    detail = (("reason", "test"),)
    return [
        CallEvent(call.id, terms.tenant, n, type_, 2.0 + n, detail, known) for n, type_ in enumerate(types, 1)
    ]


def announce(sink: Sink, told: list[CallEvent]) -> tuple[Sequence[str], list[Sequence[str]]]:
    woken: list[Sequence[str]] = []
    announcer = WebhookAnnouncer(sink, woken.append)
    lanes = announcer.announce(CONN, told)
    announcer.committed(lanes)
    return lanes, woken


def test_an_event_that_nobody_wants_is_not_made() -> None:
    sink = Sink()
    assert announce(sink, events("call.ringing", "call.busy")) == ([], [[]])
    assert sink.made == []


def test_an_event_that_somebody_wants_goes_there_with_the_call_and_what_is_particular() -> None:
    sink = Sink("call.busy")
    lanes, woken = announce(sink, events("call.ringing", "call.busy"))
    assert lanes == ["lane of ten_1"]
    assert woken == [["lane of ten_1"]]
    ((made, url),) = sink.made
    assert (made.type, made.sequence, made.subject, url) == ("call.busy", 2, "call_01", None)
    assert made.id == event_id(CallId("call_01"), 2)
    assert made.data["id"] == "call_01"
    assert made.data["detail"] == {"reason": "test"}


def test_the_calls_own_url_gets_every_event_whatever_endpoints_want() -> None:
    sink = Sink()
    announce(sink, events("call.ringing", "call.busy", url=URL))
    assert [(made.type, url) for made, url in sink.made] == [("call.ringing", URL), ("call.busy", URL)]


def test_a_webhook_never_has_the_real_number_of_a_private_call() -> None:
    sink = Sink("call.busy")
    private = [replace(event, call=replace(event.call, private=True)) for event in events("call.busy")]
    announce(sink, private)
    ((made, _),) = sink.made
    assert (made.data["to"], made.data["from"]) == ("+12025550100", "+120••••••11")
    assert "+12025550111" not in repr(made.data)
