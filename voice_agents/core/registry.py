"""From what is stored of an agent to what a session needs, and the rules that join its fields.

What is stored is one JSON object in the words of the HTTP face. What it says beyond ``OURS`` means nothing
to us: it is kept, shown, and passed on to the agent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from telephony.errors import Conflict, InvalidInput
from voice_agents.core.agent import (
    AgentSpec,
    Auth,
    BargeIn,
    BargeMode,
    DialectName,
    Fallback,
    Greeting,
    Shutdown,
    Silence,
)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Stored = Mapping[str, Json]

OURS: Final = frozenset(
    {
        "name", "dialect", "url", "codec", "auth", "greeting", "barge_in", "silence", "shutdown", "fallback",
        "max_duration", "max_concurrent", "tools_allow", "tools_url", "transfer_allow", "language", "voice",
        "parameters", "record", "filler", "secure_digits",
    }
)  # fmt: skip
"""The fields that mean something to us."""

CODECS: Final[Mapping[DialectName, frozenset[str]]] = MappingProxyType(
    {
        DialectName.NATIVE: frozenset({"ulaw", "alaw", "slin", "slin16", "slin24"}),
        DialectName.TWILIO: frozenset({"ulaw"}),
        DialectName.OPENAI: frozenset({"ulaw", "alaw", "slin24"}),
        DialectName.CONVERSATION_RELAY: frozenset({"slin", "slin16"}),
        DialectName.BUILTIN: frozenset({"slin", "slin16"}),
    }
)
"""The sounds that each dialect can carry, by Asterisk's names; text-level ones hear through our speech
engines, which want linear sound. Twilio: Media Streams is µ-law at 8 kHz alone. OpenAI: Realtime takes PCM
at 24 kHz, PCMU and PCMA."""

_AUTHS: Final[Mapping[DialectName, tuple[str, ...]]] = MappingProxyType(
    {
        DialectName.NATIVE: ("hmac", "bearer", "none"),
        DialectName.TWILIO: ("hmac", "bearer", "none"),
        DialectName.CONVERSATION_RELAY: ("hmac", "bearer", "none"),
        DialectName.OPENAI: ("bearer", "none"),
        DialectName.BUILTIN: ("none",),
    }
)
"""How each dialect's handshake may be proved; the first is what is meant where nothing is said."""

_PARTS: Final[Mapping[str, type[Greeting | BargeIn | Silence | Shutdown | Fallback]]] = MappingProxyType(
    {
        "greeting": Greeting,
        "barge_in": BargeIn,
        "silence": Silence,
        "shutdown": Shutdown,
        "fallback": Fallback,
    }
)

