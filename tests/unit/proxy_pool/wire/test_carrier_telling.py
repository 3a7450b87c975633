"""What carriers tell is read as it was meant: texts, parts, media, receipts; and garbage is only garbage."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trial.carrier_speech import PartOf
from proxy_pool.core.text import InboundText, Media, Part, Receipt, ReceiptState
from proxy_pool.wire import bandwidth, generic, telnyx, twilio, vonage
from proxy_pool.wire.carrier import REASONS, Ignored, RawRequest, Told
from telephony.errors import MalformedRequest
from telephony.numbers import E164
from tests.unit.proxy_pool.wire.trial_accounts import BY_QUERY, KINDS, NOW, THEM, TIMED, URL, US, Trial, trial

pytestmark = pytest.mark.unit
every_kind = pytest.mark.parametrize("kind", KINDS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300)


def told(t: Trial, request: RawRequest) -> tuple[Told, ...]:
    assert t.accepts(request)
    return t.adapter.parse(request, "main")


def only_text(t: Trial, request: RawRequest) -> InboundText:
    (text,) = told(t, request)
    assert isinstance(text, InboundText)
    return text


@every_kind
@pytest.mark.parametrize("method", ["POST", "GET"])
@settings(max_examples=40)
@given(body=TEXTS)
def test_a_text_arrives_as_it_was_written(kind: str, method: str, body: str):
    t = trial(kind)
    text = only_text(t, t.heard(t.utterance(body), method=method))
    assert (text.carrier, text.message_id) == ("main", t.speech.new_id(7, 1))
    assert (text.sender, text.to, text.body) == (THEM, E164(US), body)
    assert text.part is None
    assert text.opt_out == ""
    assert text.media == ()


@every_kind
def test_the_same_delivery_again_has_the_same_id(kind: str):
    t = trial(kind)
    first, again = only_text(t, t.heard()), only_text(t, t.heard(at=NOW + 60))
    assert (first.carrier, first.message_id) == (again.carrier, again.message_id)


@pytest.mark.parametrize("kind", [*TIMED, "bandwidth"])
def test_when_it_was_sent_is_kept(kind: str):
    t = trial(kind)
    assert only_text(t, t.heard()).sent_at == NOW


@pytest.mark.parametrize("kind", ["twilio", "telnyx", "bandwidth", "generic"])
def test_attachments_come_along(kind: str):
    t = trial(kind)
    media = (("https://media.example/a?x=1", "image/jpeg"), ("https://media.example/b", "video/3gpp"))
    text = only_text(t, t.heard(t.utterance("", media=media)))
    assert [one.url for one in text.media] == [url for url, _ in media]
    if kind != "bandwidth":  # it names no types
        assert text.media == tuple(Media(url, kind) for url, kind in media)


@pytest.mark.parametrize("kind", ["twilio", "telnyx", "generic"])
def test_an_attachment_nobody_could_fetch_is_left_out_and_counted(kind: str):
    t = trial(kind)
    media = (("file:///etc/passwd", "image/png"), ("https://media.example/b", "text/html\r\nX: y"))
    found = told(t, t.heard(t.utterance("Look", media=media)))
    assert Ignored("media") in found
    (text,) = (one for one in found if isinstance(one, InboundText))
    assert text.media == (Media("https://media.example/b", ""),)


@pytest.mark.parametrize("kind", ["vonage", "generic"])
def test_parts_of_a_long_text_know_their_place(kind: str):
    t = trial(kind)
    text = only_text(t, t.heard(t.utterance("second", part=PartOf(29, 3, 2))))
    assert text.part == Part(29, 3, 2)


@pytest.mark.parametrize(
    ("total", "number", "reference"), [(0, 1, 1), (2, 3, 1), (2, 0, 1), (256, 1, 1), (-1, 1, 1)]
)
@pytest.mark.parametrize("kind", ["vonage", "generic"])
def test_a_part_without_a_place_is_refused(kind: str, total: int, number: int, reference: int):
    t = trial(kind)
    with pytest.raises(MalformedRequest):
        told(t, t.heard(t.utterance("x", part=PartOf(reference, total, number))))


def test_a_reference_that_is_no_number_still_tells_long_texts_apart():
    t = trial("vonage")
    parts = []
    for reference in ("A1", "A1", "B2"):
        fields = {"messageId": "0A", "msisdn": THEM[1:], "to": US[1:], "text": "x", "type": "text"}
        fields |= {"concat": "true", "concat-ref": reference, "concat-total": "2", "concat-part": "1"}
        (text,) = t.adapter.parse(RawRequest("GET", URL, urlencode(fields)), "main")
        assert isinstance(text, InboundText)
        assert text.part is not None
        parts.append(text.part.reference)
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.parametrize("kind", ["twilio", "telnyx", "generic"])
@pytest.mark.parametrize("word", ["stop", "start", "help"])
def test_a_word_the_carrier_has_seen_is_told(kind: str, word: str):
    t = trial(kind)
    assert only_text(t, t.heard(t.utterance("STOP", opt_out=word))).opt_out == word


@every_kind
@pytest.mark.parametrize("sender", ["12345", "DHL", "+4930901820"])
def test_a_sender_may_be_no_number(kind: str, sender: str):
    t = trial(kind)
    assert only_text(t, t.heard(t.utterance("Hi", sender=sender))).sender == sender


@every_kind
@pytest.mark.parametrize("to", ["12345", "PATCHBAY", "+0123456789"])
def test_a_destination_that_is_no_number_is_ignored_not_lost_in_silence(kind: str, to: str):
    t = trial(kind)
    assert told(t, t.heard(t.utterance("Hi", to=to))) == (Ignored("destination"),)


@every_kind
@pytest.mark.parametrize("state", list(ReceiptState))
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_receipts_name_the_text_and_how_far_it_came(kind: str, state: ReceiptState, method: str):
    t = trial(kind)
    report = t.report(state, reference="msg_1")
    (receipt,) = told(t, t.told(report, method=method))
    assert isinstance(receipt, Receipt)
    assert (receipt.carrier, receipt.message_id) == ("main", report.id)
    assert receipt.state is NEAREST[kind].get(state, state)


NEAREST: dict[str, dict[ReceiptState, ReceiptState]] = {
    "twilio": {
        ReceiptState.EXPIRED: ReceiptState.UNDELIVERED,
        ReceiptState.REJECTED: ReceiptState.FAILED,
    },
    "telnyx": {ReceiptState.REJECTED: ReceiptState.UNDELIVERED},
    "bandwidth": {
        ReceiptState.QUEUED: ReceiptState.SENT,
        ReceiptState.UNDELIVERED: ReceiptState.FAILED,
        ReceiptState.EXPIRED: ReceiptState.FAILED,
        ReceiptState.REJECTED: ReceiptState.FAILED,
    },
    "vonage": {
        ReceiptState.QUEUED: ReceiptState.SENT,
        ReceiptState.UNDELIVERED: ReceiptState.FAILED,
    },
    "generic": {},
}
"""What is told in another word, because the carrier has none for it."""


@every_kind
def test_why_a_text_failed_is_kept(kind: str):
    t = trial(kind)
    (receipt,) = told(t, t.told(t.report(ReceiptState.FAILED, error="4720")))
    assert isinstance(receipt, Receipt)
    assert receipt.error == "4720"


def test_a_good_receipt_has_no_error():
    t = trial("vonage")
    (receipt,) = told(t, t.told(t.report(ReceiptState.DELIVERED)))
    assert isinstance(receipt, Receipt)
    assert receipt.error == ""


def test_no_table_calls_a_failure_a_delivery():
    tables = (twilio.STATES, telnyx.STATES, bandwidth.STATES, vonage.STATES, generic.STATES)
    good = {word for table in tables for word, state in table.items() if state is ReceiptState.DELIVERED}
    assert good == {"delivered", "read", "message-delivered", "message-read"}


UNKNOWN_WORDS: dict[str, tuple[dict[str, Any] | list[Any], Ignored]] = {
    "twilio": ({"MessageSid": "SM" + "a" * 32, "MessageStatus": "teleported"}, Ignored("status")),
    "vonage": ({"messageId": "0A", "status": "unknown"}, Ignored("status")),
    "telnyx": (
        {
            "data": {
                "event_type": "message.finalized",
                "payload": {"id": "m-1", "to": [{"phone_number": THEM, "status": "teleported"}]},
            }
        },
        Ignored("status"),
    ),
    "bandwidth": ([{"type": "message-teleported", "message": {"id": "m-1"}}], Ignored("event")),
    "generic": ({"type": "message.status", "id": "m-1", "status": "teleported"}, Ignored("status")),
}


@every_kind
def test_a_word_that_nobody_knows_changes_nothing_and_is_counted(kind: str):
    value, expected = UNKNOWN_WORDS[kind]
    headers = {"content-type": "application/json"}
    request = RawRequest("POST", URL, "", headers, json.dumps(value).encode())
    assert trial(kind).adapter.parse(request, "main") == (expected,)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("telnyx", {"data": {"event_type": "message.teleported", "payload": {}}}),
        ("generic", {"type": "message.teleported"}),
    ],
)
def test_an_event_that_nobody_knows_is_counted(kind: str, value: dict[str, Any]):
    request = RawRequest("POST", URL, "", {}, json.dumps(value).encode())
    assert trial(kind).adapter.parse(request, "main") == (Ignored("event"),)


def test_a_binary_text_is_counted():
    query = urlencode({"messageId": "0A", "msisdn": THEM[1:], "to": US[1:], "type": "binary", "data": "00"})
    assert trial("vonage").adapter.parse(RawRequest("GET", URL, query), "main") == (Ignored("kind"),)


@every_kind
def test_fields_that_nobody_knows_stay_out(kind: str):
    t = trial(kind)
    request = t.heard()
    if "json" in request.headers.get("content-type", ""):
        value = json.loads(request.body)
        for place in _objects(value):
            place["x-new"] = {"deep": [1, None, "y"]}
        changed = replace(request, body=json.dumps(value).encode())
    else:
        changed = replace(request, body=request.body + b"&XNew=y&x-new=%F0%9F%98%80")
    assert t.adapter.parse(changed, "main") == t.adapter.parse(request, "main")


def _objects(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    below = [found for one in inner for found in _objects(one)]
    return [value, *below] if isinstance(value, dict) else below


def test_a_batch_is_read_whole_or_not_at_all():
    t = trial("bandwidth")
    one = json.loads(t.heard().body)[0]
    other = {**one, "message": {**one["message"], "id": "m-2"}}
    both = replace(t.heard(), body=json.dumps([one, other]).encode())
    assert [text.message_id for text in t.adapter.parse(both, "main") if isinstance(text, InboundText)] == [
        one["message"]["id"],
        "m-2",
    ]
    spoilt = replace(both, body=json.dumps([one, {**other, "message": {"id": 7}}]).encode())
    with pytest.raises(MalformedRequest):
        t.adapter.parse(spoilt, "main")


def test_a_text_to_several_of_our_numbers_is_one_for_each():
    t = trial("telnyx")
    value = json.loads(t.heard().body)
    value["data"]["payload"]["to"] = [{"phone_number": US}, {"phone_number": "+12025550101"}]
    found = t.adapter.parse(replace(t.heard(), body=json.dumps(value).encode()), "main")
    assert [(one.to.reveal(), one.message_id) for one in found if isinstance(one, InboundText)] == [
        (US, t.speech.new_id(7, 1)),
        ("+12025550101", t.speech.new_id(7, 1) + ":1"),
    ]


def test_no_nul_reaches_a_database():
    t = trial("generic")
    assert only_text(t, t.heard(t.utterance("a\x00b"))).body == "a\N{REPLACEMENT CHARACTER}b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _sound(found: tuple[Told, ...]) -> None:
    for one in found:
        assert isinstance(one, InboundText | Receipt | Ignored)
        if isinstance(one, Ignored):
            assert one.reason in REASONS
        else:
            assert one.carrier == "main"
            assert 0 < len(one.message_id) <= 140
        if isinstance(one, InboundText):
            assert one.sender.isprintable()
            assert "\x00" not in one.body
            assert len(one.media) <= 10


@every_kind
@settings(max_examples=150)
@given(body=st.binary(max_size=400), form=st.booleans())
def test_bytes_without_sense_are_malformed_and_nothing_else(kind: str, body: bytes, form: bool):
    headers = {"content-type": "application/x-www-form-urlencoded" if form else "application/json"}
    with suppress(MalformedRequest):
        _sound(trial(kind).adapter.parse(RawRequest("POST", URL, "", headers, body), "main"))


@every_kind
@settings(max_examples=150)
@given(data=st.data())
def test_a_telling_with_any_member_replaced_is_malformed_or_sound(kind: str, data: st.DataObject):
    t = trial(kind)
    receipt = data.draw(st.booleans())
    request = t.told(t.report()) if receipt else t.heard(t.utterance(media=(("https://m.example/a", "a/b"),)))
    if "json" in request.headers.get("content-type", ""):
        value = json.loads(request.body)
        place = data.draw(st.sampled_from(_objects(value)))
        place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON)
        body = json.dumps(value).encode()
    else:
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(TEXTS)
        body = urlencode(fields).encode()
    with suppress(MalformedRequest):
        _sound(t.adapter.parse(replace(request, body=body), "main"))


@pytest.mark.parametrize("kind", BY_QUERY)
@settings(max_examples=100)
@given(query=st.text(st.characters(max_codepoint=255), max_size=200))
def test_a_query_without_sense_is_malformed_and_nothing_else(kind: str, query: str):
    with suppress(MalformedRequest):
        _sound(trial(kind).adapter.parse(RawRequest("GET", URL, query), "main"))


@pytest.mark.parametrize("kind", BY_QUERY)
def test_a_parameter_given_twice_is_malformed(kind: str):
    request = trial(kind).heard()
    with pytest.raises(MalformedRequest):
        trial(kind).adapter.parse(replace(request, body=request.body + b"&" + request.body), "main")


@every_kind
def test_json_without_end_is_malformed(kind: str):
    for body in (b"[" * 100_000, b'{"a":' * 50_000, b'"\\ud800"', b"[NaN]", b"{", b"", b"null", b"[]", b"7"):
        request = RawRequest("POST", URL, "", {"content-type": "application/json"}, body)
        with pytest.raises(MalformedRequest):
            trial(kind).adapter.parse(request, "main")
