"""Names: of rooms at the media server, of people in rooms.

Scheduled rooms and ad-hoc rooms share one media server with every other tenant's: a name carries its tenant,
and nobody can ask for a name of another tenant's, for their own prefix is always put before it. A scheduled
room's name cannot be guessed either, and is new for each live session.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from telephony.ids import TenantId
from telephony.numbers import mask_text

SCHEDULED: Final = "vr_"
_ADHOC: Final = "tenant_"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TENANT: Final = re.compile(r"[a-z]{2,5}_[A-Za-z0-9]+")
_NUMBER: Final = re.compile(r"(?:tel:|sips?:)?\+?[0-9]{7,15}(?:@.*)?")
_IN_TEXT: Final = re.compile(r"\+[0-9][0-9 ().-]{5,20}[0-9]")
_LONG_CODES: Final = re.compile(r"2[078]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
"""Country codes of two digits (ITU-T E.164, list of assigned codes); 1 and 7 have one digit, others three."""


def live_name(tenant: TenantId, token: str) -> str:
    """A scheduled room's name at the media server. ``token``: letters that nobody can guess.

    >>> live_name(TenantId("ten_a"), "x9Z")
    'vr_ten_a_x9Z'
    """
    return f"{SCHEDULED}{_of(tenant)}_{token}"


def is_ours(name: str) -> bool:
    """Whether a room at the media server may be a scheduled room's."""
    return name.startswith(SCHEDULED)


def prefix(tenant: TenantId) -> str:
    """What the tenant's ad-hoc rooms begin with. No tenant's prefix begins another one's.

    >>> prefix(TenantId("ten_a"))
    'tenant_ten_a_'
    """
    return f"{_ADHOC}{_of(tenant)}_"


def wire_name(tenant: TenantId, name: str) -> str:
    """The media server's name of the tenant's ad-hoc room, asked for with the prefix or without. A foreign
    prefix is no prefix: such a name is the tenant's own.

    >>> wire_name(TenantId("ten_a"), "sync"), wire_name(TenantId("ten_a"), "tenant_ten_b_sync")
    ('tenant_ten_a_sync', 'tenant_ten_a_tenant_ten_b_sync')
    """
    own = prefix(tenant)
    return name if name.startswith(own) and len(name) > len(own) else own + name


def bare_name(tenant: TenantId, wire: str) -> str | None:
    """The ad-hoc name without its prefix; None for a room that is not this tenant's."""
    own = prefix(tenant)
    return wire[len(own) :] if wire.startswith(own) else None


def is_url_safe(name: str) -> bool:
    return _BARE.fullmatch(name) is not None


def _of(tenant: TenantId) -> str:
    """The tenant's id as it is, where it has one underscore; else letters made of it: with more, one tenant's
    prefix might begin another one's."""
    if _TENANT.fullmatch(tenant) is not None:
        return tenant
    return "x" + hashlib.sha256(tenant.encode()).hexdigest()[:24]


def number_shown(digits: str) -> str:
    """How a room sees a telephone number (E.164 with plus): its country, and the end.

    >>> number_shown("+447700900123"), number_shown("+14155552671"), number_shown("+35312345678")
    ('+44 •••• 0123', '+1 •••• 2671', '+353 •••• 5678')
    """
    plain = "".join(one for one in digits if one.isdigit())
    if not digits.startswith("+") or len(plain) < 8:
        return "••••"
    length = 1 if plain[0] in "17" else 2 if _LONG_CODES.match(plain) else 3
    return f"+{plain[:length]} •••• {plain[-4:]}"


def shown(name: str) -> str:
    """A person's name with every telephone number in it masked: names are seen by the whole room.

    >>> shown("Ann"), shown("Ann +44 7700 900123"), shown("07700 900123")
    ('Ann', 'Ann +44 •••• 0123', '0770••••••23')
    """
    return mask_text(plain(name))


def plain(text: str) -> str:
    """A text in which every number with its country code is masked; other digits stay: ids, addresses.

    >>> plain("https://a.example/20260510/+447700900123")
    'https://a.example/20260510/+44 •••• 0123'
    """
    return _IN_TEXT.sub(lambda found: number_shown(found.group()), text)


def identity_shown(identity: str) -> str:
    """An identity for events and logs: as it is, unless it is a telephone number.

    >>> identity_shown("user_2026051012"), identity_shown("+447700900123")
    ('user_2026051012', '+44 •••• 0123')
    """
    if _NUMBER.fullmatch(identity) is None:
        return identity
    digits = "".join(one for one in identity.partition("@")[0] if one.isdigit())
    return number_shown("+" + digits)
