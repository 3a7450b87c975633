"""What number masking has promised, as a few dicts: who may be found behind which door, at which moment.

It knows no index, no versions and no transactions. Which numbers were given it is told; whether they might
have been given, and who must be found afterwards, it says itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy_pool.core.number import Use
from proxy_pool.core.session import Model, Numbers, Session

Door = tuple[str, str]
"""(key, proxy number), both as text."""


@dataclass
class Held:
    """Who holds a door. ``free_at`` None: a session that nobody has closed yet."""

    session: str
    seat: int
    peer: str
    free_at: float | None = None


@dataclass
class Number:
    use: Use
    suspended: bool = False
    reserved: bool = False


@dataclass
class Kept:
    """A session as it was told, and how much longer it lives."""

    people: dict[int, tuple[str, str, str]]
    """By seat: key, proxy number, PIN."""
    model: Model
    extension: str
    name: str
    created_at: float
    ends_at: float
    ttl_s: float
    bounds: tuple[float, ...]
    quarantine_s: float
    own_numbers: bool
    """Whether each of a pair or group has a number of their own."""
    live: bool = True
    heard_last: str = ""
    """The key of the group's member that was heard from last, or whom party A has reached so far."""

    @classmethod
    def of(cls, session: Session) -> Kept:
        terms = session.terms
        bounds = [session.created_at + terms.max_lifetime_s]
        if terms.expires_at:
            bounds.append(terms.expires_at)
        kept = cls(
            people={one.seat: (_key(one.party), one.proxy.reveal(), one.pin) for one in session.participants},
            model=session.model,
            extension=session.extension,
            name=session.unique_name,
            created_at=session.created_at,
            ends_at=0.0,
            ttl_s=terms.ttl_s,
            bounds=tuple(bounds),
            quarantine_s=terms.quarantine_s,
            own_numbers=(session.model in (Model.PAIR, Model.GROUP) and terms.numbers is Numbers.PER_SIDE),
        )
        kept.ends_at = kept.end_after(session.created_at)
        return kept

    def end_after(self, used_at: float) -> float:
        return min(*self.bounds, *([used_at + self.ttl_s] if self.ttl_s else [self.bounds[0]]))

    def doors(self) -> Iterator[tuple[Door, int, str]]:
        """Every door with its seat and the other one of a pair."""
        home = self.people[0][1]
        for seat, (key, proxy, pin) in self.people.items():
            if self.model in (Model.PAIR, Model.GROUP) or (self.model is Model.ANYONE and seat == 0):
                yield (key, proxy), seat, self._peer(seat)
            if pin:
                yield (f"pin:{pin}", proxy), seat, ""
        if self.model is Model.ANYONE:
            yield ("*", home), -1, ""
        if self.model is Model.EXTENSION:
            yield (f"ext:{self.extension}", home), -1, ""

    def _peer(self, seat: int) -> str:
        return self.people[1 - seat][0] if self.model is Model.PAIR else ""

    def reached_from(self, seat: int) -> int | None:
        """The seat that this seat's calls go to."""
        if seat != 0:
            return 0
        if self.model is Model.GROUP:
            heard = [one for one, (key, _, _) in self.people.items() if one > 0 and key == self.heard_last]
            return heard[0] if heard else 1
        return 1 if 1 in self.people else None


def _key(party: object) -> str:
    reveal = getattr(party, "reveal", None)
    return str(reveal()) if reveal is not None else f"phone:{getattr(party, 'name')}"  # noqa: B009


