"""A small grammar: what may be said, what it means, and what an engine is given of it."""

from __future__ import annotations

import pytest

from telephony.errors import InvalidInput
from voice_agents.core.grammar import Grammar, Meaning, Rule, plain_words, speakable
from voice_agents.core.reception_words import NUMBER, SUBJECT, YES_NO, menu

pytestmark = pytest.mark.unit


def of(*sentences: str, digits: bool = False) -> Grammar:
    return Grammar("g", tuple(Rule(f"m{n}", sentence) for n, sentence in enumerate(sentences)), digits)


def test_choices_and_optional_parts_are_written_out() -> None:
    grammar = of("[please] (open | shut) the [back] door")
    assert set(grammar.sentences()) == {
        f"{p}{v} the {b}door" for p in ("", "please ") for v in ("open", "shut") for b in ("", "back ")
    }


def test_brackets_nest() -> None:
    assert set(of("a ([b] c | d (e | f))").sentences()) == {"a b c", "a c", "a d e", "a d f"}


@pytest.mark.parametrize(
    "sentence",
    ["", "  ", "[a]", "a | ", "| a", "(a", "a)", "[a)", "a ]", "()", "A", "a;b", "<a>", "a/1/", "a*", "a b+",
     "é", "a\nb{c}", "x" * 21, "((a)", "a = b", "//", "a " * 600],
)  # fmt: skip
def test_what_is_no_sentence_is_refused(sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        of(sentence)
    assert refused.value.field == "grammar"


def test_too_many_ways_are_refused_before_they_are_written_out() -> None:
    with pytest.raises(InvalidInput, match="ways"):
        of("a " + "[b] " * 40)
    with pytest.raises(InvalidInput, match="sentences"):
        of(*(" ".join(["(a | b | c | d | e)"] * 5).replace("a", f"a{'x' * n}") for n in range(3)))


def test_a_grammar_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nothing"):
        Grammar("g", ())


def test_meaning_minds_neither_case_nor_punctuation() -> None:
    grammar = Grammar("g", (Rule("bye", "that's all"), Rule("to", "sales", "Sales")))
    assert grammar.meaning("That’s all!") == Meaning("bye")
    assert grammar.meaning(" SALES. ") == Meaning("to", "Sales")
    assert grammar.meaning("sale") is None
    assert grammar.meaning("") is None


def test_the_first_rule_that_fits_wins() -> None:
    assert of("yes", "yes | no").meaning("yes") == Meaning("m0")


@pytest.mark.parametrize("text", ["five five one two", "5512", "5 5 1 2", "five, 5 1-2", "55 one two"])
def test_digits_however_they_are_written(text: str) -> None:
    assert NUMBER.meaning(text) == Meaning("digits", "5512")


@pytest.mark.parametrize("text", ["five people", "", "٣", "²", "1 " * 33])
def test_what_is_no_row_of_digits(text: str) -> None:
    assert NUMBER.meaning(text) is None


def test_digits_only_where_they_may_be_said() -> None:
    assert YES_NO.meaning("five") is None


def test_the_engine_is_given_words_alone() -> None:
    text = of("a [b] (c | d)", "e", digits=True).jsgf()
    assert text.splitlines()[:2] == ["#JSGF V1.0;", "grammar patchbay;"]
    assert "<said0> = a [b] (c | d);" in text
    assert "<said2> = <digit>+;" in text
    assert text.splitlines()[-1] == "public <said> = <said0> | <said1> | <said2>;"


def test_a_rule_with_a_strange_word_does_not_cost_the_rest() -> None:
    text = of("speak to xyzzy", "goodbye").jsgf(lambda word: word != "xyzzy")
    assert "xyzzy" not in text
    assert "goodbye" in text
    with pytest.raises(InvalidInput, match="engine"):
        of("xyzzy").jsgf(lambda _: False)


@pytest.mark.parametrize(
    ("name", "said"),
    [("Sales", "sales"), ("Customer-Care", "customer care"), ("R&D", "r and d"), ("2nd line", ""),
     ("<x>", ""), ("", ""), ("Vertrieb", "vertrieb"), ("a;b", ""), ("Bob's", "bob's")],
)  # fmt: skip
def test_how_a_name_is_said(name: str, said: str) -> None:
    assert speakable(name) == said


def test_plain_words() -> None:
    assert plain_words("Call me: 07-12, “please”!") == ["call", "me", "0", "7", "1", "2", "“please”"]


def test_the_receptionists_grammars_keep_every_meaning_apart() -> None:
    for grammar in (menu(("Sales", "Customer Care", "<x>")), YES_NO, NUMBER, SUBJECT):
        seen: dict[str, str] = {}
        for rule in grammar.rules:
            for sentence in Grammar("one", (rule,)).sentences():
                assert seen.setdefault(sentence, rule.meaning) == rule.meaning, sentence
    assert menu(("Sales",)).meaning("could I talk to sales please") == Meaning("department", "Sales")
    assert menu(("<x>",)).meaning("x") is None
