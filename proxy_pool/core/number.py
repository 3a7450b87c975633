"""Numbers that serve as proxies, and what a session wants of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy_pool.core.session import Channel
from telephony.ids import TenantId
from telephony.numbers import E164


class Use(StrEnum):
    """What a pool number is for; fixed while anything is live or quarantined on it.

    On a number of ``pairs`` only participants are let in, so a stranger can never reach anybody by it.
    """

    PAIRS = "pairs"
    ANYONE = "anyone"
    EXTENSIONS = "extensions"


@dataclass(frozen=True, slots=True)
class PoolNumber:
    """An owned number in the pool. ``index`` is its small, stable integer within the tenant.

    ``country`` is ISO 3166 alpha-2, ``area`` the national destination code (``415``), both from the number
    itself. A ``reserved`` number is only taken when it is asked for by name, a ``suspended`` one never anew.
    """

    id: str
    tenant: TenantId
    number: E164
    index: int
    country: str
    area: str
    capabilities: frozenset[Channel]
    use: Use = Use.PAIRS
    reserved: bool = False
    suspended: bool = False
    carrier: str = ""
    """The configured carrier its texts go over; empty where it has none."""


class Geo(StrEnum):
    """How far the choice may be relaxed when the wished-for numbers are used up, in this order."""

    AREA = "area"
    """Country and area must match, or it fails."""
    COUNTRY = "country"
    """The area is a wish, the country must match."""
    ANY = "any"
    """Country and area are wishes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one side of a session wants of its proxy number. Empty texts want nothing in particular."""

    key: str
    capabilities: frozenset[Channel]
    use: Use = Use.PAIRS
    country: str = ""
    area: str = ""
    geo: Geo = Geo.COUNTRY
    number: E164 | None = None
    """This one and no other; may be a reserved one."""
    prefer: E164 | None = None
    """This one if it is free (what the same two people had before)."""
    avoid: E164 | None = None
