"""Samples in the carriers' documented shapes, proved by the openssl program; and the vectors they publish."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from gateway.carriers.plan import ADAPTERS
from proxy_pool.core.text import InboundText, Receipt
from proxy_pool.wire.carrier import Account, RawRequest, Told
from telephony.errors import NotAuthenticated
from tests.unit.proxy_pool.wire.trial_accounts import trial

pytestmark = pytest.mark.unit
SAMPLES = sorted((Path(__file__).parents[3] / "data" / "carriers").glob("*.json"))
every_sample = pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)


def read(file: Path) -> tuple[dict[str, Any], RawRequest, Account]:
    sample = json.loads(file.read_text("utf-8"))
    given = sample["request"]
    request = RawRequest(
        given["method"], given["url"], given["query"], given["headers"], given["body"].encode("utf-8")
    )
    secrets = {name: tuple(values) for name, values in sample["secrets"].items()}
    return sample, request, Account("main", "", secrets)


def shown(told: Told) -> dict[str, Any]:
    """As the samples write it: what is empty is left out."""
    match told:
        case InboundText():
            part = None if told.part is None else [told.part.reference, told.part.total, told.part.number]
            whole = {
                "id": told.message_id,
                "from": told.sender,
                "to": told.to.reveal(),
                "body": told.body,
                "sent_at": told.sent_at,
                "media": [[one.url, one.content_type] for one in told.media],
                "part": part,
                "opt_out": told.opt_out,
            }
            return {"text": {name: value for name, value in whole.items() if value not in (None, [], "")}}
        case Receipt():
            whole = {"id": told.message_id, "state": told.state, "error": told.error, "at": told.at}
            return {"receipt": {name: value for name, value in whole.items() if value not in (None, "")}}
        case _:
            return {"ignored": told.reason}


def test_there_are_samples_of_every_kind():
    assert {read(file)[0]["kind"] for file in SAMPLES} == set(ADAPTERS)


@every_sample
def test_a_sample_is_genuine_and_says_what_it_should(file: Path):
    sample, request, account = read(file)
    adapter = ADAPTERS[sample["kind"]]
    adapter.verify(request, account, sample["now"])
    assert [shown(told) for told in adapter.parse(request, "main")] == sample["expected"]


@every_sample
def test_a_sample_is_refused_with_other_secrets(file: Path):
    sample, request, account = read(file)
    others = {
        name: values if name == "signature_method" else tuple(value[::-1] for value in values)
        for name, values in account.values.items()
    }
    with pytest.raises(NotAuthenticated):
        ADAPTERS[sample["kind"]].verify(request, Account("main", "", others), sample["now"])


@pytest.mark.parametrize(
    ("caller", "signature"),
    [("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="), ("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")],
)
def test_the_vector_that_twilio_publishes(caller: str, signature: str):
    """twilio.com/docs/usage/security, with the auth token 12345."""
    fields = {"CallSid": "CA1234567890ABCDE", "Caller": caller, "Digits": "1234", "From": caller}
    body = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in fields.items())
    request = RawRequest(
        "POST",
        "https://mycompany.com/myapp.php",
        "foo=1&bar=2",
        {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"},
        f"{body}&To=%2B18005551212".encode(),
    )
    account = Account("main", "", {"auth_token": ("12345",)})
    ADAPTERS["twilio"].verify(request, account, 0.0)
    with pytest.raises(NotAuthenticated):
        ADAPTERS["twilio"].verify(request, Account("main", "", {"auth_token": ("12346",)}), 0.0)


@pytest.mark.parametrize(
    ("method", "sig"),
    [
        ("md5hash", "6af838ef94998832dbfc29020b564830"),
        ("sha256hmac", "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24"),
    ],
)
def test_the_vectors_that_vonage_publishes(method: str, sig: str):
    """The signed parameters of the carrier's own libraries' tests, with the secret ``secret``."""
    request = RawRequest("GET", "https://gw.example/in", f"a=1&b=2&timestamp=1461605396&sig={sig}")
    account = Account("main", "", {"signature_secret": ("secret",), "signature_method": (method,)})
    ADAPTERS["vonage"].verify(request, account, 1461605396.0)


def test_the_standard_webhooks_library_signs_what_we_accept():
    t = trial("generic")
    body, at = '{"type":"message.received"}', datetime(2026, 3, 8, 12, tzinfo=UTC)
    signature = Webhook(t.account.one("signing_secret")).sign("msg_1", at, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    assert t.accepts(RawRequest("POST", "https://x/", "", headers, body.encode()), now=at.timestamp())


@pytest.mark.parametrize(("body", "good"), [(b'{"a":1}', True), (b'{"a":2}', False)])
def test_twilio_signs_a_json_body_by_its_digest(body: bytes, good: bool):
    t = trial("twilio")
    digest = hashlib.sha256(b'{"a":1}').hexdigest()
    url = f"https://gw.example/in?bodySHA256={digest}"
    signature = hmac.digest(t.account.one("auth_token").encode(), url.encode(), "sha1")
    headers = {
        "content-type": "application/json",
        "x-twilio-signature": base64.b64encode(signature).decode(),
    }
    request = RawRequest("POST", "https://gw.example/in", f"bodySHA256={digest}", headers, body)
    assert t.accepts(request) is good
    without = RawRequest("POST", "https://gw.example/in", "", headers, body)
    assert not t.accepts(without)
