"""The offline judge: does a recorded history keep the promises of number masking?

It knows only what clients saw. Each request took effect at some unknown moment between its sending and its
answer, so every hold has a time for which it is *certain* and a wider one for which it is *possible*. A fault
is only what no order of events could excuse:

- ``double_assignment``: two sessions certainly held one (key, proxy number) at one moment;
- ``reuse_in_quarantine``: the same, where one of the two had ended and others than its two people came next;
- ``wrong_party``: somebody was connected with a session that could not then have had that door, that seat,
  or that person behind it;
- ``late``: somebody was connected with a session that had certainly ended;
- ``lost``: nobody was found behind a door that was certainly held by a live session, or an acknowledged
  session is unknown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from proxy_pool.core.choice import Exhausted
from tools.verify_pool.history import History, Op, Person, Told

CLOCK_S = 0.002
"""One run, one clock; what is left is the rounding of times on their way through JSON and SQL."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A promise broken, told so that a person can find the requests in the history."""

    kind: str
    story: str


@dataclass(slots=True)
class Tenure:
    """One session's hold on one door. ``possible_from`` … ``certain_from``: when it began, if it did.

    ``certain_to`` … ``possible_to``: when it ended. ``acknowledged``: whether it certainly began.
    """

    session: str
    person: Person
    others: frozenset[str]
    possible_from: float
    certain_from: float
    certain_to: float = inf
    possible_to: float = inf
    acknowledged: bool = True
    taken_by: frozenset[str] = frozenset()
    """The people for whom the session took this door; a change of people may have put others behind it."""
    handed_on: bool = False
    """Its session kept the door and put other people behind it: no quarantine lies between the two."""

    def certainly(self, start: float, end: float) -> bool:
        """Whether it was held during the whole of this time."""
        return self.acknowledged and self.certain_from <= start and end <= self.certain_to

    def possibly(self, start: float, end: float) -> bool:
        """Whether it may have been held at some moment of this time."""
        return self.possible_from <= end and start <= self.possible_to


@dataclass(slots=True)
class Report:
    """What was found; ``counted`` tells how much was looked at."""

    counted: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def by_kind(self) -> Mapping[str, int]:
        kinds = ("double_assignment", "reuse_in_quarantine", "wrong_party", "late", "lost")
        found = Counter(fault.kind for fault in self.faults)
        return {kind: found[kind] for kind in kinds}


def check(history: History) -> Report:
    """Judge a whole run. Only what opens, changes, uses and ends sessions is kept in memory."""
    report = Report()
    by_session: dict[str, list[Op]] = defaultdict(list)
    for op in history.ops:
        report.counted[op.verb] += 1
        report.counted["unanswered"] += op.ended_at is None
        report.counted["refused"] += bool(op.refused)
        report.counted["exhausted"] += op.verb == "open" and op.refused == Exhausted.code
        if op.session and op.verb != "get" and op.may_have_happened:
            by_session[op.session].append(op)
    doors: dict[tuple[str, str], list[Tenure]] = defaultdict(list)
    for mine in by_session.values():
        for tenure in _of_session(mine):
            doors[tenure.person.key, tenure.person.proxy].append(tenure)
    report.counted["doors"] = len(doors)
    for held in doors.values():
        report.faults.extend(_overlaps(held, history.quarantine_s))
    for op in history.ops:
        if op.verb == "resolve" and op.answered:
            held = doors.get((op.key, op.proxy), [])
            if op.told is None or not _excused(op, by_session.get(op.told.session, ())):
                report.faults.extend(_judge_look_up(op, held))
        if op.verb == "get" and op.answered and op.told is None:
            report.faults.append(Fault("lost", f"{op.session}: acknowledged, and unknown at {op.started_at}"))
    return report


# ------------------------------------------------------------ from requests to tenures


def _of_session(ops: list[Op]) -> Iterator[Tenure]:
    """One client at a time works on a session, so its requests have an order."""
    ops.sort(key=lambda op: op.started_at)
    current: dict[tuple[str, str], Tenure] = {}
    known: Told | None = None
    for op in ops:
        if op.verb in ("open", "change"):
            yield from _replace(op, current)
            known = op.told or known
        elif op.verb == "close":
            _release(op, current.values())
        elif op.verb == "use" and op.told is not None:
            known = op.told
        _limit(current.values(), op, known)
    yield from current.values()


