"""Made-up sessions: terms, the facts of a usual beginning, and runs that keep every order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from voice_agents.core import facts, orders
from voice_agents.core.agent import AgentSpec, BargeIn, BargeMode, DialectName, Fallback, Shutdown, Silence
from voice_agents.core.machine import begin, step
from voice_agents.core.session import Session, Terms
from voice_agents.core.waits import next_deadline

NOW = 1000.0
SPEC = AgentSpec("agt_1", 3, "ten_1", "desk", DialectName.NATIVE, "wss://agents.example/desk")
FULL = replace(
    SPEC,
    fallback=Fallback("agt_2", "one moment", "+12025550199"),
    silence=Silence(10, 2, "", 60),
    shutdown=Shutdown(farewell="goodbye"),
    transfer_allow=("+1415*", "phone:alice"),
    tools_allow=("look_up",),
    filler="just a second",
)
OrderT = TypeVar("OrderT")


def terms(
    spec: AgentSpec = FULL,
    *,
    outbound: bool = False,
    speaks: bool = True,
    most_s: int = 600,
    passed_over: str = "",
) -> Terms:
    summarises = spec.dialect is DialectName.NATIVE
    return Terms(spec, outbound, most_s, speaks=speaks, summarises=summarises, passed_over=passed_over)


def barging(mode: BargeMode, spec: AgentSpec = FULL) -> AgentSpec:
    return replace(spec, barge_in=BargeIn(mode))


@dataclass
class Run:
    """A session that is driven by facts; time passes between them."""

    session: Session
    out: list[orders.Order] = field(default_factory=list)
    now: float = NOW

    @classmethod
    def of(cls, spec: AgentSpec = FULL, **options: bool | int | str) -> Run:
        session, out = begin(terms(spec, **options), NOW)  # type: ignore[arg-type]
        return cls(session, list(out))

    def tell(self, *happened: facts.Fact, after_s: float = 0.01) -> list[orders.Order]:
        """Fold these; returns what they ordered."""
        new: list[orders.Order] = []
        for fact in happened:
            self.now += after_s
            self.session, more = step(self.session, fact, self.now)
            new += more
        self.out += new
        return new

    def said(self, *said: object) -> list[orders.Order]:
        return self.tell(*(facts.AgentSaid(self.session.line.number, word) for word in said))  # type: ignore[arg-type]

    def until_next(self) -> list[orders.Order]:
        """Let the next deadline come."""
        at = next_deadline(self.session)
        assert at is not None, "nothing is waited for"
        self.now = max(self.now, at)
        self.session, more = step(self.session, facts.TimerFired(self.now), self.now)
        self.out += more
        return list(more)

    def pass_s(self, seconds: float, *, frames: bool = True) -> list[orders.Order]:
        """Let time pass with all deadlines in it; ``frames``: the caller's sound goes on meanwhile."""
        until, new = self.now + seconds, list[orders.Order]()
        while (at := next_deadline(self.session)) is not None and at <= until:
            self.now = max(self.now, at)
            fact = facts.TimerFired(self.now if frames else None)
            self.session, more = step(self.session, fact, self.now)
            new += more
        self.now = until
        self.out += new
        return new

    def ready(self) -> Run:
        line = self.session.line.number
        self.tell(facts.LineOpened(line), facts.LineReady(line))
        return self

    def talking(self) -> Run:
        self.ready()
        self.tell(facts.MediaArrived(), facts.FirstFrame())
        return self

    def and_tell(self, *happened: facts.Fact) -> Run:
        self.tell(*happened)
        return self

    def ordered(self, kind: type[OrderT]) -> list[OrderT]:
        return [order for order in self.out if isinstance(order, kind)]

    def told(self, kind: type[OrderT]) -> list[OrderT]:
        return told(self.out, kind)


def told(out: Iterable[orders.Order], kind: type[OrderT]) -> list[OrderT]:
    """What the agent was told of this kind."""
    return [order.told for order in out if isinstance(order, orders.Tell) and isinstance(order.told, kind)]


def told_anyhow(run: Run) -> list[object]:
    return [order.told for order in run.out if isinstance(order, orders.Tell)]
