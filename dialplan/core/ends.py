"""What a leg reaches."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class Trunk:
    """A person reached over a carrier connection."""

    number: E164
    trunk: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A softphone registered at the switch, by its configured name."""

    name: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """A prompt played to the caller; ``sound`` is a file name without ending, made by us."""

    sound: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """Music until somebody hangs up."""


@dataclass(frozen=True, slots=True, repr=False)
class AgentSocket:
    """An AI agent, reached over a socket that the switch opens to us.

    ``dial`` is what Dial() is given, made by us, in one of the shapes that ``agent_dial`` knows; its token
    can be used once, and is told to nobody.
    """

    dial: str
    agent_id: str

    def __repr__(self) -> str:
        return f"AgentSocket({self.agent_id})"


@dataclass(frozen=True, slots=True, repr=False)
class VideoRoom:
    """A video room, reached over a socket that the switch opens to whoever carries sound between the two.

    ``dial`` is made by us, as an agent's is; its token can be used once, and is told to nobody. ``room_id``
    is empty until the caller of a dial-in line is in one (``entered``). ``language`` is what they hear.
    """

    dial: str
    room_id: str = ""
    language: str = "en"
    entered: bool = False

    def __repr__(self) -> str:
        return f"VideoRoom({self.room_id})"


Endpoint = Trunk | Phone | Announcement | HoldMusic | AgentSocket | VideoRoom

_VIRTUAL = (Announcement, HoldMusic)


def is_virtual(endpoint: Endpoint) -> bool:
    """Whether the far end is played by the caller's own channel and has none of its own."""
    return isinstance(endpoint, _VIRTUAL)
