"""Stop words are heeded, ordinary words are not eaten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.optout import HELP_EVERY_S, Heeded, Standing, Word, heed, said_by, word_of

pytestmark = pytest.mark.unit

STOPS = ["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
STOPS += ["OPT OUT", "Opt-Out", "ARRET", "ARRÊT", "Arre\u0302t"]
DRESSES = ["{}", " {} ", "{}.", "{}!!!", "\n{}\n", "“{}”", '"{}".', "{} !", "({})", "\u200b{}\ufe0f", "{}…"]


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("word", STOPS)
def test_stop_is_heeded_however_it_is_typed(word: str, dress: str):
    for typed in (word, word.lower(), word.title()):
        assert word_of(dress.format(typed), opted_out=False) is Word.STOP
        assert word_of(dress.format(typed), opted_out=True) is Word.STOP


@pytest.mark.parametrize("word", ["HELP", "info", "Aide", "help!"])
def test_help_is_heeded(word: str):
    assert word_of(word, opted_out=False) is Word.HELP


@pytest.mark.parametrize("word", ["START", "unstop", "Start."])
def test_start_is_heeded(word: str):
    assert word_of(word, opted_out=False) is Word.START


@pytest.mark.parametrize("word", ["yes", "YES!", " Yes. "])
def test_yes_is_an_answer_in_a_chat_and_a_word_after_stop(word: str):
    assert word_of(word, opted_out=False) is None
    assert word_of(word, opted_out=True) is Word.START


@pytest.mark.parametrize(
    "text",
    [
        "stop by at 5",
        "Stop! That is the wrong house",
        "please stop",
        "stop it",
        "don't stop",
        "bus stop",
        "non-stop",
        "stop?no",
        "the end",
        "weekend",
        "end of the road",
        "cancel my order",
        "can you cancel?",
        "quit smoking",
        "help me carry it",
        "info desk, 2nd floor",
        "start at nine",
        "yes please",
        "yes, at 5",
        "no",
        "arret de bus",
        "opt out of what?",
        "st op",
        "s.t.o.p",
        "",
        "   ",
        "...",
        "👍",
        "stop " * 20,
    ],
)
@pytest.mark.parametrize("opted_out", [False, True])
def test_ordinary_words_are_not_eaten(text: str, opted_out: bool):
    assert word_of(text, opted_out=opted_out) is None


@given(st.text(max_size=60))
def test_any_text_can_be_asked_about(text: str):
    word = word_of(text, opted_out=True)
    assert word is None or len(text) <= 40


def test_the_carriers_word_is_taken_and_rubbish_is_not():
    assert [said_by(word) for word in ("stop", "start", "help", "", "STOP", "x")] == [
        Word.STOP,
        Word.START,
        Word.HELP,
        None,
        None,
        None,
    ]


def test_stop_is_answered_once_until_start():
    standing, answers = Standing(), []
    for word in (Word.STOP, Word.STOP, Word.START, Word.START, Word.STOP):
        heeded = heed(word, standing, 0.0, answered_by_carrier=False)
        standing = heeded.after
        answers.append((heeded.changed, heeded.answer))
    assert answers == [(True, True), (False, False), (True, True), (False, False), (True, True)]


def test_help_is_answered_once_an_hour_and_changes_nothing():
    first = heed(Word.HELP, Standing(True), 100.0, answered_by_carrier=False)
    assert first == Heeded(Word.HELP, Standing(True, 100.0), changed=False, answer=True)
    again = heed(Word.HELP, first.after, 100.0 + HELP_EVERY_S - 1, answered_by_carrier=False)
    assert not again.answer
    assert heed(Word.HELP, first.after, 100.0 + HELP_EVERY_S, answered_by_carrier=False).answer


@pytest.mark.parametrize("word", list(Word))
def test_what_the_carrier_answered_is_not_answered_again_but_holds(word: Word):
    heeded = heed(word, Standing(word is Word.START), 5.0, answered_by_carrier=True)
    assert not heeded.answer
    assert heeded.after.opted_out is (word is Word.STOP)
    assert heeded.changed is (word is not Word.HELP)
