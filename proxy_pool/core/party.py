"""Who takes part in a masking session, and by which word the look-up knows who is dialling.

A **key** is what stands for the dialling side in the one invariant: a live or quarantined (tenant, key,
proxy number) belongs to one session. A known number is its E.164 text, a registered phone is
``phone:alice``; a session open to everybody has ``*``, an extension is ``ext:204``, a PIN ``pin:480213``.
An AI agent is ``agent:agt_…``: it is called and never calls, so its key opens no door, and one agent can take
part in any number of sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from telephony.numbers import E164

ANYONE: Final = "*"
PHONE: Final = "phone:"
AGENT: Final = "agent:"
EXTENSION: Final = "ext:"
PIN: Final = "pin:"


@dataclass(frozen=True, slots=True)
class PhoneParty:
    """A softphone registered at the switch, by its configured name."""

    name: str


@dataclass(frozen=True, slots=True)
class AgentParty:
    """A registered AI agent, by its id."""

    agent_id: str


Party = E164 | PhoneParty | AgentParty
"""Somebody in a session."""


def key_of(party: Party) -> str:
    """The key of a party.

    >>> key_of(PhoneParty("alice"))
    'phone:alice'
    """
    match party:
        case PhoneParty(name):
            return f"{PHONE}{name}"
        case AgentParty(agent_id):
            return f"{AGENT}{agent_id}"
        case E164():
            return party.reveal()


def party_of(key: str) -> Party:
    """The party of a stored key. Raises InvalidInput for a key that is nobody's line."""
    if key.startswith(PHONE):
        return PhoneParty(key.removeprefix(PHONE))
    return AgentParty(key.removeprefix(AGENT)) if key.startswith(AGENT) else E164(key)


def shown(party: Party, *, whole: bool) -> str:
    """A party for people: a number is masked unless the reader may see whole numbers."""
    if isinstance(party, E164) and not whole:
        return party.masked
    return key_of(party)
