"""Requests and answers about agents."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from gateway.http.orbit.fields import Dialable, Metadata, Name, PageQuery, Url
from gateway.http.schema import OneLine, QueryInt, Shown, Strict

Dialect = Literal["native", "twilio", "conversationrelay", "openai", "builtin"]
Codec = Literal["ulaw", "alaw", "slin", "slin16", "slin24"]
AgentId = Annotated[OneLine, Field(min_length=1, max_length=64, examples=["agt_abc123"])]
_TOOL = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_DESTINATION = re.compile(
    r"\+[1-9][0-9]{6,14}|\+[1-9]?[0-9]{0,13}\*|phone:[A-Za-z0-9][A-Za-z0-9_.\-]{0,39}|phone:\*"
    r"|room:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|room:\*"
)
_LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


def _tool(text: str) -> str:
    if _TOOL.fullmatch(text) is None:
        raise PydanticCustomError("tool", "the name of a tool: letters, digits, dot, dash, underscore")
    return text


def _destination(text: str) -> str:
    if _DESTINATION.fullmatch(text) is None:
        raise PydanticCustomError(
            "destination", "a number, phone: and a phone's name, room: and its id, or their beginning with *"
        )
    return text


ToolName = Annotated[str, AfterValidator(_tool), Field(json_schema_extra={"pattern": f"^{_TOOL.pattern}$"})]
Destination = Annotated[
    str,
    AfterValidator(_destination),
    Field(json_schema_extra={"pattern": f"^({_DESTINATION.pattern})$", "examples": ["+14155552671"]}),
]
LongText = Annotated[str, Field(max_length=50_000)]
Lines = Annotated[OneLine, Field(max_length=1000)]
Secret = Annotated[str, Field(min_length=16, max_length=200, pattern=r"^[!-~]+$")]


class AuthWanted(Strict):
    """How an agent knows that it is us."""

    kind: Literal["hmac", "bearer", "none"] | None = Field(
        default=None,
        description="`hmac`: the handshake is signed; `bearer`: it carries the secret. Left out: as the "
        "dialect usually does.",
    )
    secret: Secret | None = Field(
        default=None, description="Made for you with `hmac` if left out; never shown again."
    )


class GreetingWanted(Strict):
    """What the agent says first."""

    text: Lines = Field(default="", description="Spoken by our speech engine, or told to the agent to say.")
    uninterruptible: bool = False
    when: Literal["on_answer", "after_callee", "never"] = "on_answer"


class BargeInWanted(Strict):
    """What the caller's speech does to the agent's."""

    mode: Literal["off", "clear", "pause", "notify", "dtmf"] = "pause"
    min_ms: Annotated[int, Field(ge=20, le=2000)] = 120
    decision_ms: Annotated[int, Field(ge=0, le=5000)] = 500


class SilenceWanted(Strict):
    """What a silent caller is told, and when the call ends for it. 0: never."""

    prompt_s: Annotated[int, Field(ge=0, le=3600)] = 0
    times: Annotated[int, Field(ge=0, le=20)] = 3
    prompt: Lines = ""
    most_s: Annotated[int, Field(ge=0, le=14_400)] = 0


class ShutdownWanted(Strict):
    """How an end goes: how long a farewell may take, and what is said for an agent that says none."""

    deadline_ms: Annotated[int, Field(ge=0, le=15_000)] = 5000
    farewell: Lines = ""
    tail_ms: Annotated[int, Field(ge=0, le=3000)] = 400
    summary_ms: Annotated[int, Field(ge=0, le=15_000)] = 5000


class FallbackWanted(Strict):
    """What becomes of the caller when the agent fails, tried in this order."""

    agent_id: AgentId | None = None
    prompt: Lines | None = None
    number: Dialable | None = None


class ReceptionWanted(Strict):
    """What the built-in receptionist knows of its business. `departments`: a name, as callers say it, and
    where they are sent: a number, or `phone:` and a name; `transfer_allow` must hold it, too."""

    business_name: Annotated[OneLine, Field(max_length=200)] = ""
    hours: Lines = ""
    address: Lines = ""
    departments: dict[Annotated[OneLine, Field(min_length=1, max_length=40)], Destination] = Field(
        default_factory=dict, max_length=20
    )
    operator: Destination | None = None
    takes_messages: bool = True


def _as_greeting(given: object) -> object:
    return {"text": given} if isinstance(given, str) else given


def _as_barge_in(given: object) -> object:
    return {"mode": given} if isinstance(given, str) else given


GreetingGiven = Annotated[GreetingWanted, BeforeValidator(_as_greeting)]
BargeInGiven = Annotated[BargeInWanted, BeforeValidator(_as_barge_in)]


class _AgentFields(Strict):
    """What can be said of an agent besides its name."""

    type: Annotated[OneLine, Field(min_length=1, max_length=40)] | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    model: Annotated[OneLine, Field(max_length=200)] | None = None
    system_prompt: LongText | None = None
    tools: Annotated[list[JsonValue], Field(max_length=200)] | None = Field(
        default=None, description="Kept and passed on to the agent as they are."
    )
    guardrails: JsonValue = None
    knowledge_base_ids: Annotated[list[OneLine], Field(max_length=100)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    metadata: Metadata | None = None
    reception: ReceptionWanted | None = Field(default=None, description="For the built-in agent.")

    dialect: Dialect | None = Field(
        default=None,
        description="What the agent speaks; `native` where there is a `url`, else `builtin`: our own agent.",
    )
    url: Url | None = Field(default=None, description="Where the agent listens: wss, a public host.")
    codec: Codec | None = Field(
        default=None, description="The sound it wants; its dialect's own if left out."
    )
    auth: AuthWanted | None = None
    greeting: GreetingGiven | None = Field(default=None, description="`{text, …}`, or the text alone.")
    barge_in: BargeInGiven | None = Field(default=None, description="`{mode, …}`, or the mode alone.")
    silence: SilenceWanted | None = None
    shutdown: ShutdownWanted | None = None
    fallback: FallbackWanted | None = None
    max_duration: Annotated[int, Field(ge=10, le=14_400)] | None = Field(
        default=None, description="Seconds with the agent until the call is ended; 600 if left out."
    )
    max_concurrent: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="Calls at once; 0 for no limit of its own."
    )
    tools_allow: Annotated[list[ToolName], Field(max_length=100)] | None = Field(
        default=None, description="The tools it may call; none if left out."
    )
    tools_url: Url | None = Field(default=None, description="Where tools are run: https, a public host.")
    transfer_allow: Annotated[list[Destination], Field(max_length=100)] | None = Field(
        default=None, description="Where it may send callers; nowhere if left out. `+44*`: any such number."
    )
    language: Annotated[str, Field(pattern=_LANGUAGE, max_length=35)] | None = None
    voice: Annotated[OneLine, Field(min_length=1, max_length=60)] | None = None
    parameters: Metadata | None = Field(default=None, description="Told to the agent at every call.")
    record: bool | None = Field(default=None, description="Record its calls.")
    filler: Lines | None = Field(default=None, description="Said when the agent is slow to answer.")
    secure_digits: bool | None = Field(default=None, description="Keys callers press are not written down.")


class CreateAgent(_AgentFields):
    """An agent: Orbit's fields are kept and passed on to it; the others say how it is reached and led."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Front desk",
                    "type": "voice",
                    "dialect": "native",
                    "url": "wss://agents.example.com/line",
                    "greeting": "Good day, how can I help you?",
                    "shutdown": {"deadline_ms": 4000, "farewell": "Goodbye."},
                    "transfer_allow": ["+14155552671"],
                }
            ]
        }
    )

    name: Name


