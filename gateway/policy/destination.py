"""What a number is, by the numbering plans of libphonenumber: region, kind, valid, emergency.

Parsed in full here only, at the edge of the API; further in, a number is an ``E164``. The NANP's
Caribbean members are regions of their own (``+1876`` is JM, not US).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType, shortnumberinfo

from telephony.errors import InvalidInput
from telephony.numbers import E164, mask


class Kind(StrEnum):
    """What is billed behind a number, as far as the numbering plan tells."""

    FIXED = "fixed_line"
    MOBILE = "mobile"
    FIXED_OR_MOBILE = "fixed_line_or_mobile"
    TOLL_FREE = "toll_free"
    VOIP = "voip"
    PREMIUM = "premium_rate"
    SHARED_COST = "shared_cost"
    PERSONAL = "personal_number"
    PAGER = "pager"
    UAN = "universal_access_number"
    VOICEMAIL = "voicemail_access"
    SATELLITE = "satellite"
    UNKNOWN = "unknown"


_KINDS: Final[dict[int, Kind]] = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.UAN,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
}
SATELLITE_CODES: Final = frozenset({870, 878, 881, 882, 883})
"""Inmarsat, universal personal numbers, GMSS and the international networks (ITU-T E.164, shared codes)."""
PREMIUM_CODES: Final = frozenset({808, 979})
"""International shared cost and international premium rate."""
EMERGENCY: Final = frozenset(
    {"000", "1122", "1669", "901", "902", "903", "911", "933", "988", "998", "999"}
    | {str(n) for n in (*range(100, 105), 106, 108, *range(110, 120), 122, 123, 131, 133, 144, 155, 158)}
    | {str(n) for n in (*range(190, 200), *range(990, 994), 995, 997)}
)
"""Emergency and crisis services the world over; none is ever reached through this gateway."""
_SHORTEST_E164: Final = 7
_LONGEST_EMERGENCY: Final = 6
"""No emergency number of any country is longer; asking all the regions of +1 takes a millisecond."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A number that somebody wants to reach or to show. ``number`` is None if it is not E.164 at all.

    ``region`` is the ISO 3166 code, ``001`` for numbers of no country, None where nobody can say.
    """

    number: E164 | None
    region: str | None = None
    kind: Kind = Kind.UNKNOWN
    valid: bool = False
    emergency: bool = False
    masked: str = ""

    @property
    def costly(self) -> bool:
        """Whether the caller pays more than the plain price of the country."""
        return self.kind in COSTLY


COSTLY: Final = frozenset(
    {
        Kind.PREMIUM,
        Kind.SHARED_COST,
        Kind.PERSONAL,
        Kind.PAGER,
        Kind.UAN,
        Kind.VOICEMAIL,
        Kind.SATELLITE,
    }
)


@lru_cache(maxsize=8192)
def describe(text: str) -> Destination:
    """What ``text`` is. Never raises: what is no number gives ``number=None``."""
    if not text.isascii():
        return Destination(None, masked=mask(text))
    try:
        number = E164(text)
    except InvalidInput:
        return Destination(None, emergency=_short_emergency(text), masked=mask(text))
    try:
        parsed = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return Destination(number, masked=number.masked)
    type_ = phonenumbers.number_type(parsed)
    return Destination(
        number=number,
        region=phonenumbers.region_code_for_number(parsed),
        kind=_kind(parsed.country_code, type_),
        valid=type_ != PhoneNumberType.UNKNOWN,
        emergency=_emergency_at(parsed.country_code or 0, str(parsed.national_number)),
        masked=number.masked,
    )


def _kind(country_code: int | None, type_: int) -> Kind:
    if country_code in SATELLITE_CODES:
        return Kind.SATELLITE
    if country_code in PREMIUM_CODES:
        return Kind.PREMIUM
    return _KINDS.get(type_, Kind.UNKNOWN)


def _short_emergency(text: str) -> bool:
    """Whether digits too short for E.164 are an emergency number, with or without a country code."""
    digits = text.strip().removeprefix("+").replace(" ", "").replace("-", "")
    if not digits.isdigit() or len(digits) > _SHORTEST_E164:
        return False
    if digits in EMERGENCY:
        return True
    return any(_emergency_at(int(digits[:size]), digits[size:]) for size in (1, 2, 3) if len(digits) > size)


def _emergency_at(country_code: int, national: str) -> bool:
    if len(national) > _LONGEST_EMERGENCY:
        return False
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(country_code, ())
    return any(bool(shortnumberinfo.is_emergency_number(national, region)) for region in regions)
