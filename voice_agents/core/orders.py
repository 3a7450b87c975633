"""What an agent's session has done, in the imperative. The shell carries orders out in their order."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agents.core import talk

EVENTS = frozenset(
    {
        "agent.session.ready",
        "agent.session.talking",
        "agent.session.ending",
        "agent.session.ended",
        "agent.session.failed",
        "agent.interrupted",
        "agent.slow",
        "agent.lost",
        "agent.recovered",
        "agent.failover",
        "agent.fault",
        "agent.transfer",
        "agent.tool",
        "agent.held",
        "agent.muted",
        "agent.media_silent",
        "agent.near_end",
    }
)
"""Everything that a session tells the world."""


@dataclass(frozen=True, slots=True)
class OpenLine:
    """Reach the agent, or (``standby``) the one that stands in for it; another attempt ends."""

    line: int
    standby: bool = False
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class CloseLine:
    """Close the line, opened or not, with this WebSocket code; what it says from now on is late."""

    code: int = 1000


@dataclass(frozen=True, slots=True)
class Tell:
    """Say this to the agent. Where it is ``Ending`` and the line does not take it: ``NotTold``."""

    told: talk.Told


@dataclass(frozen=True, slots=True)
class TellAnswered:
    """Tell the agent that it may speak; the shell knows the audio clock."""


@dataclass(frozen=True, slots=True)
class AnswerMedia:
    """Let the agent's channel go up."""


@dataclass(frozen=True, slots=True)
class PauseSound:
    """Hold what is queued."""


@dataclass(frozen=True, slots=True)
class ResumeSound:
    """Go on with what is queued."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Drop what has not been heard. ``interrupted``: by the caller; the agent is told how much was heard."""

    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class MarkEnd:
    """Report ``EndHeard`` once what is queued now has been heard."""

    mark: int


@dataclass(frozen=True, slots=True)
class HoldSound:
    """Comfort the caller while nobody can speak, or stop that."""

    on: bool


@dataclass(frozen=True, slots=True)
class SayPrompt:
    """Speak this ourselves, behind what is queued; ``PromptDone`` follows."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Ring ``to`` in the agent's place; ``TransferDone`` follows."""

    to: str
    ring_timeout_s: int


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Play digits to the caller's line; ``DigitsDone`` follows."""

    digits: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool; ``ToolDone`` follows."""

    tool: talk.CallTool


@dataclass(frozen=True, slots=True)
class HangUpCall:
    """End the call. Doing it twice does no harm."""

    why: str


@dataclass(frozen=True, slots=True)
class ReleaseMedia:
    """End the agent's channel and let no other come."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the world; ``event`` is one of ``EVENTS``."""

    event: str
    detail: tuple[tuple[str, str | int | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Save:
    """Keep what is known now."""


@dataclass(frozen=True, slots=True)
class Finish:
    """It is over: nothing follows. The shell gives back what it holds."""


Order = (
    OpenLine
    | CloseLine
    | Tell
    | TellAnswered
    | AnswerMedia
    | PauseSound
    | ResumeSound
    | Flush
    | MarkEnd
    | HoldSound
    | SayPrompt
    | TransferCall
    | SendDigits
    | RunTool
    | HangUpCall
    | ReleaseMedia
    | Publish
    | Save
    | Finish
)
