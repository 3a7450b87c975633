"""The oracle finds what is planted, in whatever notation, and the far ends do name themselves everywhere."""

from __future__ import annotations

import random

import pytest

from gateway.masking_announcer import webhook_of_session
from gateway.trial.sip_message import Request, parse
from proxy_pool.core.session import Model, Participant, Session, SessionId, Terms
from proxy_pool.core.views import session_view
from proxy_pool.ports import SessionEvent
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.rig.leaks import find_leaks
from tools.verify_privacy.__main__ import fair
from tools.verify_privacy.people import ALPHA, BETA, SIDES, Side, as_token, as_user, other, spelled, written
from tools.verify_privacy.salt import Namer, family, salted
from tools.verify_privacy.search import Search

pytestmark = pytest.mark.unit

A, B = ALPHA.number(17), BETA.number(23)
INVITE = (
    "INVITE sip:+12025550100@127.0.0.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK1\r\n"
    f"From: <sip:{A}@127.0.0.2>;tag=1\r\nTo: <sip:+12025550100@127.0.0.1>\r\n"
    "Call-ID: one\r\nCSeq: 1 INVITE\r\nContact: <sip:far@127.0.0.2:5060>\r\nMax-Forwards: 70\r\n"
    "Content-Type: application/sdp\r\n\r\n"
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
).encode()
CLEAN = (
    INVITE.replace(A.encode(), b"+12025550101")
    + b'{"at":"2026-03-09T12:00:00.000Z","party_a":"+141\xe2\x80\xa271","id":"call_01M7Z9RDM953WBE"}'
)


def search() -> Search:
    return Search({ALPHA.name: {A}, BETA.name: {B}})


def found(piece: bytes, *hidden: Side) -> int:
    one = search()
    one.look("somewhere", [CLEAN, piece, CLEAN], hidden or SIDES)
    return sum(one.counted.values())


def test_a_clean_place_is_clean() -> None:
    assert found(CLEAN) == 0


@pytest.mark.parametrize("side", SIDES, ids=[side.name for side in SIDES])
@pytest.mark.parametrize("notation", [written, spelled, as_user, as_token])
def test_every_notation_that_the_far_ends_use_is_found(side: Side, notation: object) -> None:
    number = A if side is ALPHA else B
    for seed in range(40):
        text = notation(number, random.Random(seed))  # type: ignore[operator]
        planted = CLEAN + f"\r\nX: {text}\r\n".encode()
        assert found(planted, side), text
        assert not found(planted, other(side)), text


def test_a_number_is_found_by_its_stem_and_told_only_if_it_is_in_play() -> None:
    assert search().counted == {}
    assert found(ALPHA.number(18).encode()) == 0
    assert found(A.encode()) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_salted_message_is_the_same_message_and_names_its_sender(seed: int) -> None:
    raw = salted(INVITE, ALPHA, ALPHA.number(3), random.Random(seed))
    before, after = parse(INVITE), parse(raw)
    assert isinstance(after, Request)
    assert after.uri == before.uri  # type: ignore[union-attr]
    for name in ("Call-ID", "CSeq"):
        assert after.headers.first(name) == before.headers.first(name)
    assert after.headers.first("Via") == before.headers.first("Via")
    assert f"<sip:{A}@127.0.0.2>;tag=1" in after.headers.first("From")
    assert after.headers.first("Contact").endswith("@127.0.0.2:5060>")
    assert b"m=audio 4000" in after.body
    rest = raw.replace(f"<sip:{A}@127.0.0.2>;tag=1".encode(), b"")
    assert find_leaks(A, rest)
    assert salted(INVITE, ALPHA, ALPHA.number(3), random.Random(seed)) == raw


def test_every_header_of_the_family_would_be_found() -> None:
    for seed in range(6):
        for name, value in family(Namer(ALPHA, A, random.Random(seed))):
            assert found(f"{name}: {value}".encode(), ALPHA) or name == "Privacy", (name, value)


def test_the_word_of_a_side_is_found_on_the_other() -> None:
    one = search()
    one.name("SIP to beta", [CLEAN, b'From: "Quillonby" <sip:+12025550101@127.0.0.1>'], ALPHA)
    assert one.counted == {"SIP to beta": 1}


def test_a_webhook_with_whole_numbers_is_found_and_the_products_own_is_clean() -> None:
    people = (Participant(0, E164(A), E164("+12025550100")), Participant(1, E164(B), E164("+12025550101")))
    session = Session(
        SessionId("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"), TenantId("ten_1"), Model.PAIR, Terms(), people, 0.0, 9e9
    )
    told = webhook_of_session(session, SessionEvent("session.opened", 0.0), 0)
    assert found(repr(told.data).encode()) == 0
    assert found(repr(session_view(session, whole=True)).encode()) == 2


def test_a_run_without_its_calls_proves_nothing() -> None:
    run = {"leaks": 0, "strays": 0, "odd": {}, "calls": 100, "texts": 0}
    assert fair(run)
    assert not fair(run | {"leaks": 1})
    assert not fair(run | {"strays": 1})
    assert not fair(run | {"odd": {"talked: nobody rang": 3}})