class ReplaceAgent(CreateAgent):
    """All that is to be said of the agent; what is left out is as usual. The secret stays."""


class ChangeAgent(_AgentFields):
    """What shall be different; what is left out stays, null takes a field back to what is usual."""

    name: Name | None = None


class RotateSecret(Strict):
    """A secret of your own, if it is to be one."""

    secret: Secret | None = Field(default=None, description="Made for you with `hmac` if left out.")


class ListAgents(PageQuery):
    """Which agents."""

    status: Literal["active", "archived"] = "active"


class WhichVersion(Strict):
    """Which version of the agent."""

    version: QueryInt | None = Field(default=None, ge=1, le=10_000, description="The newest if left out.")


class AuthShown(Shown):
    """How the handshake is proved."""

    kind: Literal["hmac", "bearer", "none"]


class GreetingShown(Shown):
    """What the agent says first."""

    text: str
    uninterruptible: bool
    when: Literal["on_answer", "after_callee", "never"]


class BargeInShown(Shown):
    """What the caller's speech does to the agent's."""

    mode: Literal["off", "clear", "pause", "notify", "dtmf"]
    min_ms: int
    decision_ms: int


class SilenceShown(Shown):
    """What a silent caller is told."""

    prompt_s: int
    times: int
    prompt: str
    most_s: int


class ShutdownShown(Shown):
    """How an end goes."""

    deadline_ms: int
    farewell: str
    tail_ms: int
    summary_ms: int


class FallbackShown(Shown):
    """What becomes of the caller when the agent fails."""

    agent_id: str | None
    prompt: str | None
    number: str | None


class AgentShown(Shown):
    """An agent in one of its versions. `signing_secret` is there in the answer that made it, never again.

    `account_sid` is what a bot made for Twilio gives as its AccountSid; null in other dialects. Of an agent
    that a newer release stored, what this one does not know is left out; `dialect` is null where it is that.
    """

    id: str
    version: int
    latest_version: int
    status: Literal["active", "archived"]
    name: str
    type: str | None
    description: str | None
    model: str | None
    system_prompt: str | None
    tools: list[JsonValue]
    guardrails: JsonValue
    knowledge_base_ids: list[str]
    temperature: float | None
    max_tokens: int | None
    metadata: dict[str, str]
    reception: JsonValue
    dialect: Dialect | None
    url: str | None
    codec: str | None
    auth: AuthShown
    account_sid: str | None
    greeting: GreetingShown
    barge_in: BargeInShown
    silence: SilenceShown
    shutdown: ShutdownShown
    fallback: FallbackShown
    max_duration: int
    max_concurrent: int
    tools_allow: list[str]
    tools_url: str | None
    transfer_allow: list[str]
    language: str
    voice: str
    parameters: dict[str, str]
    record: bool
    filler: str
    secure_digits: bool
    created_at: str
    updated_at: str
    signing_secret: str | None
