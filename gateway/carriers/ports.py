"""What carriers need from the relay, and the errors that the way out to them tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy_pool.core.text import InboundText, Receipt
from telephony.errors import PatchbayError, Unavailable


class TextsIn(Protocol):
    """Stores what carriers tell: durable when it returns, all of it or nothing; processed afterwards.

    What is told twice ((carrier, message_id) for texts; (carrier, message_id, state) for receipts) counts
    once. Raises StorageUnavailable when nothing was taken.
    """

    async def take_in(self, texts: Sequence[InboundText], receipts: Sequence[Receipt]) -> None: ...


@dataclass(frozen=True, slots=True)
class SentAs:
    """The carrier's id of a text it has taken; its receipts name it. ``segments`` where it tells them."""

    provider_id: str
    segments: int | None = None


class CarrierThrottled(PatchbayError):
    """The carrier wants fewer texts; it took nothing."""

    code = "CARRIER_THROTTLED"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class CarrierRefused(PatchbayError):
    """The carrier took nothing. ``reason`` is its word; ``permanent``: it would refuse the text again."""

    code = "CARRIER_REFUSED"

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(f"the carrier refused the text: {reason}")
        self.reason = reason
        self.permanent = permanent


class CarrierUnreachable(Unavailable):
    """No connection to the carrier was made; nothing was sent."""

    code = "CARRIER_UNREACHABLE"
