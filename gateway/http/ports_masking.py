"""What the masking operations need besides the desk: where inbound texts and questions about calls go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy_pool.core.party import Party
from proxy_pool.core.session import SessionId
from proxy_pool.core.text import InboundText
from proxy_pool.wire.carrier import HookAnswer, RawRequest
from telephony.ids import TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class TakenText:
    """An inbound text that is durably ours. ``id`` is ``msg_…``; ``status`` a word for where it stands now
    (``received``; ``repeated`` where it was taken before). A repeated delivery gives the same id."""

    id: str
    status: str


class InboundTexts(Protocol):
    """Takes texts that somebody sent to a proxy number: stored before it returns, relayed afterwards.

    ``text.to`` is a number of this tenant's. ``text.carrier`` and ``text.message_id`` together are the same
    for a repeated delivery. Raises StorageUnavailable when nothing was taken.
    """

    async def take_in(self, tenant: TenantId, text: InboundText) -> TakenText: ...


@dataclass(frozen=True, slots=True)
class CallDecision:
    """What would become of a call to a proxy number. ``to`` None: it is refused, ``reason`` says why.

    ``shown`` is the number that the called party sees; limits are seconds.
    """

    reason: str
    to: Party | None = None
    shown: E164 | None = None
    session: SessionId | None = None
    ring_timeout_s: int = 0
    call_limit_s: int = 0
    record: bool = False


class InboundCalls(Protocol):
    """Says whom a caller reaches through a proxy number, without placing or counting anything.

    ``caller`` is as the carrier gave it, maybe no number. ``dialled`` is a number of this tenant's.
    """

    async def decide(self, tenant: TenantId, caller: str, dialled: E164) -> CallDecision: ...


class Carriers(Protocol):
    """The configured carriers for texts."""

    def knows(self, carrier: str) -> bool: ...


class CarrierHooks(Protocol):
    """Takes what carriers tell: verified and stored when it returns, with the answer they expect.

    Raises NotAuthenticated, also for a carrier that is not configured; MalformedRequest; StorageUnavailable.
    """

    async def receive(self, name: str, request: RawRequest) -> HookAnswer: ...


class MediaFiles(Protocol):
    """Attachments of relayed texts, by signed address. Raises SignatureRefused, NotFound."""

    async def find(self, media_id: str, expires: int, signature: str) -> tuple[Path, int, str]:
        """The file, its size in bytes and its content type."""
        ...
