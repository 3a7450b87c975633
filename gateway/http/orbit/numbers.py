"""Owned numbers: add, list, show, change, remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.http.answers import Answer, Plain
from gateway.http.exchange import stamp
from gateway.http.operation import Ask
from gateway.http.orbit.agents import usable_agent
from gateway.http.orbit.audit import note
from gateway.http.orbit.fields import PageQuery, Spoken
from gateway.http.orbit.number_schemas import (
    AddNumber,
    AgentRoute,
    AnnouncementRoute,
    ChangeNumber,
    HoldRoute,
    NumberRoute,
    PhoneRoute,
    RoomsRoute,
    Route,
)
from gateway.http.orbit.placing import announcement
from gateway.http.orbit.views import number_for, page_meta
from gateway.policy.attempt import Target
from gateway.policy.destination import describe
from gateway.policy.number_plan import (
    REJECT_CAUSES,
    InboundRoute,
    NumberPlan,
    ToAgent,
    ToAnnouncement,
    ToHold,
    ToNobody,
    ToNumber,
    ToPhone,
    ToRooms,
    plan_from,
    plan_to,
    shown_route,
)
from gateway.policy.rules import E164_EXPECTED, INVALID_NUMBER, check_target
from gateway.storage.errors import Duplicate
from gateway.storage.records import Json, OwnedNumber
from telephony.errors import Conflict, InvalidInput, NotFound, UnknownReference
from telephony.numbers import E164

_PAGE: Final = 100
_MISSING: Final = "there is no such number"


async def add(ask: Ask) -> Answer:
    """Take a number into the tenant's possession. Raises Conflict when somebody owns it already."""
    wanted: AddNumber = ask.body
    number = _valid_number(wanted.e164, "e164")
    route = None if wanted.route is None else await _route(ask, wanted.route, number)
    plan = NumberPlan(route, wanted.record, _webhook_url(ask, wanted.webhook_url), wanted.is_default)
    owned = OwnedNumber(
        id=ask.resource_id,
        tenant=ask.caller.tenant,
        number=number,
        created_at=ask.exchange.at,
        capabilities=tuple(dict.fromkeys(wanted.capabilities)),
        route=plan_to(plan),
        friendly_name=wanted.friendly_name,
    )
    if not (ask.again and await _there(ask, owned)):
        await _store(ask, owned)
    if plan.is_default:
        await _only_default(ask, owned.id)
    await _tell(ask)
    return Answer(_view(ask, owned))


async def _store(ask: Ask, owned: OwnedNumber) -> None:
    try:
        await ask.face.books.numbers.add(owned)
    except Duplicate:
        raise Conflict("this number is owned already", code="NUMBER_TAKEN") from None
    await note(ask, "number.added", owned.id, {"number": owned.number.masked})


async def _there(ask: Ask, owned: OwnedNumber) -> bool:
    """Whether an attempt that was cut off stored it."""
    return await ask.face.books.numbers.get(owned.tenant, owned.id) is not None


async def list_page(ask: Ask) -> Answer:
    query: PageQuery = ask.query
    page = await ask.face.books.numbers.page(ask.caller.tenant, limit=query.limit, cursor=query.cursor)
    return Answer([_view(ask, number) for number in page.items], page_meta(page))


async def get(ask: Ask) -> Answer:
    return Answer(_view(ask, await _known(ask)))


async def change(ask: Ask) -> Answer:
    """Change what is named; the rest stays."""
    wanted: ChangeNumber = ask.body
    known = await _known(ask)
    if wanted.model_fields_set & {"route", "capabilities"}:
        await _not_in_pool(ask, known)
    route = None if wanted.route is None else await _route(ask, wanted.route, known.number)
    edit = _edit(wanted, route, _webhook_url(ask, wanted.webhook_url))
    changed = await ask.face.books.numbers.change(ask.caller.tenant, known.id, edit)
    if changed is None:
        raise NotFound(_MISSING)
    await note(ask, "number.changed", known.id, {"fields": [*sorted(wanted.model_fields_set)]})
    if wanted.is_default:
        await _only_default(ask, known.id)
    await _tell(ask)
    return Answer(_view(ask, changed))


def _edit(
    wanted: ChangeNumber, route: InboundRoute | None, webhook_url: str | None
) -> Callable[[OwnedNumber], OwnedNumber]:
    """The pure change of a stored number that the request asks for."""
    named = wanted.model_fields_set

    def edit(number: OwnedNumber) -> OwnedNumber:
        plan = plan_from(number.route)
        plan = NumberPlan(
            route=route if "route" in named else plan.route,
            record=plan.record if wanted.record is None else wanted.record,
            webhook_url=webhook_url if "webhook_url" in named else plan.webhook_url,
            is_default=plan.is_default if wanted.is_default is None else wanted.is_default,
        )
        capabilities = number.capabilities
        if wanted.capabilities is not None:
            capabilities = tuple(dict.fromkeys(wanted.capabilities))
        name = number.friendly_name if wanted.friendly_name is None else wanted.friendly_name
        stored = {**_unknown_to_us(number), **plan_to(plan)}
        return replace(number, capabilities=capabilities, friendly_name=name, route=stored)

    return edit


