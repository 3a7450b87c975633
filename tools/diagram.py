"""Write docs/call-machine.md from the call machine itself, so that the picture cannot be another machine's.

    python -m tools.diagram          write it
    python -m tools.diagram --check  exit 1 where the committed one is not current

Ranks, rules and deadlines are read from the code; the edges between ranks and the terminations are found
by exploring the machine.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from dialplan.core import facts, machine
from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Call,
    Connect,
    Direction,
    Ender,
    Gather,
    Later,
    Leg,
    Rank,
    Reject,
    Role,
    Route,
    Terms,
    Trunk,
)
from dialplan.core.machine import JOINT_RULES, begin_inbound, begin_outbound, step
from dialplan.core.moving import MOST_MOVES
from dialplan.core.waits import PATIENCE, next_deadline, waits
from telephony.causes import verdict
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

TARGET = Path(__file__).resolve().parents[1] / "docs" / "call-machine.md"
NOW = 1000.0
CLI = E164("+12025550100")
_A, _B = Role.CALLER, Role.CALLEE
_FAR = Connect(Trunk(E164("+14155550102"), "carrier"), CLI)
_ROUTES: tuple[Route, ...] = (
    _FAR,
    Connect(Announcement("hello")),
    Reject(17, "rejected_by_route"),
    Gather("pin", 6),
    Later(1),
)
_TERMS = Terms(TenantId("tnt_1"), Direction.INBOUND, "+12025550100", "+14155550101")
_FACTS: tuple[facts.Fact, ...] = (
    facts.Dialed(_A),
    facts.Dialed(_B, ChannelId("b-1")),
    facts.Rang(_A),
    facts.Rang(_B),
    facts.Answered(_A),
    facts.Answered(_B),
    facts.EndRequested(_A),
    facts.EndRequested(_B),
    facts.HungUp(_A, 16),
    facts.HungUp(_B, 16),
    facts.HungUp(_A, 17, 486),
    facts.HungUp(_B, 17, 486),
    facts.OriginateFailed("originate_failed_0"),
    facts.OrderFailed(_A, "switch_refused"),
    facts.OrderFailed(_A, "switch_unavailable"),
    facts.Vanished(_A, "switch_lost"),
    facts.Vanished(_B, "gateway_was_away"),
    facts.SeenLive(_A, up=True),
    facts.Asked(),
    facts.AnswerLost(),
    facts.HangupAsked(Ender.API, "hangup"),
    facts.TimerFired(),
)
_BACK: tuple[facts.Fact, ...] = tuple(facts.Routed(route, _TERMS) for route in _ROUTES)
_ARRANGED = facts.HangupAsked(Ender.GATEWAY, "session_ended", after_s=30.0)
_AGENT = Connect(AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1"))
_MOVES: tuple[facts.Fact, ...] = (
    *(
        fact
        for channel in (ChannelId("b-1"), ChannelId("b-2"))
        for fact in (
            facts.Dialed(_B, channel),
            facts.Answered(_B, channel),
            facts.EndRequested(_B, channel=channel),
            facts.HungUp(_B, 17, 486, channel),
        )
    ),
    facts.Answered(_A),
    facts.EndRequested(_A),
    facts.HungUp(_A, 41),
    facts.Asked(),
    facts.Reroute(_FAR, "transferred"),
    facts.Unmoved("switch_refused"),
    facts.Routed(Reject(41, "agent_unavailable"), _TERMS),
    facts.HangupAsked(Ender.GATEWAY, "hangup_by_agent"),
    facts.HangupAsked(Ender.GATEWAY, "agent_lost"),
    facts.HangupAsked(Ender.GATEWAY, "silence"),
    facts.HangupAsked(Ender.GATEWAY, "gateway_stopping"),
    facts.HangupAsked(Ender.GATEWAY, "transferred"),
    facts.TimerFired(),
)
"""What can happen to a call with an agent, whose caller may be taken to somebody else."""


@dataclass(frozen=True, slots=True)
class Found:
    """What exploring found: edges between ranks by fact, and how calls can end."""

    edges: frozenset[tuple[Rank, str, Rank]]
    endings: frozenset[tuple[str, str, str]]
    waits: frozenset[tuple[str, str]]


def explore() -> Found:
    """Every reachable state of every kind of call, with every fact."""
    edges: set[tuple[Rank, str, Rank]] = set()
    endings: set[tuple[str, str, str]] = set()
    named: set[tuple[str, str]] = set()
    for start in _starts():
        seen, todo, known = {_shape(start)}, [start], _facts_for(start)
        while todo:
            call = todo.pop()
            named |= {(wait.name, str(wait.role)) for wait in waits(call)}
            for fact in known:
                after = _after(call, fact)
                edges |= set(_edges(call, fact, after))
                if after.closed and after.termination is not None:
                    ended = after.termination
                    endings.add((str(after.status), str(ended.result), ended.reason))
                if not after.closed and _shape(after) not in seen:
                    seen.add(_shape(after))
                    todo.append(after)
    return Found(frozenset(edges), frozenset(endings), frozenset(named))


def _facts_for(start: Call) -> tuple[facts.Fact, ...]:
    """What can happen to a call that begins so: only some come back from a detour, only some are arranged
    to end, and to the others it would be late."""
    if start.route is _AGENT:
        return _MOVES
    if start.outbound:
        return _FACTS
    return (*_FACTS, *(_BACK if isinstance(start.route, Gather | Later) else (_ARRANGED,)))


def _after(call: Call, fact: facts.Fact) -> Call:
    due = next_deadline(call) if isinstance(fact, facts.TimerFired) else None
    return step(call, fact, NOW + 1 if due is None else due)[0]


def _starts() -> Iterator[Call]:
    for route in (*_ROUTES, _AGENT):
        for direction in Direction:
            outbound = direction is Direction.OUTBOUND
            if outbound and (not isinstance(route, Connect) or route is _AGENT):
                continue
            call = Call(
                CallId("call_1"),
                Terms(TenantId("tnt_1"), direction, "+14155550101", "+12025550100"),
                NOW,
                Leg(LegId("a"), _A, Rank.NEW if outbound else Rank.DIALING, ChannelId("a-1")),
                Leg(LegId("b"), _B),
                route,
            )
            yield (begin_outbound(call, Trunk(CLI, "x"), CLI) if outbound else begin_inbound(call, NOW))[0]


def _edges(before: Call, fact: facts.Fact, after: Call) -> Iterator[tuple[Rank, str, Rank]]:
    told = getattr(fact, "role", None)
    name = "deadline" if isinstance(fact, facts.TimerFired) else type(fact).__name__
    for role in Role:
        was, now = before.leg(role).rank, after.leg(role).rank
        if was is not now and before.leg(role).id == after.leg(role).id:
            own = told is role or (told is None and (role is Role.CALLER or name == "deadline"))
            yield was, name if own else "joint rule", now


def _shape(call: Call) -> tuple[object, ...]:
    """The call without what only counts, tells time, or can no longer matter: equal situations are one."""
    ended = (call.ended_by, call.ended_why, call.cancel_asked, call.ring_expired, call.asked)
    when = (call.connected_at, call.answered_at, call.talking_at, call.ended_at, call.end_at, call.lost_at)
    detours = (call.detours > 0, call.on_detour)
    route = call.route, call.terms.direction
    legs = tuple(_flat(leg) for leg in call.legs)
    move = None if call.move is None else (call.move.made, call.move.outcome)
    moves = move, min(call.moves, 1), tuple(old.parted_at is None for old in call.former)
    return (route, detours, moves, ended, *(at is None for at in when), legs)


def _flat(leg: Leg) -> tuple[object, ...]:
    if leg.live:
        return leg.rank, leg.channel, leg.ending, leg.refused_at is None
    return leg.rank, leg.channel, leg.answered_at is None, leg.answered_at is None and leg.cause, leg.lost


# ---------------------------------------------------------------- the page


def page(found: Found) -> str:
    """The whole document."""
    parts = (
        "# The call machine\n\n"
        "Generated by `python -m tools.diagram` from `dialplan/core`; do not edit.\n\n"
        f"{inspect.getdoc(machine)}\n",
        "## A leg's ranks\n\n"
        "Facts only lift a leg; one that would not is late: it is counted, and nothing changes.\n\n"
        + _diagram(found.edges),
        "## Joint rules\n\n"
        "After every fact they run, in this order, until nothing changes.\n\n"
        + _table(("rule", "what it does"), (_rule(rule) for rule in JOINT_RULES)),
        f"## Detours\n\n{_DETOURS}",
        f"## Moves\n\n{_TAKEN_AWAY}",
        "## Waits\n\n"
        "A call that is not closed waits for something, and every wait has an end.\n\n"
        + _table(("wait", "for which leg", "at most", "then"), _waits(found.waits)),
        "## How calls end\n\n"
        "One status, one result, one reason; the evidence is weighed in the order that "
        "`dialplan/core/outcome.py` tells. A route's rejection has a reason of its own.\n\n"
        + _table(("status", "result", "reason"), sorted(found.endings | set(_far_ends()))),
    )
    return "\n".join(parts)


_DETOURS = """\
The answer to the switch's question may be a detour: digits to collect, or a moment to wait; then the switch
asks again. Meanwhile the call is `initiating` for the world, though its caller's channel may be up. A call is
sent round at most twelve times. Of an answer that is late the switch does not wait: it joins the caller by
what it knows itself, or says that the call cannot be connected.

