"""One trial account for each kind: its carrier's own language beside the adapter that reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gateway.carriers.plan import ADAPTERS
from gateway.trial.carrier_sim import SPEECHES
from gateway.trial.carrier_speech import Callback, Moment, Report, Speech, Utterance
from proxy_pool.core.text import ReceiptState
from proxy_pool.wire.carrier import Account, Adapter, RawRequest
from telephony.errors import NotAuthenticated

URL = "https://gw.example/v1/proxy/inbound/main"
RECEIPTS_URL = "https://gw.example/v1/proxy/receipts/main"
NOW = 1_772_971_200.0
THEM, US = "+14155552671", "+12025550100"
KINDS = ("twilio", "telnyx", "bandwidth", "vonage", "generic")
TIMED = ("telnyx", "vonage", "generic")
BY_QUERY = ("twilio", "vonage")
SIGNS_BODY = ("twilio", "telnyx", "vonage", "generic")


@dataclass(frozen=True)
class Trial:
    """A carrier's language, and the account and adapter on our side."""

    kind: str
    speech: Speech
    adapter: Adapter
    account: Account

    def utterance(self, body: str = "Is it still there?", **more: Any) -> Utterance:
        return Utterance(**{"id": self.speech.new_id(7, 1), "sender": THEM, "to": US, "body": body, **more})

    def report(self, state: ReceiptState = ReceiptState.DELIVERED, **more: Any) -> Report:
        return Report(self.speech.new_id(7, 2), US, THEM, state, **more)

    def heard(self, text: Utterance | None = None, *, at: float = NOW, method: str = "POST") -> RawRequest:
        moment = Moment(URL, at, "nonce-1", method)
        return raw(self.speech.says(text or self.utterance(), moment))

    def told(self, report: Report, *, at: float = NOW, method: str = "POST") -> RawRequest:
        moment = Moment(RECEIPTS_URL, at, "nonce-2", method)
        return raw(self.speech.reports(report, moment), RECEIPTS_URL)

    def accepts(self, request: RawRequest, *, now: float = NOW, account: Account | None = None) -> bool:
        try:
            self.adapter.verify(request, account or self.account, now)
        except NotAuthenticated:
            return False
        return True

    def with_secrets(self, *texts: str) -> Account:
        """The account with these in place of what proves callbacks."""
        return replace(self.account, values={**self.account.values, PROOF_KEY[self.kind]: texts})


PROOF_KEY = {
    "twilio": "auth_token",
    "telnyx": "public_key",
    "bandwidth": "callback_password",
    "vonage": "signature_secret",
    "generic": "signing_secret",
}
PROOF_HEADERS = {
    "twilio": ("x-twilio-signature",),
    "telnyx": ("telnyx-signature-ed25519", "telnyx-timestamp"),
    "bandwidth": ("authorization",),
    "vonage": (),
    "generic": ("webhook-id", "webhook-timestamp", "webhook-signature"),
}


def raw(callback: Callback, url: str = URL) -> RawRequest:
    """A callback as our door hands it to the adapter."""
    return RawRequest(callback.method, url, callback.query, callback.headers, callback.body)


@lru_cache
def trial(kind: str, seed: int = 1) -> Trial:
    """The trial account of a kind; another seed is another account."""
    speech = SPEECHES[kind](seed)
    values = {name: (value,) for name, value in speech.keys.items()}
    account = Account("main", "https://api.example", values, receipts_url=RECEIPTS_URL)
    return Trial(kind, speech, ADAPTERS[kind], account)
