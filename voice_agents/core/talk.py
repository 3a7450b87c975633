"""What an agent is told and what an agent says, whatever protocol it speaks.

A dialect (``voice_agents.wire``) turns ``Told`` into its own messages and its messages into ``Said``. Times
named ``at_ms`` are on the call's audio clock: milliseconds since the first frame the caller sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from voice_agents.core.audio import Codec


class Reason(StrEnum):
    """Why an agent's session ends."""

    API = "api_hangup"
    CALLER = "caller_hangup"
    AGENT = "agent_hangup"
    MAX_DURATION = "max_duration"
    SILENCE = "silence"
    DRAIN = "drain"
    TRANSFERRED = "transferred"
    AGENT_LOST = "agent_lost"
    MEDIA_LOST = "media_lost"
    REPLACED = "replaced"
    REMOVED = "removed_from_room"
    ROOM_ENDED = "room_ended"


# ---------------------------------------------------------------- told to the agent


@dataclass(frozen=True, slots=True)
class Begin:
    """The conversation's frame. ``caller`` and ``called`` are as this agent may know them (E.164,
    ``phone:NAME``, or empty where withheld). ``control_token`` lets the agent control this call alone over
    HTTP. ``resumed_turns`` is how many turns the transcript has, where the agent joins a session that had
    begun: after a reconnection, or as the standby of another agent."""

    session_id: str
    call_id: str
    agent_id: str
    agent_version: int
    direction: str
    caller: str
    called: str
    codec: Codec
    language: str = "en-US"
    greeting: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    control_token: str = field(default="", repr=False)
    resumed_turns: int | None = None

    def __repr__(self) -> str:
        return f"Begin({self.session_id}, {self.call_id}, {self.agent_id}@{self.agent_version})"


@dataclass(frozen=True, slots=True)
class Answered:
    """The caller is on the line and was heard: the agent may speak."""

    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """One frame of the caller's sound, in the session's codec."""

    frame: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the caller was understood to say; for agents that are given text."""

    text: str
    at_ms: int
    until_ms: int
    confidence: float = 1.0
    final: bool = True
    language: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    at_ms: int


@dataclass(frozen=True, slots=True)
class Digit:
    """A key that the caller pressed: one of ``0-9*#A-D``."""

    digit: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class MarkReached:
    """What came before this mark has been heard, or (``heard`` false) was cleared."""

    name: str
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller spoke over the agent, whose sound was dropped after ``heard_ms`` of this turn. Of these,
    ``after_mark_ms`` came after the last mark of this turn that was reached, ``after_mark`` (empty: the turn
    has reached none, and both times are the same)."""

    heard_ms: int
    heard_text: str
    after_mark: str = ""
    after_mark_ms: int = 0


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """These digits were played to the caller's line."""

    digits: str


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """What became of a transfer: completed, busy, no_answer, declined, invalid, timeout, policy_denied."""

    to: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's answer: ``ok`` and JSON text, or the error's code in ``error``."""

    id: str
    ok: bool
    result: str = "null"
    error: str = ""


@dataclass(frozen=True, slots=True)
class FlowPaused:
    """The agent sends faster than anybody hears: ``paused`` until there is room again."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The caller was put on hold, or taken over by a human (``by``: ``hold``, ``human``), or is back."""

    held: bool
    by: str = "hold"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something the agent did wrong, or could not be done for it. Codes are listed in docs/agents.md."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The conversation will end: the first thing anybody is told of it. ``deadline_ms`` is how long a
    farewell may take; ``may_speak`` is false once the caller is gone. Where ``final`` is false nothing ends
    yet: it will in ``deadline_ms``, and the agent is told again then."""

    reason: Reason
    initiated_by: str
    deadline_ms: int
    may_speak: bool
    final: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """It is over; nothing follows."""

    reason: Reason
    duration_ms: int


@dataclass(frozen=True, slots=True)
class CallerSilent:
    """Nobody has said anything for ``for_ms``: the agent may ask whether the caller is still there. ``nth``
    counts from 1; ``left`` is how often it will be told before the call ends."""

    for_ms: int
    nth: int
    left: int


Told = (
    Begin
    | Answered
    | CallerAudio
    | Utterance
    | SpeechStarted
    | SpeechStopped
    | Digit
    | MarkReached
    | Interrupted
    | DigitsSent
    | TransferOutcome
    | ToolResult
    | FlowPaused
    | Held
    | Fault
    | Ending
    | Ended
    | CallerSilent
)


# ---------------------------------------------------------------- said by the agent


@dataclass(frozen=True, slots=True)
class Ready:
    """The agent will take the call. ``wants``: what it asks for. ``transcripts``: to be told ``Utterance``
    though it hears the sound itself."""

    wants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound to play, in the session's codec, of any length."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Words:
    """Text to be spoken by our speech engine. ``last`` ends the turn; a turn may come in pieces. ``expect``
    names a grammar that the answer is likely to be of; only the built-in agent says so."""

    text: str
    last: bool = True
    interruptible: bool = True
    preemptible: bool = False
    language: str = ""
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Play:
    """A sound at an address to be played ``times`` times (0: until something else is)."""

    url: str
    times: int = 1
    interruptible: bool = True


@dataclass(frozen=True, slots=True)
class Caption:
    """The words of the sound that follows or was just sent, for the transcript. They may come in pieces,
    which are joined as they are, until one is ``final`` (and may be empty)."""

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class CallerWords:
    """What the agent itself understood the caller to say, for the transcript. What is not ``final`` is a
    guess, which the next one replaces."""

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop what has not been heard yet."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What follows is not to be interrupted (``on``), for at most ``most_ms``."""

    on: bool
    most_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call once all that was said is heard."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Join the caller with ``to`` (E.164 or ``phone:NAME``) in this agent's place."""

    to: str
    ring_timeout_s: int = 30


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Play these digits (``0-9*#A-Dw``; ``w`` waits half a second) to the caller's line."""

    digits: str


@dataclass(frozen=True, slots=True)
class Language:
    """The languages to speak and to understand from now on; empty leaves one as it is."""

    speak: str = ""
    understand: str = ""


@dataclass(frozen=True, slots=True)
class CallTool:
    """Run a tool of ours. ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Ack:
    """The agent has understood that the session ends, and has nothing more to say."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The agent's own account of the conversation. ``fields`` is JSON text of an object."""

    text: str
    fields: str = "{}"


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """The far end's own voice detection says that the caller began to speak: flush, and say how much was
    heard."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that is not of this dialect. ``why`` names the fault and quotes nothing of it."""

    why: str


Said = (
    Ready
    | Audio
    | Words
    | Play
    | Caption
    | CallerWords
    | Mark
    | Clear
    | Guard
    | HangUp
    | Transfer
    | SendDigits
    | Language
    | CallTool
    | Ack
    | Summary
    | CallerSpoke
    | Malformed
)
