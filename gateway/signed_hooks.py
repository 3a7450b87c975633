"""One signed question over the application's own HTTPS address, in the form of a webhook.

Signed as deliveries to per-call addresses are: Standard Webhooks 1.0.0, with the tenant's secret. Each is
asked once; whoever asks sets the deadline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from gateway.webhooks.core.backoff import Answer
from gateway.webhooks.core.events import WebhookEvent, render
from gateway.webhooks.core.signing import secrets_in_force, signatures
from gateway.webhooks.ports import Poster, TenantSecrets, Transactions
from telephony.ids import TenantId

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class SignedHooks:
    """``poster`` keeps whole replies; ``secrets`` gives a tenant's signing secrets in force, the present one
    first; ``now`` epoch seconds; ``new_id`` a fresh id with this prefix."""

    poster: Poster
    secrets: Callable[[TenantId], Awaitable[Sequence[str]]]
    now: Callable[[], float]
    new_id: Callable[[str], str]

    async def ask(
        self, tenant: TenantId, url: str, kind: str, told: Mapping[str, object], *, subject: str = ""
    ) -> Answer:
        """The answer, whatever it is. Raises StorageUnavailable where the secret cannot be read."""
        event_id, now = self.new_id("evt"), self.now()
        moment = datetime.fromtimestamp(now, UTC)
        body = render(WebhookEvent(event_id, kind, moment, subject or event_id, 1, told))
        headers = signatures(await self.secrets(tenant), event_id, int(now), body)
        return await self.poster.post(url, {**headers, "Content-Type": "application/json"}, body)


def secrets_from(
    db: Transactions[C], book: TenantSecrets[C], now: Callable[[], float]
) -> Callable[[TenantId], Awaitable[Sequence[str]]]:
    """A tenant's signing secrets in force, from where webhooks keep them; made where there is none yet."""

    async def secrets(tenant: TenantId) -> Sequence[str]:
        kept = await db.write(lambda conn: book.secret_of(conn, tenant, now()))
        return secrets_in_force(kept.secret, kept.previous_secret, kept.previous_until, now())

    return secrets
