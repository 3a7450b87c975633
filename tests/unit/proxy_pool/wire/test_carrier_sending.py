"""Texts on their way out: the carrier reads what was meant, and its answer is told for what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trial.carrier_speech import ApiRequest, Denied
from proxy_pool.core.text import Media, OutboundText
from proxy_pool.wire.carrier import Account, HttpRequest, Refused, Sent, Throttled, Unclear
from telephony.numbers import E164
from tests.unit.proxy_pool.wire.trial_accounts import KINDS, RECEIPTS_URL, THEM, US, Trial, trial

pytestmark = pytest.mark.unit
every_kind = pytest.mark.parametrize("kind", KINDS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
WITH_MEDIA = ("twilio", "telnyx", "bandwidth", "generic")


def outbound(body: str = "Yes, it is", *urls: str) -> OutboundText:
    media = tuple(Media(url, "image/jpeg") for url in urls)
    return OutboundText("msg_01", E164(US), E164(THEM), body, media)


def as_heard(request: HttpRequest) -> ApiRequest:
    assert request.method == "POST"
    assert request.url.startswith("https://api.example/")
    return ApiRequest(request.url.removeprefix("https://api.example"), request.headers, request.body)


def decoded(t: Trial, status: int, value: object, **headers: str) -> Any:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return t.adapter.decode_sent(
        status, {name.replace("_", "-"): text for name, text in headers.items()}, body
    )


@every_kind
@settings(max_examples=40)
@given(body=TEXTS)
def test_the_carrier_reads_what_was_meant(kind: str, body: str):
    t = trial(kind)
    asked = t.speech.reads(as_heard(t.adapter.encode_send(outbound(body), t.account)))
    assert (asked.sender, asked.to, asked.body) == (US, THEM, body)
    assert asked.reference == ("" if kind == "twilio" else "msg_01")  # its form has no place for it
    assert asked.receipts_url == ("" if kind == "bandwidth" else RECEIPTS_URL)


@pytest.mark.parametrize("kind", WITH_MEDIA)
@pytest.mark.parametrize("body", ["", "Look"])
def test_the_carrier_reads_attachments(kind: str, body: str):
    t = trial(kind)
    request = t.adapter.encode_send(
        outbound(body, "https://gw.example/m/1?s=a&b", "https://gw.example/m/2"), t.account
    )
    asked = t.speech.reads(as_heard(request))
    assert asked.media == ("https://gw.example/m/1?s=a&b", "https://gw.example/m/2")
    assert asked.body == body


def test_who_carries_no_attachments_says_so():
    assert [kind for kind in KINDS if not trial(kind).adapter.carries_media] == ["vonage"]


@every_kind
def test_another_accounts_credentials_are_denied(kind: str):
    t = trial(kind)
    with pytest.raises(Denied):
        trial(kind, 2).speech.reads(as_heard(t.adapter.encode_send(outbound(), t.account)))


@every_kind
def test_a_request_shows_no_secret_and_no_number(kind: str):
    t = trial(kind)
    shown = repr(t.adapter.encode_send(outbound(), t.account))
    assert THEM[1:] not in shown
    public = {"account_sid", "account_id"}  # part of the address
    secrets = [value for name, values in t.account.values.items() if name not in public for value in values]
    assert not any(value in shown for value in secrets)


@every_kind
def test_a_text_that_was_taken_has_the_carriers_id(kind: str):
    t = trial(kind)
    asked = t.speech.reads(as_heard(t.adapter.encode_send(outbound(), t.account)))
    answer = t.speech.takes(t.speech.new_id(7, 9), asked)
    assert t.adapter.decode_sent(answer.status, answer.headers, answer.body) == Sent(t.speech.new_id(7, 9), 1)


@every_kind
def test_too_fast_is_told_with_the_seconds_to_wait(kind: str):
    t = trial(kind)
    answer = t.speech.throttles(7)
    assert t.adapter.decode_sent(answer.status, answer.headers, answer.body) == Throttled(7.0)


@every_kind
@pytest.mark.parametrize(
    ("told", "seconds"), [("", 1.0), ("soon", 1.0), ("-3", 1.0), ("99999", 3600.0), ("Sun, 08 Mar 2026", 1.0)]
)
def test_a_strange_wait_is_a_short_one(kind: str, told: str, seconds: float):
    assert decoded(trial(kind), 429, {}, retry_after=told) == Throttled(seconds)


@every_kind
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"id": 7}', b'{"sid": "x y"}', b"\xff"])
def test_a_good_answer_that_names_no_text_is_unclear(kind: str, body: bytes):
    assert decoded(trial(kind), 200, body) == Unclear("unreadable")


@every_kind
def test_a_redirection_is_not_followed_and_not_believed(kind: str):
    assert isinstance(decoded(trial(kind), 302, b"", location="https://elsewhere"), Unclear | Refused)


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("kind", ["twilio", "telnyx", "vonage"])
def test_a_failure_that_may_have_come_after_the_sending_is_unclear(kind: str, status: int):
    assert decoded(trial(kind), status, b"oops") == Unclear(f"http_{status}")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("kind", ["bandwidth", "generic"])
def test_a_failure_that_never_sends_may_be_repeated(kind: str, status: int):
    assert decoded(trial(kind), status, b"oops") == Refused(f"http_{status}", permanent=False)


@every_kind
@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (401, False), (403, True), (404, True), (408, False)]
)
def test_a_refusal_is_for_good_unless_it_can_be_mended(kind: str, status: int, permanent: bool):
    assert decoded(trial(kind), status, b"") == Refused(f"http_{status}", permanent=permanent)


@pytest.mark.parametrize(
    ("kind", "status", "value", "outcome"),
    [
        ("twilio", 400, {"code": 21610, "status": 400}, Refused("21610", permanent=True)),
        ("twilio", 400, {"code": 21611, "status": 400}, Throttled(1.0)),
        ("telnyx", 403, {"errors": [{"code": "40300"}]}, Refused("40300", permanent=True)),
        ("bandwidth", 400, {"type": "request-validation"}, Refused("request-validation", permanent=True)),
        ("generic", 422, {"error": {"code": "bad_number"}}, Refused("bad_number", permanent=True)),
        ("vonage", 200, {"messages": [{"status": "1"}]}, Throttled(1.0)),
        ("vonage", 200, {"messages": [{"status": "7"}]}, Refused("7", permanent=True)),
        ("vonage", 200, {"messages": [{"status": "9"}]}, Refused("9", permanent=False)),
        ("vonage", 200, {"messages": []}, Unclear("unreadable")),
    ],
)
def test_each_carriers_own_words(kind: str, status: int, value: object, outcome: object):
    assert decoded(trial(kind), status, value) == outcome


def test_a_long_text_of_which_some_went_out_is_not_sent_again():
    entries = [{"status": "1"}, {"status": "0", "message-id": "0A2"}, {"status": "0", "message-id": "0A3"}]
    assert decoded(trial("vonage"), 200, {"messages": entries}) == Sent("0A2", 3)


def test_vonage_is_told_which_alphabet():
    t = trial("vonage")
    assert b"type=text" in t.adapter.encode_send(outbound("Plain €"), t.account).body
    assert b"type=unicode" in t.adapter.encode_send(outbound("Привет"), t.account).body


def test_twilio_is_asked_with_the_api_key_where_there_is_one():
    t = trial("twilio")
    plain = t.adapter.encode_send(outbound(), t.account).headers["authorization"]
    keyed = {**t.account.values, "api_key_sid": ("SK1",), "api_key_secret": ("s",)}
    account = Account("main", "https://api.example", keyed)
    assert t.adapter.encode_send(outbound(), account).headers["authorization"] == "Basic U0sxOnM=" != plain


@every_kind
@settings(max_examples=80)
@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=200),
    headers=st.dictionaries(st.sampled_from(["retry-after", "content-type"]), st.text(max_size=12)),
)
def test_no_answer_is_beyond_telling(kind: str, status: int, body: bytes, headers: dict[str, str]):
    outcome = trial(kind).adapter.decode_sent(status, headers, body)
    assert isinstance(outcome, Sent | Throttled | Refused | Unclear)
    if not 200 <= status < 300:
        assert not isinstance(outcome, Sent)
    if isinstance(outcome, Throttled):
        assert 0 < outcome.retry_after_s <= 3600


INNER = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "status", "code", "message-id"]), inner)
    ),
    max_leaves=6,
)
ANSWERS = st.dictionaries(
    st.sampled_from(["id", "sid", "data", "errors", "error", "messages", "code", "type"]), INNER, max_size=4
)


@every_kind
@settings(max_examples=60)
@given(status=st.sampled_from([200, 202, 400, 500]), value=ANSWERS)
def test_no_json_answer_is_beyond_telling(kind: str, status: int, value: object):
    assert isinstance(decoded(trial(kind), status, value), Sent | Throttled | Refused | Unclear)
