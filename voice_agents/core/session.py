"""An agent's session as immutable values: its line, its sound, the caller's speech, and its end.

``now`` and all times are epoch seconds from the shell's clock, which never goes back. The state is never
stored: it follows from the parts, so that it cannot contradict them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from voice_agents.core.agent import AgentSpec
from voice_agents.core.orders import Order
from voice_agents.core.record import How, State
from voice_agents.core.talk import Reason


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each wait may last, in seconds."""

    connect_s: float = 2.5
    retry_s: float = 0.25
    retry_most_s: float = 5.0
    recover_s: float = 30.0
    steady_s: float = 10.0
    """A line that lasted this long begins a new recovery when it is lost; before, the old one goes on."""
    ready_s: float = 5.0
    first_frame_s: float = 3.0
    frames_s: float = 10.0
    greet_s: float = 5.0
    """``after_callee``: how long a callee may keep silent before it is greeted all the same."""
    slow_s: float = 3.0
    failover_s: float = 8.0
    gap_s: float = 1.2
    """A farewell is over when the agent has said nothing for so long after it was heard."""
    grace_s: float = 2.0
    """So long after it has asked to leave, what an agent sends is still taken: it was on its way."""
    unmarked_s: float = 0.3
    """How long a mark may be late once the queue is empty."""
    drain_s: float = 10.0
    short_drain_s: float = 2.0
    gone_s: float = 5.0
    prompt_s: float = 30.0
    return_s: float = 15.0
    transfer_s: float = 15.0
    """On top of the ringing."""
    warn_s: float = 30.0
    media_s: float = 10.0
    """On top of the time that the switch was given to bring the sound."""


PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Terms:
    """What does not change while the session lasts. ``speaks``: we have a voice of our own for prompts;
    ``summarises``: the agent's dialect has a word for a summary. ``passed_over``: why the agent itself is not
    tried, only what stands in for it; empty where it is."""

    spec: AgentSpec
    outbound: bool
    max_duration_s: int
    media_within_s: float = 90.0
    speaks: bool = False
    summarises: bool = False
    passed_over: str = ""


class Phase(StrEnum):
    """How a line stands."""

    OPENING = "opening"
    WAITING = "waiting"
    OPENED = "opened"
    READY = "ready"
    DOWN = "down"


class Rung(StrEnum):
    """Who or what the caller has: the agent, the one that stands in, our prompt, a number, or nobody."""

    AGENT = "agent"
    STANDBY = "standby"
    PROMPT = "prompt"
    NUMBER = "number"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Line:
    """``number`` counts attempts. ``since`` is when this rung, or the present recovery, began."""

    since: float
    number: int = 0
    phase: Phase = Phase.DOWN
    rung: Rung = Rung.AGENT
    at: float = 0.0
    """When the phase began."""
    tries: int = 0
    recovering: bool = False
    prompted_at: float | None = None
    malformed: int = 0

    @property
    def open(self) -> bool:
        """Whether the agent can be told anything."""
        return self.phase in (Phase.OPENED, Phase.READY)


@dataclass(frozen=True, slots=True)
class Media:
    """The agent's channel in the switch; all None while there is none. ``heard_at``: when the first frame
    came, or was no longer waited for; ``frame_at``: when the last came."""

    arrived_at: float | None = None
    answered_at: float | None = None
    heard_at: float | None = None
    frame_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Barge:
    """The caller's speech over the agent's."""

    speaking: bool = False
    began_ms: int = 0
    """When the caller began to speak last, on the audio clock."""
    paused_at: float | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """The silence ladder. ``since``: nobody says anything since then; None while somebody does.
    ``lively_at``: the last sign of a conversation that no noise can give."""

    since: float | None = None
    lively_at: float | None = None
    asked: int = 0
    owed_at: float | None = None
    """The caller stopped to speak then, and the agent has not answered yet."""
    slow: bool = False
    lives: bool = False
    """The agent gave some sign of life since."""


class TransferStep(StrEnum):
    SPEAKING = "speaking"
    RINGING = "ringing"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class Moving:
    """A transfer under way."""

    to: str
    ring_timeout_s: int
    step: TransferStep
    at: float
    fallback: bool = False
    by: str = "agent"
    keep: bool = False
    empty_at: float | None = None
    """The queue is empty since then, though the mark behind it has not come."""


