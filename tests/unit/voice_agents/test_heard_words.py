"""How much of what was said was heard, and the transcript that this makes."""

from __future__ import annotations

import json

import pytest

from voice_agents.core.audio import Codec
from voice_agents.core.heard import Piece, heard_text
from voice_agents.core.ledger import Cut, Ledger
from voice_agents.core.record import Evidence, Figures, How
from voice_agents.core.summary import summary
from voice_agents.core.talk import Reason, Summary
from voice_agents.core.transcript import Turn, as_text, as_views, as_webvtt, in_order

pytestmark = pytest.mark.unit

FRAME = Codec.SLIN16.frame_bytes
TEN = "one two three four five six seven eight nine ten"


def octets(ms: int) -> int:
    return FRAME * ms // 20


# ---------------------------------------------------------------- heard_text


def test_words_take_time_by_their_length() -> None:
    whole = [Piece(0, TEN)]
    assert heard_text(whole, 0, 3000, 0, complete=True) == ""
    assert heard_text(whole, 0, 3000, 1000, complete=True) == "one two three four"
    assert heard_text(whole, 0, 3000, 3000, complete=True) == TEN
    assert heard_text([], 0, 3000, 1000, complete=True) == ""


def test_pieces_before_their_sound_are_laid_out_over_it() -> None:
    pieces = [Piece(0, "one two "), Piece(2000, "three four")]
    assert heard_text(pieces, 0, 3000, 1990, complete=True).strip() == "one two"
    assert heard_text(pieces, 0, 3000, 2600, complete=True) == "one two three"


def test_pieces_after_their_sound_are_laid_out_before_them() -> None:
    pieces = [Piece(1000, "one two "), Piece(2000, "three four")]
    assert heard_text(pieces, 0, 2000, 1000, complete=True).strip() == "one two"
    assert heard_text(pieces, 0, 2000, 1550, complete=True) == "one two three"


def test_text_that_is_ahead_of_its_sound_is_not_all_heard() -> None:
    """All words came at once, and only the first second of their sound: it ends by an interruption."""
    long = " ".join([TEN] * 10)
    heard = heard_text([Piece(0, long)], 0, 1000, 1000, complete=False)
    assert 1 <= len(heard.split()) <= 4
    assert len(heard_text([Piece(0, long)], 0, 1000, 500, complete=True).split()) <= 5


def test_pieces_at_the_end_belong_to_what_came_before() -> None:
    pieces = [Piece(0, "one"), Piece(1000, " two"), Piece(1000, " three")]
    assert heard_text(pieces, 0, 1000, 1000, complete=True) == "one two three"
    assert heard_text(pieces, 0, 1000, 300, complete=True) == "one"


# ---------------------------------------------------------------- the ledger


def said(ledger: Ledger, text: str, ms: int, at_ms: int) -> None:
    ledger.caption(text, at_ms, final=True)
    ledger.sound(octets(ms), at_ms, 0)


def test_a_turn_that_is_heard_to_its_end() -> None:
    ledger = Ledger(Codec.SLIN16)
    said(ledger, "Hello.", 1000, 100)
    ledger.over(1100)
    ledger.speech_began(1500)
    ledger.speech_over(2000)
    ledger.utterance("Hi!", 1500, 2000, 0.8)
    turns = ledger.turns(1000, 2500)
    assert [(t.role, t.heard, t.start_ms, t.end_ms) for t in turns] == [
        ("agent", "Hello.", 100, 1100),
        ("caller", "Hi!", 1500, 2000),
    ]
    assert turns[1].confidence == 0.8


def test_what_was_understood_late_stands_where_it_was_said() -> None:
    ledger = Ledger(Codec.SLIN16)
    said(ledger, "Hello.", 500, 0)
    ledger.over(500)
    said(ledger, "Go on.", 500, 3000)
    ledger.utterance("A table please", 1000, 2000, 1.0)
    assert [t.said for t in ledger.turns(1000, 3600)] == ["Hello.", "A table please", "Go on."]


def test_a_cut_says_how_much_was_heard_since_the_turn_and_since_its_mark() -> None:
    ledger = Ledger(Codec.SLIN16)
    ledger.caption(TEN, 0, final=True)
    ledger.sound(octets(1000), 0, 0)
    ledger.reached(1000, 1000)
    ledger.mark_heard("half", 1000)
    ledger.sound(octets(2000), 1000, 0)
    cut = ledger.cut(1500, 1520)
    assert (cut.heard_ms, cut.after_mark, cut.after_mark_ms) == (1500, "half", 500)
    assert cut.heard_text == "one two three four five"
    assert ledger.dropped_ms == 1500
    said(ledger, "Sorry?", 400, 2000)
    first, second = ledger.turns(1900, 2500)
    assert (first.interrupted, first.heard) == (True, "one two three four five")
    assert (second.interrupted, second.heard) == (False, "Sorry?")