@dataclass
class Promises:
    """The whole model; ``now`` is moved by the test."""

    now: float
    numbers: dict[str, Number] = field(default_factory=dict)
    sessions: dict[str, Kept] = field(default_factory=dict)
    doors: dict[Door, Held] = field(default_factory=dict)
    used: dict[Door, None] = field(default_factory=dict)
    """Every door that ever was anybody's."""
    last: dict[tuple[str, str], tuple[str, str] | None] = field(default_factory=dict)
    """The numbers that two people had last; None where a change of people leaves it open."""

    # ------------------------------------------------------------ what may be

    def holder(self, door: Door) -> Held | None:
        held = self.doors.get(door)
        over = held is not None and held.free_at is not None and held.free_at <= self.now
        return None if over else held

    def barred(self, door: Door, peer: str, own: str = "") -> bool:
        """Whether somebody with this peer must not be given this door."""
        held = self.holder(door)
        if held is None or (held.free_at is None and held.session == own):
            return False
        return held.free_at is None or not peer or held.peer != peer

    def fitting(self, use: Use, asked: str | None) -> set[str]:
        """Numbers that suit, whoever holds them."""
        if asked is not None:
            number = self.numbers.get(asked)
            return {asked} if number and number.use is use and not number.suspended else set()
        return {
            digits
            for digits, number in self.numbers.items()
            if number.use is use and not number.suspended and not number.reserved
        }

    def free_for(self, keys: Iterable[str], use: Use, asked: str | None) -> set[str]:
        """Numbers that all of these could have, held by none of them in any way."""
        return {
            one for one in self.fitting(use, asked) if all(self.holder((key, one)) is None for key in keys)
        }

    def open_to(self, keys: dict[str, str], use: Use, asked: str | None) -> set[str]:
        """The same, with those that would give way; ``keys`` with their peers."""
        fitting = self.fitting(use, asked)
        return {
            one for one in fitting if not any(self.barred((key, one), peer) for key, peer in keys.items())
        }

    def plainly_usable(self, digits: str) -> bool:
        return digits in self.fitting(Use.PAIRS, None)

    def name_taken(self, name: str) -> bool:
        return bool(name) and any(one.live and one.name == name for one in self.sessions.values())

    # ------------------------------------------------------------ what happened

    def open(self, session: Session) -> None:
        kept = self.sessions[session.id] = Kept.of(session)
        assert session.ends_at == kept.ends_at
        self._take(session.id, kept)
        if kept.model is Model.PAIR:
            (a, pa, _), (b, pb, _) = kept.people[0], kept.people[1]
            self.last[a, b], self.last[b, a] = (pa, pb), (pb, pa)

    def change(self, session: Session) -> None:
        """New people, PINs or terms; whoever left rests."""
        before, kept = self.sessions[session.id], Kept.of(session)
        kept.ends_at = kept.end_after(session.last_used_at or session.created_at)
        assert session.ends_at == kept.ends_at, "an end is what the terms say, after a change too"
        to = before.reached_from(0)
        kept.heard_last = before.people[to][0] if to is not None else ""
        free_at = self.now + before.quarantine_s
        wanted = {door for door, _, _ in kept.doors()}
        for door, held in self.doors.items():
            if held.session == session.id and held.free_at is None and door not in wanted:
                held.free_at = free_at
        for one in (before, kept):
            if one.model is Model.PAIR:
                a, b = one.people[0][0], one.people[1][0]
                self.last[a, b] = self.last[b, a] = None
        self.sessions[session.id] = kept
        self._take(session.id, kept)

    def _take(self, session: str, kept: Kept) -> None:
        doors = list(kept.doors())
        assert len({door for door, _, _ in doors}) == len(doors), "one door twice in a session"
        for door, seat, peer in doors:
            assert not self.barred(door, peer, own=session), f"{door} was somebody's"
            self.doors[door] = Held(session, seat, peer)
            self.used[door] = None

    def close(self, session: str) -> None:
        kept = self.sessions[session]
        kept.live = False
        for held in self.doors.values():
            if held.session == session and held.free_at is None:
                held.free_at = self.now + kept.quarantine_s

    def use(self, session: str, seat: int) -> bool:
        """Whether it could still be used."""
        kept = self.sessions[session]
        if not kept.live or kept.ends_at <= self.now:
            return False
        kept.ends_at = max(kept.ends_at, kept.end_after(self.now))
        if seat > 0:
            kept.heard_last = kept.people[seat][0]
        return True

    def keep(self) -> None:
        """A round of the keeper: what is due has ended."""
        for session, kept in self.sessions.items():
            if kept.live and kept.ends_at <= self.now:
                self.close(session)

    # ------------------------------------------------------------ who is found

    def behind(self, door: Door) -> tuple[str, int, str | None, str | None] | None:
        """The session, the seat, and whose telephone rings with which number shown; None: nobody."""
        held = self.holder(door)
        if held is None or held.free_at is not None or door[1] not in self.numbers:
            return None
        kept = self.sessions[held.session]
        if self.now >= kept.ends_at:
            return None
        to = kept.reached_from(held.seat)
        if to is None:
            return held.session, held.seat, None, None
        key, proxy, _ = kept.people[to]
        return held.session, held.seat, key, proxy
