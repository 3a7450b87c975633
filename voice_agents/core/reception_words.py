"""What callers may say to the receptionist, by where the conversation stands. English. Pure.

Few words that sound unlike each other: an engine hears them through a telephone.
"""

from __future__ import annotations

from voice_agents.core.grammar import Grammar, Meaning, Rule, plain_words, speakable

_WISH = "[i would like to | i want to | can i | could i]"

_BYE = Rule("bye", "goodbye | bye bye | that is all | nothing else")
_AGAIN = Rule("repeat", "repeat that [please] | say that again [please] | pardon")
_PERSON = Rule(
    "person",
    f"{_WISH} (speak | talk) to (somebody | a person | the operator | an operator) [please]"
    " | operator [please]",
)
_MESSAGE = Rule("message", f"{_WISH} leave a message [please]")
_HELP = Rule("help", "what can you do | what can i say")
_MENU = (
    Rule("hours", "[what are your] opening hours [please] | when are you open | when do you open"),
    Rule("place", "where are you | what is your address | how do i find you | directions [please]"),
    _PERSON,
    _MESSAGE,
    _AGAIN,
    _HELP,
    _BYE,
    Rule("no", "no | no thank you"),
    Rule("yes", "yes | yes please"),
)
_YES_NO = (
    Rule("yes", "yes | yes please | that is right"),
    Rule("no", "no | no thank you | that is wrong"),
    _AGAIN,
    _BYE,
    _PERSON,
    _MESSAGE,
)
_TOPICS = "my order | a delivery | an invoice | an appointment | a complaint | a question"


def menu(departments: tuple[str, ...]) -> Grammar:
    """Anything the receptionist can do. A department with a name that is no word is left to the operator."""
    asked = []
    for name in departments:
        if said := speakable(name):
            wish = f"{_WISH} (speak | talk) to {said} [please]"
            order = f"(transfer | connect) me to {said} [please]"
            asked.append(Rule("department", f"{wish} | {order} | {said} [department] [please]", name))
    return Grammar("menu", (*asked, *_MENU))


YES_NO = Grammar("yes_no", _YES_NO)
NUMBER = Grammar("number", (_AGAIN, _BYE, Rule("no", "no | no number | no thank you")), digits=True)
SUBJECT = Grammar("subject", (Rule("subject", f"[it is] about ({_TOPICS}) | {_TOPICS}"), _AGAIN, _BYE))

_KEYS = (
    ("message", ("message", "voicemail")),
    ("hours", ("hours", "open", "opening", "close", "closing")),
    ("place", ("address", "where", "directions", "located", "find")),
    ("person", ("operator", "person", "human", "somebody", "someone", "agent", "representative")),
    ("repeat", ("repeat", "again", "pardon")),
    ("bye", ("goodbye", "bye")),
    ("yes", ("yes", "yeah", "yep", "sure", "okay", "ok", "please", "correct", "right")),
    ("no", ("no", "nope", "not", "wrong")),
)


def meant(text: str, grammar: Grammar, departments: tuple[str, ...]) -> Meaning | None:
    """What a text means: a sentence of the grammar, else by its words, for an engine that hears anything.
    A department that is named counts most; of two, neither."""
    if (found := grammar.meaning(text)) is not None:
        return found
    words = plain_words(text)
    spaced = f" {' '.join(words)} "
    named = [name for name in departments if (said := speakable(name)) and f" {said} " in spaced]
    if named:
        return Meaning("department", named[0]) if len(named) == 1 else None
    for name, keys in _KEYS:
        if any(key in words for key in keys):
            return Meaning(name)
    return None
