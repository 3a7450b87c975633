"""What somebody wants, made into a draft that the placer can seat on numbers. No I/O; chance is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from proxy_pool.core.codec import terms_from
from proxy_pool.core.number import Geo, Wish
from proxy_pool.core.opening import (
    USE_OF,
    check_callers,
    check_people,
    check_terms,
    end_of,
    has_own_door,
)
from proxy_pool.core.party import ANYONE, EXTENSION, PIN, AgentParty, key_of
from proxy_pool.core.session import (
    SEAT_A,
    SEAT_B,
    Model,
    Numbers,
    Participant,
    PinMode,
    Session,
    SessionId,
    Sticky,
    Terms,
)
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.desk import NewSession, Seating, SessionChange
from proxy_pool.placing import Draft
from telephony.errors import Conflict, InvalidInput
from telephony.evolve import replace
from telephony.ids import TenantId
from telephony.numbers import E164

EXTENSION_DIGITS: Final = 6
_UNSEATED: Final = E164("+10000000")
"""Stands for a proxy number that is yet to be chosen; it is nobody's."""


@dataclass(frozen=True, slots=True)
class Makers:
    """Where time, digits and the country of a number come from."""

    now: Callable[[], float]
    digits: Callable[[int], str]
    """So many digits that nobody can guess."""
    country_of: Callable[[E164], str]
    """ISO 3166 alpha-2, or empty."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A session without its numbers, and how they are to be chosen."""

    blank: Session
    draft: Draft


def new_session(
    tenant: TenantId, session_id: SessionId, wanted: NewSession, settings: ServiceSettings, makers: Makers
) -> Drafted:
    """Everything but the numbers. Raises InvalidInput for what makes no sense."""
    now = makers.now()
    terms = terms_from(settings.terms, wanted.terms)
    seatings = (wanted.a, *wanted.others)
    check_people(wanted.model, [key_of(one.party) for one in seatings])
    check_callers(wanted.model, [one.party for one in seatings])
    check_terms(wanted.model, terms, now)
    if wanted.extension and wanted.model is not Model.EXTENSION:
        raise InvalidInput("only a session of model extension has one", field="extension")
    extension = wanted.extension
    if wanted.model is Model.EXTENSION and not extension:
        extension = makers.digits(EXTENSION_DIGITS)
    blank = Session(
        id=session_id,
        tenant=tenant,
        model=wanted.model,
        terms=terms,
        participants=_people(wanted.model, terms, seatings, makers),
        created_at=now,
        ends_at=end_of(terms, now, None),
        extension=extension,
        unique_name=wanted.unique_name,
        metadata=wanted.metadata,
        webhook_url=wanted.webhook_url,
        api_key_id=wanted.api_key_id,
    )
    return Drafted(blank, draft_of(blank, seatings, settings.geo, makers))


def changed_session(
    before: Session, change: SessionChange, settings: ServiceSettings, makers: Makers
) -> Drafted:
    """The session after a change, with new people yet without numbers; whoever stays keeps number and PIN."""
    now = makers.now()
    terms = terms_from(before.terms, change.terms)
    check_terms(before.model, terms, now)
    if terms.numbers is not before.terms.numbers:
        raise InvalidInput("a session keeps its kind of numbers", field="numbers")
    seatings = _seatings_after(before, change)
    check_people(before.model, [key_of(one.party) for one in seatings])
    check_callers(before.model, [one.party for one in seatings])
    known = {key_of(one.party): one for one in before.participants}
    people = []
    for fresh in _people(before.model, terms, seatings, makers):
        old = known.get(key_of(fresh.party))
        if old is not None:
            pin = seatings[fresh.seat].pin or old.pin or fresh.pin if fresh.pin else ""
            fresh = replace(fresh, proxy=old.proxy, pin=pin)
        people.append(fresh)
    blank = replace(
        before,
        terms=terms,
        participants=tuple(people),
        metadata=before.metadata if change.metadata is None else change.metadata,
        webhook_url=before.webhook_url if change.webhook_url is None else change.webhook_url,
        ends_at=end_of(terms, before.created_at, before.last_used_at),
        last_seat=_still_last(before, people),
        version=before.version + 1,
    )
    return Drafted(blank, _draft_after(before, blank, seatings, settings.geo, makers))


def _still_last(before: Session, people: Sequence[Participant]) -> int:
    """The seat now of whoever party A reached before the change; who has left is called back no more."""
    last = before.seated(before.last_seat)
    if last is None:
        return SEAT_B
    return next((one.seat for one in people if one.party == last.party and one.seat > SEAT_A), SEAT_B)


def _seatings_after(before: Session, change: SessionChange) -> tuple[Seating, ...]:
    kept = tuple(Seating(one.party) for one in before.participants)
    a = kept[0] if change.a is None else change.a
    others = kept[1:] if change.others is None else change.others
    return (a, *others)


def _people(
    model: Model, terms: Terms, seatings: Sequence[Seating], makers: Makers
) -> tuple[Participant, ...]:
    return tuple(
        Participant(seat, one.party, _UNSEATED, _pin(terms, one, makers)) for seat, one in enumerate(seatings)
    )


