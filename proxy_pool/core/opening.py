"""From what somebody wants to a session that stands: who sits where, which doors it has, until when.

Pure: numbers have been chosen and PINs made by the shell; here they are put together and checked.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from proxy_pool.core.number import Use
from proxy_pool.core.party import ANYONE, EXTENSION, PIN, AgentParty, Party, key_of
from proxy_pool.core.session import (
    SEAT_A,
    SEAT_B,
    VISITOR,
    Binding,
    Door,
    Entry,
    Hold,
    Model,
    Numbers,
    Participant,
    PinMode,
    Session,
    Terms,
)
from telephony.errors import InvalidInput
from telephony.evolve import replace
from telephony.numbers import E164

GROUP_MAX: Final = 50
"""Most members of a group."""

USE_OF: Final[Mapping[Model, Use]] = {
    Model.PAIR: Use.PAIRS,
    Model.GROUP: Use.PAIRS,
    Model.ANYONE: Use.ANYONE,
    Model.EXTENSION: Use.EXTENSIONS,
}
"""The kind of pool number that each model takes."""

_OTHERS: Final[Mapping[Model, tuple[int, int]]] = {
    Model.PAIR: (1, 1),
    Model.ANYONE: (0, 1),
    Model.EXTENSION: (0, 0),
    Model.GROUP: (1, GROUP_MAX),
}


def end_of(terms: Terms, created_at: float, last_used_at: float | None) -> float:
    """When a session ends: the earliest of its bounds. ``ttl_s`` counts from the last use."""
    bounds = [created_at + terms.max_lifetime_s]
    if terms.expires_at:
        bounds.append(terms.expires_at)
    if terms.ttl_s:
        bounds.append((created_at if last_used_at is None else last_used_at) + terms.ttl_s)
    return min(bounds)


def check_people(model: Model, keys: Sequence[str]) -> None:
    """Whether these people can make such a session; party A first.

    Raises InvalidInput: SAME_PARTY for one person twice, else how many others the model takes.
    """
    least, most = _OTHERS[model]
    others = len(keys) - 1
    field = "members" if model is Model.GROUP else "party_b"
    if not least <= others <= most:
        expected = f"{least} to {most}" if least < most else f"{least}"
        raise InvalidInput(
            f"a session of model {model} takes {expected} besides party_a", field=field, expected=expected
        )
    if len(set(keys)) < len(keys):
        raise InvalidInput(
            "nobody takes part twice", field=field, expected="different people", code="SAME_PARTY"
        )


def check_callers(model: Model, parties: Sequence[Party]) -> None:
    """Whether there is anybody who could call: agents are called. Raises InvalidInput."""
    if model in (Model.PAIR, Model.GROUP) and all(isinstance(party, AgentParty) for party in parties):
        raise InvalidInput(
            "agents call nobody: somebody else must take part",
            field="members" if model is Model.GROUP else "party_b",
            expected="a number or a phone among the people",
        )


def check_terms(model: Model, terms: Terms, now: float) -> None:
    """Whether the terms make sense for the model, now. Raises InvalidInput."""
    if terms.expires_at and terms.expires_at <= now:
        raise InvalidInput(
            "the session would have ended before it began",
            field="expires_at",
            expected="a time in the future",
            code="EXPIRY_IN_THE_PAST",
        )
    if not terms.channels:
        raise InvalidInput("a session needs a channel", field="channels", expected="voice, sms or both")
    if model in (Model.ANYONE, Model.EXTENSION) and terms.pin_mode is not PinMode.OFF:
        raise InvalidInput(
            f"a session of model {model} is open to everybody: a PIN would let nobody else in",
            field="pin",
            expected="off",
        )
    if model in (Model.ANYONE, Model.EXTENSION) and terms.numbers is Numbers.SHARED:
        raise InvalidInput(
            f"a session of model {model} has one number by nature", field="numbers", expected="per_side"
        )


def has_own_door(model: Model, one: Participant) -> bool:
    """Whether a participant dials from its own line, known by it. An agent calls nobody."""
    if isinstance(one.party, AgentParty):
        return False
    return model in (Model.PAIR, Model.GROUP) or (model is Model.ANYONE and one.seat == SEAT_A)


def keys_of(session: Session) -> tuple[tuple[str, E164, int], ...]:
    """Every (key, proxy number, seat) that lets somebody into the session; the whole of its claim."""
    doors = [
        (key_of(one.party), one.proxy, one.seat)
        for one in session.participants
        if has_own_door(session.model, one)
    ]
    if session.model is Model.ANYONE:
        doors.append((ANYONE, session.participants[0].proxy, VISITOR))
    if session.model is Model.EXTENSION:
        doors.append((f"{EXTENSION}{session.extension}", session.participants[0].proxy, VISITOR))
    pins = [(f"{PIN}{one.pin}", one.proxy, one.seat) for one in session.participants if one.pin]
    return (*doors, *pins)


def bindings_of(session: Session, index_of: Mapping[E164, int]) -> tuple[Binding, ...]:
    """The session's doors with what stands behind them, live until its end."""
    return tuple(
        Binding(
            Door(session.tenant, key, proxy, index_of[proxy]),
            Entry(session.id, seat, Hold.LIVE, session.ends_at, session.version),
            _peer(session, key),
        )
        for key, proxy, seat in keys_of(session)
    )


def doors_of(session: Session, index_of: Mapping[E164, int]) -> tuple[Door, ...]:
    return tuple(binding.door for binding in bindings_of(session, index_of))


def _peer(session: Session, key: str) -> str:
    """The other one of a pair: together with this one, and nobody else, the number may be taken again."""
    if session.model is not Model.PAIR or key.startswith((PIN, EXTENSION)):
        return ""
    keys = [key_of(one.party) for one in session.participants]
    return keys[1] if key == keys[0] else keys[0]


def lets_in(session: Session, key: str, proxy: E164, seat: int) -> bool:
    """Whether this session really has this door with this seat behind it: the last check before anybody
    is connected, whatever an index or a cache believed."""
    return any((key, proxy, seat) == known and session.live for known in keys_of(session))


def seat_people(
    parties: Sequence[tuple[Party, E164, str]],
) -> tuple[Participant, ...]:
    """Participants from (party, proxy number, PIN), party A first."""
    return tuple(Participant(seat, party, proxy, pin) for seat, (party, proxy, pin) in enumerate(parties))


def check_loops(parties: Iterable[Party], owned: Container[E164]) -> None:
    """Raises InvalidInput where a party is itself a proxy number: such a call would run in a circle."""
    for party in parties:
        if isinstance(party, E164) and party in owned:
            raise InvalidInput(
                "a proxy number cannot take part in a session",
                expected="a person's own number",
                code="PROXY_NUMBER_AS_PARTY",
            )


def used(session: Session, seat: int, at: float) -> Session:
    """The session after an interaction that ``seat`` began: its sliding end moves on, never back."""
    return replace(
        session,
        last_used_at=at,
        ends_at=max(session.ends_at, end_of(session.terms, session.created_at, at)),
        last_seat=seat if seat > SEAT_A else session.last_seat,
    )


def first_callee(session: Session) -> Participant | None:
    """Whom party A reaches: party B, the temporary callee, or the group member heard from last."""
    return session.seated(session.last_seat) or session.seated(SEAT_B)