```mermaid
stateDiagram-v2
    [*] --> asked
    asked --> joining: Connect
    asked --> refused: Reject
    asked --> detour: Gather, Later
    detour --> asked: Routed
    detour --> ended: the caller hangs up, deadline
    asked --> fallback: AnswerLost
    fallback --> joining: Dialed
    fallback --> ended: HungUp, deadline
    joining --> ended
    refused --> ended
    ended --> [*]
```
"""

_TAKEN_AWAY = f"""\
A caller can be taken from its callee to another while the call goes on, at most {MOST_MOVES} times: the
switch is told to take the channel away, and asks where to. Neither an agent that does not answer, nor one
to whom the caller was moved and who does not answer, ends the call: the switch asks again. What was left ends
nothing; it is hung up where it does not end by itself, and told in the CDR.

```mermaid
stateDiagram-v2
    [*] --> talking
    talking --> moving: Reroute
    moving --> talking: Unmoved, deadline while the callee lives
    moving --> ringing: Asked
    moving --> ended: HungUp, deadline
    ringing --> talking: Answered
    ringing --> returned: HungUp of the callee, ring deadline
    returned --> ringing: Routed
    returned --> ended: Routed (Reject), deadline
    talking --> ended
    ended --> [*]
```
"""


def _rule(rule: object) -> tuple[str, str]:
    name = getattr(rule, "__name__", "")
    return f"`{name.lstrip('_')}`", " ".join((inspect.getdoc(rule) or "").split())


def _diagram(edges: Iterable[tuple[Rank, str, Rank]]) -> str:
    ways: dict[tuple[Rank, Rank], set[str]] = {}
    for start, name, end in edges:
        ways.setdefault((start, end), set()).add(name)
    lines = [
        f"    {start.name} --> {end.name}: {', '.join(sorted(names))}"
        for (start, end), names in sorted(ways.items())
    ]
    return "\n".join(
        ("```mermaid", "stateDiagram-v2", "    [*] --> NEW", *lines, "    ENDED --> [*]", "```", "")
    )


_LIMITS = {
    "ring": "the call's `ring_timeout`",
    "max_duration": "the call's `max_duration`",
    "left": f"{PATIENCE.linger_s:g} s",
    "left_watchdog": f"{PATIENCE.watchdog_s:g} s",
    "back": f"{PATIENCE.ask_s:g} s",
    "again": f"the detour's own time and {PATIENCE.ask_s:g} s",
    "arranged": "the time that was arranged",
    "connect": f"{PATIENCE.connect_s:g} s, and {PATIENCE.prompt_s} s for a prompt before it",
    "answer": f"{PATIENCE.answer_s:g} s, and {PATIENCE.prompt_s} s for a prompt before it",
}
_THEN = {
    "setup": "the call ends: `switch_silent`",
    "ring": "the leg is hung up: no answer",
    "ask": "the call ends: `question_not_asked`",
    "again": "the call ends: `question_not_asked`",
    "back": "the call ends: `question_not_asked`",
    "move": "the caller was not taken away, or the call ends: `question_not_asked`",
    "left": "the leg that was left is hung up",
    "left_watchdog": "the leg that was left counts as ended, though nobody said so",
    "apology": "the call ends: `answer_too_late`",
    "arranged": "the call ends for the reason that was arranged",
    "connect": "the call ends: `connect_not_started`",
    "answer": "the call ends: `answer_not_reported`",
    "max_duration": "the call ends: `max_duration`",
    "watchdog": "the leg counts as ended, though nobody said so",
    "verdict": "the leg counts as ended with what the originate said",
    "linger": "the leg is hung up",
}


def _waits(found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    legs: dict[str, set[str]] = {}
    for name, role in found:
        legs.setdefault(name, set()).add(role)
    seconds = {field.name.removesuffix("_s"): getattr(PATIENCE, field.name) for field in fields(PATIENCE)}
    for name in sorted(legs):
        limit = _LIMITS.get(name) or f"{seconds[name]:g} s"
        yield f"`{name}`", " and ".join(sorted(legs[name])), limit, _THEN[name]


def _far_ends() -> Iterator[tuple[str, str, str]]:
    """What a far end that never answered can come to, from every cause and SIP final."""
    for cause in (None, *range(128)):
        for sip in (None, *range(300, 700)):
            for rang in (False, True):
                if cause is None or sip is None:
                    known = verdict(cause, sip, rang=rang)
                    yield str(known.status), str(known.termination.result), known.termination.reason


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    text = page(explore())
    if "--check" in arguments:
        current = TARGET.exists() and TARGET.read_text() == text
        print(f"{TARGET.name} is {'current' if current else 'not current: run python -m tools.diagram'}")
        return 0 if current else 1
    TARGET.write_text(text)
    print(f"wrote {TARGET.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
