"""Settings of agents' calls: where the switch brings their sound, how many there may be, what is kept.

A part of ``gateway.config.Settings``, which reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway import config_speech
from gateway.config_speech import SpeechFields, SpeechSettings, speech_fields


class Variables(config_speech.Variables, Protocol):
    """The environment's reader, as far as it is needed here."""

    def integer(self, name: str, default: int, low: int, high: int) -> int: ...

    def bind(self, name: str, allow_public: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class AgentSettings(SpeechSettings):
    """``agent_calls_per_tenant``: calls with agents that a tenant may have at once, inbound and outbound
    together, besides what bounds all its calls; 0: nothing besides."""

    media_driver: str
    media_host: str
    media_port: int
    agent_calls_per_tenant: int
    transcript_days: int


class AgentFields(SpeechFields):
    media_driver: str
    media_host: str
    media_port: int
    agent_calls_per_tenant: int
    transcript_days: int


def agent_fields(env: Variables, allow_public: bool) -> AgentFields:
    """The fields of ``AgentSettings``. Raises InvalidInput."""
    return AgentFields(
        **speech_fields(env),
        media_driver=env.choice("MEDIA_DRIVER", ("websocket", "audiosocket")),
        media_host=env.bind("MEDIA_HOST", allow_public),
        media_port=env.integer("MEDIA_PORT", 4_574, 1, 65_535),
        agent_calls_per_tenant=env.integer("AGENT_CALLS_PER_TENANT", 0, 0, 10_000),
        transcript_days=env.integer("TRANSCRIPT_DAYS", 90, 0, 36_500),
    )
