"""The receptionist's conversations, told and said."""

from __future__ import annotations

import json
import random

import pytest

from voice_agents.core import receptionist, talk
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.reception_spec import Reception, reception_of
from voice_agents.core.receptionist import At, Conversation, Waited
from voice_agents.core.talk import Reason

pytestmark = pytest.mark.unit

SHOP = Reception(
    business="Harbour Books",
    hours="We are open from nine to six.",
    address="We are at 4 Quay Street.",
    departments={"sales": "+15550100001", "support": "phone:support"},
    operator="phone:front",
)
NOT_UNDERSTOOD = talk.Fault("not_understood", "the caller was not understood")
API = talk.Ending(Reason.API, "api", 5000, may_speak=True)


class Talk:
    """A conversation in progress; ``hears`` gives what is said."""

    def __init__(self, knows: Reception = SHOP, **state: object) -> None:
        self.now = Conversation(knows, **state)  # type: ignore[arg-type]

    def told(self, told: talk.Told | Waited) -> list[talk.Said]:
        self.now, said = receptionist.step(self.now, told)
        return list(said)

    def hears(self, text: str) -> str:
        return self.words(self.told(talk.Utterance(text, 0, 500)))

    def keys(self, keys: str) -> str:
        return " ".join(self.words(self.told(talk.Digit(key, 0))) for key in keys).strip()

    @staticmethod
    def words(said: list[talk.Said]) -> str:
        return " ".join(one.text for one in said if isinstance(one, talk.Words))

    def fields(self) -> dict[str, object]:
        found = json.loads(receptionist.summary(self.now).fields)
        assert isinstance(found, dict)
        return found


def begun(knows: Reception = SHOP) -> Talk:
    conversation = Talk(knows)
    conversation.told(talk.Answered())
    return conversation


def test_nothing_is_said_before_the_caller_is_there() -> None:
    conversation = Talk()
    for told in (talk.Utterance("yes", 0, 1), talk.Digit("0", 0), NOT_UNDERSTOOD, talk.CallerSilent(9, 1, 2)):
        assert conversation.told(told) == []
    assert conversation.told(talk.Answered()) == [
        talk.Words("Welcome to Harbour Books. How can I help you?", expect="menu")
    ]
    assert conversation.told(talk.Answered()) == []


def test_greetings() -> None:
    assert Talk(Reception()).words(Talk(Reception()).told(talk.Answered())) == "Hello. How can I help you?"
    assert Talk.words(Talk(greeting="Ahoy!").told(talk.Answered())) == "Ahoy!"
    assert "cut off" in Talk.words(Talk(greeting="Ahoy!", resumed=True).told(talk.Answered()))


def test_it_answers_what_it_knows() -> None:
    conversation = begun()
    assert (
        conversation.hears("What are your opening hours?") == "We are open from nine to six. Anything else?"
    )
    assert conversation.hears("where are you") == "We are at 4 Quay Street. Anything else?"
    assert conversation.hears("yes please") == "What can I do for you?"
    assert conversation.fields()["topics"] == ["hours", "place"]


def test_it_says_what_it_does_not_know() -> None:
    conversation = begun(Reception())
    assert "do not know the opening hours" in conversation.hears("opening hours")
    assert "do not know the address" in conversation.hears("directions")


def test_it_connects_with_a_department() -> None:
    conversation = begun()
    said = conversation.told(talk.Utterance("could I talk to sales please", 0, 1))
    assert said == [
        talk.Words("I will connect you with sales. Please hold the line.", interruptible=False),
        talk.Transfer("+15550100001"),
    ]
    assert conversation.hears("hello") == ""
    assert conversation.told(talk.TransferOutcome("+15550100001", "completed")) == []
    assert conversation.fields()["transfer"] == {"department": "sales", "outcome": "completed"}
    assert conversation.now.at is At.OVER


