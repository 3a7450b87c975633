"""Every carrier's proof: what is genuine is let in, and anything else is not."""

from __future__ import annotations

import hmac
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trial.carrier_speech import Moment, forged
from proxy_pool.core.text import ReceiptState
from proxy_pool.wire import reading
from proxy_pool.wire.carrier import RawRequest
from telephony.errors import NotAuthenticated
from tests.unit.proxy_pool.wire.trial_accounts import (
    BY_QUERY,
    KINDS,
    NOW,
    PROOF_HEADERS,
    PROOF_KEY,
    SIGNS_BODY,
    TIMED,
    URL,
    raw,
    trial,
)

pytestmark = pytest.mark.unit
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_what_is_genuine_is_let_in(kind: str):
    t = trial(kind)
    assert t.accepts(t.heard())
    assert t.accepts(t.told(t.report()))


@pytest.mark.parametrize("kind", BY_QUERY)
def test_what_is_genuine_by_query_is_let_in(kind: str):
    t = trial(kind)
    assert t.accepts(t.heard(method="GET"))
    assert t.accepts(t.told(t.report(), method="GET"))


@every_kind
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_one_changed_letter_of_the_proof_is_refused(kind: str, method: str):
    t = trial(kind)
    callback = t.speech.says(t.utterance(), Moment(URL, NOW, "nonce-1", method))
    assert t.accepts(raw(callback))
    assert not t.accepts(raw(forged(callback)))


@every_kind
def test_each_missing_part_of_the_proof_is_refused(kind: str):
    t = trial(kind)
    genuine = t.heard()
    for name in PROOF_HEADERS[kind]:
        assert name in genuine.headers
        assert not t.accepts(
            replace(genuine, headers={k: v for k, v in genuine.headers.items() if k != name})
        )
        assert not t.accepts(replace(genuine, headers={**genuine.headers, name: ""}))


@pytest.mark.parametrize("missing", [b"sig=", b"timestamp="])
def test_each_missing_part_of_vonages_proof_is_refused(missing: bytes):
    t = trial("vonage")
    genuine = t.heard()
    kept = b"&".join(one for one in genuine.body.split(b"&") if not one.startswith(missing))
    assert kept != genuine.body
    assert not t.accepts(replace(genuine, body=kept))


@every_kind
def test_the_proof_of_another_account_is_refused(kind: str):
    assert not trial(kind).accepts(trial(kind, 2).heard())


@every_kind
def test_while_a_secret_is_changed_both_are_good(kind: str):
    t, other = trial(kind), trial(kind, 2)
    fresh, old = other.account.one(PROOF_KEY[kind]), t.account.one(PROOF_KEY[kind])
    assert t.accepts(t.heard(), account=t.with_secrets(fresh, old))
    assert not t.accepts(t.heard(), account=t.with_secrets(fresh))


@every_kind
def test_an_account_without_secrets_lets_nobody_in(kind: str):
    t = trial(kind)
    assert not t.accepts(t.heard(), account=replace(t.account, values={}))


@pytest.mark.parametrize("kind", TIMED)
def test_a_proof_is_good_for_five_minutes_either_way(kind: str):
    t = trial(kind)
    request = t.heard()
    assert t.accepts(request, now=NOW + 300)
    assert t.accepts(request, now=NOW - 300)
    assert not t.accepts(request, now=NOW + 301)
    assert not t.accepts(request, now=NOW - 301)


@pytest.mark.parametrize("kind", TIMED)
def test_an_account_may_set_the_window(kind: str):
    t = trial(kind)
    wide = replace(t.account, replay_window_s=86_400)
    assert t.accepts(t.heard(), now=NOW + 86_000, account=wide)


@pytest.mark.parametrize("kind", ["telnyx", "generic"])
@pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "١٧٧٢٩٧١٢٠٠", "1772971200.0", "9" * 400])
def test_a_time_that_is_none_is_refused(kind: str, time: str):
    t = trial(kind)
    request = t.heard()
    name = "telnyx-timestamp" if kind == "telnyx" else "webhook-timestamp"
    assert not t.accepts(replace(request, headers={**request.headers, name: time}))


@pytest.mark.parametrize("kind", SIGNS_BODY)
@settings(max_examples=40)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_changed_body_is_refused_or_the_same_in_another_spelling(kind: str, place: int, bit: int):
    t = trial(kind)
    request = t.heard()
    changed = bytearray(request.body)
    changed[place % len(changed)] ^= 1 << bit
    forgery = replace(request, body=bytes(changed))
    if t.accepts(forgery):
        assert reading.is_form(request.headers), "every byte of a JSON body is signed"
        assert reading.pairs(forgery.body) == reading.pairs(request.body)


