"""TwiML, as much of it as makes sense for a call that an agent is on. Pure.

One verb that ends the agent's part: ``<Hangup/>``, ``<Dial>`` a number, ``<Connect><Stream>`` to another
agent. Anything else is refused by name: a call that silently does less than it was told is worse than an
error. https://www.twilio.com/docs/voice/twiml
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from telephony.errors import InvalidInput

LONGEST: Final = 4_000
"""Characters; Twilio's own limit for the ``Twiml`` parameter."""
PARSE_FAILURE: Final = "12100"
NOT_SUPPORTED: Final = "12200"


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Send the caller to this number. ``timeout_s``: how long it is rung."""

    number: str
    timeout_s: int

    def __repr__(self) -> str:
        return f"Dial(…, {self.timeout_s})"


@dataclass(frozen=True, slots=True)
class Stream:
    """Let the agent at this address speak."""

    url: str
    parameters: tuple[tuple[str, str], ...] = ()


Verb = HangUp | Dial | Stream


def read(text: str) -> Verb:
    """The one verb of a document. Raises ``InvalidInput`` whose code is Twilio's number for the fault."""
    if len(text) > LONGEST:
        raise _refused(PARSE_FAILURE, f"the document is longer than {LONGEST} characters")
    if "<!" in text.replace("<!--", ""):
        raise _refused(PARSE_FAILURE, "a document without declarations is expected")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 # why: nothing can be declared, see above
    except ElementTree.ParseError:
        raise _refused(PARSE_FAILURE, "the document is not XML") from None
    verbs = list(root)
    if root.tag != "Response" or len(verbs) != 1 or (root.text or "").strip():
        raise _refused(NOT_SUPPORTED, "one verb in a Response is expected")
    return _verb(verbs[0])


def _verb(verb: ElementTree.Element) -> Verb:
    match verb.tag:
        case "Hangup" if not verb.attrib and not len(verb):
            return HangUp()
        case "Dial":
            return _dial(verb)
        case "Connect" if not verb.attrib and len(verb) == 1 and verb[0].tag == "Stream":
            return _stream(verb[0])
        case _:
            raise _refused(NOT_SUPPORTED, "Hangup, Dial and Connect with a Stream are supported")


def _dial(dial: ElementTree.Element) -> Dial:
    """Only what can be meant: a caller id is the gateway's to choose, and nothing follows the dialling."""
    nouns = list(dial)
    beyond = set(dial.attrib) - {"timeout"}
    if beyond or len(nouns) > 1 or any(noun.tag != "Number" or noun.attrib or len(noun) for noun in nouns):
        raise _refused(NOT_SUPPORTED, "Dial is supported with one number and a timeout")
    number = ((nouns[0].text if nouns else dial.text) or "").strip()
    timeout = dial.attrib.get("timeout", "30")
    if not (timeout.isascii() and timeout.isdigit() and 5 <= int(timeout) <= 120):
        raise _refused("13212", "the timeout of Dial is 5 to 120 seconds")
    return Dial(number, int(timeout))


def _stream(stream: ElementTree.Element) -> Stream:
    beyond = set(stream.attrib) - {"url", "name"}
    parts = list(stream)
    if beyond or any(part.tag != "Parameter" or set(part.attrib) != {"name", "value"} for part in parts):
        raise _refused(NOT_SUPPORTED, "Stream is supported with a url, a name and Parameters")
    url = stream.attrib.get("url", "")
    if not url:
        raise _refused("31920", "Stream has no url")
    return Stream(url, tuple((part.attrib["name"], part.attrib["value"]) for part in parts))


def _refused(code: str, message: str) -> InvalidInput:
    return InvalidInput(message, field="Twiml", code=code)
