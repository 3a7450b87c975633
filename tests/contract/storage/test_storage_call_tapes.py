"""Recordings in every database, as their calls tell of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core.call import TapeState
from dialplan.core.record import cdr
from gateway.storage.calls import CallRepository
from gateway.storage.database import Database
from gateway.storage.recordings import RecordingRepository
from gateway.storage.records import Recording, RecordingState
from telephony.ids import CallId
from tests.contract.storage.made_calls import (
    OURS,
    T0,
    THEIRS,
    answered,
    completed,
    event,
    started,
    tape,
    told,
)

pytestmark = pytest.mark.contract


async def test_a_recording_is_followed_from_start_to_file(calls: CallRepository, database: Database) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    await calls.append(call, [event(call, "call.answered", T0 + 3)], None)
    assert await recordings.of_call(OURS, call.id) == ()
    tape_id = tape(call, TapeState.WAITING).id
    about = ("recording_id", tape_id)
    steps = [
        (TapeState.RECORDING, "recording.started", RecordingState.RECORDING),
        (TapeState.PAUSED, "recording.paused", RecordingState.PAUSED),
        (TapeState.RECORDING, "recording.resumed", RecordingState.RECORDING),
        (TapeState.STOPPED, "recording.stopped", RecordingState.PROCESSING),
    ]
    for turn, type_, state in steps:
        stopped_at = T0 + 30 if turn is TapeState.STOPPED else None
        call = replace(call, tapes=(tape(call, turn, stopped_at=stopped_at),))
        call, entry = told(call, type_, T0 + 20, about)
        await calls.append(call, [entry], None)
        found = await recordings.get(OURS, tape_id)
        assert found is not None
        assert (found.state, found.created_at, found.ended_at) == (state, T0 + 5, stopped_at)
    assert await recordings.ready_of(OURS, [call.id]) == {}
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 30),))
    figures = (("file", f"{tape_id}.wav"), ("duration_ms", "25000"), ("channels", "2"), ("bytes", "800044"))
    call, entry = told(call, "recording.ready", T0 + 31, about, *figures)
    await calls.append(call, [entry], None)
    ready = Recording(
        tape_id,
        call.id,
        OURS,
        RecordingState.READY,
        T0 + 5,
        T0 + 30,
        f"{tape_id}.wav",
        duration_ms=25_000,
        channels=2,
        bytes=800_044,
    )
    assert await recordings.of_call(OURS, call.id) == (ready,)
    assert await recordings.ready_of(OURS, [call.id, CallId("call_other")]) == {call.id: ready}
    assert await recordings.get(THEIRS, tape_id) is None
    assert await recordings.ready_of(THEIRS, [call.id]) == {}


async def test_a_finished_recording_is_forgotten_for_good(calls: CallRepository, database: Database) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    call = replace(call, tapes=(tape(call, TapeState.RECORDING),))
    tape_id = call.tapes[0].id
    call, entry = told(call, "recording.started", T0 + 5, ("recording_id", tape_id))
    await calls.append(call, [entry], None)
    assert not await recordings.forget(OURS, tape_id), "it is still being made"
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 30),))
    call, entry = told(call, "recording.ready", T0 + 31, ("recording_id", tape_id), ("file", "x.wav"))
    await calls.append(call, [entry], None)
    assert not await recordings.forget(THEIRS, tape_id)
    assert await recordings.forget(OURS, tape_id)
    assert not await recordings.forget(OURS, tape_id)
    call, entry = told(call, "call.connected", T0 + 40)
    await calls.append(call, [entry], None)
    assert await recordings.of_call(OURS, call.id) == ()


async def test_a_recording_that_failed_says_why_and_stays_failed(
    calls: CallRepository, database: Database
) -> None:
    recordings = RecordingRepository(database)
    call = answered(started(1), T0 + 3)
    call = replace(call, tapes=(tape(call, TapeState.FILED, stopped_at=T0 + 6),))
    about = (("recording_id", call.tapes[0].id), ("reason", "could_not_start"))
    call, entry = told(call, "recording.failed", T0 + 6, *about)
    await calls.append(call, [entry], None)
    call, entry = told(call, "call.connected", T0 + 7)
    await calls.append(call, [entry], None)
    found = await recordings.get(OURS, call.tapes[0].id)
    assert found is not None
    assert (found.state, found.failure, found.file) == (RecordingState.FAILED, "could_not_start", None)


async def test_a_call_that_stops_its_recording_by_ending_leaves_it_processing(
    calls: CallRepository, database: Database
) -> None:
    call = answered(started(1), T0 + 3)
    call = completed(call, T0 + 9, tapes=(tape(call, TapeState.STOPPED, stopped_at=T0 + 9),))
    await calls.append(call, [event(call, "call.completed", T0 + 9)], cdr(call))
    found = await RecordingRepository(database).of_call(OURS, call.id)
    assert [one.state for one in found] == [RecordingState.PROCESSING]
