"""Which dialect an agent speaks, and the sound that it carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from voice_agents.core import registry
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import Codec, codec_named
from voice_agents.ports import Dialect
from voice_agents.wire import openai_session
from voice_agents.wire.conversation_relay import ConversationRelayDialect
from voice_agents.wire.converted import ConvertedDialect
from voice_agents.wire.native import NativeDialect
from voice_agents.wire.openai import OpenAiDialect
from voice_agents.wire.twilio import TwilioDialect

OWN_CODEC: Final[Mapping[DialectName, Codec]] = {
    DialectName.NATIVE: Codec.SLIN16,
    DialectName.TWILIO: Codec.ULAW,
    DialectName.CONVERSATION_RELAY: Codec.SLIN16,
    DialectName.OPENAI: Codec.ULAW,
    DialectName.BUILTIN: Codec.SLIN16,
}
"""The sound of an agent's call where the agent does not name one."""


def codec_of(spec: AgentSpec) -> Codec:
    """The sound of this agent's calls. Raises ``KeyError`` for a name that is no codec's."""
    return codec_named(spec.codec) if spec.codec else OWN_CODEC[spec.dialect]


def dialect_for(spec: AgentSpec, codec: Codec) -> Dialect:
    """A new connection's dialect in a call of this sound, converted where the agent carries another. Raises
    ``ValueError`` for one that is not spoken over a socket, ``KeyError`` for a codec that is none."""
    dialect, theirs = dialect_of(spec), codec_of(spec)
    carried = registry.CODECS[spec.dialect] if not spec.codec else {spec.codec}
    if dialect.text_level or codec.asterisk in carried:
        return dialect
    return ConvertedDialect(dialect, codec, theirs)


def dialect_of(spec: AgentSpec) -> Dialect:
    """The dialect that this agent speaks. Raises ``ValueError`` for one that is not spoken over a socket."""
    match spec.dialect:
        case DialectName.NATIVE:
            return NativeDialect()
        case DialectName.TWILIO:
            return TwilioDialect(spec.tenant)
        case DialectName.CONVERSATION_RELAY:
            return ConversationRelayDialect(spec.tenant)
        case DialectName.OPENAI:
            return OpenAiDialect(spec)
    raise ValueError(f"no socket is needed for {spec.dialect}")


def address_of(spec: AgentSpec) -> str:
    """Where this agent is."""
    return openai_session.address(spec) if spec.dialect is DialectName.OPENAI else spec.url
