"""What may happen to an agent's session, in the past tense. Lines are numbered: news of another than the
present one is late and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from voice_agents.core import talk
from voice_agents.core.agent import AgentSpec


@dataclass(frozen=True, slots=True)
class LineOpened:
    """The handshake of this line was done, and ``Begin`` was sent."""

    line: int


@dataclass(frozen=True, slots=True)
class LineReady:
    """The agent will take the call."""

    line: int


@dataclass(frozen=True, slots=True)
class LineFailed:
    """This line could not be opened; ``again``: it may be worth another try."""

    line: int
    why: str
    again: bool = True


@dataclass(frozen=True, slots=True)
class LineLost:
    """The open line is gone, unasked."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class LineStuck:
    """The agent has taken nothing of what it was sent for too long."""

    line: int


@dataclass(frozen=True, slots=True)
class NotTold:
    """The agent could not be told that the session ends: its line took nothing."""

    line: int


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """Anything but sound, its words and its marks, which the shell lays out by itself."""

    line: int
    said: talk.Said


@dataclass(frozen=True, slots=True)
class FarEndHeard:
    """The agent's own detection heard the caller. ``guarded``: over sound that is not to be interrupted."""

    line: int
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class SoundBegan:
    """The agent's sound arrived after a silence of the agent, or while nothing was queued."""


@dataclass(frozen=True, slots=True)
class SoundOver:
    """Everything that was queued has left our queue."""


@dataclass(frozen=True, slots=True)
class EndHeard:
    """The mark that ``orders.MarkEnd`` set was reached. ``more``: sound was queued behind it meanwhile."""

    mark: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class FlowChanged:
    """How full the agent's queue is: ``high``, ``low`` again, or ``full``."""

    level: str


@dataclass(frozen=True, slots=True)
class RateWrong:
    """The agent's sound is at another sampling rate than was agreed, as far as its pace can tell."""

    ratio: float


@dataclass(frozen=True, slots=True)
class MediaArrived:
    """The switch has brought the sound."""


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The first frame of the caller's sound."""


@dataclass(frozen=True, slots=True)
class MediaGone:
    """The agent's channel is no more: ``hangup``, ``stalled``, ``protocol``, ``never_came``."""

    why: str


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller has hung up."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The caller began to speak. ``guarded``: over sound that is not to be interrupted."""

    at_ms: int
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class SpeechOver:
    at_ms: int


@dataclass(frozen=True, slots=True)
class WordsCaught:
    """Somebody understood words of the caller's."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed a key. ``guarded``: as ``SpeechBegan.guarded``."""

    digit: str
    at_ms: int
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class EndAsked:
    """Somebody wants the end. ``deadline_ms``: for the farewell; None, as the agent is registered."""

    reason: talk.Reason
    by: str
    force: bool = False
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HoldAsked:
    """The caller is put on hold or taken over (``by``: ``hold``, ``human``), or comes back."""

    on: bool
    by: str = "hold"


@dataclass(frozen=True, slots=True)
class MuteAsked:
    """The agent is not to be heard, or is again."""

    on: bool


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The caller shall be taken to ``to``. ``by`` ``agent``: only where that is allowed; others have looked
    at it themselves. ``keep``: the agent stays, silent, to be handed back to."""

    to: str
    ring_timeout_s: int
    by: str = "agent"
    keep: bool = False


@dataclass(frozen=True, slots=True)
class HandBackAsked:
    """The caller that was taken over is on the way back to the agent."""


@dataclass(frozen=True, slots=True)
class HandBackFailed:
    """It is not: nothing could be ordered, and it is where it was."""


@dataclass(frozen=True, slots=True)
class SwapAsked:
    """Another agent shall have the call from now on. ``summarises``: as ``Terms.summarises``."""

    spec: AgentSpec
    by: str = "api"
    summarises: bool = False


@dataclass(frozen=True, slots=True)
class TransferDone:
    outcome: str


@dataclass(frozen=True, slots=True)
class ToolDone:
    result: talk.ToolResult


@dataclass(frozen=True, slots=True)
class DigitsDone:
    """Digits were played to the caller's line, or (``ok`` false) could not be."""

    digits: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class PromptDone:
    """A prompt of ours was heard to its end, or could not be spoken."""

    name: str


@dataclass(frozen=True, slots=True)
class HangUpFailed:
    """The call could not be ended by its own control."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """It is time for what was waited for. ``frame_at`` is when the caller's last frame came."""

    frame_at: float | None = None


Fact = (
    LineOpened
    | LineReady
    | LineFailed
    | LineLost
    | LineStuck
    | NotTold
    | AgentSaid
    | FarEndHeard
    | SoundBegan
    | SoundOver
    | EndHeard
    | FlowChanged
    | RateWrong
    | MediaArrived
    | FirstFrame
    | MediaGone
    | CallerGone
    | SpeechBegan
    | SpeechOver
    | WordsCaught
    | Pressed
    | EndAsked
    | HoldAsked
    | MuteAsked
    | TransferAsked
    | HandBackAsked
    | HandBackFailed
    | SwapAsked
    | TransferDone
    | ToolDone
    | DigitsDone
    | PromptDone
    | HangUpFailed
    | TimerFired
)
