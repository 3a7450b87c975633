"""The receptionist's conversation. Pure: what it was told in, what it says out.

It asks one thing at a time, answers from what it knows of its business, and asks again where it did not
understand; the third time it offers somebody who does. A message is a subject and a number to call back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from voice_agents.core import talk
from voice_agents.core.grammar import Meaning
from voice_agents.core.reception_spec import Reception
from voice_agents.core.reception_words import NUMBER, SUBJECT, YES_NO, meant, menu
from voice_agents.core.talk import Reason

MISSES = 3
"""So often something may not be understood before another way is offered, or the call is given up."""
LEAST_DIGITS, MOST_DIGITS = 3, 15
KEY_PAUSE_S = 3.0
"""A number that is keyed in is complete after a pause of this length, or with ``#``."""
_MOST_SUBJECT = 500
_FAILED = {
    "busy": "is busy", "no_answer": "does not answer", "declined": "cannot take your call",
    "timeout": "does not answer",
}  # fmt: skip
_FAREWELLS = {
    Reason.SILENCE: "I cannot hear anybody. Goodbye.",
    Reason.MAX_DURATION: "I am sorry, our time is up. Goodbye.",
    Reason.API: "I have to end this call now. Thank you for calling. Goodbye.",
    Reason.DRAIN: "I have to end this call now. Please call again. Goodbye.",
}


class At(StrEnum):
    """Where the conversation stands."""

    BEGINNING = "beginning"
    MENU = "menu"
    OFFER_PERSON = "offer_person"
    OFFER_MESSAGE = "offer_message"
    SUBJECT = "subject"
    NUMBER = "number"
    CONFIRM = "confirm"
    MOVING = "moving"
    OVER = "over"