@pytest.mark.parametrize(
    ("outcome", "why"),
    [("busy", "is busy"), ("no_answer", "does not answer"), ("declined", "cannot take"),
     ("timeout", "answer"), ("invalid", "cannot be reached"), ("policy_denied", "cannot be reached")],
)  # fmt: skip
def test_a_department_that_is_not_reached(outcome: str, why: str) -> None:
    conversation = begun()
    conversation.hears("support")
    said = conversation.words(conversation.told(talk.TransferOutcome("phone:support", outcome)))
    assert why in said
    assert said.endswith("Would you like to leave a message?")
    assert conversation.hears("no thank you") == "All right. What else can I do for you?"


def test_the_operator_by_word_and_by_key() -> None:
    for conversation in (begun(), begun()):
        spoken = conversation.told(talk.Utterance("I want to speak to somebody", 0, 1))
        assert talk.Transfer("phone:front") in spoken
    assert talk.Transfer("phone:front") in begun().told(talk.Digit("0", 0))


def test_without_an_operator_a_message_is_offered() -> None:
    conversation = begun(Reception())
    assert conversation.hears("operator").endswith("leave a message?")
    assert conversation.hears("yes") == "What is your message about?"


def test_a_message_by_word() -> None:
    conversation = begun()
    assert conversation.hears("I want to leave a message") == "What is your message about?"
    assert conversation.hears("an invoice").startswith("Thank you. On which number")
    assert conversation.hears("five five five one two") == "I have 5, 5, 5, 1, 2. Is that right?"
    assert conversation.hears("yes") == "Thank you. I have taken your message. Is there anything else?"
    assert conversation.fields()["message"] == {
        "about": "an invoice", "call_back": "55512", "complete": True
    }  # fmt: skip
    assert "Message about: an invoice." in receptionist.summary(conversation.now).text


def test_a_number_that_was_heard_wrongly_is_asked_for_again() -> None:
    conversation = begun()
    for text in ("leave a message", "a complaint", "one two three", "no"):
        said = conversation.hears(text)
    assert said.startswith("I am sorry. On which number")
    assert conversation.keys("98765#") == "I have 9, 8, 7, 6, 5. Is that right?"
    assert conversation.keys("1").startswith("Thank you. I have taken")
    assert conversation.fields()["message"] == {
        "about": "a complaint", "call_back": "98765", "complete": True
    }  # fmt: skip


def test_a_number_by_keys_ends_with_a_pause() -> None:
    conversation = begun()
    conversation.hears("leave a message")
    conversation.hears("my order")
    waits = [conversation.now.waits_s]
    assert conversation.keys("123") == ""
    waits.append(conversation.now.waits_s)
    assert conversation.words(conversation.told(Waited())) == "I have 1, 2, 3. Is that right?"
    assert [*waits, conversation.now.waits_s] == [None, receptionist.KEY_PAUSE_S, None]
    assert conversation.told(Waited()) == []


def test_a_number_may_be_begun_anew_and_is_not_endless() -> None:
    conversation = begun()
    conversation.hears("leave a message")
    conversation.hears("my order")
    assert "number" in conversation.keys("12*")
    assert conversation.keys("1" * 40) == ""
    assert len(conversation.now.digits) == receptionist.MOST_DIGITS
    assert "did not understand" in begun_number().keys("12#")


def begun_number() -> Talk:
    conversation = begun()
    conversation.hears("leave a message")
    conversation.hears("my order")
    return conversation


def test_a_message_without_a_number() -> None:
    conversation = begun_number()
    assert "taken your message" in conversation.hears("no number")
    assert conversation.fields()["message"] == {"about": "my order", "call_back": "", "complete": True}


def test_a_number_that_is_never_understood_costs_no_message() -> None:
    conversation = begun_number()
    for _ in range(receptionist.MISSES - 1):
        assert "On which number" in conversation.words(conversation.told(NOT_UNDERSTOOD))
    assert "taken your message" in conversation.words(conversation.told(NOT_UNDERSTOOD))
    assert conversation.now.taken
    assert conversation.now.digits == ""


def test_where_messages_are_not_taken() -> None:
    conversation = begun(Reception(takes_messages=False))
    assert "cannot take messages" in conversation.hears("leave a message")
    assert conversation.hears("operator").endswith("help you with something else?")


def test_any_words_can_be_a_message() -> None:
    conversation = begun()
    conversation.hears("leave a message")
    conversation.hears("The parcel from Oslo  is wet " + "x" * 600)
    assert conversation.now.subject.startswith("The parcel from Oslo is wet")
    assert len(conversation.now.subject) == 500