def test_marks_correct_a_count_that_is_off() -> None:
    ledger = Ledger(Codec.SLIN16)
    said(ledger, TEN, 2000, 0)
    ledger.reached(1000, 900)  # the leg left out silence, so that it counts 100 ms less
    assert ledger.ear(900) == 1000
    assert ledger.ear(1400) == 1500
    assert ledger.ear(9000) == 2000


def test_without_marks_the_played_time_counts() -> None:
    ledger = Ledger(Codec.SLIN16)
    said(ledger, TEN, 3000, 0)
    assert ledger.cut(1000, 1000).heard_text == "one two three four"


def test_words_that_come_after_the_cut_were_said_and_not_heard() -> None:
    ledger = Ledger(Codec.SLIN16)
    ledger.caption("one two ", 0, final=False)
    ledger.sound(octets(1000), 0, 0)
    ledger.over(1000)
    ledger.sound(octets(1000), 1100, 0)
    assert ledger.cut(1500, 1600).heard_text != ""
    ledger.caption("three four", 1700, final=True)
    (turn,) = ledger.turns(1500, 2000)
    assert turn.said == "one two three four"
    assert "three" not in turn.heard


def test_words_without_sound_were_not_heard() -> None:
    ledger = Ledger(Codec.SLIN16)
    ledger.caption("Hello?", 0, final=True)
    (turn,) = ledger.turns(0, 100)
    assert (turn.said, turn.heard) == ("Hello?", "")


def test_nothing_is_cut_where_nothing_was_said() -> None:
    assert Ledger(Codec.ULAW).cut(0, 0) == Cut()


def test_the_agents_own_ears_are_believed_before_ours() -> None:
    ledger = Ledger(Codec.SLIN16)
    ledger.speech_began(100)
    ledger.speech_over(900)
    ledger.callers_words("I want a table", 1200)
    ledger.utterance("I won a cable", 100, 900, 0.5)
    (turn,) = ledger.turns(0, 1300)
    assert (turn.said, turn.source, turn.start_ms, turn.end_ms) == ("I want a table", "provider", 100, 900)


def test_speech_that_nobody_understood_is_a_turn_without_words() -> None:
    ledger = Ledger(Codec.SLIN16)
    ledger.speech_began(100)
    ledger.speech_over(900)
    (turn,) = ledger.turns(0, 1000)
    assert (turn.role, turn.said, turn.start_ms, turn.end_ms) == ("caller", "", 100, 900)


def test_digits_that_belong_together_are_one_turn() -> None:
    ledger = Ledger(Codec.SLIN16)
    for digit, at_ms in (("1", 0), ("2", 1000), ("3", 9000)):
        ledger.digit(digit, at_ms)
    ledger.digit("9w", 9100, by="agent")
    assert [(t.said, t.source) for t in ledger.turns(0, 0)] == [
        ("12", "caller"),
        ("3", "caller"),
        ("9w", "agent"),
    ]


# ---------------------------------------------------------------- how it is shown

TURNS = (
    Turn("agent", "How can <b>I</b> help & serve?", "How can <b>I</b>", 0, 900, interrupted=True),
    Turn("caller", "Stop.", "Stop.", 800, 1400),
    Turn("caller", "", "", 3_600_000, 3_600_000),
)


def test_the_transcript_as_text() -> None:
    assert (
        as_text(TURNS) == "[00:00.0] agent: How can <b>I</b> —\n[00:00.8] caller: Stop.\n[60:00.0] caller: \n"
    )


def test_the_transcript_as_webvtt() -> None:
    assert as_webvtt(TURNS) == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:00.900\n<v agent>How can &lt;b&gt;I&lt;/b&gt; —\n"
        "\n00:00:00.800 --> 00:00:01.400\n<v caller>Stop.\n"
    )


def test_the_transcript_as_json() -> None:
    shown = json.loads(json.dumps(as_views(in_order(reversed(TURNS)))))
    assert [turn["start_ms"] for turn in shown] == [0, 800, 3_600_000]
    assert shown[0]["said"] == "How can <b>I</b> help & serve?"


# ---------------------------------------------------------------- the summary


def test_the_agents_own_summary_comes_first() -> None:
    own = Summary(" A table for two. ", '{"table": 2}')
    assert summary(own, TURNS, None, 1000, Figures()) == ("A table for two.", "agent", '{"table": 2}')
    assert summary(Summary("x", "[1]"), (), None, 0, Figures())[2] == "{}"
    assert summary(Summary("x", "{"), (), None, 0, Figures())[2] == "{}"


@pytest.mark.parametrize("own", [None, Summary("  ")])
def test_without_one_the_record_speaks_and_is_never_empty(own: Summary | None) -> None:
    evidence = Evidence(Reason.API, "api", 0.0, how=How.ACKED)
    text, by, fields = summary(own, TURNS, evidence, 61_000, Figures(interruptions=1))
    assert by == "gateway"
    assert "61 s" in text
    assert "“Stop.”" in text
    assert json.loads(fields)["end_reason"] == "api_hangup"
    assert summary(None, (), None, 0, Figures())[0]
