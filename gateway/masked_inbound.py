"""Texts that reach a proxy number by the API go the way of those that carriers bring.

Fits ``gateway.http.ports_masking.InboundTexts``.
"""

from __future__ import annotations

from typing import Protocol

from gateway.http.ports_masking import TakenText
from proxy_pool.core.text import InboundText
from proxy_pool.texts.ports import Taken
from telephony.ids import TenantId


class Relay(Protocol):
    """``proxy_pool.texts.relay.TextRelay`` fits."""

    async def take_one(self, text: InboundText) -> Taken: ...


class RelayedTexts:
    """A text is known by the tenant's own name for it, and judged as any other."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def take_in(self, tenant: TenantId, text: InboundText) -> TakenText:
        """See ``InboundTexts``: ``received`` the first time, ``repeated`` for another delivery of it."""
        taken = await self._relay.take_one(text)
        return TakenText(taken.id, "received" if taken.new else "repeated")
