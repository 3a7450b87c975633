"""Engines that stand in: when a service is asked, when it is left alone, what is heard meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from telephony.errors import InvalidInput, SpeechUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.speech_engines import Hearing, Speaker
from voice_agents.core.audio import Codec
from voice_agents.core.away import Away, Rests
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.core.text import SpeechLimits
from voice_agents.ports import Heard, HearingLimits
from voice_agents.speech.shelf import Shelf
from voice_agents.speech.standby import StandbyHearing, StandbySpeech

pytestmark = pytest.mark.unit

GRAMMAR = Grammar("g", (Rule("a", "good day"),))
GONE = SpeechUnavailable("gone")


# ---------------------------------------------------------------- when a service is asked


def test_one_failure_is_no_absence() -> None:
    away = Away()
    assert not away.failed(0.0)
    assert away.may_try(0.0)
    assert not away.answered()
    assert not away.failed(1.0)
    assert away.may_try(1.0)


def test_after_two_it_rests_and_one_at_a_time_looks_again() -> None:
    away = Away()
    away.failed(0.0)
    assert away.failed(5.0)
    assert away.away
    assert [away.may_try(at) for at in (5.0, 14.9)] == [False, False]
    assert [away.may_try(at) for at in (15.0, 15.1)] == [True, False]
    assert away.answered()
    assert away.may_try(15.2)
    assert not away.answered()


def test_its_rests_grow_up_to_a_limit() -> None:
    away, now, rests = Away(Rests(patience=1, first_s=10.0, most_s=60.0)), 0.0, []
    for _ in range(5):
        away.failed(now)
        began = now
        while not away.may_try(now):
            now += 1.0
        rests.append(now - began)
    assert rests == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_who_looked_and_never_told_is_not_waited_for() -> None:
    away = Away(Rests(patience=1))
    away.failed(0.0)
    assert away.may_try(10.0)
    assert away.may_try(20.0)


# ---------------------------------------------------------------- speaking


class Foreign(Speaker):
    """Speaks other languages."""

    def limits(self) -> SpeechLimits:
        return SpeechLimits(frozenset({"en-GB", "fr-CA", "ja"}), frozenset({8000}), 500)


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_the_service_speaks_as_long_as_it_answers() -> None:
    service, spare = Speaker(), Speaker()
    both = StandbySpeech(service, spare, now)
    assert not (await both.speak("one", voice="de-DE")).instead
    assert (service.spoken, spare.spoken) == ([("one", "de-DE")], [])


@in_virtual_time
async def test_a_phrase_that_fails_is_spoken_by_the_other() -> None:
    service, spare = Speaker(), Speaker()
    both = StandbySpeech(service, spare, now)
    service.away = True
    for text in ("one", "two", "three"):
        assert (await both.speak(text)).instead
    assert [text for text, _ in service.spoken] == ["one", "two"], "then it is left alone"
    assert [text for text, _ in spare.spoken] == ["one", "two", "three"]
    service.away = False
    await asyncio.sleep(10.0)
    assert not (await both.speak("four")).instead
    assert not (await both.speak("five")).instead


@in_virtual_time
async def test_the_nearest_voice_stands_in_or_none() -> None:
    service, spare = Foreign(), Speaker()
    both = StandbySpeech(service, spare, now)
    service.away = True
    await both.speak("one", voice="en-GB")
    assert spare.spoken == [("one", "en-GB")]
    for _ in range(2):
        with pytest.raises(SpeechUnavailable):
            await both.speak("two", voice="ja")
    spare.away = True
    with pytest.raises(SpeechUnavailable):
        await both.speak("three", voice="en-GB")


@in_virtual_time
async def test_a_language_of_the_other_alone_is_its_own() -> None:
    service, spare = Foreign(), Speaker()
    both = StandbySpeech(service, spare, now)
    assert both.limits().voices == {"en-GB", "fr-CA", "ja", "de-DE"}, "but no second English"
    assert not (await both.speak("eins", voice="de-DE")).instead
    assert (service.spoken, spare.spoken) == ([], [("eins", "de-DE")])
    with pytest.raises(InvalidInput):
        await both.speak("one", voice="en-US")


@in_virtual_time
async def test_what_cannot_be_said_is_no_failure_of_the_service() -> None:
    service, spare = Speaker(), Speaker()
    both = StandbySpeech(service, spare, now)
    for _ in range(3):
        with pytest.raises(InvalidInput):
            await both.speak("", voice="en-US")
    assert not (await both.speak("one")).instead


@in_virtual_time
async def test_the_other_voice_is_not_kept() -> None:
    service, spare = Speaker(), Speaker()
    shelf = Shelf(StandbySpeech(service, spare, now), spare.read)
    service.away = True
    await shelf.sound("one", "en-US", Codec.SLIN)
    service.away, service.files = False, spare.files
    await shelf.sound("one", "en-US", Codec.SLIN)
    await shelf.sound("one", "en-US", Codec.SLIN)
    assert [text for text, _ in service.spoken] == ["one", "one"], "asked again, and then kept"


# ---------------------------------------------------------------- listening


class English(Hearing):
    """What stands in: English, and only what a grammar allows."""

    def limits(self) -> HearingLimits:
        return HearingLimits(
            frozenset({"en-US", "en"}), frozenset({8000}), 1_000, grammars=True, needs_grammar=True
        )


class Pair:
    def __init__(self) -> None:
        self.service, self.spare = Hearing(), English()
        self.both = StandbyHearing(self.service, self.spare, now)

    async def turn(
        self,
        *sound: bytes,
        language: str = "en-US",
        grammar: Grammar | None = GRAMMAR,
        partial: Callable[[Heard], None] = lambda heard: None,
    ) -> str:
        turn = self.both.listen(language, 8000, grammar, partial)
        for part in sound or (b"\1\2",):
            turn.feed(part)
        return (await turn.finish()).text


@in_virtual_time
async def test_the_service_listens_as_long_as_it_answers() -> None:
    pair = Pair()
    pair.service.answers = [(0.1, "good day")]
    assert await pair.turn() == "good day"
    assert pair.spare.turns == []


@in_virtual_time
async def test_a_turn_that_failed_is_understood_by_the_other() -> None:
    pair = Pair()
    pair.service.answers = [(0.1, GONE), (0.1, GONE)]
    pair.spare.answers = [(0.1, "good day")] * 3
    assert [await pair.turn(b"\1\2", b"\3\4") for _ in range(3)] == ["good day"] * 3
    assert [turn.sound for turn in pair.spare.turns] == [b"\1\2\3\4"] * 3
    assert len(pair.service.turns) == 2, "then it is left alone"
    await asyncio.sleep(10.0)
    pair.service.answers = [(0.1, "back"), (0.1, "again")]
    assert [await pair.turn(), await pair.turn()] == ["back", "again"]


@in_virtual_time
async def test_no_more_sound_is_kept_than_the_other_takes() -> None:
    pair = Pair()
    pair.service.answers, pair.spare.answers = [(0.1, GONE)], [(0.1, "good day")]
    await pair.turn(bytes(16_000), b"\1\2")
    assert len(pair.spare.turns[0].sound) == 16_000


@pytest.mark.parametrize(("language", "grammar"), [("de", GRAMMAR), ("en-US", None)])
def test_where_the_other_is_no_use_the_failure_is_told(language: str, grammar: Grammar | None) -> None:
    @in_virtual_time
    async def run() -> None:
        pair = Pair()
        pair.service.answers = [(0.1, GONE), (0.1, GONE)]
        for _ in range(2):
            with pytest.raises(SpeechUnavailable, match="gone"):
                await pair.turn(language=language, grammar=grammar)
        with pytest.raises(SpeechUnavailable, match="away"):
            await pair.turn(language=language, grammar=grammar)

    run()


@in_virtual_time
async def test_turns_beyond_what_is_taken_at_once_go_to_the_other_and_are_no_failure() -> None:
    pair = Pair()
    pair.service.refuses = SpeechUnavailable("too many")
    pair.spare.answers = [(0.1, "good day")] * 3
    assert [await pair.turn() for _ in range(3)] == ["good day"] * 3
    with pytest.raises(SpeechUnavailable, match="too many"):
        await pair.turn(language="de")
    assert not pair.both.away
    pair.service.refuses, pair.service.answers = None, [(0.1, "by the service")]
    assert await pair.turn() == "by the service"


@in_virtual_time
async def test_a_wrong_request_is_told_and_is_no_failure() -> None:
    pair = Pair()
    pair.service.refuses = InvalidInput("unknown language", field="language")
    for _ in range(3):
        with pytest.raises(InvalidInput):
            await pair.turn()
    pair.service.refuses, pair.service.answers = None, [(0.1, "good day")]
    assert await pair.turn() == "good day"


@in_virtual_time
async def test_a_turn_that_is_given_up_leaves_nothing() -> None:
    pair = Pair()
    turn = pair.both.listen("en-US", 8000, GRAMMAR, lambda heard: None)
    turn.feed(b"\1\2")
    turn.cancel()
    assert pair.service.turns[0].cancelled
    assert pair.spare.turns == []
