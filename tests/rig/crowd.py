"""Many masking sessions at once, and the whole truth about who rang when their people called.

Every session has people of its own, so a ring says by itself whose call it was: who was rung, and what number
was shown. ``Crowd.call`` compares all rings of a round with all that should have rung.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from tests.rig.product import Json, Product

AT_ONCE = 12
FINALS = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}


@dataclass(frozen=True, slots=True)
class Way:
    """``caller`` dials ``number``, and rings ``to``, who sees ``shown``; ``to`` empty: nobody rings."""

    caller: str
    number: str
    to: str = ""
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people and their session as the API showed it when it was opened."""

    a: str
    b: str
    session: Json = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.session["id"])

    @property
    def ways(self) -> tuple[Way, Way]:
        dials_a, dials_b = self.session["proxy_number_a"], self.session["proxy_number_b"]
        return Way(self.a, dials_a, self.b, dials_b), Way(self.b, dials_b, self.a, dials_a)

    @property
    def closed_ways(self) -> tuple[Way, Way]:
        """The same calls, once nobody must ring any more."""
        return tuple(Way(way.caller, way.number) for way in self.ways)  # type: ignore[return-value]


@dataclass(slots=True)
class Crowd:
    """The people of one product."""

    product: Product
    _people: Iterator[int] = field(default_factory=lambda: itertools.count(0))

    async def numbers(self, *numbers: str, **fields: object) -> None:
        """Own these numbers, and take them into the pool."""
        api = self.product.api
        for number in numbers:
            owned = {"e164": number, "capabilities": ["voice", "sms"]}
            await api.ok("POST", "/api/v1/numbers", owned)
            await api.ok("POST", "/api/v1/proxy/pool/numbers", {"e164": number, **fields})

    def stranger(self) -> str:
        """Somebody of whom nobody has heard."""
        return f"+1415556{next(self._people):04d}"

    async def opens(self, **terms: object) -> Pair:
        """A session of two people who have none yet."""
        a, b = self.stranger(), self.stranger()
        body = {"party_a": a, "party_b": b, **terms}
        return Pair(a, b, dict(await self.product.api.ok("POST", "/api/v1/proxy/sessions", body)))

    async def open_many(self, count: int, **terms: object) -> list[Pair]:
        return [await self.opens(**terms) for _ in range(count)]

    async def close(self, pair: Pair) -> None:
        closed = await self.product.api.ok("DELETE", f"/api/v1/proxy/sessions/{pair.id}")
        assert closed["status"] == "closed"

    async def shown(self, pair: Pair) -> Json:
        return dict(await self.product.api.ok("GET", f"/api/v1/proxy/sessions/{pair.id}"))

    # ------------------------------------------------------------ calls

    def dials(self, way: Way, **how: object) -> OutgoingCall:
        dial = Dial(way.number, self.product.sip, way.caller, mute=True, **how)  # type: ignore[arg-type]
        return self.product.carrier.call(dial)

    async def rings(self, way: Way, before: int, within_s: float = 30.0) -> IncomingCall:
        """The far end of this way, among those that rang since ``before``."""

        def found() -> list[IncomingCall]:
            return [one for one in self.product.carrier.incoming[before:] if one.facts.user == way.to]

        await self.product.carrier.traces(lambda: bool(found()), within_s, f"a ring at {way.to}")
        return found()[0]

    async def call(self, ways: Sequence[Way]) -> None:
        """Each is called and hangs up, several at once; who should ring rang, and nobody else did."""
        carrier = self.product.carrier
        before, gate = len(carrier.incoming), asyncio.Semaphore(AT_ONCE)

        async def one(way: Way) -> str:
            async with gate:
                return await self._outcome(way)

        outcomes = await asyncio.gather(*(one(way) for way in ways))
        wrong = [(way, said) for way, said in zip(ways, outcomes, strict=True) if said != _due(way)]
        assert not wrong, f"{len(wrong)} of {len(ways)} calls: {wrong[:4]}"
        rang = Counter((one.facts.user, one.facts.from_user) for one in carrier.incoming[before:])
        assert rang == Counter((way.to, way.shown) for way in ways if way.to)

    async def _outcome(self, way: Way) -> str:
        call = self.dials(way)
        await call.until(
            lambda: CallState.ANSWERED in call.reached_at or call.state is CallState.ENDED,
            60.0,
            "an answer or an end",
        )
        answered = CallState.ANSWERED in call.reached_at
        await call.hang_up(20.0)
        return "answered" if answered else "turned away"

    # ------------------------------------------------------------ the record

    def told(self, pairs: Iterable[Pair]) -> list[tuple[str, str, int, int, int]]:
        """Of every call of these sessions, asked of the database itself: session, status, how many terminal
        events, CDRs and interactions it has."""
        wanted = {pair.id for pair in pairs}
        with sqlite3.connect(self.product.var / "patchbay.db") as stored:
            stored.execute("BEGIN")  # why: one moment is looked at; a call may end between two questions
            calls = stored.execute("SELECT id, session_id, status FROM calls").fetchall()
            found = []
            for call_id, session, status in calls:
                if session in wanted:
                    events = stored.execute("SELECT type FROM call_events WHERE call_id = ?", (call_id,))
                    finals = sum(kind in FINALS for (kind,) in events.fetchall())
                    cdrs = _count(stored, "SELECT count(*) FROM cdrs WHERE call_id = ?", call_id)
                    about = "SELECT count(*) FROM proxy_interactions WHERE subject = ?"
                    found.append((session, status, finals, cdrs, _count(stored, about, call_id)))
        return found


def _due(way: Way) -> str:
    return "answered" if way.to else "turned away"


def _count(stored: sqlite3.Connection, question: str, *values: str) -> int:
    return int(stored.execute(question, values).fetchone()[0])
