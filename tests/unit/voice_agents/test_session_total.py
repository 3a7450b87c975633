"""The session's machine explored: every reachable situation, every fact in it, and time alone from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.voice_agents.sessions import FULL, NOW, SPEC, Run, terms, told
from voice_agents.core import facts, orders, talk
from voice_agents.core.agent import AgentSpec, BargeIn, BargeMode, DialectName, Greeting
from voice_agents.core.machine import begin, step
from voice_agents.core.record import How, State
from voice_agents.core.session import EndStep, Phase, Session
from voice_agents.core.talk import Reason
from voice_agents.core.waits import next_deadline, waits

pytestmark = pytest.mark.unit

LINE = 0
"""Stands for the present line in the facts below; ``LATE`` for one that is no more."""
LATE = -1
_SAID = (
    talk.HangUp(),
    talk.Ack(),
    talk.Summary("all well"),
    talk.Clear(),
    talk.Transfer("phone:alice"),
    talk.Transfer("+4930123456"),
    talk.CallTool("t1", "look_up"),
    talk.SendDigits("12w#"),
    talk.Malformed("not JSON"),
)
INPUTS: tuple[facts.Fact, ...] = (
    facts.LineOpened(LINE),
    facts.LineReady(LINE),
    facts.LineFailed(LINE, "refused"),
    facts.LineFailed(LINE, "forbidden", again=False),
    facts.LineLost(LINE, "closed"),
    facts.LineStuck(LINE),
    facts.NotTold(LINE),
    facts.LineLost(LATE, "closed"),
    facts.LineReady(LATE),
    *(facts.AgentSaid(LINE, said) for said in _SAID),
    facts.FarEndHeard(LINE),
    facts.SoundBegan(),
    facts.SoundOver(),
    facts.EndHeard(1),
    facts.FlowChanged("full"),
    facts.MediaArrived(),
    facts.FirstFrame(),
    facts.MediaGone("hangup"),
    facts.MediaGone("stalled"),
    facts.MediaGone("never_came"),
    facts.CallerGone(),
    facts.SpeechBegan(100),
    facts.SpeechBegan(100, guarded=True),
    facts.SpeechOver(900),
    facts.WordsCaught(),
    facts.Pressed("1", 50),
    facts.EndAsked(Reason.API, "api"),
    facts.EndAsked(Reason.API, "api", force=True),
    facts.EndAsked(Reason.DRAIN, "gateway"),
    facts.EndAsked(Reason.REMOVED, "room"),
    facts.HoldAsked(True),
    facts.HoldAsked(True, "human"),
    facts.HoldAsked(False),
    facts.MuteAsked(True),
    facts.MuteAsked(False),
    facts.TransferAsked("phone:bob", 20, "api", keep=True),
    facts.HandBackAsked(),
    facts.HandBackFailed(),
    facts.SwapAsked(SPEC),
    facts.TransferDone("completed"),
    facts.TransferDone("busy"),
    facts.ToolDone(talk.ToolResult("t1", True)),
    facts.DigitsDone("12"),
    facts.PromptDone("fallback"),
    facts.PromptDone("farewell"),
    facts.HangUpFailed(),
    facts.RateWrong(2.0),
    facts.FlowChanged("high"),
    facts.FlowChanged("low"),
    facts.TimerFired(),
)
SPECS: dict[str, AgentSpec] = {
    "full": FULL,
    "bare": SPEC,
    "bot": replace(SPEC, dialect=DialectName.TWILIO),
    "clear": replace(SPEC, barge_in=BargeIn(BargeMode.CLEAR), transfer_allow=("phone:alice",)),
    "after_callee": replace(
        SPEC, greeting=Greeting("hello", when="after_callee"), transfer_allow=("phone:alice",)
    ),
}


def on_line(fact: facts.Fact, session: Session) -> facts.Fact:
    """The fact, about the line that the session has now; a mark, about the one that was set last."""
    if isinstance(fact, facts.EndHeard):
        return replace(fact, mark=session.marks)
    if isinstance(fact, facts.SwapAsked):
        return replace(fact, spec=replace(session.terms.spec, id="agt_3"))
    if getattr(fact, "line", None) == LINE:
        return replace(fact, line=session.line.number)  # type: ignore[call-arg]
    return fact


_COUNTED = {"number", "tries", "malformed", "usage", "marks", "created_at", "failure", "asked", "terms"}


def shape(value: object) -> object:
    """The situation without counts, and with times only as far as they are known at all."""
    if isinstance(value, Enum) or value is None:
        return value
    if is_dataclass(value):
        return tuple(shape(getattr(value, f.name)) for f in fields(value) if f.name not in _COUNTED)
    if isinstance(value, float):
        return "time"
    return value


def check(before: Session, fact: facts.Fact, after: Session, out: tuple[orders.Order, ...]) -> None:
    finishes = [o for o in out if isinstance(o, orders.Finish)]
    assert len(finishes) == int(after.state.final and not before.state.final)
    assert after.state.final == (next_deadline(after) is None)
    if before.state.final:
        assert after == before
        assert out == ()
    check_hang_up(before, after, out)
    check_told(before, after, out)
    check_ending(before, fact, after, out)
    for order in out:
        assert not isinstance(order, orders.Publish) or order.event in orders.EVENTS
    opens = [i for i, o in enumerate(out) if isinstance(o, orders.OpenLine)]
    closes = [i for i, o in enumerate(out) if isinstance(o, orders.CloseLine)]
    assert not opens or before.ending is None
    assert after.line.phase is not Phase.DOWN or not opens or closes[-1] > opens[-1]
    if before.line.open and not after.line.open and not isinstance(fact, facts.LineLost):
        assert closes, "a line that is given up is closed"


def check_hang_up(before: Session, after: Session, out: tuple[orders.Order, ...]) -> None:
    """A call is hung up once, and never before the agent that can be told was."""
    hang_ups = [i for i, o in enumerate(out) if isinstance(o, orders.HangUpCall)]
    assert len(hang_ups) <= 1
    if not hang_ups:
        return
    assert after.ending is not None
    assert before.ending is None or before.ending.hung_up_at is None
    assert after.ending.reason not in (Reason.CALLER, Reason.TRANSFERRED)
    earlier = before.ending is not None
    told_at = [i for i, o in enumerate(out) if isinstance(o, orders.Tell) and isinstance(o.told, talk.Ending)]
    if not earlier and before.line.open and not isinstance(before, bool):
        lost_first = any(isinstance(o, orders.CloseLine) for o in out[: hang_ups[0]])
        assert lost_first or (told_at and told_at[0] < hang_ups[0])


def check_told(before: Session, after: Session, out: tuple[orders.Order, ...]) -> None:
    """``Ending`` is told once, at the beginning of the end, and nothing after ``Ended``."""
    final = [t for t in told(out, talk.Ending) if t.final and t.reason is not Reason.REPLACED]
    begins = before.ending is None and after.ending is not None
    assert len(final) <= int(begins)
    if begins and before.line.open and after.line.open:
        assert len(final) == 1
    kinds = [o.told for o in out if isinstance(o, orders.Tell)]
    if any(isinstance(t, talk.Ended) and t.reason is not Reason.REPLACED for t in kinds):
        assert isinstance(kinds[-1], talk.Ended)
        assert after.state.final


def check_ending(before: Session, fact: facts.Fact, after: Session, out: tuple[orders.Order, ...]) -> None:
    if before.ending is not None:
        assert after.ending is not None
        assert after.ending.reason is before.ending.reason
        assert list(EndStep).index(after.ending.step) >= list(EndStep).index(before.ending.step) or (
            before.ending.step is EndStep.TAIL and after.ending.step is EndStep.DRAIN
        )
        tool = isinstance(fact, facts.AgentSaid) and isinstance(fact.said, talk.CallTool)
        if tool and before.line.open and fact.line == before.line.number and not before.state.final:  # type: ignore[union-attr]
            assert told(out, talk.ToolResult) == [talk.ToolResult("t1", False, error="session_ending")]
        assert not any(isinstance(o, orders.RunTool | orders.TransferCall | orders.SendDigits) for o in out)
    if after.state.final:
        assert after.ending is not None
        assert after.ending.how is not None


def ends_by_time_alone(session: Session) -> How | None:
    """Let every deadline come and nothing else; how it ended."""
    began = now = next_deadline(session) or 0.0
    for _ in range(400):
        at = next_deadline(session)
        if at is None:
            assert now - began < 1000
            return None if session.ending is None else session.ending.how
        now = max(now, at)
        before = session
        session, out = step(session, facts.TimerFired(), now)
        check(before, facts.TimerFired(), session, out)
        assert not any(w.at <= now for w in waits(session)), "a wait that is over goes on"
    raise AssertionError(f"it waits for ever: {list(waits(session))}")


DEPTHS = {"full": 2, "after_callee": 2}
"""So many facts, each of ``INPUTS``, from each of the situations below; for other agents, one."""
_END = facts.EndAsked(Reason.API, "api")


def situations(spec: AgentSpec, *, outbound: bool) -> Iterator[tuple[str, Run]]:
    """Where sessions usually get to, one for every state, and every step of their ends."""

    def talking() -> Run:
        run = Run.of(spec, outbound=outbound).talking()
        run.tell(facts.SpeechBegan(0), facts.SpeechOver(500), facts.SoundBegan())
        return run

    def led_on(*happened: facts.Fact) -> Run:
        run = talking()
        for fact in happened:
            run.tell(on_line(fact, run.session))
        return run

    yield "requested", Run.of(spec, outbound=outbound)
    yield "ready", Run.of(spec, outbound=outbound).ready()
    yield "bridged", Run.of(spec, outbound=outbound).ready().and_tell(facts.MediaArrived())
    yield "talking", talking()
    yield "paused", led_on(facts.SpeechBegan(900))
    yield "held", led_on(facts.HoldAsked(True))
    yield "lost", led_on(facts.LineLost(LINE, "closed"))
    yield "farewell", led_on(_END)
    yield "farewell spoken", led_on(_END, facts.SoundBegan())
    yield "drain", led_on(facts.AgentSaid(LINE, talk.HangUp()))
    yield "tail", led_on(facts.AgentSaid(LINE, talk.HangUp()), facts.EndHeard(1))
    yield "going", led_on(facts.EndAsked(Reason.API, "api", force=True))
    yield "closing", led_on(facts.CallerGone())
    if "phone:alice" in spec.transfer_allow:
        moved = (facts.SoundOver(), facts.AgentSaid(LINE, talk.Transfer("phone:alice")))
        yield "ringing", led_on(*moved)
        taken = (facts.SoundOver(), facts.TransferAsked("phone:bob", 20, "api", keep=True))
        yield "taken over", led_on(*taken, facts.MediaGone("hangup"), facts.TransferDone("completed"))
        yield "returning", led_on(*moved, facts.MediaGone("hangup"), facts.TransferDone("busy"))
    if spec.fallback.prompt:
        run = led_on(facts.LineLost(LINE, "closed"))
        run.pass_s(31)
        run.tell(facts.LineFailed(run.session.line.number, "forbidden", again=False))
        yield "fallback prompt", run
    if not outbound:
        yield "passed over", Run.of(spec, passed_over="agent_busy")
        yield "stood in for", Run.of(spec, passed_over="agent_busy").talking()


@pytest.mark.parametrize("name", list(SPECS))
def test_every_situation_answers_every_fact_and_ends(name: str) -> None:
    outbound = name == "after_callee"
    starts = list(situations(SPECS[name], outbound=outbound))
    todo = deque((run.session, run.now, 0) for _, run in starts)
    seen = {shape(session) for session, _, _ in todo}
    states, hows, steps = set(), set(), 0
    while todo:
        session, now, depth = todo.popleft()
        states.add(session.state)
        hows.add(ends_by_time_alone(session))
        if depth == DEPTHS.get(name, 1):
            continue
        for blank in INPUTS:
            fact = on_line(blank, session)
            due = next_deadline(session)
            at = now + 0.05 if not isinstance(fact, facts.TimerFired) or due is None else max(due, now)
            after, out = step(session, fact, at)
            check(session, fact, after, out)
            steps += 1
            if shape(after) not in seen:
                seen.add(shape(after))
                todo.append((after, at, depth + 1))
    assert steps > (5_000 if name in DEPTHS else 500)
    never = {State.REQUESTED}
    if SPECS[name].barge_in.mode is not BargeMode.PAUSE:
        never.add(State.PAUSED)
    assert states == set(State) - never
    assert hows == set(How)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(INPUTS), st.sampled_from([0.0, 0.02, 0.3, 2.0])), max_size=40))
def test_any_story_ends_once(story: list[tuple[facts.Fact, float]]) -> None:
    session, out = begin(terms(), NOW)
    now, all_out = NOW, list(out)
    for blank, pause_s in story:
        now += pause_s
        fact = facts.TimerFired() if (next_deadline(session) or now + 1) <= now else on_line(blank, session)
        before = session
        session, more = step(session, fact, now)
        check(before, fact, session, more)
        all_out += more
    for _ in range(400):
        due = next_deadline(session)
        if due is None:
            break
        now = max(now, due)
        session, more = step(session, facts.TimerFired(), now)
        all_out += more
    assert session.state.final
    assert sum(isinstance(o, orders.Finish) for o in all_out) == 1
    assert sum(isinstance(o, orders.HangUpCall) for o in all_out) <= 1
    ends = [t for t in told(all_out, talk.Ending) if t.final and t.reason is not Reason.REPLACED]
    assert len(ends) <= 1
