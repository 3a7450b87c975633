"""Ears and voice of a session, with engines made up for it, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from telephony.errors import InvalidInput, SpeechUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.speech_engines import QUIET, Detectors, Hearing, Speaker
from voice_agents.core import talk
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.grammar import Grammar
from voice_agents.core.sound import to_linear
from voice_agents.core.wav import Mono
from voice_agents.ports import Heard
from voice_agents.speech.front import Front, Fronts, FrontSettings
from voice_agents.speech.voice import VoiceLimits

pytestmark = pytest.mark.unit

LOUD = b"\x80" * 160


class Session:
    """``SpeechEar`` that writes down what it is told and when."""

    def __init__(self) -> None:
        self.told: list[tuple[int, object]] = []
        self.at: Callable[[], float] = asyncio.get_running_loop().time
        self.then: Callable[[object], None] = lambda told: None

    def _note(self, told: object) -> None:
        self.told.append((round(self.at() * 1000), told))
        self.then(told)

    def caught(self, told: talk.Utterance | talk.SpeechStarted | talk.SpeechStopped) -> None:
        self._note(told)

    def voiced(self, said: talk.Caption | talk.Audio) -> None:
        self._note(said)

    def spoken(self) -> None:
        self._note("spoken")

    def failed(self, fault: talk.Fault) -> None:
        self._note(fault)

    def all(self, *kinds: type) -> list[object]:
        return [told for _, told in self.told if isinstance(told, kinds)]

    @property
    def text(self) -> str:
        return "".join(told.text for _, told in self.told if isinstance(told, talk.Caption))

    @property
    def sound_ms(self) -> int:
        return sum(len(told.data) // 8 for _, told in self.told if isinstance(told, talk.Audio))

    @property
    def codes(self) -> list[str]:
        return [told.code for _, told in self.told if isinstance(told, talk.Fault)]


class Stage:
    def __init__(
        self, dialect: DialectName = DialectName.CONVERSATION_RELAY, passed_on: str = "{}", **limits: float
    ) -> None:
        self.speaker, self.hearing, self.session = Speaker(), Hearing(), Session()
        self.sounds: dict[str, Mono] = {}
        settings = FrontSettings(end_ms=600, hear_s=3.0, voice=VoiceLimits(**limits))  # type: ignore[arg-type]
        self.fronts = Fronts(
            self.speaker, self.hearing, Detectors(), settings, fetch=self.fetch, read=self.speaker.read
        )
        self.spec = AgentSpec("a", 1, "t", "n", dialect, passed_on=passed_on)
        self.front: Front = self.fronts.front(self.spec, Codec.ULAW, self.session)
        self._at_ms = 0

    async def fetch(self, url: str) -> Mono:
        await asyncio.sleep(0.2)
        if url not in self.sounds:
            raise SpeechUnavailable("not there")
        return self.sounds[url]

    def say(self, *texts: str, **how: object) -> None:
        for n, text in enumerate(texts):
            self.front.speak(talk.Words(text, last=n == len(texts) - 1, **how))  # type: ignore[arg-type]

    async def caller(self, *parts: tuple[bytes, int]) -> None:
        """Frames of the caller's, 20 ms each, at their pace."""
        for frame, ms in parts:
            for _ in range(ms // FRAME_MS):
                self.front.hear(frame, self._at_ms)
                self._at_ms += FRAME_MS
                await asyncio.sleep(FRAME_MS / 1000)

    async def turn(self, ms: int = 500) -> None:
        await self.caller((QUIET, 200), (LOUD, ms), (QUIET, 800))


# ---------------------------------------------------------------- the voice


@in_virtual_time
async def test_each_phrase_comes_with_its_words_before_its_sound() -> None:
    stage = Stage()
    stage.say("Hello there, caller. How are you today?")
    await asyncio.sleep(5)
    kinds = [type(told).__name__ for _, told in stage.session.told]
    assert kinds == ["Caption", "Audio", "Caption", "Audio", "str"]
    captions = stage.session.all(talk.Caption)
    assert captions == [
        talk.Caption("Hello there, caller. ", final=False), talk.Caption("How are you today?", final=True),
    ]  # fmt: skip
    assert stage.session.sound_ms == 700


@in_virtual_time
async def test_speech_begins_with_the_first_sentence_of_a_turn_in_pieces() -> None:
    stage = Stage()
    stage.front.speak(talk.Words("One moment please. I will", last=False))
    await asyncio.sleep(0.15)
    assert stage.session.text == "One moment please. "
    stage.front.speak(talk.Words(" look it up.", last=True))
    await asyncio.sleep(1)
    assert stage.session.text == "One moment please. I will look it up."
    assert stage.session.told[-1][1] == "spoken"
    assert [told for _, told in stage.session.told].count("spoken") == 1


@in_virtual_time
async def test_the_next_phrase_is_made_while_one_is_given() -> None:
    stage = Stage()
    stage.speaker.takes_s = 1.0
    stage.say("First sentence here. Second sentence here. Third sentence here.")
    await asyncio.sleep(10)
    at = [at for at, told in stage.session.told if isinstance(told, talk.Audio)]
    assert at == [1000, 1000, 2000]


@in_virtual_time
async def test_sound_is_given_no_faster_than_it_is_heard() -> None:
    stage = Stage(ahead_s=1.0)
    stage.say("one two three four five six seven eight nine ten. " * 4)
    await asyncio.sleep(20)
    at = [at for at, told in stage.session.told if isinstance(told, talk.Audio)]
    assert at == [100, 100, 1100, 2100]


@in_virtual_time
async def test_what_was_said_before_is_not_made_again() -> None:
    stage = Stage()
    for _ in range(3):
        stage.say("Please hold the line.")
        await asyncio.sleep(1)
    assert stage.speaker.spoken == [("Please hold the line.", "en-US")]
    assert stage.session.sound_ms == 3 * 400


@in_virtual_time
async def test_stopped_means_not_a_word_more() -> None:
    stage = Stage()
    stage.say("First sentence here. Second sentence here. Third sentence here.")
    await asyncio.sleep(0.05)
    stage.front.stop()
    await asyncio.sleep(5)
    assert stage.session.told == []
    stage.say("Something new.")
    await asyncio.sleep(1)
    assert stage.session.text == "Something new."
    assert stage.session.told[-1][1] == "spoken"


@in_virtual_time
async def test_stopped_by_what_it_gives_it_is_not_spoken() -> None:
    stage = Stage()
    stage.session.then = lambda told: stage.front.stop() if isinstance(told, talk.Audio) else None
    stage.say("First sentence here. Second sentence here.")
    await asyncio.sleep(5)
    assert [type(told) for _, told in stage.session.told] == [talk.Caption, talk.Audio]


@in_virtual_time
async def test_the_rest_of_a_turn_that_was_stopped_is_dropped() -> None:
    stage = Stage()
    stage.front.speak(talk.Words("First sentence here. And", last=False))
    await asyncio.sleep(1)
    stage.front.stop()
    stage.front.speak(talk.Words(" the second. And", last=False))
    stage.front.speak(talk.Words(" the third.", last=True))
    stage.say("A new turn.")
    await asyncio.sleep(5)
    assert stage.session.text == "First sentence here. A new turn."


@in_virtual_time
async def test_an_answer_to_the_caller_is_no_rest_of_a_stopped_turn() -> None:
    stage = Stage()
    stage.front.speak(talk.Words("First sentence here. And", last=False))
    await asyncio.sleep(1)
    stage.front.stop()
    stage.hearing.answers = [(0.1, "what")]
    await stage.turn()
    stage.say("I said: first.")
    await asyncio.sleep(5)
    assert stage.session.text == "First sentence here. I said: first."


@in_virtual_time
async def test_what_may_be_replaced_is() -> None:
    stage = Stage()
    stage.say("Let me see about that. It takes a while.", preemptible=True)
    stage.say("Here is the answer.")
    await asyncio.sleep(5)
    assert stage.session.text == "Here is the answer."
    assert [told for _, told in stage.session.told].count("spoken") == 2


@in_virtual_time
async def test_languages() -> None:
    stage = Stage()
    stage.front.language(talk.Language(speak="de"))
    stage.say("Guten Tag.")
    stage.say("Good day.", language="en-GB")
    stage.front.language(talk.Language(speak="xx"))
    stage.say("Wie bitte?")
    await asyncio.sleep(5)
    assert [voice for _, voice in stage.speaker.spoken] == ["de-DE", "en-GB", "de-DE"]
    assert stage.session.codes == ["language_unknown"]


@in_virtual_time
async def test_an_engine_in_trouble_costs_its_phrases_and_ends_the_turn() -> None:
    stage = Stage()
    stage.speaker.away = True
    stage.say("First sentence here. Second sentence here.")
    await asyncio.sleep(5)
    assert stage.session.codes == ["speech_failed", "speech_failed"]
    assert stage.session.told[-1][1] == "spoken"
    stage.speaker.away = False
    stage.say("Better now.")
    await asyncio.sleep(5)
    assert stage.session.text == "Better now."


@in_virtual_time
async def test_an_engine_that_hangs_is_not_waited_for() -> None:
    stage = Stage(speak_s=2.0)
    stage.speaker.takes_s = 100.0
    stage.say("Hello caller.")
    await asyncio.sleep(3)
    assert stage.session.told[0][0] == 2000
    assert stage.session.codes == ["speech_failed"]
    assert stage.session.told[-1][1] == "spoken"


@in_virtual_time
async def test_nothing_to_say_is_a_turn_all_the_same() -> None:
    stage = Stage()
    stage.say("")
    stage.say("…")
    stage.say("\x07")
    await asyncio.sleep(1)
    assert stage.session.codes == []
    assert [told for _, told in stage.session.told].count("spoken") == 3
    assert stage.session.sound_ms == 0
    stage.say("A bell\x07rings\ud800.")
    await asyncio.sleep(1)
    assert stage.speaker.spoken[-1] == ("A bell rings .", "en-US")


@in_virtual_time
async def test_more_words_than_anybody_hears() -> None:
    stage = Stage(most_waiting=3)
    stage.say(*(f"This is sentence {n} of many. " for n in range(10)))
    await asyncio.sleep(10)
    assert set(stage.session.codes) == {"speech_overflow"}
    assert stage.session.told[-1][1] == "spoken"


@in_virtual_time
async def test_a_sound_at_an_address() -> None:
    stage = Stage()
    stage.sounds["https://example.com/a.wav"] = Mono(bytes(3200), 16000)
    stage.front.play(talk.Play("https://example.com/a.wav", times=3))
    stage.front.play(talk.Play("https://example.com/none.wav"))
    stage.say("After it.")
    await asyncio.sleep(5)
    assert stage.session.sound_ms == 3 * 100 + 200
    assert stage.session.codes == ["speech_failed"]
    assert [told for _, told in stage.session.told].count("spoken") == 3


@in_virtual_time
async def test_a_sound_without_end_ends_with_the_next_words() -> None:
    stage = Stage(ahead_s=0.5)
    stage.sounds["u"] = Mono(bytes(16000), 8000)
    stage.front.play(talk.Play("u", times=0))
    await asyncio.sleep(30)
    assert 30_000 <= stage.session.sound_ms <= 32_000
    stage.say("Here I am.")
    await asyncio.sleep(5)
    assert stage.session.text == "Here I am."
    assert stage.session.sound_ms < 34_000


@in_virtual_time
async def test_closed_says_no_more_and_leaves_nothing_running() -> None:
    stage = Stage()
    stage.hearing.answers = [(100.0, "x")]
    await stage.turn()
    stage.say("First sentence here. Second sentence here.")
    await stage.front.close()
    stage.say("More.")
    stage.front.play(talk.Play("u"))
    await stage.turn()
    assert stage.session.all(talk.Caption, talk.Audio, talk.Utterance) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ---------------------------------------------------------------- the ears


def utterances(stage: Stage) -> Sequence[object]:
    return stage.session.all(talk.Utterance)


@in_virtual_time
async def test_a_turn_becomes_an_utterance() -> None:
    stage = Stage()
    stage.hearing.answers = [(0.3, " Good morning ")]
    await stage.turn()
    await asyncio.sleep(1)
    assert [told for _, told in stage.session.told] == [
        talk.SpeechStarted(200), talk.SpeechStopped(700),
        talk.Utterance("Good morning", 200, 700, 0.9, language="en-US"),
    ]  # fmt: skip
    assert stage.session.told[-1][0] == 1280 + 300
    sound = stage.hearing.turns[0].sound
    assert sound.count(to_linear(Codec.ULAW, LOUD)) == 25
    assert len(sound) // 16 == 200 + 500 + 600


@in_virtual_time
async def test_utterances_come_in_the_order_they_were_said() -> None:
    stage = Stage()
    stage.hearing.answers = [(2.5, "first"), (0.1, "second")]
    await stage.turn()
    await stage.turn()
    await asyncio.sleep(5)
    assert [told.text for told in utterances(stage) if isinstance(told, talk.Utterance)] == [
        "first",
        "second",
    ]


@in_virtual_time
async def test_a_guess_is_told_as_one() -> None:
    stage = Stage()
    await stage.caller((QUIET, 200), (LOUD, 300))
    stage.hearing.partial(Heard("good", 0.4))
    stage.hearing.partial(Heard(" "))
    assert utterances(stage) == [talk.Utterance("good", 200, 200, 0.4, final=False, language="en-US")]


@in_virtual_time
async def test_what_was_not_understood_is_told_to_the_built_in_agent_alone() -> None:
    for dialect, codes in ((DialectName.BUILTIN, ["not_understood"]), (DialectName.CONVERSATION_RELAY, [])):
        stage = Stage(dialect)
        stage.hearing.answers = [(0.1, ""), (0.1, "")]
        await stage.turn(ms=500)
        await stage.turn(ms=100)
        await asyncio.sleep(1)
        assert stage.session.codes == codes
        assert utterances(stage) == []


@pytest.mark.parametrize(
    "answer", [(0.1, SpeechUnavailable("away")), (100.0, "late"), (0.1, InvalidInput("no"))]
)
def test_an_engine_that_does_not_understand_is_told(answer: tuple[float, str | Exception]) -> None:
    @in_virtual_time
    async def run() -> None:
        stage = Stage()
        stage.hearing.answers = [answer, (0.1, "hello")]
        await stage.turn()
        await stage.turn()
        await asyncio.sleep(5)
        assert stage.session.codes == ["hearing_failed"]
        assert len(utterances(stage)) == 1

    run()


@in_virtual_time
async def test_an_engine_that_takes_no_turn_is_told() -> None:
    stage = Stage()
    stage.hearing.refuses = InvalidInput("unknown language")
    await stage.turn()
    assert stage.session.codes == ["hearing_failed"]


@in_virtual_time
async def test_who_talks_faster_than_is_understood_is_not_kept_for_ever() -> None:
    stage = Stage()
    stage.hearing.answers = [(100.0, "x")] * 9
    for _ in range(5):
        await stage.caller((LOUD, 100), (QUIET, 640))
    assert stage.session.codes.count("hearing_behind") >= 1
    assert len(stage.hearing.turns) <= 4


@in_virtual_time
async def test_the_language_and_the_grammar_of_the_next_turn() -> None:
    stage = Stage(DialectName.BUILTIN)
    stage.hearing.answers = [(0.1, "x")] * 3
    await stage.turn()
    stage.say("On which number?", expect="number")
    stage.front.language(talk.Language(understand="de-DE"))
    await stage.turn()
    stage.say("Yes or no?", expect="yes_no")
    stage.say("Whatever.", expect="none of ours")
    await stage.turn()
    assert stage.hearing.asked == [("en-US", "menu"), ("de", "number"), ("de", "yes_no")]


@in_virtual_time
async def test_an_agents_own_hints_are_its_grammar() -> None:
    hints = "Book a table, [a] table (for two | for four); x/y\n, yes sir"
    grammar = hinted(hints)
    for text in ("book a table", "table for two", "yes sir", "yes", "one two"):
        assert grammar.meaning(text) is not None, text
    assert grammar.meaning("opening hours") is None
    for unfit in ("", "x/y", "[a] " * 20 + "b", ",;", 5, None):
        assert hinted(unfit).meaning("opening hours") is not None
    for passed_on in ("", "[]", '{"metadata": []}'):
        assert Stage(passed_on=passed_on).front._grammars[""].meaning("opening hours") is not None


def hinted(hints: object) -> Grammar:
    return Stage(passed_on=json.dumps({"metadata": {"hints": hints}})).front._grammars[""]


@pytest.mark.parametrize("broken", [IndexError(), ValueError("no")])
def test_a_broken_engine_costs_a_turn_and_no_more(broken: Exception) -> None:
    @in_virtual_time
    async def run() -> None:
        stage = Stage()
        stage.hearing.answers = [(0.1, broken), (0.1, "hello")]
        await stage.turn()
        await stage.turn()
        await asyncio.sleep(1)
        assert stage.session.codes == ["hearing_failed"]
        assert len(utterances(stage)) == 1
        stage.speaker.breaks = broken
        stage.say("First sentence here.")
        await asyncio.sleep(1)
        stage.speaker.breaks = None
        stage.say("Better now.")
        await asyncio.sleep(1)
        assert stage.session.codes == ["hearing_failed", "speech_failed"]
        assert stage.session.text == "Better now."

    run()