_EXPECTS = {
    At.MENU: "menu", At.OFFER_PERSON: "yes_no", At.OFFER_MESSAGE: "yes_no", At.SUBJECT: "subject",
    At.NUMBER: "number", At.CONFIRM: "yes_no",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waited:
    """``Conversation.waits_s`` has passed since the last that was told."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``said``: the latest question, to be repeated. ``topics``: what was asked for, in order."""

    knows: Reception
    greeting: str = ""
    resumed: bool = False
    at: At = At.BEGINNING
    said: str = ""
    misses: int = 0
    unheard: int = 0
    topics: tuple[str, ...] = ()
    subject: str = ""
    digits: str = ""
    keyed: bool = False
    taken: bool = False
    department: str = ""
    outcome: str = ""
    farewell: bool = False

    @property
    def waits_s(self) -> float | None:
        """How long to wait for more keys."""
        return KEY_PAUSE_S if self.at is At.NUMBER and self.keyed else None


Step = tuple[Conversation, tuple[talk.Said, ...]]


def step(now: Conversation, told: talk.Told | Waited) -> Step:
    """The conversation after this, and what is said. Anything without a meaning here changes nothing."""
    match told:
        case talk.Ending():
            return _ending(now, told)
        case _ if now.at is At.OVER:
            return now, ()
        case talk.Answered() if now.at is At.BEGINNING:
            return _greet(now)
        case talk.Utterance(text=text, final=True) if text.strip() and now.at is not At.BEGINNING:
            return _heard(now, text)
        case talk.Fault(code="not_understood") if now.at not in (At.BEGINNING, At.MOVING):
            return _missed(now)
        case talk.Digit(digit=digit) if now.at not in (At.BEGINNING, At.MOVING):
            return _pressed(now, digit)
        case Waited() if now.at is At.NUMBER:
            return _numbered(now)
        case talk.CallerSilent(left=left) if now.at not in (At.BEGINNING, At.MOVING):
            return _silent(now, left)
        case talk.TransferOutcome() if now.at is At.MOVING:
            return _moved(now, told)
    return now, ()


# ---------------------------------------------------------------- what is heard


def _greet(now: Conversation) -> Step:
    if now.resumed:
        return _ask(now, At.MENU, "I am sorry, we were cut off. How can I help you?")
    who = f"Welcome to {now.knows.business}." if now.knows.business else "Hello."
    return _ask(now, At.MENU, now.greeting or f"{who} How can I help you?")


def _heard(now: Conversation, text: str) -> Step:
    departments = tuple(now.knows.departments)
    match now.at:
        case At.MENU:
            means = meant(text, menu(departments), departments)
        case At.SUBJECT:
            means = SUBJECT.meaning(text) or Meaning("subject")
        case At.NUMBER:
            means = NUMBER.meaning(text)
        case At.OFFER_PERSON | At.OFFER_MESSAGE | At.CONFIRM:
            means = meant(text, YES_NO, ())
        case _:
            return now, ()
    if means is None:
        return _missed(now)
    return _answered(replace(now, misses=0), means, text)


def _answered(now: Conversation, means: Meaning, text: str) -> Step:
    if means.name == "repeat":
        return now, (_words(now.said, now.at),)
    if means.name == "bye":
        return _bye(now)
    match now.at:
        case At.MENU:
            return _menu(now, means)
        case At.OFFER_PERSON | At.OFFER_MESSAGE:
            return _offered(now, means)
        case At.SUBJECT:
            subject = " ".join(text.split())[:_MOST_SUBJECT]
            return _ask_number(replace(now, subject=subject), "Thank you.")
        case At.NUMBER if means.name == "digits":
            return _numbered(replace(now, digits=means.detail, keyed=False))
        case At.NUMBER if means.name == "no":
            return _taken(replace(now, digits="", keyed=False))
        case At.CONFIRM if means.name == "yes":
            return _taken(now)
        case At.CONFIRM if means.name == "no":
            return _ask_number(replace(now, digits="", keyed=False), "I am sorry.")
    return _missed(now)


def _menu(now: Conversation, means: Meaning) -> Step:
    knows = now.knows
    asked = means.detail if means.name == "department" else means.name
    noted = replace(now, topics=(*now.topics, asked)) if means.name not in ("yes", "no", "help") else now
    match means.name:
        case "hours":
            return _ask(noted, At.MENU, f"{_known(knows.hours, 'the opening hours')} Anything else?")
        case "place":
            return _ask(noted, At.MENU, f"{_known(knows.address, 'the address')} Anything else?")
        case "department":
            return _connect(noted, means.detail, knows.departments[means.detail])
        case "person":
            return _person(noted)
        case "message":
            return _ask_subject(noted)
        case "yes":
            return _ask(noted, At.MENU, "What can I do for you?")
        case "no":
            return _bye(noted)
    return _ask(noted, At.MENU, _offers(knows))


def _offered(now: Conversation, means: Meaning) -> Step:
    if means.name == "message":
        return _ask_subject(now)
    if means.name == "no":
        return _ask(now, At.MENU, "All right. What else can I do for you?")
    if means.name == "person" or (means.name == "yes" and now.at is At.OFFER_PERSON):
        return _person(now)
    return _ask_subject(now) if means.name == "yes" else _missed(now)


def _missed(now: Conversation) -> Step:
    """Nothing that could be used was said."""
    now = replace(now, misses=now.misses + 1, unheard=now.unheard + 1)
    sorry = "I am sorry, I did not understand."
    if now.misses < MISSES:
        again = _offers(now.knows) if now.at is At.MENU else now.said
        return now, (_words(f"{sorry} {again}", now.at),)
    if now.at in (At.NUMBER, At.CONFIRM):
        return _taken(replace(now, digits="", misses=0), sorry)
    if now.at is At.MENU:
        if now.knows.operator:
            return _ask(now, At.OFFER_PERSON, f"{sorry} Shall I connect you with somebody?")
        if now.knows.takes_messages:
            return _ask(now, At.OFFER_MESSAGE, f"{sorry} Would you like to leave a message?")
    return _bye(now, "I am sorry, I cannot help you. Please call again. Goodbye.", "not_understood")


def _silent(now: Conversation, left: int) -> Step:
    if now.at is At.NUMBER and now.digits:
        return now, ()
    if left <= 0:
        return now, (_words("Are you still there?", now.at),)
    return now, (_words(f"Are you still there? {now.said}", now.at),)


# ---------------------------------------------------------------- keys


def _pressed(now: Conversation, key: str) -> Step:
    if now.at is At.NUMBER:
        if key == "#":
            return _numbered(now)
        if key == "*":
            return replace(now, digits="", keyed=False), (_words(now.said, now.at),)
        if key.isdigit() and len(now.digits) < MOST_DIGITS:
            digits = now.digits + key if now.keyed else key
            return replace(now, digits=digits, keyed=True), ()
        return now, ()
    if key == "*":
        return now, (_words(now.said, now.at),)
    if key == "0" and now.at in (At.MENU, At.OFFER_PERSON, At.OFFER_MESSAGE):
        return _person(replace(now, topics=(*now.topics, "person"), misses=0))
    if key in "12" and _EXPECTS[now.at] == "yes_no":
        return _answered(replace(now, misses=0), Meaning("yes" if key == "1" else "no"), key)
    return now, ()


def _numbered(now: Conversation) -> Step:
    """A number is complete."""
    if not LEAST_DIGITS <= len(now.digits) <= MOST_DIGITS:
        return _missed(replace(now, digits="", keyed=False))
    return _ask(replace(now, keyed=False), At.CONFIRM, f"I have {', '.join(now.digits)}. Is that right?")


# ---------------------------------------------------------------- what is said


def _words(text: str, at: At) -> talk.Words:
    return talk.Words(text, expect=_EXPECTS.get(at, ""))


def _ask(now: Conversation, at: At, text: str) -> Step:
    misses = now.misses if at is now.at else 0
    return replace(now, at=at, said=text, misses=misses), (_words(text, at),)


def _ask_subject(now: Conversation) -> Step:
    if not now.knows.takes_messages:
        return _ask(now, At.MENU, "I am sorry, I cannot take messages. Can I help you with something else?")
    return _ask(now, At.SUBJECT, "What is your message about?")


def _ask_number(now: Conversation, first: str) -> Step:
    return _ask(
        now, At.NUMBER, f"{first} On which number can we call you back? Say the digits, or press the keys."
    )


def _taken(now: Conversation, first: str = "Thank you.") -> Step:
    """The message is complete, with a number or without."""
    return _ask(
        replace(now, taken=True), At.MENU, f"{first} I have taken your message. Is there anything else?"
    )


def _person(now: Conversation) -> Step:
    if now.knows.operator:
        return _connect(now, "the operator", now.knows.operator)
    return _nobody(now, "Nobody can take your call at the moment.")


def _nobody(now: Conversation, why: str) -> Step:
    if now.knows.takes_messages:
        return _ask(now, At.OFFER_MESSAGE, f"{why} Would you like to leave a message?")
    return _ask(now, At.MENU, f"{why} Can I help you with something else?")


def _connect(now: Conversation, department: str, to: str) -> Step:
    text = f"I will connect you with {department}. Please hold the line."
    now = replace(now, at=At.MOVING, department=department, outcome="", said=text)
    return now, (talk.Words(text, interruptible=False), talk.Transfer(to))


def _moved(now: Conversation, told: talk.TransferOutcome) -> Step:
    now = replace(now, outcome=told.outcome)
    if told.outcome == "completed":
        return replace(now, at=At.OVER), ()
    return _nobody(now, f"I am sorry, {now.department} {_FAILED.get(told.outcome, 'cannot be reached')}.")


def _bye(now: Conversation, text: str = "", why: str = "done") -> Step:
    text = text or "Thank you for calling. Goodbye."
    now = replace(now, at=At.OVER, said=text, farewell=True)
    return now, (talk.Words(text, interruptible=False), talk.HangUp(why))


def _ending(now: Conversation, told: talk.Ending) -> Step:
    """The session ends, whoever wants it: a farewell if none was said, the account, and no more."""
    if not told.final:
        return now, ()
    said: list[talk.Said] = []
    if told.may_speak and not now.farewell:
        text = _FAREWELLS.get(told.reason, "Thank you for calling. Goodbye.")
        said.append(talk.Words(text, interruptible=False))
    return replace(now, at=At.OVER, farewell=True), (*said, summary(now), talk.Ack())


def _known(text: str, what: str) -> str:
    return text or f"I am sorry, I do not know {what}."


def _offers(knows: Reception) -> str:
    """What can be asked for."""
    things = ["our opening hours", "our address"]
    if knows.departments:
        things.append(" or ".join(knows.departments))
    if knows.takes_messages:
        things.append("leave a message")
    return f"You can ask for {', '.join(things[:-1])}, or {things[-1]}."


# ---------------------------------------------------------------- the account


def summary(now: Conversation) -> talk.Summary:
    """What became of the call. A number that was keyed or said is in the fields alone."""
    parts = []
    if now.topics:
        parts.append(f"The caller asked for: {', '.join(dict.fromkeys(now.topics))}.")
    if now.department:
        parts.append(f"Connection with {now.department}: {now.outcome or 'not known'}.")
    if now.subject:
        whole = "Message" if now.taken else "Unfinished message"
        parts.append(f"{whole} about: {now.subject}.")
    fields: dict[str, object] = {"topics": list(now.topics), "not_understood": now.unheard}
    if now.subject:
        call_back = now.digits if now.taken else ""
        fields["message"] = {"about": now.subject, "call_back": call_back, "complete": now.taken}
    if now.department:
        fields["transfer"] = {"department": now.department, "outcome": now.outcome}
    return talk.Summary(" ".join(parts) or "The caller asked for nothing.", json.dumps(fields))
