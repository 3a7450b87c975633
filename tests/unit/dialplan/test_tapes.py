"""Recordings in the core: every verb in every state, and what the end of a call makes of them."""

from __future__ import annotations

import pytest

from dialplan.core import facts, orders
from dialplan.core.call import Call, TapeState
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    HOLD,
    A,
    B,
    inbound,
    outbound,
    published,
    run,
    talking,
)

pytestmark = pytest.mark.unit

START, STOP = facts.TapeAsked("start"), facts.TapeAsked("stop")
PAUSE, RESUME = facts.TapeAsked("pause"), facts.TapeAsked("resume")
STARTED, STOPPED = facts.TapeTurned("started"), facts.TapeTurned("stopped")
PAUSED, RESUMED = facts.TapeTurned("paused"), facts.TapeTurned("resumed")
FAILED = facts.TapeTurned("failed")
FIRST, SECOND = "call_00000000000000000000000001-1", "call_00000000000000000000000001-2"
ENDS = facts.EndRequested(CALLER), facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16)
BY_STATE: dict[TapeState | None, tuple[facts.Fact, ...]] = {
    None: (),
    TapeState.WAITING: (START,),
    TapeState.RECORDING: (START, STARTED),
    TapeState.PAUSED: (START, STARTED, PAUSED),
    TapeState.STOPPED: (START, STARTED, STOPPED),
    TapeState.FILED: (START, STARTED, STOPPED, facts.TapeFiled(FIRST, ok=True)),
}


def taped(state: TapeState | None) -> Call:
    call, _ = run(talking(), *BY_STATE[state])
    assert (call.tapes[0].state if call.tapes else None) is state
    return call


@pytest.mark.parametrize(
    ("state", "verb", "tape_id"),
    [
        (None, "start", FIRST),
        (TapeState.RECORDING, "stop", FIRST),
        (TapeState.RECORDING, "pause", FIRST),
        (TapeState.PAUSED, "resume", FIRST),
        (TapeState.PAUSED, "stop", FIRST),
        (TapeState.STOPPED, "start", SECOND),
        (TapeState.FILED, "start", SECOND),
    ],
)
def test_a_verb_that_fits_is_ordered(state: TapeState | None, verb: str, tape_id: str) -> None:
    _, out = run(taped(state), facts.TapeAsked(verb))
    assert out == [orders.TurnTape(verb, A, tape_id)]


FITS = {
    (None, "start"),
    (TapeState.STOPPED, "start"),
    (TapeState.FILED, "start"),
    (TapeState.RECORDING, "stop"),
    (TapeState.RECORDING, "pause"),
    (TapeState.PAUSED, "resume"),
    (TapeState.PAUSED, "stop"),
}


@pytest.mark.parametrize("verb", ["start", "stop", "pause", "resume", "rewind"])
@pytest.mark.parametrize("state", BY_STATE)
def test_a_verb_that_does_not_fit_changes_nothing(state: TapeState | None, verb: str) -> None:
    before = taped(state)
    after, out = run(before, facts.TapeAsked(verb))
    if (state, verb) in FITS:
        assert len(out) == 1
    else:
        assert (after, out) == (before, [])


@pytest.mark.parametrize("call", [outbound(), inbound(), run(talking(), *ENDS)[0]], ids=["out", "in", "over"])
def test_only_an_answered_call_is_recorded(call: Call) -> None:
    assert run(call, START) == (call, [])


def test_a_whole_recording_is_told() -> None:
    _, out = run(talking(), START, STARTED, PAUSE, PAUSED, RESUME, RESUMED, STOP, STOPPED)
    assert published(out) == [
        "recording.started",
        "recording.paused",
        "recording.resumed",
        "recording.stopped",
    ]
    assert out[-1] == orders.FileTape(FIRST)
    assert all(dict(o.detail) == {"recording_id": FIRST} for o in out if isinstance(o, orders.Publish))