def _unknown_to_us(number: OwnedNumber) -> dict[str, Json]:
    """What the route book reads and this face does not set: kept as it is."""
    kept = ("ring_timeout", "max_duration")
    return {name: value for name, value in (number.route or {}).items() if name in kept}


async def remove(ask: Ask) -> Plain:
    """Give the number up; calls to it are refused from now on."""
    known = await _known(ask)
    await _not_in_pool(ask, known)
    if await ask.face.books.numbers.remove(ask.caller.tenant, known.id, ask.exchange.at) is None:
        raise NotFound(_MISSING)
    await note(ask, "number.removed", known.id, {"number": known.number.masked})
    await _tell(ask)
    return Plain(b"", b"")


async def _tell(ask: Ask) -> None:
    """Whoever remembers numbers looks again."""
    ask.face.recent.forget_numbers()
    await ask.face.numbers_changed()


async def _known(ask: Ask) -> OwnedNumber:
    number = await ask.face.books.numbers.get(ask.caller.tenant, ask.path["number_id"])
    if number is None:
        raise NotFound(_MISSING)
    return number


async def _not_in_pool(ask: Ask, number: OwnedNumber) -> None:
    """Raises Conflict for a number that serves as a proxy: its callers must not meet somebody else."""
    masking = ask.face.masking
    if masking is not None and await masking.pool_number(number.tenant, number.id) is not None:
        raise Conflict("the number serves as a proxy; take it out of the pool first", code="NUMBER_IN_POOL")


async def _only_default(ask: Ask, number_id: str) -> None:
    """Take the mark from every other number of the tenant."""

    def unmark(number: OwnedNumber) -> OwnedNumber:
        stored = dict(number.route or {}) | {"is_default": False}
        return replace(number, route=stored)

    books, tenant, cursor = ask.face.books, ask.caller.tenant, None
    while True:
        page = await books.numbers.page(tenant, limit=_PAGE, cursor=cursor)
        for number in page.items:
            if number.id != number_id and plan_from(number.route).is_default:
                await books.numbers.change(tenant, number.id, unmark)
        if page.cursor is None:
            return
        cursor = page.cursor


def _valid_number(text: str, field: str) -> E164:
    destination = describe(text)
    if destination.number is None or not destination.valid or destination.emergency:
        raise InvalidInput(
            "no such number in the numbering plan", field=field, expected=E164_EXPECTED, code=INVALID_NUMBER
        )
    return destination.number


def _webhook_url(ask: Ask, url: str | None) -> str | None:
    return None if url is None else ask.face.webhooks.check_url(url, "webhook_url")


async def _route(ask: Ask, wanted: Route, own: E164) -> InboundRoute:
    """The route as it is stored: numbers judged, phones known, texts spoken now."""
    match wanted:
        case PhoneRoute(phone=phone):
            if not ask.face.phones.knows(ask.caller.tenant, phone):
                raise UnknownReference(
                    "the route names no phone", field="route.phone", value=phone, expected="a phone's name"
                )
            return ToPhone(phone)
        case NumberRoute(number=number):
            return await _to_number(ask, number, own)
        case AnnouncementRoute(text=text, voice=voice):
            spoken = Spoken(text=text, voice=voice)
            made = await announcement(ask.face.prompts, ask.caller.tenant, spoken, "route")
            return ToAnnouncement(text, made.sound, voice)
        case HoldRoute():
            return ToHold()
        case AgentRoute(agent_id=agent_id):
            return ToAgent((await usable_agent(ask, agent_id, "route.agent_id")).id)
        case RoomsRoute(language=language):
            return ToRooms(language)
        case _:
            cause = wanted.cause
            return ToNobody(int(REJECT_CAUSES[cause] if isinstance(cause, str) else cause))


async def _to_number(ask: Ask, text: str, own: E164) -> ToNumber:
    destination = describe(text)
    number, tenant = destination.number, ask.caller.tenant
    ours = number is not None and (
        number == own or await ask.face.books.numbers.find_owned(tenant, number) is not None
    )
    check_target(Target("route.number", destination, ours), await ask.face.limits.of(tenant))
    assert number is not None
    return ToNumber(number)


def _view(ask: Ask, number: OwnedNumber) -> dict[str, Json]:
    plan = plan_from(number.route)
    digits = number.number.reveal()
    route = shown_route(plan.route)
    if isinstance(route, dict) and isinstance(route.get("number"), str):
        route["number"] = number_for(ask.caller, str(route["number"]))
    return {
        "id": number.id,
        "e164": number_for(ask.caller, digits),
        "friendly_name": number.friendly_name,
        "capabilities": list(number.capabilities),
        "route": route,
        "record": plan.record,
        "webhook_url": plan.webhook_url,
        "is_default": plan.is_default,
        "country": describe(digits).region,
        "created_at": stamp(number.created_at),
    }