def _pin(terms: Terms, seating: Seating, makers: Makers) -> str:
    if isinstance(seating.party, AgentParty):
        if seating.pin:
            raise InvalidInput("an agent has no PIN: it calls nobody", field="pin", expected="no PIN")
        return ""  # a PIN seats whoever types it: nobody shall sit in an agent's place
    if terms.pin_mode is PinMode.OFF:
        if seating.pin:
            raise InvalidInput("a PIN needs a pin mode", field="pin", expected="mode unknown or always")
        return ""
    if seating.pin and len(seating.pin) != terms.pin_length:
        raise InvalidInput(
            "a PIN has the length that the terms say", field="pin", expected=f"{terms.pin_length} digits"
        )
    return seating.pin or makers.digits(terms.pin_length)


def draft_of(blank: Session, seatings: Sequence[Seating], geo: Geo, makers: Makers) -> Draft:
    """How the numbers of a new session are to be chosen. Agents have none of their own: they are shown, and
    called from, that of the first who has."""
    for one in seatings:
        if isinstance(one.party, AgentParty) and one.number and blank.terms.numbers is not Numbers.SHARED:
            raise InvalidInput(
                "an agent has no number of its own", field="proxy_number", expected="no number for the agent"
            )
    if blank.model in (Model.ANYONE, Model.EXTENSION):
        return _open_draft(blank, seatings, geo, makers)
    callers = [one for one in blank.participants if has_own_door(blank.model, one)]
    agents = tuple(one.seat for one in blank.participants if not has_own_door(blank.model, one))
    wishes = [_wish(blank, key_of(one.party), seatings[one.seat], geo, makers) for one in callers]
    if blank.terms.numbers is Numbers.SHARED:
        asked = {one.number for one in seatings if one.number is not None}
        if len(asked) > 1:
            raise InvalidInput("a shared number is one number", field="proxy_number", expected="one number")
        number = next(iter(asked), None)
        wishes = [replace(wish, number=number, country=wishes[0].country) for wish in wishes]
    return Draft(
        wishes=tuple(wishes),
        seats=tuple((one.seat, *(() if place else agents)) for place, one in enumerate(callers)),
        shared=blank.terms.numbers is Numbers.SHARED,
    )


def _open_draft(blank: Session, seatings: Sequence[Seating], geo: Geo, makers: Makers) -> Draft:
    """An open number: its own key is claimed first, and for anyone-sessions party A's on the same one."""
    everybody = tuple(one.seat for one in blank.participants)
    gate = ANYONE if blank.model is Model.ANYONE else f"{EXTENSION}{blank.extension}"
    first = _wish(blank, gate, seatings[0], geo, makers)
    if not has_own_door(blank.model, blank.participants[0]):
        return Draft((first,), (everybody,), shared=False)
    return Draft((first, replace(first, key=key_of(seatings[0].party))), (everybody, ()), shared=True)


def _draft_after(
    before: Session, blank: Session, seatings: Sequence[Seating], geo: Geo, makers: Makers
) -> Draft:
    """New people take numbers; those who stay keep theirs. A shared or open number stays what it is."""
    kept: list[E164 | None] = []
    wishes: list[Wish] = []
    home = before.participants[0].proxy
    bound = before.terms.numbers is Numbers.SHARED or before.model in (Model.ANYONE, Model.EXTENSION)
    for one in blank.participants:
        wish = _wish(blank, key_of(one.party), seatings[one.seat], geo, makers)
        unseated = one.proxy == _UNSEATED
        if bound:
            wish = replace(wish, number=home)
        claims = unseated and has_own_door(blank.model, one)
        kept.append(None if claims else home if unseated else one.proxy)
        wishes.append(wish)
    seats = tuple((one.seat,) for one in blank.participants)
    return Draft(tuple(wishes), seats, shared=False, kept=tuple(kept))


def _wish(blank: Session, key: str, seating: Seating, geo: Geo, makers: Makers) -> Wish:
    party = seating.party
    home = makers.country_of(party) if isinstance(party, E164) else ""
    return Wish(
        key=key,
        capabilities=blank.terms.channels,
        use=USE_OF[blank.model],
        country=seating.country or home,
        area=seating.area,
        geo=geo,
        number=seating.number,
    )


def with_history(draft: Draft, sticky: Sticky, before: tuple[E164, E164] | None) -> Draft:
    """The draft of a pair that had these numbers before: the same again, or others."""
    if before is None or any(wish.number is not None for wish in draft.wishes):
        return draft
    if len(draft.wishes) < len(before):
        return draft  # one of the two is an agent
    if sticky is Sticky.PREFER:
        return replace(draft, sticky=before)
    avoided = tuple(replace(wish, avoid=number) for wish, number in zip(draft.wishes, before, strict=True))
    return replace(draft, wishes=avoided)


def repinned(session: Session, key: str, given: Collection[str], makers: Makers) -> Session:
    """The session with another PIN for one that is taken on its number; a ``given`` one is refused."""
    pin = key.removeprefix(PIN)
    if pin in given:
        raise Conflict("this PIN is in use on the number", code="PIN_TAKEN")
    people = tuple(
        replace(one, pin=makers.digits(len(pin))) if one.pin == pin else one for one in session.participants
    )
    return replace(session, participants=people)
