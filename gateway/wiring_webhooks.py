"""Webhooks, put together: who registers endpoints, and who wakes whoever delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.http.ports import Webhooks
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.storage.webhook_log import SqlDeliveryLog
from gateway.webhooks.core.signing import make_secret
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.service import EndpointService, Makers, Stores


class Wake:
    """Wakes the deliverer, which is made after the store that calls it."""

    def __init__(self) -> None:
        self.to: Deliverer | None = None

    def __call__(self, lanes: Sequence[str]) -> None:
        if self.to is not None:
            self.to.notify(lanes)


@dataclass(frozen=True, slots=True)
class WebhookStores:
    """What is kept of who wants to hear of what."""

    database: Database
    book: SqlEndpointBook
    outbox: SqlOutbox


def webhook_service(
    kept: WebhookStores, deliverer: Deliverer, policy: Policy, secret: bytes, clock: SystemClock
) -> Webhooks:
    """Where tenants say who wants to hear of what."""
    return EndpointService(
        Stores(kept.database, kept.book, SqlDeliveryLog(), kept.outbox),
        Makers(clock, new_id, new_webhook_secret),
        policy,
        Cursors(secret),
        deliverer.notify,
    )


def new_webhook_secret() -> str:
    return make_secret(random_bytes(32))
