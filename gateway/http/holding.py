"""The numbers a tenant holds, as far as placing calls asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.http.ports import Numbers
from gateway.policy.number_plan import plan_from
from gateway.storage.records import OwnedNumber
from telephony.ids import TenantId
from telephony.numbers import E164

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Holding:
    """A tenant's numbers: all of them where one page holds them (``known``), else what must be asked for.

    ``default`` is the number that calls show which name none: the marked one, else the only one.
    """

    known: Mapping[E164, OwnedNumber] | None
    default: OwnedNumber | None


async def holding_of(numbers: Numbers, tenant: TenantId) -> Holding:
    """Read the tenant's numbers: one page for most, for the default all of them where there are many."""
    page = await numbers.page(tenant, limit=_PAGE)
    first = page.items
    default = _marked(first)
    if page.cursor is None:
        only = first[0] if len(first) == 1 else None
        return Holding({number.number: number for number in first}, default or only)
    while default is None and page.cursor is not None:
        page = await numbers.page(tenant, limit=_PAGE, cursor=page.cursor)
        default = _marked(page.items)
    return Holding(None, default)


def _marked(numbers: tuple[OwnedNumber, ...]) -> OwnedNumber | None:
    return next((number for number in numbers if plan_from(number.route).is_default), None)
