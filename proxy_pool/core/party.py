"""Who takes part in a masking session, and by which word the look-up knows who is dialling.

A **key** is what stands for the dialling side in the one invariant: a live or quarantined (tenant, key,
proxy number) belongs to one session. A known number is its E.164 text, a registered phone is
``phone:alice``; a session open to everybody has ``*``, an extension is ``ext:204``, a PIN ``pin:480213``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from telephony.numbers import E164

ANYONE: Final = "*"
PHONE: Final = "phone:"
EXTENSION: Final = "ext:"
PIN: Final = "pin:"


@dataclass(frozen=True, slots=True)
class PhoneParty:
    """A softphone registered at the switch, by its configured name."""

    name: str


Party = E164 | PhoneParty
"""A person in a session. An agent joins this union where agents exist."""


def key_of(party: Party) -> str:
    """The key of a party who dials from its own line.

    >>> key_of(PhoneParty("alice"))
    'phone:alice'
    """
    return f"{PHONE}{party.name}" if isinstance(party, PhoneParty) else party.reveal()


def party_of(key: str) -> Party:
    """The party of a stored key. Raises InvalidInput for a key that is nobody's line."""
    return PhoneParty(key.removeprefix(PHONE)) if key.startswith(PHONE) else E164(key)


def shown(party: Party, *, whole: bool) -> str:
    """A party for people: a number is masked unless the reader may see whole numbers."""
    if isinstance(party, PhoneParty):
        return f"{PHONE}{party.name}"
    return party.reveal() if whole else party.masked
