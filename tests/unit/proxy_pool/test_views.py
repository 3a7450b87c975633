"""What the world sees of a session and an interaction; without the right to whole numbers, none is in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.opening import seat_people
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.session import CloseReason, Model, Session, SessionId, Status, Terms
from proxy_pool.core.views import interaction_view, session_view
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

ANN, BOB, CARL = E164("+14155550001"), E164("+14155550002"), E164("+14155550003")
ONE, TWO = E164("+16285550001"), E164("+16285550002")
T0 = 1_772_971_200.0
SESSION = Session(
    id=SessionId("ses_" + "0" * 26),
    tenant=TenantId("ten_1"),
    model=Model.PAIR,
    terms=Terms(ttl_s=600, expires_at=T0 + 900),
    participants=seat_people([(ANN, ONE, "480213"), (BOB, TWO, "")]),
    created_at=T0,
    ends_at=T0 + 600,
    metadata=(("order", "7"),),
)


def test_a_masked_session_tells_neither_numbers_nor_pins() -> None:
    text = json.dumps(session_view(SESSION, whole=False), ensure_ascii=False)
    for secret in (ANN.reveal(), BOB.reveal(), "480213", "5550001"[:5] + "0001"):
        assert secret not in text.replace(ONE.reveal(), "").replace(TWO.reveal(), "")
    view = session_view(SESSION, whole=False)
    assert (view["party_a"], view["party_b"]) == (ANN.masked, BOB.masked)
    assert (view["proxy_number_a"], view["proxy_number_b"]) == (ONE.reveal(), TWO.reveal())
    assert (view["has_pin_a"], view["has_pin_b"]) == (True, False)
    assert "pin_a" not in view


def test_a_whole_session_tells_everything() -> None:
    view = session_view(replace(SESSION, unique_name="order"), whole=True)
    assert view == {
        "id": SESSION.id,
        "model": "pair",
        "status": "open",
        "party_a": "+14155550001",
        "party_b": "+14155550002",
        "members": [],
        "proxy_number": "+16285550001",
        "proxy_number_a": "+16285550001",
        "proxy_number_b": "+16285550002",
        "channels": ["sms", "voice"],
        "extension": None,
        "has_pin_a": True,
        "has_pin_b": False,
        "pin_a": "480213",
        "pin_b": None,
        "unique_name": "order",
        "metadata": {"order": "7"},
        "terms": view["terms"],
        "interactions": 0,
        "version": 1,
        "created_at": "2026-03-08T12:00:00.000Z",
        "expires_at": "2026-03-08T12:10:00.000Z",
        "last_interaction_at": None,
        "closed_at": None,
        "close_reason": None,
        "quarantine_until": None,
    }
    terms = view["terms"]
    assert isinstance(terms, dict)
    assert (terms["ttl"], terms["expires_at"]) == (600, "2026-03-08T12:15:00.000Z")


def test_a_closed_session_tells_when_and_why() -> None:
    closed = replace(
        SESSION,
        status=Status.CLOSED,
        closed_at=T0 + 60,
        close_reason=CloseReason.EXPIRED,
        free_at=T0 + 86_400,
        last_used_at=T0 + 30,
    )
    view = session_view(closed, whole=False)
    assert view["status"] == "closed"
    assert view["close_reason"] == "expired"
    assert view["last_interaction_at"] == "2026-03-08T12:00:30.000Z"
    assert view["quarantine_until"] == "2026-03-09T12:00:00.000Z"


def test_a_group_shows_its_members_and_an_open_number_may_have_no_party_b() -> None:
    people = seat_people([(ANN, ONE, ""), (BOB, TWO, "1234"), (PhoneParty("carl"), TWO, "")])
    view = session_view(replace(SESSION, model=Model.GROUP, participants=people), whole=False)
    assert view["party_b"] is None
    assert view["members"] == [
        {"seat": 1, "party": BOB.masked, "proxy_number": TWO.reveal(), "has_pin": True},
        {"seat": 2, "party": "phone:carl", "proxy_number": TWO.reveal(), "has_pin": False},
    ]
    alone = replace(SESSION, model=Model.EXTENSION, participants=people[:1], extension="204")
    view = session_view(alone, whole=True)
    assert (view["party_b"], view["proxy_number_b"], view["extension"]) == (None, None, "204")


TEXT = Interaction(
    id=InteractionId("int_" + "0" * 26),
    tenant=TenantId("ten_1"),
    session=SESSION.id,
    kind=Kind.MESSAGE,
    from_seat=-1,
    to_seat=2,
    proxy=ONE,
    subject="msg_1",
    status="failed",
    created_at=T0,
    outcome=f"30006: {CARL.reveal()} unreachable",
    segments=2,
    flags=("number",),
    body=f"call {CARL.reveal()}",
)


def test_an_interaction_tells_bodies_and_carriers_words_only_to_who_may_see_numbers() -> None:
    masked, whole = interaction_view(TEXT, whole=False), interaction_view(TEXT, whole=True)
    assert CARL.reveal() not in json.dumps(masked)
    assert masked["body"] is None
    assert masked["outcome"] == f"30006: {CARL.masked} unreachable"
    assert (whole["body"], whole["outcome"]) == (TEXT.body, TEXT.outcome)
    assert (masked["from"], masked["to"], masked["message_id"]) == ("visitor", "member_2", "msg_1")
    assert masked["call_id"] is None
    call = replace(TEXT, kind=Kind.VOICE, subject="call_1", from_seat=0, to_seat=1, duration_s=29, body="")
    view = interaction_view(call, whole=True)
    assert (view["from"], view["to"], view["call_id"], view["message_id"]) == (
        "party_a",
        "party_b",
        "call_1",
        None,
    )
    assert (view["duration_seconds"], view["body"]) == (29, None)