class EndStep(StrEnum):
    """The farewell is spoken; is heard to its end; the tail after it; the call is being ended; the agent may
    still give its account."""

    FAREWELL = "farewell"
    DRAIN = "drain"
    TAIL = "tail"
    GOING = "going"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Farewell:
    """The end, from the moment that it was accepted. ``spoke``: the agent began to say something after it
    was told; ``quiet_at``: all of that has been heard."""

    reason: Reason
    by: str
    asked_at: float
    step: EndStep
    at: float
    """When the step began."""
    deadline: float
    drain_s: float
    notified_at: float | None = None
    how: How | None = None
    spoke: bool = False
    quiet_at: float | None = None
    empty_at: float | None = None
    """The queue is empty since then, though the mark behind it has not come."""
    draining_since: float | None = None
    settled_at: float | None = None
    heard_at: float | None = None
    hung_up_at: float | None = None
    summed: bool = False
    prompting: bool = False
    gone: bool = False
    """The agent's channel, or the caller, is gone."""
    acked: bool = False
    """The agent has nothing more to say, a summary included."""
    leaves_at: float | None = None
    """When the agent itself asked to leave, or said that it has nothing more to say."""
    shut: bool = False
    """Long enough ago that nothing it sends any more was on its way then."""
    idle_at: float | None = None
    """Since then it has said nothing after it was told, and nothing is queued."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is counted so that nothing runs away."""

    tools: tuple[float, ...] = ()
    """When the last tools were called."""
    running: int = 0
    tool_calls: int = 0
    refused: int = 0
    refused_ending: int = 0
    interruptions: int = 0
    false_alarms: int = 0
    reconnects: int = 0
    malformed: int = 0
    slow_turns: int = 0
    rate_told: bool = False
    flow_paused: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that decides. ``marks`` counts the marks set to hear an end; ``sounding``: sound of the
    agent is queued or being heard."""

    terms: Terms
    created_at: float
    line: Line
    media: Media = field(default_factory=Media)
    barge: Barge = field(default_factory=Barge)
    quiet: Quiet = field(default_factory=Quiet)
    usage: Usage = field(default_factory=Usage)
    moving: Moving | None = None
    ending: Farewell | None = None
    over: State | None = None
    over_at: float | None = None
    ready_at: float | None = None
    bridged_at: float | None = None
    greeted_at: float | None = None
    """When the caller's side was ready to hear the agent."""
    sounding: bool = False
    held_by: str = ""
    muted: bool = False
    comforting: bool = False
    warned: bool = False
    marks: int = 0
    failure: str = ""

    @property
    def state(self) -> State:
        """Where the session is, as told to the world."""
        if self.over is not None:
            return self.over
        if self.ending is not None:
            return State.ENDING
        if self.moving is not None:
            return State.TRANSFERRING
        if self.held_by:
            return State.HELD
        if self.barge.paused_at is not None:
            return State.PAUSED
        if self.greeted_at is not None:
            return State.TALKING
        if self.media.arrived_at is not None:
            return State.BRIDGED
        if self.line.phase is Phase.READY:
            return State.READY
        return State.CONNECTING if self.line.number else State.REQUESTED

    @property
    def live(self) -> bool:
        """Neither over nor ending."""
        return self.over is None and self.ending is None

    @property
    def gate_open(self) -> bool:
        """Whether what the agent says is played now; else it waits for the caller to be there."""
        return self.greeted_at is not None and self.media.heard_at is not None

    @property
    def takes_sound(self) -> bool:
        """Whether what the agent says is kept at all."""
        if self.over is not None or self.muted or self.held_by == "human":
            return False
        if self.held_by and self.ending is None:
            return False
        if self.line.phase is not Phase.READY:
            return False
        ending = self.ending
        if ending is None:
            return True
        return ending.step in (EndStep.FAREWELL, EndStep.DRAIN, EndStep.TAIL) and not ending.prompting

    @property
    def listens(self) -> bool:
        """Whether what the agent sends now is taken in; ``takes_sound``: or what it has sent is kept."""
        return self.ending is None or not self.ending.shut

    @property
    def forwards_caller(self) -> bool:
        """Whether the agent hears the caller."""
        if self.over is not None or self.held_by == "hold" or self.line.phase is not Phase.READY:
            return False
        return self.media.heard_at is not None and (self.ending is None or not self.ending.gone)

    @property
    def bargeable(self) -> bool:
        """Whether the caller's speech may do anything to the agent's."""
        return self.live and self.sounding and self.gate_open and not self.held_by and self.moving is None


Step = tuple[Session, tuple[Order, ...]]


__all__ = [
    "PATIENCE", "Barge", "EndStep", "Farewell", "Line", "Media", "Moving", "Patience", "Phase", "Quiet",
    "Rung", "Session", "Step", "Terms", "TransferStep", "Usage", "replace",
]  # fmt: skip
