"""Sound that an agent sends before the call has room for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agents.core.talk import Ack, Audio, CallerSpoke, CallTool, Caption, Clear, HangUp, Mark, Said
from voice_agents.lines.waiting import WaitingRoom

pytestmark = pytest.mark.unit


def room(piece: int = 4) -> WaitingRoom:
    return WaitingRoom(piece)


def test_what_comes_at_the_pace_of_speech_does_not_wait():
    waiting = room(100)
    for _ in range(50):
        assert waiting.take(Audio(b"ab")) == [Audio(b"ab")]
    assert not waiting


def test_a_long_piece_is_passed_on_a_part_each_turn():
    waiting = room()
    assert waiting.take(Audio(b"abcdefghij")) == [Audio(b"abcd")]
    assert waiting.take(Mark("m")) == []
    assert waiting.octets == 6
    assert waiting.turn() == [Audio(b"efgh")]
    assert waiting.turn() == [Audio(b"ij"), Mark("m")]
    assert waiting.turn() == []
    assert waiting.octets == 0


def test_nothing_is_passed_on_while_it_is_shut_but_what_cannot_wait():
    waiting = room()
    waiting.shut = True
    assert waiting.take(Audio(b"ab")) == []
    assert waiting.take(HangUp()) == []
    assert waiting.turn() == []
    assert waiting.take(CallerSpoke()) == (CallerSpoke(),)
    assert waiting.take(CallTool("1", "x")) == (CallTool("1", "x"),)
    waiting.shut = False
    assert waiting.turn() == [Audio(b"ab"), HangUp()]


def test_a_clear_drops_sound_and_keeps_marks():
    waiting = room()
    waiting.shut = True
    for said in (Audio(b"ab"), Caption("ab"), Mark("m"), Audio(b"c")):
        waiting.take(said)
    assert waiting.take(Clear()) == (Mark("m"), Clear())
    assert (bool(waiting), waiting.octets) == (False, 0)


PIECES = st.lists(
    st.binary(min_size=1, max_size=30).map(Audio)
    | st.sampled_from([Mark("a"), Ack(), "turn", "shut", "open"]),
    max_size=30,
)


@given(PIECES, st.integers(1, 12))
def test_everything_comes_in_its_order_and_no_turn_gives_more_than_a_piece(
    steps: list[Said | str], piece: int
):
    waiting, given_now, passed = room(piece), 0, list[Said]()
    wanted = [said for said in steps if not isinstance(said, str)]
    for step in [*steps, "open", *(["turn"] * 1000)]:
        if step in ("shut", "open"):
            waiting.shut = step == "shut"
            continue
        if step == "turn":
            given_now = 0
        now = waiting.turn() if isinstance(step, str) else waiting.take(step)
        given_now += sum(len(said.data) for said in now if isinstance(said, Audio))
        assert given_now <= piece
        passed += now
    assert flat(passed) == flat(wanted)
    assert waiting.octets == 0


def flat(said: list[Said]) -> list[object]:
    """Sound octet by octet, the rest as it is."""
    return [piece for one in said for piece in (one.data if isinstance(one, Audio) else [one])]
