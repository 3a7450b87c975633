"""What carriers need from the relay. The way out fits ``proxy_pool.texts.ports.Sender``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy_pool.core.text import InboundText, Receipt


class TextsIn(Protocol):
    """Stores what carriers tell: durable when it returns, all of it or nothing; processed afterwards.

    What is told twice ((carrier, message_id) for texts; (carrier, message_id, state) for receipts) counts
    once. Raises StorageUnavailable when nothing was taken.
    """

    async def take_in(self, texts: Sequence[InboundText], receipts: Sequence[Receipt]) -> None: ...
