"""Our signatures against the independent ``standardwebhooks`` package, and against plain arithmetic."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.webhooks.core.signing import (
    make_secret,
    secret_key,
    secrets_in_force,
    signatures,
    verify_devotel,
    verify_standard,
)
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

OLD, NEW = make_secret(b"o" * 32), make_secret(b"n" * 24)
BODY = '{"type":"call.completed","data":{"name":"Zoë"}}'.encode()


def test_the_independent_package_verifies_what_we_sign() -> None:
    headers = signatures([NEW], "evt_1", int(time.time()), BODY)
    assert Webhook(NEW).verify(BODY, headers) == {"type": "call.completed", "data": {"name": "Zoë"}}


@given(
    raw=st.binary(min_size=24, max_size=64),
    body=st.text(max_size=200),
    stamp=st.integers(min_value=0, max_value=4_000_000_000),
)
def test_our_signature_equals_the_packages_byte_for_byte(raw: bytes, body: str, stamp: int) -> None:
    secret = make_secret(raw)
    # The package replaces the zone instead of converting, so only a UTC datetime means the same instant.
    theirs = Webhook(secret).sign("evt_1", datetime.fromtimestamp(stamp, UTC), body)
    assert signatures([secret], "evt_1", stamp, body.encode())["webhook-signature"] == theirs


def test_during_rotation_a_receiver_with_either_secret_verifies() -> None:
    headers = signatures([NEW, OLD], "evt_1", int(time.time()), BODY)
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret(b"x" * 32)).verify(BODY, headers)
    assert headers["webhook-signature"].count("v1,") == 2


def test_every_element_of_the_list_has_a_comma_so_the_package_never_trips() -> None:
    with pytest.raises(ValueError, match="not enough values"):  # the package's own trap
        Webhook(NEW).verify(
            BODY, signatures([NEW], "e", int(time.time()), BODY) | {"webhook-signature": "v1"}
        )
    for element in signatures([NEW, OLD], "e", 1, BODY)["webhook-signature"].split(" "):
        assert element.partition(",")[0] == "v1"


def test_devotel_header_is_keyed_by_the_secrets_text_new_first() -> None:
    header = signatures([NEW, OLD], "evt_1", 1_715_357_600, BODY)["X-Devotel-Signature"]
    text = b"1715357600." + BODY
    expected = [hmac.new(s.encode(), text, hashlib.sha256).hexdigest() for s in (NEW, OLD)]
    assert header == f"t=1715357600,v1={expected[0]},v1={expected[1]}"


def test_verify_helpers_accept_the_genuine_and_refuse_the_rest() -> None:
    headers = signatures([NEW, OLD], "evt_1", 1000, BODY)
    devotel = headers["X-Devotel-Signature"]
    for secret in (NEW, OLD):
        assert verify_standard(secret, headers, BODY, 1000)
        assert verify_devotel(secret, devotel, BODY, 1000)
    assert verify_standard(NEW, headers, BODY, 1300)
    assert not verify_standard(NEW, headers, BODY, 1301)
    assert not verify_devotel(NEW, devotel, BODY, 699)
    assert not verify_standard(NEW, headers, BODY + b" ", 1000)
    assert not verify_devotel(NEW, devotel, BODY + b" ", 1000)
    assert not verify_standard(NEW, headers | {"webhook-id": "evt_2"}, BODY, 1000)
    assert not verify_devotel(NEW, devotel.replace("t=1000", "t=1001"), BODY, 1000)


@pytest.mark.parametrize("header", ["", "v1", "v1,", "v1,é", "v2,AAAA", " ", "v1a,AAAA", ",", "v1,\x00"])
def test_malformed_signature_headers_are_not_genuine(header: str) -> None:
    headers = signatures([NEW], "evt_1", 1000, BODY) | {"webhook-signature": header}
    assert not verify_standard(NEW, headers, BODY, 1000)
    assert not verify_devotel(NEW, header, BODY, 1000)


@pytest.mark.parametrize("stamp", ["", "x", "-5", "1e3", "١٠٠٠", "9" * 40])
def test_malformed_timestamps_are_not_genuine(stamp: str) -> None:
    headers = signatures([NEW], "evt_1", 1000, BODY) | {"webhook-timestamp": stamp}
    assert not verify_standard(NEW, headers, BODY, 1000)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_AAAA",
        "sk_" + base64.b64encode(b"a" * 32).decode(),
        "whsec_" + base64.b64encode(b"a" * 23).decode(),
        "whsec_" + base64.b64encode(b"a" * 65).decode(),
        "whsec_" + base64.b64encode(b"a" * 32).decode()[:-1],
        "whsec_" + "é" * 40,
    ],
)
def test_wrong_secrets_are_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        secret_key(secret)
    assert refused.value.field == "secret"
    assert refused.value.value is None
    assert not secret or secret not in refused.value.message


@given(st.binary(min_size=24, max_size=64))
def test_secrets_round_trip(raw: bytes) -> None:
    assert secret_key(make_secret(raw)) == raw


def test_the_old_secret_signs_until_its_overlap_ends() -> None:
    assert secrets_in_force(NEW, OLD, 1_000, 999) == (NEW, OLD)
    assert secrets_in_force(NEW, OLD, 1_000, 1_000) == (NEW,)
    assert secrets_in_force(NEW, None, None, 0) == (NEW,)
