"""How the masking repositories tell the world, inside their own transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from proxy_pool.core.interaction import Interaction
from proxy_pool.core.session import Session
from proxy_pool.ports import SessionEvent


class MaskingTold(Protocol):
    """Stores, inside the transaction it is given, what these events set going (webhook deliveries).

    Both return what ``committed`` wants to know once that is durable. ``url`` is the session's own webhook.
    """

    def session(
        self, conn: Connection, session: Session, events: Sequence[SessionEvent]
    ) -> Sequence[str]: ...

    def interaction(
        self, conn: Connection, interaction: Interaction, events: Sequence[SessionEvent], url: str | None
    ) -> Sequence[str]: ...

    def committed(self, told: Sequence[str]) -> None: ...


class NobodyTold:
    """For a store without webhooks."""

    def session(self, conn: Connection, session: Session, events: Sequence[SessionEvent]) -> Sequence[str]:
        return ()

    def interaction(
        self, conn: Connection, interaction: Interaction, events: Sequence[SessionEvent], url: str | None
    ) -> Sequence[str]:
        return ()

    def committed(self, told: Sequence[str]) -> None:
        """Nobody was told."""
