"""Parts come in any order, twice, late, or never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.reassembly import PATIENCE_S, WINDOW_S, Gathered, Piece, Whole, gather, key_of
from proxy_pool.core.segments import split
from proxy_pool.core.text import InboundText, Part
from telephony.numbers import E164

pytestmark = pytest.mark.unit

NOW = 1_000_000.0


def piece(number: int, body: str, at: float = NOW, *, used: bool = False, name: str = "") -> Piece:
    return Piece(name or f"p{number}", number, body, at, used)


def part(total: int, number: int) -> InboundText:
    return InboundText("c", "m", "+14155550100", E164("+14155550101"), "x", part=Part(9, total, number))


@given(st.text(min_size=200, max_size=900), st.randoms())
def test_whatever_the_order_the_text_is_what_was_cut(text: str, chance: object):
    segments = split(text, reference=3, most=100)
    pieces = [
        piece(one.part.number, one.text, NOW + at) for at, one in enumerate(segments) if one.part is not None
    ]
    chance.shuffle(pieces)  # type: ignore[attr-defined]
    gathered = gather(pieces, len(segments), NOW + 60)
    assert [one.body for one in gathered.texts] == [text]
    assert gathered.texts[0].missing == ()
    assert gathered.wait_until is None


def test_an_incomplete_text_waits_from_its_latest_part_on():
    pieces = [piece(1, "a", NOW), piece(3, "c", NOW + 100)]
    assert gather(pieces, 3, NOW + 101) == Gathered(wait_until=NOW + 100 + PATIENCE_S)


def test_when_patience_ends_it_goes_out_and_says_what_is_missing():
    pieces = [piece(1, "a"), piece(3, "c")]
    assert gather(pieces, 3, NOW + PATIENCE_S) == Gathered((Whole("ac", ("p1", "p3"), (2,)),))


def test_the_same_part_again_is_dropped_before_and_after_the_text_is_complete():
    waiting = gather([piece(1, "a"), piece(1, "a", NOW + 1, name="again")], 2, NOW + 2)
    assert waiting.repeated == ("again",)
    assert waiting.texts == ()
    done = [piece(1, "a", used=True), piece(2, "b", used=True), piece(2, "b", NOW + 50, name="again")]
    assert gather(done, 2, NOW + 51) == Gathered(repeated=("again",))


def test_a_repetition_in_the_same_batch_as_the_completion_is_dropped_too():
    three = [piece(1, "a"), piece(2, "b", NOW + 1), piece(1, "a", NOW + 2, name="again")]
    gathered = gather(three, 2, NOW + 3)
    assert [one.body for one in gathered.texts] == ["ab"]
    assert gathered.repeated == ("again",)
    assert gathered.wait_until is None


def test_a_reference_used_again_begins_a_new_text():
    pieces = [piece(1, "old"), piece(1, "new", NOW + 1, name="n1"), piece(2, "end", NOW + 2)]
    gathered = gather(pieces, 2, NOW + 3)
    assert gathered.texts == (Whole("old", ("p1",), (2,)), Whole("newend", ("n1", "p2")))


def test_parts_a_day_apart_are_not_one_text():
    pieces = [piece(1, "a", NOW), piece(2, "b", NOW + WINDOW_S + 1)]
    gathered = gather(pieces, 2, NOW + WINDOW_S + 2)
    assert gathered.texts == (Whole("a", ("p1",), (2,)),)
    assert gathered.wait_until == NOW + WINDOW_S + 1 + PATIENCE_S


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.integers(0, 2000)), max_size=12),
    st.integers(0, 4000),
)
def test_every_piece_is_in_one_text_or_dropped_or_waiting(given_pieces: list[tuple[int, str, int]], now: int):
    pieces = [piece(number, body, at, name=f"p{i}") for i, (number, body, at) in enumerate(given_pieces)]
    gathered = gather(pieces, 3, now)
    gone = [one for text in gathered.texts for one in text.pieces] + list(gathered.repeated)
    assert len(gone) == len(set(gone))
    left = {one.id for one in pieces} - set(gone)
    assert (left != set()) == (gathered.wait_until is not None)


@pytest.mark.parametrize(("total", "number"), [(1, 1), (0, 0), (2, 3), (256, 1), (2, 0)])
def test_a_part_that_makes_no_sense_is_a_text_by_itself(total: int, number: int):
    assert key_of(part(total, number)) is None


def test_the_key_tells_parts_of_different_texts_apart():
    assert key_of(part(2, 1)) == key_of(part(2, 2))
    assert key_of(part(2, 1)) != key_of(part(3, 1))