@pytest.mark.parametrize(
    "wrong", [URL + "/", URL.replace("gw.", "gx."), URL.replace("https", "http"), URL + "?a=1"]
)
def test_twilios_proof_is_good_for_its_address_alone(wrong: str):
    t = trial("twilio")
    address, _, query = wrong.partition("?")
    assert not t.accepts(replace(t.heard(), url=address, query=query))


@pytest.mark.parametrize(
    ("signed", "served"),
    [
        ("https://gw.example:443/in", "https://gw.example/in"),
        ("https://gw.example/in", "https://gw.example:443/in"),
        ("https://gw.example/in", "https://gw.example:8443/in"),
        ("http://gw.example:80/in", "http://gw.example/in"),
    ],
)
def test_twilios_proof_is_good_with_and_without_the_port(signed: str, served: str):
    t = trial("twilio")
    callback = t.speech.says(t.utterance(), Moment(signed, NOW, "n"))
    assert t.accepts(raw(callback, served))


def test_another_split_of_the_bytes_twilio_signed_names_no_other_text():
    """The signed text runs names and values together; a stretched value must not become a new id."""
    t = trial("twilio")
    request = t.heard()
    fields = dict(reading.pairs(request.body))
    names = sorted(fields)
    after = names[names.index("MessageSid") + 1]
    stretched = {k: v for k, v in fields.items() if k != after}
    stretched["MessageSid"] += after + fields[after]
    forgery = replace(request, body=urlencode(stretched).encode())
    assert t.accepts(forgery), "this is what the scheme cannot tell apart"
    with pytest.raises(reading.MalformedRequest):
        t.adapter.parse(forgery, "main")


def test_vonage_fields_cannot_be_hidden_in_a_name():
    t = trial("vonage")
    request = t.heard(t.utterance(part=None))
    pairs = dict(reading.pairs(request.body))
    joined = {k: v for k, v in pairs.items() if k not in ("keyword", "message-timestamp")}
    joined[f"keyword={pairs['keyword']}&message-timestamp"] = pairs["message-timestamp"]
    assert not t.accepts(replace(request, body=urlencode(joined).encode()))


@pytest.mark.parametrize("kind", ["twilio", "bandwidth", "vonage", "generic"])
def test_secrets_are_compared_in_constant_time(kind: str, monkeypatch: pytest.MonkeyPatch):
    """Telnyx's proof compares nothing secret: a public key decides."""
    compared = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return bool(_COMPARE(one, other))

    monkeypatch.setattr(reading.hmac, "compare_digest", watched)
    t = trial(kind)
    moment = Moment(URL, NOW, "nonce-1")
    t.accepts(raw(forged(t.speech.says(t.utterance(), moment))))
    assert compared, "the signature was compared in another way"
    assert all(len(one) > 8 for one, _ in compared)


_COMPARE = hmac.compare_digest


@every_kind
@settings(max_examples=60)
@given(
    body=st.binary(max_size=300),
    query=st.text(max_size=80),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "x-twilio-signature",
                "telnyx-timestamp",
                "telnyx-signature-ed25519",
                "authorization",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
                "content-type",
            ]
        ),
        st.one_of(st.text(max_size=60), st.sampled_from(["application/json", reading.FORM, str(int(NOW))])),
    ),
    method=st.sampled_from(["GET", "POST", "PUT", ""]),
)
def test_no_garbage_is_let_in_and_nothing_else_is_raised(
    kind: str, body: bytes, query: str, headers: dict[str, str], method: str
):
    t = trial(kind)
    with pytest.raises(NotAuthenticated):
        t.adapter.verify(RawRequest(method, URL, query, headers, body), t.account, NOW)


@every_kind
def test_nothing_secret_or_private_is_in_a_repr(kind: str):
    t = trial(kind)
    request = t.heard()
    told = t.adapter.parse(request, "main")
    receipt = t.adapter.parse(t.told(t.report(ReceiptState.SENT)), "main")
    shown = repr((request, t.account, told, receipt))
    assert "4155552671" not in shown
    assert "2025550100" not in shown
    assert "still there" not in shown
    for values in t.account.values.values():
        assert not any(value in shown for value in values if len(value) > 8)
