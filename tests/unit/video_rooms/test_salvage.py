"""What is made of a dead recorder's parts, and whether a room is recorded further: decided without a disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import InvalidInput
from tests.unit.video_rooms.rooms import a_room
from video_rooms.core.reel import SpeakerTrack
from video_rooms.core.salvage import (
    LEAST_MS,
    MIXED,
    PICTURE,
    Found,
    SalvageSpec,
    SpeakerNote,
    note_line,
    plan,
    playable,
    read_notes,
    read_spec,
    spec_line,
)
from video_rooms.core.tape import CRASHED, INTERRUPTED, UNFINISHED, RoomTape, TapeState, goes_on

pytestmark = pytest.mark.unit

RATE = 1000
SECOND = 2 * RATE
ALICE = SpeakerNote("alice", "Alice Ärmel", "speaker-1.part.pcm", 250)
BOB = SpeakerNote("bob", "Bob", "speaker-2.part.pcm", 4_000)
HEAD = [(b"ftyp", 32), (b"moov", 800)]


# ---------------------------------------------------------------- notes


@given(cut=st.integers(0, 400))
def test_notes_are_read_as_far_as_they_were_written(cut: int) -> None:
    lines = [note_line(ALICE), note_line(BOB)]
    read = read_notes(b"".join(lines)[:cut])
    whole = sum(cut >= end - 1 for end in (len(lines[0]), len(lines[0]) + len(lines[1])))
    assert read == (ALICE, BOB)[:whole]


@pytest.mark.parametrize(
    "line",
    [
        b'{"identity": "a", "name": "A", "file": "../../etc/speaker.part.pcm", "started_ms": 0}',
        b'{"identity": "a", "name": "A", "file": "composite.mp4", "started_ms": 0}',
        b'{"identity": 7, "name": "A", "file": "speaker-1.part.pcm", "started_ms": 0}',
        b'{"identity": "a", "name": "A", "file": "speaker-1.part.pcm", "started_ms": "0"}',
        b"[1, 2]",
        b"\xff\xfe",
    ],
)
def test_what_is_no_note_is_passed_over(line: bytes) -> None:
    assert read_notes(line + b"\n" + note_line(BOB)) == (BOB,)


def test_what_the_salvager_is_told_is_read_back() -> None:
    spec = SalvageSpec("/recordings/EG_1", "/usr/bin/ffmpeg", CRASHED)
    assert read_spec(spec_line(spec)) == spec
    with pytest.raises(InvalidInput):
        read_spec(b"{}\n")


# ---------------------------------------------------------------- the picture


@given(fragments=st.lists(st.integers(8, 5_000), max_size=5), cut=st.integers(0, 40_000))
def test_a_picture_plays_up_to_its_last_whole_fragment(fragments: list[int], cut: int) -> None:
    boxes, ends, at = [*HEAD], [], 832
    for size in fragments:
        boxes += [(b"moof", 100), (b"mdat", size)]
        at += 100 + size
        ends.append(at)
    size = min(cut, at)
    seen, begins = [], 0
    for kind, length in boxes:
        if begins + 8 <= size:
            seen.append((kind, length))
        begins += length
    assert playable(seen, size) == max((end for end in ends if end <= size), default=0)


@pytest.mark.parametrize(
    ("boxes", "size", "good"),
    [
        ([], 0, 0),
        ([(b"moof", 10), (b"mdat", 10)], 20, 0),
        ([*HEAD, (b"mdat", 50)], 882, 0),
        ([*HEAD, (b"moof", 10), (b"mdat", 10), (b"mfra", 8)], 860, 860),
        ([*HEAD, (b"moof", 10), (b"mdat", 10), (b"moof", 10)], 862, 852),
        ([*HEAD, (b"moof", 10), (b"mdat", 0)], 900, 0),
    ],
    ids=["nothing", "no-head", "no-fragment", "ended-well", "half-a-fragment", "a-size-that-is-none"],
)
def test_what_of_a_picture_plays(boxes: list[tuple[bytes, int]], size: int, good: int) -> None:
    assert playable(boxes, size) == good


# ---------------------------------------------------------------- what is made


def found(*notes: SpeakerNote, picture: int = 900, **sizes: int) -> Found:
    named = {"mixed": MIXED, "one": ALICE.file, "two": BOB.file, "nine": "speaker-9.part.pcm"}
    return Found(notes, picture, {named[name]: size for name, size in sizes.items()})


def test_everything_is_made_of_what_is_whole() -> None:
    made = plan(found(ALICE, BOB, mixed=10 * SECOND, one=9 * SECOND, two=6 * SECOND + 1), RATE)
    assert made is not None
    assert made.films == ((PICTURE, MIXED), (MIXED,), (PICTURE,))
    assert made.duration_ms == 10_000
    assert made.speakers == (
        (ALICE.file, SpeakerTrack("alice", "Alice Ärmel", "speaker-1.ogg", 250, 9_000)),
        (BOB.file, SpeakerTrack("bob", "Bob", "speaker-2.ogg", 4_000, 6_000)),
    )
    assert made.unnamed == ()


def test_without_a_picture_what_was_heard_is_enough_and_the_other_way_round() -> None:
    heard = plan(found(ALICE, picture=0, mixed=SECOND, one=SECOND), RATE)
    assert heard is not None
    assert heard.films == ((MIXED,),)
    seen = plan(found(BOB, mixed=0, two=SECOND), RATE)
    assert seen is not None
    assert (seen.films, seen.duration_ms) == (((PICTURE,),), 5_000)


def test_whoever_said_nothing_has_no_file_and_what_nobody_noted_is_left_there() -> None:
    made = plan(found(ALICE, BOB, mixed=SECOND, one=SECOND, nine=SECOND), RATE)
    assert made is not None
    assert [part for part, _ in made.speakers] == [ALICE.file]
    assert made.unnamed == ("speaker-9.part.pcm",)


@pytest.mark.parametrize("octets", [0, LEAST_MS * SECOND // 1000 - 2])
def test_nothing_is_made_of_nothing(octets: int) -> None:
    assert plan(found(ALICE, picture=0, mixed=octets, one=octets), RATE) is None


# ---------------------------------------------------------------- what goes on

ROOM = replace(a_room(), started_at=a_room().created_at, recording_enabled=False)
PLANNED = replace(ROOM, recording_enabled=True)
assert ROOM.started_at is not None
TAPE = RoomTape("EG_1", ROOM.id, ROOM.tenant, TapeState.RECORDING, ROOM.started_at + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("state", "why", "again"),
    [
        (TapeState.RECORDING, "", True),
        (TapeState.PROCESSING, "", False),
        (TapeState.PROCESSING, CRASHED, True),
        (TapeState.READY, "", False),
        (TapeState.READY, CRASHED, True),
        (TapeState.READY, INTERRUPTED, True),
        (TapeState.READY, UNFINISHED, False),
        (TapeState.FAILED, "encoder", True),
        (TapeState.FAILED, UNFINISHED, False),
    ],
)
def test_a_recording_goes_on_unless_somebody_ended_it(state: TapeState, why: str, again: bool) -> None:
    """Whoever began it, and whatever the room's address of an earlier recording is."""
    last = replace(TAPE, state=state, why=why)
    for room in (ROOM, PLANNED, replace(PLANNED, recording_url="https://files.example/1")):
        assert goes_on(room, [last]) is again
    assert goes_on(ROOM, [replace(TAPE, state=TapeState.READY, why=CRASHED), last]) is again


def test_a_room_that_was_to_be_recorded_and_never_was_is_now() -> None:
    assert goes_on(PLANNED, [])
    assert not goes_on(ROOM, [])


def test_another_time_of_a_series_decides_nothing() -> None:
    earlier = replace(TAPE, state=TapeState.READY, started_at=TAPE.started_at - timedelta(days=7))
    assert goes_on(replace(PLANNED, recording_url="https://files.example/1"), [earlier])
    assert not goes_on(ROOM, [replace(earlier, why=CRASHED)])


def test_a_media_server_whose_clock_is_ahead_changes_nothing() -> None:
    assert ROOM.started_at is not None
    ended = replace(TAPE, state=TapeState.READY, started_at=ROOM.started_at - timedelta(seconds=2))
    assert not goes_on(PLANNED, [ended])


def test_the_media_servers_own_recorder_goes_on_by_itself() -> None:
    assert not goes_on(PLANNED, [replace(TAPE, location="pending")])


def test_only_what_is_ready_can_be_incomplete() -> None:
    for state in TapeState:
        for why in ("", CRASHED):
            assert replace(TAPE, state=state, why=why).incomplete is (state is TapeState.READY and bool(why))
