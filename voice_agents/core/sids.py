"""Ids in Twilio's spelling: two letters and 32 hexadecimal digits (https://www.twilio.com/docs/glossary/what-is-a-sid).

A call's id is a ULID, which is 128 bits: its sid is the same bits in another alphabet, so that one leads to
the other without a table. A tenant's is a hash: nobody has to find the way back.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from telephony.ids import CallId, TenantId

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, as ULIDs are written (https://github.com/ulid/spec)."""
_VALUE: Final = {letter: value for value, letter in enumerate(_LETTERS)}
_ULID: Final = re.compile(r"call_([0-7][0-9A-HJKMNP-TV-Z]{25})")
_CALL_SID: Final = re.compile(r"CA([0-9a-f]{32})")


def call_sid(call_id: str) -> str:
    """The ``CallSid`` of a call of ours. Raises ``ValueError`` for what is no call's id."""
    found = _ULID.fullmatch(call_id)
    if found is None:
        raise ValueError("not the id of a call")
    number = 0
    for letter in found[1]:
        number = number * 32 + _VALUE[letter]
    return f"CA{number:032x}"


def call_of_sid(sid: str) -> CallId | None:
    """The call whose ``CallSid`` this would be, there or not; None for any other text."""
    found = _CALL_SID.fullmatch(sid)
    if found is None:
        return None
    number = int(found[1], 16)
    letters = []
    for _ in range(26):
        number, rest = divmod(number, 32)
        letters.append(_LETTERS[rest])
    return CallId("call_" + "".join(reversed(letters)))


def account_sid(tenant: TenantId) -> str:
    """The ``AccountSid`` of a tenant."""
    return "AC" + hashlib.sha256(f"account\n{tenant}".encode()).hexdigest()[:32]
