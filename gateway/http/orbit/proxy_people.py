"""Who may take part in a masking session: judged by the rules that calls are judged by.

A number that this gateway serves itself, whoever owns it, cannot be a party: a session to it would join
proxy numbers with one another or bring calls back here, where they are refused. The refusal is the same for
one's own numbers and another tenant's, so it does not say whose a number is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.http import ports
from gateway.http.face import Face, TenantLimits
from gateway.http.orbit.agents import agent_named
from gateway.http.orbit.fields import PHONE
from gateway.http.orbit.proxy_fields import Member
from gateway.http.orbit.proxy_schemas import ChangeSession, OpenSession, People
from gateway.http.ports_agents import Agents
from gateway.policy.attempt import Target
from gateway.policy.destination import describe
from gateway.policy.rules import E164_EXPECTED, INVALID_NUMBER, check_target
from proxy_pool.core.party import AGENT, AgentParty, Party, PhoneParty, key_of
from proxy_pool.desk import Seating
from telephony.errors import InvalidInput, UnknownReference
from telephony.ids import TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class Judges:
    """What people are judged by."""

    limits: TenantLimits
    numbers: ports.Numbers
    phones: ports.PhoneBook
    agents: Agents


def judges_of(face: Face) -> Judges:
    """What this installation judges people by."""
    return Judges(face.limits, face.books.numbers, face.phones, face.books.agents)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A person as asked for; ``field`` names the request's field."""

    field: str
    party: str
    pin: str | None = None
    number: str | None = None
    number_field: str = ""
    country: str | None = None
    area: str | None = None


def wanted_a(body: OpenSession | ChangeSession) -> Wanted | None:
    """Party A as the request has it."""
    if body.party_a is None:
        return None
    shared = body.proxy_number if isinstance(body, OpenSession) else None
    return Wanted(
        "party_a",
        body.party_a,
        None if body.pin is None else body.pin.a,
        shared or body.proxy_number_a,
        "proxy_number" if shared else "proxy_number_a",
        body.country_a or body.country,
        body.area_a or _area_in(body, body.country_a),
    )


def wanted_others(body: OpenSession | ChangeSession) -> tuple[Wanted, ...]:
    """Party B, or the members; nobody where the request names nobody."""
    shared = body.proxy_number if isinstance(body, OpenSession) else None
    if body.members is not None:
        return tuple(_member(body, place, member, shared) for place, member in enumerate(body.members))
    if body.party_b is None:
        return ()
    return (
        Wanted(
            "party_b",
            body.party_b,
            None if body.pin is None else body.pin.b,
            shared or body.proxy_number_b,
            "proxy_number" if shared else "proxy_number_b",
            body.country_b or body.country,
            body.area_b or _area_in(body, body.country_b),
        ),
    )


def _member(body: People, place: int, member: Member, shared: str | None) -> Wanted:
    name = f"members.{place}"
    return Wanted(
        f"{name}.party",
        member.party,
        member.pin,
        shared or member.proxy_number or body.proxy_number_b,
        "proxy_number" if shared else f"{name}.proxy_number",
        member.country or body.country_b or body.country,
        member.area or body.area_b or _area_in(body, member.country or body.country_b),
    )


def _area_in(body: People, country: str | None) -> str | None:
    """The area that was wished for all, unless this side's country is another one."""
    return body.area if country in (None, body.country) else None


async def seatings(judges: Judges, tenant: TenantId, wanted: Sequence[Wanted]) -> tuple[Seating, ...]:
    """These people, judged. Raises InvalidInput for the first who may not take part, or takes part twice."""
    numbers = [_proxy_number(one) for one in wanted]
    parties = await asyncio.gather(*(judged(judges, tenant, one.field, one.party) for one in wanted))
    _all_different(zip((one.field for one in wanted), parties, strict=True))
    return tuple(
        Seating(party, number, one.pin or "", one.country or "", one.area or "")
        for one, party, number in zip(wanted, parties, numbers, strict=True)
    )


async def judged(judges: Judges, tenant: TenantId, field: str, text: str) -> Party:
    """The person behind ``text``, if they may take part. Errors name ``field``."""
    if text.startswith(AGENT):
        return AgentParty((await agent_named(judges.agents, tenant, text.removeprefix(AGENT), field)).id)
    if text.startswith(PHONE):
        name = text.removeprefix(PHONE)
        if not judges.phones.knows(tenant, name):
            raise UnknownReference(
                f"{field} names no phone", field=field, value=text, expected="phone: and a phone's name"
            )
        return PhoneParty(name)
    return await judged_number(judges, tenant, field, text)


async def judged_number(judges: Judges, tenant: TenantId, field: str, text: str) -> E164:
    """The number in ``text``, if calls to it are allowed and it is nobody's here. Errors name ``field``."""
    destination = describe(text)
    check_target(Target(field, destination, own=False), await judges.limits.of(tenant))
    number = destination.number
    assert number is not None
    if await judges.numbers.find_by_e164(number) is not None:
        raise InvalidInput(
            "a number that this gateway serves itself cannot take part",
            field=field,
            expected="a person's own number",
            code="PROXY_NUMBER_AS_PARTY",
        )
    return number


def _proxy_number(wanted: Wanted) -> E164 | None:
    if wanted.number is None:
        return None
    number = describe(wanted.number).number
    if number is None:
        raise InvalidInput(
            "not a number in E.164 form",
            field=wanted.number_field,
            expected=E164_EXPECTED,
            code=INVALID_NUMBER,
        )
    return number


def _all_different(people: Iterable[tuple[str, Party]]) -> None:
    seen: set[str] = set()
    for field, party in people:
        key = key_of(party)
        if key in seen:
            raise InvalidInput(
                "nobody takes part twice", field=field, expected="different people", code="SAME_PARTY"
            )
        seen.add(key)
