"""An agent as it is registered: who it is, how it is reached, what it may do. Durations in the unit named."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class DialectName(StrEnum):
    NATIVE = "native"
    TWILIO = "twilio"
    CONVERSATION_RELAY = "conversationrelay"
    OPENAI = "openai"
    BUILTIN = "builtin"


class BargeMode(StrEnum):
    """What the caller's speech does to the agent's: nothing; drops it; pauses it until that is decided; is
    told to the agent alone; or only a key drops it."""

    OFF = "off"
    CLEAR = "clear"
    PAUSE = "pause"
    NOTIFY = "notify"
    DTMF = "dtmf"


@dataclass(frozen=True, slots=True)
class BargeIn:
    mode: BargeMode = BargeMode.PAUSE
    min_ms: int = 120
    decision_ms: int = 500


@dataclass(frozen=True, slots=True)
class Silence:
    """The caller is asked again after ``prompt_s`` without a word, at most ``times`` times, with ``prompt``
    (empty: the agent is told and asks itself); then, or after ``most_s`` of clock time, the call ends.
    ``prompt_s`` 0: never."""

    prompt_s: int = 0
    times: int = 3
    prompt: str = ""
    most_s: int = 0


@dataclass(frozen=True, slots=True)
class Greeting:
    text: str = ""
    uninterruptible: bool = False
    when: str = "on_answer"
    """``on_answer``, ``after_callee`` (outbound: once the callee has spoken) or ``never``."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """How long the agent may take for its farewell, and what is said for one that cannot speak any more."""

    deadline_ms: int = 5000
    farewell: str = ""
    tail_ms: int = 400
    summary_ms: int = 5000


@dataclass(frozen=True, slots=True)
class Fallback:
    """What becomes of the caller when the agent fails, tried in this order; empty is not tried."""

    agent_id: str = ""
    prompt: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Auth:
    """``kind``: ``none``, ``hmac`` (the handshake is signed), ``bearer``. The secret never leaves the store
    but for the handshake."""

    kind: str = "hmac"
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One version of an agent. ``passed_on`` is JSON text of the fields that are kept for the agent and mean
    nothing to us (model, system_prompt, tools, guardrails and the like). ``codec`` is Asterisk's name of the
    sound it wants, empty for its dialect's own. ``filler`` is said when the agent is slow to answer.
    ``secure_digits``: keys that the caller presses are not written down."""

    id: str
    version: int
    tenant: str
    name: str
    dialect: DialectName
    url: str = ""
    codec: str = ""
    auth: Auth = field(default_factory=Auth)
    greeting: Greeting = field(default_factory=Greeting)
    barge_in: BargeIn = field(default_factory=BargeIn)
    silence: Silence = field(default_factory=Silence)
    shutdown: Shutdown = field(default_factory=Shutdown)
    fallback: Fallback = field(default_factory=Fallback)
    max_duration_s: int = 600
    max_concurrent: int = 0
    tools_allow: tuple[str, ...] = ()
    tools_url: str = ""
    transfer_allow: tuple[str, ...] = ()
    language: str = "en-US"
    voice: str = "en-US"
    parameters: tuple[tuple[str, str], ...] = ()
    passed_on: str = "{}"
    record: bool = False
    filler: str = ""
    secure_digits: bool = False
    archived: bool = False
    """It takes no new calls; those that it has go on."""
