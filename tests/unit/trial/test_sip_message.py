"""SIP, SDP and digest as values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trial import sdp
from gateway.trial.sip_digest import Credentials, authorization, read_challenge
from gateway.trial.sip_message import (
    Headers,
    Reply,
    Request,
    Response,
    SipSyntaxError,
    branch_of,
    cseq_of,
    display_in,
    parse,
    response_to,
    serialise,
    tag_in,
    uri_in,
    user_in,
)

pytestmark = pytest.mark.unit

INVITE = (
    b"INVITE sip:+15550001000@127.0.0.1:5070 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKabc\r\n"
    b'From: "Ann \r\n Other" <sip:+15550002000@127.0.0.1>;tag=f1\r\n'
    b"t: <sip:+15550001000@127.0.0.1>\r\n"
    b"i: id-1\r\nCSeq: 7 INVITE\r\nContent-Type: application/sdp\r\nl: 4\r\n\r\nv=0\ntrailing"
)


def test_compact_folded_and_counted() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    assert (message.method, user_in(message.uri)) == ("INVITE", "+15550001000")
    assert display_in(message.headers.first("from")) == "Ann  Other"
    assert tag_in(message.headers.first("From")) == "f1"
    assert branch_of(message) == "z9hG4bKabc"
    assert cseq_of(message) == (7, "INVITE")
    assert message.body == b"v=0\n"


def test_response_copies_what_it_must_and_adds_the_tag() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    answer = parse(serialise(response_to(message, Reply(486, to_tag="mine"))))
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (486, "Busy Here")
    assert tag_in(answer.headers.first("To")) == "mine"
    assert branch_of(answer) == "z9hG4bKabc"
    assert cseq_of(answer) == (7, "INVITE")
    trying = response_to(message, Reply(100, to_tag="mine"))
    assert tag_in(trying.headers.first("To")) == ""


@pytest.mark.parametrize(
    "datagram",
    [b"\x00\x01", b"hello",
     b"INVITE sip:x SIP/2.0\r\n", b"NOTSIP\r\n\r\n", b"SIP/2.0 abc\r\n\r\n", b"A b c\r\n\r\n",
     b"OPTIONS sip:x SIP/2.0\r\nno colon here\r\n\r\n", b"\xff\xfe\r\n\r\n"],
)  # fmt: skip
def test_what_is_not_sip_is_refused(datagram: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse(datagram)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(datagram: bytes) -> None:
    with contextlib.suppress(SipSyntaxError):
        assert parse(datagram).headers is not None


def test_a_line_break_cannot_enter_a_header() -> None:
    with pytest.raises(SipSyntaxError):
        Headers().plus(("X-A", "1\r\nX-B: 2"))


@pytest.mark.parametrize(
    ("value", "uri", "user"),
    [
        ("<sip:alice@127.0.0.1:5080;ob>;expires=60", "sip:alice@127.0.0.1:5080;ob", "alice"),
        ("sip:127.0.0.1;tag=1", "sip:127.0.0.1", ""),
        ('"B <x>" <sips:bob;isub=1@host>', "x", ""),
        ("sip:+1555@host", "sip:+1555@host", "+1555"),
    ],
)
def test_parts_of_an_address(value: str, uri: str, user: str) -> None:
    assert (uri_in(value), user_in(value)) == (uri, user)


def test_digest_matches_the_rfc_example() -> None:
    # RFC 2617 section 3.5
    value = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    challenge = read_challenge(value)
    assert challenge is not None
    who = Credentials("Mufasa", "Circle Of Life")
    line = authorization(challenge, who, "GET", "/dir/index.html", "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in line
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in line
    assert "Circle" not in repr(who)


@pytest.mark.parametrize(
    "value", ['Basic realm="x"', 'Digest realm="x", nonce="n", algorithm=SHA-256', "Digest"]
)
def test_challenges_we_cannot_answer(value: str) -> None:
    assert read_challenge(value) is None


def test_sdp_round_trip() -> None:
    where = sdp.read_media(sdp.describe("127.0.0.1", 4000, 1))
    assert where == sdp.MediaAddress("127.0.0.1", 4000, 101, True)


@pytest.mark.parametrize(
    "body", [b"", b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n", b"m=audio x RTP/AVP 0\r\n"]
)
def test_sdp_without_pcmu_is_refused(body: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        sdp.read_media(body)
