"""Registered webhook endpoints, what was sent to them, and the secrets that sign it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gateway.http.answers import Answer, Plain
from gateway.http.exchange import epoch_stamp
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.fields import Moment, PageQuery, Url
from gateway.http.orbit.views import page_meta
from gateway.http.ports import EndpointChange, NewEndpoint
from gateway.http.schema import OneLine, Shown, Strict
from gateway.storage.records import Json
from gateway.webhooks.ports import DeliveryFilter, DeliveryView, Endpoint

EventName = Annotated[OneLine, Field(min_length=1, max_length=60)]
Events = Annotated[list[EventName], Field(min_length=1, max_length=100)]
Description = Annotated[OneLine, Field(max_length=200)]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class CreateWebhook(Strict):
    """A receiver for events."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks", "events": ["call.completed"]}]}
    )

    url: Url = Field(description="Where events are posted: https, a public host.")
    events: Events = Field(description='Names of events, or ["*"] for all.')
    description: Description = ""
    secret: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="`whsec_` and base64 of 24 to 64 bytes; made for you if left out."
    )


class ReplaceWebhook(Strict):
    """All that can be changed about a receiver."""

    url: Url
    events: Events
    description: Description = ""
    active: bool = True


class ChangeWebhook(Strict):
    """What shall be different; what is left out stays."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    active: bool | None = None


class ListDeliveries(PageQuery):
    """Which deliveries."""

    status: DeliveryStatus | None = None
    subject: Annotated[str, Field(min_length=1, max_length=80)] | None = Field(
        default=None, description="The call that the events are about."
    )


class ReplayFailed(Strict):
    """Which deliveries to send again."""

    since: Moment = Field(description="Those created at this time or later.")


class WebhookShown(Shown):
    """A receiver. `signing_secret` is there in the answer that made or rotated it, never again."""

    id: str
    url: str
    events: list[str]
    description: str
    active: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str
    signing_secret: str | None


class DeliveryShown(Shown):
    """One event on its way to one receiver."""

    id: str
    webhook_id: str | None
    event_id: str
    event_type: str
    url: str
    subject: str
    sequence: int
    status: DeliveryStatus
    attempts: int
    created_at: str
    next_attempt_at: str | None
    last_attempt_at: str | None
    delivered_at: str | None
    response_status: int | None
    response_excerpt: str
    note: str
    took_ms: int | None


class TestShown(Shown):
    """The test event that is on its way."""

    delivery_id: str


class ReplayedShown(Shown):
    """How many deliveries are on their way again."""

    replayed: int


class SecretShown(Shown):
    """The secret that signs events to URLs given with a call."""

    signing_secret: str | None
    previous_valid_until: str | None


async def create(ask: Ask) -> Answer:
    wanted: CreateWebhook = ask.body
    if ask.again and (made := await _made_before(ask, wanted)):
        return Answer(_view(made))
    new = NewEndpoint(wanted.url, tuple(wanted.events), wanted.description, wanted.secret)
    endpoint = await ask.face.webhooks.create(ask.caller.tenant, new)
    await note(ask, "webhook.created", endpoint.id, {})
    return Answer(_view(endpoint, secret=True))


async def _made_before(ask: Ask, wanted: CreateWebhook) -> Endpoint | None:
    """The receiver that a cut-off attempt made, looked for among the newest. Its secret stays hidden."""
    url = ask.face.webhooks.check_url(wanted.url, "url")
    newest = await ask.face.webhooks.page(ask.caller.tenant, limit=100)
    same = (e for e in newest.items if (e.url, e.description) == (url, wanted.description))
    return next(same, None)


async def list_page(ask: Ask) -> Answer:
    query: PageQuery = ask.query
    page = await ask.face.webhooks.page(ask.caller.tenant, limit=query.limit, cursor=query.cursor)
    return Answer([_view(endpoint) for endpoint in page.items], page_meta(page))


async def get(ask: Ask) -> Answer:
    return Answer(_view(await ask.face.webhooks.get(ask.caller.tenant, ask.path["webhook_id"])))


async def replace_all(ask: Ask) -> Answer:
    wanted: ReplaceWebhook = ask.body
    change = EndpointChange(wanted.url, tuple(wanted.events), wanted.description, wanted.active)
    return await _change(ask, change)


async def change_some(ask: Ask) -> Answer:
    wanted: ChangeWebhook = ask.body
    events = None if wanted.events is None else tuple(wanted.events)
    return await _change(ask, EndpointChange(wanted.url, events, wanted.description, wanted.active))


async def _change(ask: Ask, change: EndpointChange) -> Answer:
    endpoint = await ask.face.webhooks.change(ask.caller.tenant, ask.path["webhook_id"], change)
    await note(ask, "webhook.changed", endpoint.id, {})
    return Answer(_view(endpoint))


async def remove(ask: Ask) -> Plain:
    await ask.face.webhooks.remove(ask.caller.tenant, ask.path["webhook_id"])
    await note(ask, "webhook.removed", ask.path["webhook_id"], {})
    return Plain(b"", b"")


async def rotate_secret(ask: Ask) -> Answer:
    """A new secret; the old one signs beside it for a while."""
    endpoint = await ask.face.webhooks.rotate_secret(ask.caller.tenant, ask.path["webhook_id"])
    await note(ask, "webhook.secret_rotated", endpoint.id, {})
    return Answer(_view(endpoint, secret=True))


async def test(ask: Ask) -> Answer:
    """Send ``webhook.test``."""
    delivery_id = await ask.face.webhooks.test(ask.caller.tenant, ask.path["webhook_id"])
    return Answer({"delivery_id": delivery_id})


async def deliveries_of(ask: Ask) -> Answer:
    """What was sent to one receiver."""
    webhook_id = ask.path["webhook_id"]
    await ask.face.webhooks.get(ask.caller.tenant, webhook_id)
    return await _deliveries(ask, webhook_id)


async def deliveries(ask: Ask) -> Answer:
    """What was sent to anybody, URLs given with a call included."""
    return await _deliveries(ask, None)


async def _deliveries(ask: Ask, webhook_id: str | None) -> Answer:
    query: ListDeliveries = ask.query
    wanted = DeliveryFilter(endpoint_id=webhook_id, status=query.status, subject=query.subject)
    page = await ask.face.webhooks.deliveries(
        ask.caller.tenant, wanted, limit=query.limit, cursor=query.cursor
    )
    return Answer([_delivery_view(delivery) for delivery in page.items], page_meta(page))


async def replay(ask: Ask) -> Answer:
    """Send a delivery again, as new."""
    await ask.face.webhooks.replay(ask.caller.tenant, ask.path["delivery_id"])
    return Answer({"delivery_id": ask.path["delivery_id"]})


async def replay_failed(ask: Ask) -> Answer:
    """Send again what a receiver never took."""
    wanted: ReplayFailed = ask.body
    service = ask.face.webhooks
    count = await service.replay_failed(ask.caller.tenant, ask.path["webhook_id"], wanted.since)
    return Answer({"replayed": count})


async def tenant_secret(ask: Ask) -> Answer:
    secret = await ask.face.webhooks.tenant_secret(ask.caller.tenant)
    text = None if secret.shown else secret.secret
    return Answer({"signing_secret": text, "previous_valid_until": epoch_stamp(secret.previous_until)})


async def rotate_tenant_secret(ask: Ask) -> Answer:
    secret = await ask.face.webhooks.rotate_tenant_secret(ask.caller.tenant)
    await note(ask, "webhook.tenant_secret_rotated", ask.caller.tenant, {})
    return Answer(
        {"signing_secret": secret.secret, "previous_valid_until": epoch_stamp(secret.previous_until)}
    )


def _view(endpoint: Endpoint, *, secret: bool = False) -> dict[str, Json]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "active": endpoint.active,
        "disabled_reason": endpoint.disabled_reason,
        "created_at": epoch_stamp(endpoint.created_at),
        "updated_at": epoch_stamp(endpoint.updated_at),
        "signing_secret": endpoint.secret if secret else None,
    }


def _delivery_view(delivery: DeliveryView) -> dict[str, Json]:
    return {
        "id": delivery.id,
        "webhook_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "url": delivery.url,
        "subject": delivery.subject,
        "sequence": delivery.sequence,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "created_at": epoch_stamp(delivery.created_at),
        "next_attempt_at": epoch_stamp(delivery.next_at),
        "last_attempt_at": epoch_stamp(delivery.last_at),
        "delivered_at": epoch_stamp(delivery.delivered_at),
        "response_status": delivery.last_status,
        "response_excerpt": delivery.last_excerpt,
        "note": delivery.last_note,
        "took_ms": delivery.took_ms,
    }
