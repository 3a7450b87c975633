"""The pool: how full it is and will be, and which of the owned numbers serve as proxies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import phonenumbers

from gateway.http.answers import Answer, Plain
from gateway.http.operation import Ask
from gateway.http.orbit.proxy_desk import desk, noted
from gateway.http.orbit.proxy_schemas_pool import AddPoolNumber, ChangePoolNumber, ForecastQuery
from gateway.http.orbit.proxy_shown import shown_forecast, shown_pool, shown_pool_number
from gateway.policy.destination import describe
from gateway.policy.rules import E164_EXPECTED, INVALID_NUMBER
from gateway.storage.records import OwnedNumber
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.session import Channel
from proxy_pool.desk import NumberChange, WhatIf
from telephony.errors import InvalidInput, NotFound, UnknownReference
from telephony.numbers import E164

_MISSING: Final = "there is no such number in the pool"


async def pool(ask: Ask) -> Answer:
    return Answer(shown_pool(await desk(ask).pool(ask.caller.tenant)))


async def forecast(ask: Ask) -> Answer:
    """How full the pool will be, as things go or as is supposed."""
    query: ForecastQuery = ask.query
    supposed = WhatIf(query.sessions_factor, query.ttl, query.quarantine, query.extra_numbers)
    return Answer(shown_forecast(await desk(ask).forecast(ask.caller.tenant, supposed)))


async def add(ask: Ask) -> Answer:
    """Take one of the tenant's own numbers into the pool."""
    wanted: AddPoolNumber = ask.body
    masking = desk(ask)
    owned = await _owned(ask, wanted)
    capabilities = _within(owned, wanted.capabilities)
    carrier = _known_carrier(ask, wanted.carrier)
    if ask.again and (made := await masking.pool_number(owned.tenant, owned.id)) is not None:
        return Answer(shown_pool_number(made))
    country, area = place_of(owned.number)
    number = PoolNumber(
        id=owned.id,
        tenant=owned.tenant,
        number=owned.number,
        index=0,
        country=country,
        area=area,
        capabilities=capabilities,
        use=Use(wanted.use),
        reserved=wanted.reserved,
        carrier=carrier or "",
    )
    added = await masking.add_number(number)
    await noted(ask, "pool.number_added", added.id, {"number": added.number.masked, "use": added.use.value})
    return Answer(shown_pool_number(added))


async def change(ask: Ask) -> Answer:
    """Change what is named; the rest stays."""
    wanted: ChangePoolNumber = ask.body
    masking, tenant, number_id = desk(ask), ask.caller.tenant, ask.path["number_id"]
    owned = await ask.face.books.numbers.get(tenant, number_id)
    if owned is None:
        raise NotFound(_MISSING)
    capabilities = None if wanted.capabilities is None else _within(owned, wanted.capabilities)
    carrier = _known_carrier(ask, wanted.carrier)
    if carrier is None and "carrier" in wanted.model_fields_set:
        carrier = ""
    change = NumberChange(
        use=None if wanted.use is None else Use(wanted.use),
        reserved=wanted.reserved,
        suspended=wanted.suspended,
        carrier=carrier,
        capabilities=capabilities,
    )
    changed = await masking.change_number(tenant, number_id, change)
    await noted(ask, "pool.number_changed", changed.id, {"fields": [*sorted(wanted.model_fields_set)]})
    return Answer(shown_pool_number(changed))


async def remove(ask: Ask) -> Plain:
    """Take the number out of the pool; it stays the tenant's own."""
    removed = await desk(ask).remove_number(ask.caller.tenant, ask.path["number_id"])
    await noted(ask, "pool.number_removed", removed.id, {"number": removed.number.masked})
    return Plain(b"", b"")


def place_of(number: E164) -> tuple[str, str]:
    """Country (ISO 3166 alpha-2) and national destination code, empty where the number has none.

    >>> place_of(E164("+14155552671"))
    ('US', '415')
    >>> place_of(E164("+442071838750"))
    ('GB', '20')
    >>> place_of(E164("+88213123456"))
    ('', '')
    """
    region = describe(number.reveal()).region
    if region is None or not region.isalpha():
        return "", ""
    parsed = phonenumbers.parse(number.reveal(), None)
    length = phonenumbers.length_of_national_destination_code(parsed)
    return region, phonenumbers.national_significant_number(parsed)[:length]


async def _owned(ask: Ask, wanted: AddPoolNumber) -> OwnedNumber:
    numbers, tenant = ask.face.books.numbers, ask.caller.tenant
    field = "e164" if wanted.number_id is None else "number_id"
    if wanted.number_id is not None:
        owned = await numbers.get(tenant, wanted.number_id)
    else:
        number = describe(wanted.e164 or "").number
        if number is None:
            raise InvalidInput(
                "not a number in E.164 form", field=field, expected=E164_EXPECTED, code=INVALID_NUMBER
            )
        owned = await numbers.find_owned(tenant, number)
    if owned is None:
        raise UnknownReference(
            "this number is not yours", field=field, expected="one of your numbers", code="NUMBER_NOT_OWNED"
        )
    return owned


def _within(owned: OwnedNumber, wanted: Sequence[str] | None) -> frozenset[Channel]:
    """What the number shall do in the pool; never more than it can."""
    beyond = set(wanted or ()) - set(owned.capabilities)
    if beyond:
        raise InvalidInput(
            "the number itself cannot do this",
            field="capabilities",
            value=min(beyond),
            expected=", ".join(owned.capabilities),
        )
    return frozenset(Channel(word) for word in wanted or owned.capabilities)


def _known_carrier(ask: Ask, name: str | None) -> str | None:
    carriers = ask.face.carriers
    if name is not None and (carriers is None or not carriers.knows(name)):
        raise UnknownReference(
            "no such carrier is configured", field="carrier", value=name, expected="a configured carrier"
        )
    return name