TOO_NEW: Final = "AGENT_TOO_NEW"
URL_NEEDED: Final = frozenset({DialectName.NATIVE, DialectName.TWILIO, DialectName.CONVERSATION_RELAY})


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of an agent as it is stored. ``auth_kind`` is how its handshake is proved; ``archived``: it
    takes no new calls."""

    id: str
    version: int
    tenant: str
    stored: Stored
    auth_kind: str = "none"
    secret: str = field(default="", repr=False)
    archived: bool = False


def dialect_of(wanted: Stored) -> DialectName:
    """The dialect that is meant: the one named, else native where there is an address, else our own agent."""
    named = wanted.get("dialect")
    if named is None:
        return DialectName.NATIVE if wanted.get("url") else DialectName.BUILTIN
    return DialectName(str(named))


def auth_kind(wanted: Stored) -> str:
    """How the handshake is proved: as asked for, else as the dialect usually does."""
    auth = wanted.get("auth")
    kind = auth.get("kind") if isinstance(auth, dict) else None
    return str(kind) if kind else _AUTHS[dialect_of(wanted)][0]


def check(wanted: Stored) -> None:
    """The rules between fields. Raises ``InvalidInput`` naming the first field that breaks one."""
    dialect, url, codec = dialect_of(wanted), wanted.get("url"), wanted.get("codec")
    if dialect in URL_NEEDED and not url:
        raise InvalidInput(
            "url is required", field="url", expected="the agent's address", code="MISSING_REQUIRED_FIELD"
        )
    if dialect is DialectName.BUILTIN and url:
        raise InvalidInput("the built-in agent has no address", field="url", expected="no url")
    if codec and str(codec) not in CODECS[dialect]:
        expected = ", ".join(sorted(CODECS[dialect]))
        raise InvalidInput(
            f"an agent of the dialect {dialect} cannot have this sound",
            field="codec",
            value=codec,
            expected=f"one of {expected}",
        )
    kind = auth_kind(wanted)
    if kind not in _AUTHS[dialect]:
        raise InvalidInput(
            f"an agent of the dialect {dialect} is not reached that way",
            field="auth.kind",
            value=kind,
            expected=f"one of {', '.join(_AUTHS[dialect])}",
        )


def spec_of(kept: Kept) -> AgentSpec:
    """The agent as a session needs it. Raises ``Conflict`` (AGENT_TOO_NEW) where a newer release stored what
    means nothing to this one: an agent is never led by half of what was said of it."""
    try:
        return _spec(kept)
    except (TypeError, ValueError):
        raise Conflict("the agent was stored by a newer release of the gateway", code=TOO_NEW) from None


def readable(said: Stored) -> Stored:
    """What this release understands of it, for those who want to see it at all."""
    known = {name: value for name, value in said.items() if name not in _PARTS}
    if known.get("dialect") not in (None, *DialectName):
        del known["dialect"]
    for name, kind in _PARTS.items():
        if name in said:
            names = {one.name for one in fields(kind)}
            part = {key: value for key, value in _part(said, name).items() if key in names}
            if name == "barge_in" and part.get("mode") not in (None, *BargeMode):
                part.pop("mode", None)
            known[name] = part
    return known


def _spec(kept: Kept) -> AgentSpec:
    said = kept.stored
    return AgentSpec(
        id=kept.id,
        version=kept.version,
        tenant=kept.tenant,
        name=_text(said, "name"),
        dialect=dialect_of(said),
        url=_text(said, "url"),
        codec=_text(said, "codec"),
        auth=Auth(kept.auth_kind, kept.secret),
        greeting=Greeting(**_part(said, "greeting")),
        barge_in=_barge_in(_part(said, "barge_in"), dialect_of(said)),
        silence=_silence(said),
        shutdown=Shutdown(**_part(said, "shutdown")),
        fallback=Fallback(**{name: value or "" for name, value in _part(said, "fallback").items()}),
        max_duration_s=_number(said, "max_duration", 600),
        max_concurrent=_number(said, "max_concurrent", 0),
        tools_allow=_texts(said, "tools_allow"),
        tools_url=_text(said, "tools_url"),
        transfer_allow=_texts(said, "transfer_allow"),
        language=_text(said, "language") or "en-US",
        voice=_text(said, "voice") or _text(said, "language") or "en-US",
        parameters=tuple((name, str(value)) for name, value in _part(said, "parameters").items()),
        passed_on=passed_on(said),
        record=said.get("record") is True,
        filler=_text(said, "filler"),
        secure_digits=said.get("secure_digits") is True,
        archived=kept.archived,
    )


def _silence(said: Stored) -> Silence:
    """As it was given. Our own agent asks a silent caller again, where nothing was said of it."""
    part = _part(said, "silence")
    if not part and dialect_of(said) is DialectName.BUILTIN:
        return Silence(prompt_s=10)
    return Silence(**part)


def passed_on(said: Stored) -> str:
    """JSON text of what means nothing to us."""
    rest = {name: value for name, value in said.items() if name not in OURS and value is not None}
    return json.dumps(rest, ensure_ascii=False, separators=(",", ":"))


def may_transfer(allowed: tuple[str, ...], to: str) -> bool:
    """Whether the list lets a caller be sent there: the number or phone itself, or its beginning with ``*``.

    >>> may_transfer(("+14155552671", "+4420*"), "+442071234567"), may_transfer((), "+442071234567")
    (True, False)
    """
    return any(to == one or (one.endswith("*") and to.startswith(one[:-1])) for one in allowed)


def _barge_in(part: dict[str, Any], dialect: DialectName) -> BargeIn:
    """Where nothing is said, a bot for Twilio decides alone, by ``clear``, as it does there."""
    usual = BargeMode.OFF if dialect is DialectName.TWILIO else BargeMode.PAUSE
    return BargeIn(**part | {"mode": BargeMode(part.get("mode", usual))})


def _part(said: Stored, name: str) -> dict[str, Any]:
    part = said.get(name)
    return dict(part) if isinstance(part, dict) else {}


def _text(said: Stored, name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _texts(said: Stored, name: str) -> tuple[str, ...]:
    value = said.get(name)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _number(said: Stored, name: str, default: int) -> int:
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
