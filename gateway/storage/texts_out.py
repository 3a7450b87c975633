"""The queue of texts that go out, and their receipts, in SQL. Fits ``proxy_pool.texts.ports.TextOutbox``.

A text's interaction is changed in the transaction that changes the text, so the two never tell different
stories, whatever dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from gateway.storage import texts_statements as sql
from gateway.storage.columns import seconds_to_micros
from gateway.storage.database import Database
from gateway.storage.masking_events import MaskingTold
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.texts_rows import lane_name, lane_of, outgoing
from proxy_pool.core.receipts import PARKED_S, RANK, advance, is_final
from proxy_pool.core.relay import event_of
from proxy_pool.core.text import Receipt, ReceiptState
from proxy_pool.ports import SessionEvent
from proxy_pool.texts.ports import Lane, Outgoing, Over, Sending, SentOff, TryLater
from telephony.ids import TenantId

KEPT_S: Final = 7 * 86_400.0
"""How long a text is known after its end, without its body: late receipts, repeated deliveries."""
_EXPIRED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Stores:
    """Where texts leave their traces: all in one database."""

    database: Database
    interactions: SqlInteractions
    ledger: SqlLedger
    told: MaskingTold


class SqlTextOutbox:
    """Texts on their way out."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def lanes(self, now: float) -> Sequence[Lane]:
        at = {"now": seconds_to_micros(now)}
        rows = await self._stores.database.read(lambda conn: sql.LANES.rows(conn, at))
        return [lane_of(name) for (name,) in rows]

    async def claim_out(self, lane: Lane, now: float, until: float, limit: int) -> Sequence[Outgoing]:
        wanted = {"lane": lane_name(lane), "now": seconds_to_micros(now), "limit": limit}

        def work(conn: Connection) -> list[Outgoing]:
            claimed = [outgoing(lane, row) for row in sql.DUE_OUT.rows(conn, wanted)]
            hidden = seconds_to_micros(until)
            sql.CLAIM_OUT.run_each(conn, [{"id": one.id, "until": hidden} for one in claimed])
            return claimed

        return await self._stores.database.write(work)

    async def settle_out(self, outgoing: Outgoing, sending: Sending, now: float) -> None:
        lanes = await self._stores.database.write(lambda conn: self._settle(conn, outgoing, sending, now))
        self._stores.told.committed(lanes)

    def _settle(self, conn: Connection, one: Outgoing, sending: Sending, now: float) -> list[str]:
        mine = {"id": one.id, "claim": one.claim}
        match sending:
            case TryLater(at, error, attempted):
                values = {"at": seconds_to_micros(at), "error": error, "tried": int(attempted)}
                sql.LATER.run(conn, mine | values)
                return []
            case SentOff(provider_id):
                if not sql.PROVIDED.run(conn, mine | {"provider_id": provider_id}):
                    return []  # claimed anew meanwhile: the later claim decides
                lanes = change_text(self._stores, conn, one.id, ReceiptState.SENT, "", now)
                return lanes + self._unpark(conn, one.draft.carrier, provider_id, one.id, now)
            case Over(state, error):
                return self._over(conn, one, state, error, now)

    def _over(
        self, conn: Connection, one: Outgoing, state: ReceiptState, error: str, now: float
    ) -> list[str]:
        row = sql.LOOK.rows(conn, {"id": one.id})
        if not row or row[0][4] != one.claim:
            return []
        return change_text(self._stores, conn, one.id, state, error, now)

    def _unpark(
        self, conn: Connection, carrier: str, provider_id: str, text_id: str, now: float
    ) -> list[str]:
        """What was told of this text before its id was known."""
        whose = {"carrier": carrier, "provider_id": provider_id}
        lanes: list[str] = []
        parked = sql.PARKED_FOR.rows(conn, whose)
        for state, error, at in parked:
            when = now if at is None else at / 1_000_000
            lanes += change_text(self._stores, conn, text_id, ReceiptState(state), error, when)
        if parked:
            sql.UNPARK.run(conn, whose)
        return lanes

    def receive(self, conn: Connection, receipt: Receipt, now: float) -> list[str]:
        """A receipt changes its text, or is parked; within the transaction of whoever took it."""
        whose = {"carrier": receipt.carrier, "provider_id": receipt.message_id}
        text_id = sql.OF_PROVIDER.scalar(conn, whose) if receipt.message_id else None
        if text_id is not None:
            return change_text(self._stores, conn, text_id, receipt.state, receipt.error, receipt.at or now)
        at = None if receipt.at is None else seconds_to_micros(receipt.at)
        told = {"state": receipt.state.value, "error": receipt.error, "at": at}
        sql.PARK.run(conn, whose | told | {"now": seconds_to_micros(now)})
        return []

    async def tend(self, now: float) -> int:
        done, lanes = await self._stores.database.write(lambda conn: self._tend(conn, now))
        self._stores.told.committed(lanes)
        return done

    def _tend(self, conn: Connection, now: float) -> tuple[int, list[str]]:
        lanes: list[str] = []
        for carrier, provider_id, text_id in sql.FOUND_OWNER.rows(conn, {}):
            lanes += self._unpark(conn, carrier, provider_id, text_id, now)
        sql.FORGET_RECEIPTS.run(conn, {"before": seconds_to_micros(now - PARKED_S)})
        over = sql.EXPIRED.rows(conn, {"now": seconds_to_micros(now), "limit": _EXPIRED_AT_ONCE})
        for (text_id,) in over:
            lanes += change_text(self._stores, conn, text_id, ReceiptState.EXPIRED, "not_sent_in_time", now)
        old = {"before": seconds_to_micros(now - KEPT_S)}
        sql.FORGET_IN.run(conn, old)
        sql.FORGET_OUT.run(conn, old)
        return len(over), lanes


def change_text(
    stores: Stores, conn: Connection, text_id: str, told: ReceiptState, error: str, at: float
) -> list[str]:
    """Bring a text, and its interaction, as far as was told; what ``MaskingTold.committed`` wants to know."""
    rows = sql.LOOK.rows(conn, {"id": text_id})
    if not rows:
        return []
    tenant, interaction_id, state, known_error, _ = rows[0]
    before = ReceiptState(state)
    after, its_error = advance(before, known_error if is_final(before) else "", told, error)
    if after is before:
        return []
    now = seconds_to_micros(at)
    sql.CHANGE.run(conn, {"id": text_id, "state": after.value, "error": its_error, "now": now})
    if not interaction_id:
        return []
    kept = stores.interactions.get_in(conn, TenantId(tenant), interaction_id)
    if kept is None:
        return []  # forgotten on request
    changed = replace(
        kept,
        status=after.value,
        outcome=its_error,
        ended_at=at if is_final(after) else None,
        sequence=RANK[after],
    )
    event = event_of(after)
    return list(stores.interactions.keep_in(conn, changed, [SessionEvent(event, at)] if event else []))
