"""What webhooks hear of masking: once, in order, and never a real number."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from gateway.masking_announcer import MaskingAnnouncer, webhook_of_interaction, webhook_of_session
from gateway.webhooks.core.events import CATALOGUE, WebhookEvent, render
from proxy_pool.core.holding import IN_PROGRESS
from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.opening import seat_people
from proxy_pool.core.session import Model, Session, SessionId, Terms
from proxy_pool.ports import SessionEvent
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

ANN, BOB, ONE, TWO = (E164(f"+{n}5550001") for n in (1415, 1510, 1628, 1650))
T0 = 1_772_971_200.0
ULID = "01J00000000000000000000000"
SESSION = Session(
    id=SessionId(f"ses_{ULID}"),
    tenant=TenantId("ten_1"),
    model=Model.PAIR,
    terms=Terms(),
    participants=seat_people([(ANN, ONE, "480213"), (BOB, TWO, "")]),
    created_at=T0,
    ends_at=T0 + 600,
    webhook_url="https://hooks.example/x",
    version=3,
)
CALL = Interaction(
    id=InteractionId(f"int_{ULID}"),
    tenant=SESSION.tenant,
    session=SESSION.id,
    kind=Kind.VOICE,
    from_seat=0,
    to_seat=1,
    proxy=ONE,
    subject=f"call_{ULID}",
    status="completed",
    created_at=T0,
    outcome=f"refused by {ANN.reveal()}",
    sequence=4,
)
EVENT = SessionEvent(
    "session.closed",
    T0,
    (("session", SESSION.id), ("until", "2026-03-08T12:00:00.000Z"), ("why", f"asked by {BOB.reveal()}")),
)
NO_TRANSACTION: Connection = None  # type: ignore[assignment] # why: the sink below asks nothing of it


class Sink:
    """Fits ``EventSink``; ``subscribed`` are the types that an endpoint wants."""

    def __init__(self, *subscribed: str) -> None:
        self.subscribed = subscribed
        self.got: list[tuple[WebhookEvent, str | None]] = []

    def wanted(self, conn: Connection, tenant_id: str, event_type: str) -> bool:
        return event_type in self.subscribed

    def fan_out(
        self, conn: Connection, tenant_id: str, event: WebhookEvent, per_call_url: str | None = None
    ) -> tuple[str, ...]:
        self.got.append((event, per_call_url))
        return (f"lane {event.type}",)

    def send_to(self, conn: Connection, endpoint: object, event: WebhookEvent) -> str:
        raise AssertionError("nothing here sends to one endpoint")


def test_no_webhook_holds_a_real_number_or_a_pin() -> None:
    for event in (webhook_of_session(SESSION, EVENT, 0), webhook_of_interaction(CALL, EVENT, 0)):
        body = render(event).decode()
        for secret in (ANN.reveal(), BOB.reveal(), "480213"):
            assert secret not in body
        assert ONE.reveal() in body, "proxy numbers are ours and whole"
        detail = event.data["detail"]
        assert isinstance(detail, dict)
        assert (detail["session"], detail["until"]) == (SESSION.id, "2026-03-08T12:00:00.000Z")


def test_the_same_event_has_the_same_id_and_others_have_others() -> None:
    again = webhook_of_session(SESSION, EVENT, 0)
    assert again.id == webhook_of_session(SESSION, EVENT, 0).id == f"evt_{ULID}-v3-0"
    others = {
        again.id,
        webhook_of_session(SESSION, EVENT, 1).id,
        webhook_of_session(replace(SESSION, version=4), EVENT, 0).id,
        webhook_of_interaction(CALL, EVENT, 0).id,
        webhook_of_interaction(replace(CALL, sequence=3), EVENT, 0).id,
        f"evt_{ULID}-3",  # the call's own third event
    }
    assert len(others) == 6
    assert (again.subject, again.sequence) == (SESSION.id, 3)


def test_events_go_to_the_sessions_own_url_and_to_who_wants_them() -> None:
    sink, woken = Sink("session.changed"), list[str]()
    announcer = MaskingAnnouncer(sink, woken.extend)
    events = (SessionEvent("session.changed", T0), EVENT)
    announcer.committed(announcer.session(NO_TRANSACTION, SESSION, events))
    assert [(event.type, url) for event, url in sink.got] == [
        ("session.changed", SESSION.webhook_url),
        ("session.closed", SESSION.webhook_url),
    ]
    assert woken == ["lane session.changed", "lane session.closed"]
    sink.got.clear()
    announcer.session(NO_TRANSACTION, replace(SESSION, webhook_url=None), events)
    assert [(event.type, url) for event, url in sink.got] == [("session.changed", None)]
    sink.got.clear()
    announcer.interaction(NO_TRANSACTION, CALL, (EVENT,), None)
    assert sink.got == []
    announcer.interaction(NO_TRANSACTION, CALL, (EVENT,), "https://hooks.example/x")
    assert [url for _, url in sink.got] == ["https://hooks.example/x"]


def test_what_is_told_by_itself_is_in_the_catalogue() -> None:
    assert IN_PROGRESS in CATALOGUE
    assert {"session.opened", "session.closed", "pool.exhausted", "message.opt_out"} <= set(CATALOGUE)