@pytest.mark.parametrize("turn", [PAUSED, RESUMED, STARTED, STOPPED, FAILED])
def test_the_switch_may_say_it_twice_or_out_of_place(turn: facts.TapeTurned) -> None:
    for state in BY_STATE:
        once, first = run(taped(state), turn)
        twice, second = run(once, turn)
        assert len(published(first)) <= 1
        assert (twice, second) == (once, [])


@pytest.mark.parametrize(("ok", "type_"), [(True, "recording.ready"), (False, "recording.failed")])
def test_filed_for_good(ok: bool, type_: str) -> None:
    filed = facts.TapeFiled(FIRST, ok, (("duration_ms", "1000"),))
    call, out = run(taped(TapeState.STOPPED), filed)
    (told,) = out
    assert isinstance(told, orders.Publish)
    assert told.type == type_
    assert dict(told.detail) == {"recording_id": FIRST, "duration_ms": "1000"}
    assert run(call, filed) == (call, [])


@pytest.mark.parametrize("tape_id", [SECOND, "", "call_x-1"])
def test_a_strange_file_is_nobodys(tape_id: str) -> None:
    call = taped(TapeState.STOPPED)
    assert run(call, facts.TapeFiled(tape_id, ok=True)) == (call, [])


def test_one_that_could_not_start_has_failed_and_another_may_be_tried() -> None:
    call, out = run(talking(), START, FAILED)
    (told,) = [o for o in out if isinstance(o, orders.Publish)]
    assert (told.type, dict(told.detail)["reason"]) == ("recording.failed", "could_not_start")
    assert call.tape is None
    _, out = run(call, START)
    assert out == [orders.TurnTape("start", A, SECOND)]


@pytest.mark.parametrize("state", [TapeState.WAITING, TapeState.RECORDING, TapeState.PAUSED])
def test_the_end_of_the_call_stops_what_runs_and_files_it(state: TapeState) -> None:
    call, out = run(taped(state), *ENDS)
    assert call.closed
    assert not call.settled
    assert [o for o in out if isinstance(o, orders.FileTape)] == [orders.FileTape(FIRST)]
    assert published(out) == ["call.completed"]
    call, out = run(call, facts.TapeFiled(FIRST, ok=True))
    assert published(out) == ["recording.ready"]
    assert call.settled
    assert call.sequence == len(set(range(1, call.sequence + 1)))


@pytest.mark.parametrize("state", [None, TapeState.FILED])
def test_a_call_with_nothing_left_to_file_is_settled_at_its_end(state: TapeState | None) -> None:
    call, _ = run(taped(state), *ENDS)
    assert call.settled


def test_the_file_may_be_finished_before_or_after_the_call() -> None:
    call, _ = run(taped(TapeState.STOPPED), *ENDS)
    assert call.closed
    assert not call.settled
    call, out = run(call, facts.TapeFiled(FIRST, ok=False))
    assert published(out) == ["recording.failed"]
    assert call.settled


def test_a_call_to_be_recorded_is_so_from_its_connection() -> None:
    call, out = run(outbound(HOLD, record=True), facts.Dialed(CALLER), facts.Answered(CALLER), facts.Asked())
    (reply,) = [o for o in out if isinstance(o, orders.Reply)]
    assert reply.tape_id == FIRST
    assert call.tape is not None
    assert call.tape.state is TapeState.WAITING


def test_an_unanswered_call_has_no_recording_to_speak_of() -> None:
    call = inbound(record=True)
    assert call.tape is not None
    call, out = run(call, facts.Dialed(CALLEE, B), facts.HungUp(CALLEE, 17, 486), facts.HungUp(CALLER, 17))
    assert call.settled
    assert not [o for o in out if isinstance(o, orders.FileTape)]
    assert published(out) == ["call.busy"]


def test_a_recording_is_not_started_for_a_call_that_is_being_ended() -> None:
    call, out = run(
        outbound(HOLD, record=True),
        facts.Dialed(CALLER),
        facts.EndRequested(CALLER),
        facts.HungUp(CALLER, 16),
    )
    assert call.closed
    assert call.tapes == ()
    assert not [o for o in out if isinstance(o, orders.TurnTape)]