@pytest.mark.parametrize(
    ("text", "topic"),
    [("so when do you actually open on mondays", "hours"), ("is there any human there", "person"),
     ("put me through to your sales people", "sales"), ("can I record a voicemail", "message"),
     ("tell me the address", "place")],
)  # fmt: skip
def test_free_speech_is_understood_by_its_words(text: str, topic: str) -> None:
    conversation = begun()
    conversation.hears(text)
    assert conversation.now.topics == (topic,)


def test_two_departments_at_once_mean_neither() -> None:
    assert "did not understand" in begun().hears("sales or support I do not mind")


def test_it_asks_again_and_then_offers_somebody() -> None:
    conversation = begun()
    assert conversation.words(conversation.told(NOT_UNDERSTOOD)) == (
        "I am sorry, I did not understand. You can ask for our opening hours, our address, sales or support, "
        "or leave a message."
    )
    assert "You can ask" in conversation.hears("colourless green ideas")
    assert conversation.hears("xyzzy").endswith("Shall I connect you with somebody?")
    assert talk.Transfer("phone:front") in conversation.told(talk.Utterance("yes", 0, 1))
    assert conversation.fields()["not_understood"] == 3


def test_without_an_operator_it_offers_a_message_and_gives_up_in_the_end() -> None:
    conversation = begun(Reception())
    said = [conversation.told(NOT_UNDERSTOOD) for _ in range(2 * receptionist.MISSES)]
    assert conversation.words(said[2]).endswith("leave a message?")
    assert said[5] == [
        talk.Words("I am sorry, I cannot help you. Please call again. Goodbye.", interruptible=False),
        talk.HangUp("not_understood"),
    ]
    assert conversation.told(NOT_UNDERSTOOD) == []


def test_something_understood_forgives_what_was_not() -> None:
    conversation = begun()
    for _ in range(4):
        assert "You can ask" in conversation.hears("xyzzy")
        assert "nine to six" in conversation.hears("opening hours")


def test_it_repeats() -> None:
    conversation = begun()
    first = conversation.hears("opening hours")
    assert conversation.hears("pardon") == first
    assert conversation.keys("*") == first
    assert conversation.keys("7D#") == ""


def test_it_says_what_it_can_do() -> None:
    assert begun().hears("what can you do").startswith("You can ask for")


def test_it_says_goodbye_and_hangs_up_once() -> None:
    conversation = begun()
    assert conversation.told(talk.Utterance("goodbye", 0, 1)) == [
        talk.Words("Thank you for calling. Goodbye.", interruptible=False),
        talk.HangUp("done"),
    ]
    assert conversation.told(talk.Utterance("goodbye", 0, 1)) == []
    said = conversation.told(talk.Ending(Reason.AGENT, "agent", 5000, may_speak=True))
    assert [type(one) for one in said] == [talk.Summary, talk.Ack]


def test_no_also_ends_it() -> None:
    conversation = begun()
    conversation.hears("opening hours")
    assert conversation.hears("no thank you") == "Thank you for calling. Goodbye."


@pytest.mark.parametrize("reason", list(Reason))
def test_a_farewell_at_every_ending(reason: Reason) -> None:
    said = begun().told(talk.Ending(reason, "x", 2000, may_speak=True))
    assert [type(one) for one in said] == [talk.Words, talk.Summary, talk.Ack]
    assert Talk.words(said).endswith("Goodbye.")
    mute = begun().told(talk.Ending(reason, "x", 2000, may_speak=False))
    assert [type(one) for one in mute] == [talk.Summary, talk.Ack]


def test_an_ending_to_come_ends_nothing_and_the_end_is_said_once() -> None:
    conversation = begun()
    assert conversation.told(talk.Ending(Reason.MAX_DURATION, "x", 30_000, may_speak=True, final=False)) == []
    assert "nine to six" in conversation.hears("opening hours")
    assert Talk.words(conversation.told(API)) != ""
    assert Talk.words(conversation.told(API)) == ""


