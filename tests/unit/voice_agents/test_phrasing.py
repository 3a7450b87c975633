"""Text in pieces, cut into what is spoken at once."""

from __future__ import annotations

import random

import pytest

from voice_agents.core.phrasing import MOST, Phrasing

pytestmark = pytest.mark.unit


def phrases(*pieces: str) -> list[str]:
    phrasing = Phrasing()
    return [phrase for n, piece in enumerate(pieces) for phrase in phrasing.feed(piece, n == len(pieces) - 1)]


def test_a_sentence_is_spoken_as_soon_as_the_next_begins() -> None:
    phrasing = Phrasing()
    assert phrasing.feed("We are open until six", False) == []
    assert phrasing.feed(". ", False) == ["We are open until six. "]
    assert phrasing.feed("Goodbye", True) == ["Goodbye"]


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3.50 euros.",
        "Please ask for Dr. Miller today.",
        "Bring fruit, e.g. apples.",
        "Ring John F. Doe.",
    ],
)
def test_points_that_end_no_sentence(text: str) -> None:
    assert phrases(text) == [text]


def test_a_number_that_arrives_in_two_pieces() -> None:
    assert phrases("The price is 3.", "50 euros.") == ["The price is 3.50 euros."]


def test_short_sentences_stay_with_the_next() -> None:
    assert phrases("Yes. Of course. I will do that.") == ["Yes. Of course. ", "I will do that."]


def test_a_long_sentence_is_cut_at_a_comma_and_a_longer_one_anywhere() -> None:
    clause = (
        "when all the lines to the department that you have asked for are taken by other callers, please wait"
    )
    assert phrases(clause)[0].endswith("callers, ")
    assert [len(phrase) for phrase in phrases("x" * 500)] == [MOST, MOST, 20]
    assert phrases("word " * 60)[0].endswith("word ")


def test_however_it_is_cut_nothing_is_lost() -> None:
    chance = random.Random(7)
    text = "Hello there! Dr. Who is out, at 5.30 p.m. he is back; ask again… Fine?\n\nBye " * 12
    for _ in range(200):
        cuts = sorted(chance.sample(range(len(text)), 9))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        spoken = phrases(*pieces)
        assert "".join(spoken) == text
        assert all(0 < len(phrase) <= MOST for phrase in spoken)


def test_an_empty_turn_says_nothing() -> None:
    assert phrases("") == []