def _replace(op: Op, current: dict[tuple[str, str], Tenure]) -> Iterator[Tenure]:
    """What an opening or a change of people gave and took."""
    if op.told is None:
        # why: it may or may not have happened; what it may have taken is no longer certain from here on
        _release(op, current.values())
        return
    assert op.ended_at is not None
    keys = frozenset(one.key for one in op.told.people)
    wanted = {(one.key, one.proxy): one for one in op.told.people}
    for door in [door for door in current if door not in wanted]:
        gone = current.pop(door)
        _release(op, [gone])
        yield gone
    for door, person in wanted.items():
        before = current.pop(door, None)
        taken_by = keys if before is None else before.taken_by
        if before is not None:
            # why: the same door with other people behind it is another tenure for whoever dials
            if before.others == keys and before.person == person and before.certain_to == inf:
                current[door] = before
                continue
            ended = min(before.certain_to, op.started_at)
            yield replace(before, certain_to=ended, possible_to=op.ended_at, handed_on=True)
        current[door] = Tenure(op.told.session, person, keys, op.started_at, op.ended_at, taken_by=taken_by)


def _release(op: Op, tenures: Iterable[Tenure]) -> None:
    for tenure in tenures:
        tenure.certain_to = min(tenure.certain_to, op.started_at)
        if op.answered:
            assert op.ended_at is not None
            tenure.possible_to = min(tenure.possible_to, op.ended_at)


def _limit(tenures: Iterable[Tenure], op: Op, known: Told | None) -> None:
    """A session ends by itself at ``ends_at``; a use that was not answered may have moved that on."""
    if known is None:
        return
    for tenure in tenures:
        if op.verb == "use" and op.told is None:
            tenure.possible_to = inf
        elif op.verb in ("open", "change", "use") and op.told is not None:
            tenure.possible_to = known.ends_at + CLOCK_S
            if tenure.certain_to >= op.started_at:
                tenure.certain_to = known.ends_at


def _excused(op: Op, others: Iterable[Op]) -> bool:
    """Whether a request without an answer may have seated just these two, on numbers nobody was told."""
    assert op.ended_at is not None
    return any(
        one.verb in ("open", "change")
        and one.told is None
        and {op.key, op.target} <= set(one.keys)
        and one.started_at <= op.ended_at
        for one in others
    )


# ------------------------------------------------------------ the promises


def _overlaps(held: list[Tenure], quarantine_s: float) -> Iterator[Fault]:
    """One walk over a door's tenures in the order of their beginnings, beside those that still count."""
    earlier: list[Tenure] = []
    for second in sorted((one for one in held if one.acknowledged), key=lambda one: one.certain_from):
        earlier = [one for one in earlier if second.certain_from < one.certain_to + quarantine_s]
        for first in earlier:
            if first.session != second.session:
                yield from _collide(first, second)
        # why: who gave way to the same two people rests no more; what their new session does with the door,
        # such as to put others behind it, is that session's, and its own rest ends later
        earlier = [one for one in earlier if not (_over(one, second) and second.taken_by == one.others)]
        earlier.append(second)


def _over(first: Tenure, second: Tenure) -> bool:
    return first.session != second.session and first.certain_to <= second.certain_from


def _collide(first: Tenure, second: Tenure) -> Iterator[Fault]:
    """``second`` began after ``first``, and before ``first`` and its quarantine were over."""
    if second.certain_from < first.certain_to and second.certain_from < second.certain_to:
        yield Fault("double_assignment", _both(first, second))
    elif first.certain_from <= first.certain_to and not first.handed_on and second.taken_by != first.others:
        yield Fault("reuse_in_quarantine", _both(first, second))


def _judge_look_up(op: Op, held: list[Tenure]) -> Iterator[Fault]:
    assert op.ended_at is not None
    start, end = op.started_at, op.ended_at
    if op.told is None:
        sure = [one for one in held if one.certainly(start - CLOCK_S, end + CLOCK_S)]
        if sure:
            yield Fault(
                "lost", f"{op.key} -> {op.proxy} at {start}: nobody, though {sure[0].session} is live"
            )
        return
    mine = [one for one in held if one.session == op.told.session]
    fitting = [
        one for one in mine if one.person.seat == op.seat and (op.target in one.others - {one.person.key})
    ]
    if not fitting:
        if not mine and not op.told.live:
            return
        if not mine:
            yield Fault(
                "wrong_party", f"{op.key} -> {op.proxy} at {start}: {op.told.session} has no such door"
            )
        else:
            yield Fault("wrong_party", f"{op.key} -> {op.proxy} at {start}: reached {op.target}")
    elif not any(one.possibly(start, end) for one in fitting):
        yield Fault("late", f"{op.key} -> {op.proxy} at {start}: {op.told.session} had ended")


def _both(first: Tenure, second: Tenure) -> str:
    return (
        f"{first.person.key} -> {first.person.proxy}: {first.session} until {first.certain_to}, "
        f"{second.session} from {second.certain_from}"
    )