def test_an_ending_amid_a_message_keeps_what_there_is() -> None:
    conversation = begun_number()
    conversation.keys("12")
    said = conversation.told(API)
    account = next(one for one in said if isinstance(one, talk.Summary))
    assert "Unfinished message about: my order." in account.text
    assert json.loads(account.fields)["message"] == {"about": "my order", "call_back": "", "complete": False}


def test_silence() -> None:
    conversation = begun()
    assert conversation.words(conversation.told(talk.CallerSilent(8000, 1, 2))) == (
        "Are you still there? Welcome to Harbour Books. How can I help you?"
    )
    assert conversation.words(conversation.told(talk.CallerSilent(8000, 3, 0))) == "Are you still there?"
    said = conversation.told(talk.Ending(Reason.SILENCE, "gateway", 5000, may_speak=True))
    assert Talk.words(said) == "I cannot hear anybody. Goodbye."
    assert "The caller asked for nothing." in [one.text for one in said if isinstance(one, talk.Summary)]


def test_who_keys_in_a_number_is_not_asked_whether_they_are_there() -> None:
    conversation = begun_number()
    conversation.keys("12")
    assert conversation.told(talk.CallerSilent(8000, 1, 2)) == []


def test_questions_name_the_grammar_of_their_answer() -> None:
    conversation = begun()
    expected = []
    for text in ("leave a message", "my order", "one two three", "yes"):
        said = conversation.told(talk.Utterance(text, 0, 1))
        expected.append([one.expect for one in said if isinstance(one, talk.Words)])
    assert expected == [["subject"], ["number"], ["yes_no"], ["menu"]]


def test_whatever_it_is_told_it_survives_and_ends() -> None:
    chance = random.Random(11)
    texts = ["yes", "no", "sales", "operator", "leave a message", "one two three", "a complaint", "pardon",
             "?", "opening hours", "xyzzy", "help"]  # fmt: skip
    for _ in range(400):
        conversation = begun(chance.choice([SHOP, Reception(), Reception(takes_messages=False)]))
        for _ in range(30):
            told: list[talk.Told | Waited] = [
                talk.Utterance(chance.choice(texts), 0, 1), talk.Digit(chance.choice("0123456789*#ABCD"), 0),
                NOT_UNDERSTOOD, Waited(), talk.CallerSilent(1, 1, chance.randrange(2)),
                talk.TransferOutcome("x", chance.choice(["busy", "invalid"])), talk.SpeechStarted(0),
                talk.Fault("hearing_failed", ""), talk.Interrupted(1, ""), talk.Held(True),
            ]  # fmt: skip
            before = conversation.now
            said = conversation.told(chance.choice(told))
            assert len([one for one in said if isinstance(one, talk.Words)]) <= 1
            if before.at is At.OVER:
                assert said == []
        final = conversation.told(API)
        assert isinstance(final[-1], talk.Ack)


# What it knows


def spec(passed_on: str) -> AgentSpec:
    return AgentSpec("a", 1, "t", "n", DialectName.BUILTIN, passed_on=passed_on)


def test_what_it_knows_comes_from_the_fields_kept_for_it() -> None:
    told = {"business_name": " Harbour \n Books ", "hours": "Nine to six.", "address": "Quay Street",
            "departments": {"sales": "+15550100001"}, "operator": "phone:front", "takes_messages": False,
            "model": "x"}  # fmt: skip
    for kept in (told, {"reception": told, "hours": "Never."}):
        assert reception_of(spec(json.dumps(kept))) == Reception(
            "Harbour Books", "Nine to six.", "Quay Street", {"sales": "+15550100001"}, "phone:front", False
        )


@pytest.mark.parametrize(
    "passed_on",
    ["", "[]", "nonsense", "null", '{"reception": []}',
     '{"reception": {"hours": 3, "departments": ["x"], "operator": null, "business_name": {}}}',
     '{"reception": {"departments": {"sales": 5, "": "x", "' + "n" * 50 + '": "x", "support": ""}}}'],
)  # fmt: skip
def test_what_is_not_of_its_kind_counts_as_not_given(passed_on: str) -> None:
    assert reception_of(spec(passed_on)) == Reception()
