"""Texts that came in, in SQL. Fits ``proxy_pool.texts.ports.TextInbox``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from gateway.storage import texts_statements as sql
from gateway.storage.columns import seconds_to_micros
from gateway.storage.jsontext import to_json
from gateway.storage.texts_out import SqlTextOutbox, Stores, change_text
from gateway.storage.texts_rows import in_row, incoming, key_row, out_row
from proxy_pool.core.optout import Standing
from proxy_pool.core.reassembly import WINDOW_S, Key, Piece, gather, key_of
from proxy_pool.core.relay import Fault
from proxy_pool.core.session import Session
from proxy_pool.core.text import Receipt, ReceiptState
from proxy_pool.texts.ports import Arrived, Incoming, Judged, NewStanding, Outbound, Taken, Told
from telephony.ids import TenantId

Used = Callable[[Session], None]
"""Told, once it is durable, that a session's end may have moved."""


class SqlTextInbox:
    """What carriers handed over. ``outbox`` takes the receipts that come along."""

    def __init__(self, stores: Stores, outbox: SqlTextOutbox, used: Used) -> None:
        self._stores = stores
        self._outbox = outbox
        self._used = used

    # ------------------------------------------------------------ taking in

    async def take_in(
        self, texts: Sequence[Arrived], receipts: Sequence[Receipt], now: float
    ) -> Sequence[Taken]:
        def work(conn: Connection) -> tuple[list[Taken], list[str]]:
            taken = [_take(conn, one, now) for one in texts]
            lanes = [lane for one in receipts for lane in self._outbox.receive(conn, one, now)]
            return taken, lanes

        taken, lanes = await self._stores.database.write(work)
        self._stores.told.committed(lanes)
        return taken

    # ------------------------------------------------------------ judging

    async def claim_in(self, now: float, until: float, limit: int) -> Sequence[Incoming]:
        due, hidden = seconds_to_micros(now), seconds_to_micros(until)

        def work(conn: Connection) -> list[Incoming]:
            for row in sql.OVERDUE.rows(conn, {"now": due}):
                carrier, sender, recipient, reference, total = row
                _gather(conn, Key(carrier, sender, recipient, reference, total), now)
            claimed = [incoming(row) for row in sql.DUE_IN.rows(conn, {"now": due, "limit": limit})]
            sql.CLAIM_IN.run_each(conn, [{"id": one.id, "until": hidden} for one in claimed])
            return claimed

        return await self._stores.database.write(work)

    async def put_back(self, incoming: Incoming, at: float) -> None:
        values = {"id": incoming.id, "claim": incoming.claim, "at": seconds_to_micros(at)}
        await self._stores.database.write(lambda conn: sql.PUT_BACK.run(conn, values))

    async def standing(self, tenant: TenantId, key: str) -> Standing:
        return await self._stores.database.read(lambda conn: _standing(conn, tenant, key))

    async def settle_in(self, incoming: Incoming, judged: Judged, now: float) -> bool:
        def work(conn: Connection) -> tuple[bool, list[str], Session | None]:
            mine = {"id": incoming.id, "claim": incoming.claim, "outcome": judged.outcome}
            if not sql.SETTLE_IN.run(conn, mine):
                return False, [], None
            lanes, used = self._use(conn, judged, now)
            if judged.told is not None:
                lanes += self._tell(conn, judged.told)
            if judged.standing is not None:
                lanes += self._stand(conn, judged.standing, now)
            if judged.outbound is not None:
                lanes += self._queue(conn, judged.outbound, now)
            return True, lanes, used

        done, lanes, used = await self._stores.database.write(work)
        self._stores.told.committed(lanes)
        if used is not None:
            self._used(used)
        return done

    def _use(self, conn: Connection, judged: Judged, now: float) -> tuple[list[str], Session | None]:
        if judged.used is None:
            return [], None
        tenant, session_id, seat = judged.used
        used = self._stores.ledger.use_in(conn, tenant, session_id, seat, now)
        return ([], None) if used is None else (list(used[1]), used[0])

    def _tell(self, conn: Connection, told: Told) -> list[str]:
        if told.interaction.session:
            return list(self._stores.interactions.keep_in(conn, told.interaction, told.events))
        return list(self._stores.told.interaction(conn, told.interaction, told.events, None))

    def _stand(self, conn: Connection, new: NewStanding, now: float) -> list[str]:
        """Write the standing; who opted out gets nothing more of what waits."""
        who = {"tenant_id": new.tenant, "participant": new.key}
        _alone(conn, "standing", new.tenant, new.key)
        helped = new.standing.helped_at
        values = {
            "opted_out": new.standing.opted_out,
            "helped_at": None if helped is None else seconds_to_micros(helped),
            "now": seconds_to_micros(now),
        }
        sql.STAND.run(conn, who | values)
        if not new.standing.opted_out:
            return []
        waiting = sql.FOR_PERSON.rows(conn, {"tenant_id": new.tenant, "recipient": new.key})
        return [lane for (text_id,) in waiting for lane in self._reject(conn, text_id, now)]

    def _reject(self, conn: Connection, text_id: str, now: float) -> list[str]:
        return change_text(self._stores, conn, text_id, ReceiptState.REJECTED, Fault.OPTED_OUT, now)

    def _queue(self, conn: Connection, outbound: Outbound, now: float) -> list[str]:
        row = out_row(outbound, now)
        _alone(conn, "standing", outbound.tenant, row["recipient"])
        if not sql.ADD_OUT.run(conn, row):
            return []
        micros = seconds_to_micros(now)
        for one in outbound.media:
            values = {"id": one.id, "file": one.file, "content_type": one.content_type, "size": one.size}
            whose = {"tenant_id": outbound.tenant, "text_id": outbound.id, "now": micros}
            sql.ADD_MEDIA.run(conn, values | whose)
        if outbound.interaction and _standing(conn, outbound.tenant, row["recipient"]).opted_out:
            return self._reject(conn, outbound.id, now)
        return []


def _take(conn: Connection, arrived: Arrived, now: float) -> Taken:
    row = in_row(arrived, now)
    if not sql.ADD_IN.run(conn, row):
        known = sql.KNOWN_IN.rows(conn, {"carrier": row["carrier"], "message_id": row["message_id"]})
        return Taken(known[0][0], new=False, done=known[0][1] == "done")
    key = key_of(arrived.text)
    if key is not None:
        _gather(conn, key, now)
    return Taken(arrived.id, new=True)


def _standing(conn: Connection, tenant: TenantId, key: str) -> Standing:
    rows = sql.STANDING.rows(conn, {"tenant_id": tenant, "participant": key})
    if not rows:
        return Standing()
    opted_out, helped_at = rows[0]
    return Standing(bool(opted_out), None if helped_at is None else helped_at / 1_000_000)


def _alone(conn: Connection, *about: str) -> None:
    """Until the transaction ends nobody else does this; SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        sql.LOCK_KEY.rows(conn, {"key": "|".join(about)})


def _gather(conn: Connection, key: Key, now: float) -> None:
    """Put together what has come of a long text, as the core judges it."""
    row = key_row(key)
    _alone(conn, "parts", *(str(value) for value in row.values()))
    since = {"since": seconds_to_micros(now - WINDOW_S)}
    pieces = [
        Piece(id_, number, body, taken_at / 1_000_000, used=state != "held", mark=mark)
        for id_, number, body, taken_at, state, mark in sql.PIECES.rows(conn, row | since)
    ]
    gathered = gather(pieces, key.total, now)
    micros = seconds_to_micros(now)
    for whole in gathered.texts:
        first, *others = whole.pieces
        missing = to_json(list(whole.missing)) if whole.missing else None
        sql.JOIN.run(conn, {"id": first, "body": whole.body, "missing": missing, "now": micros})
        sql.MERGE.run_each(conn, [{"id": one, "outcome": "part"} for one in others])
    sql.MERGE.run_each(conn, [{"id": one, "outcome": "repeated"} for one in gathered.repeated])
    if gathered.wait_until is not None:
        gone = {one for whole in gathered.texts for one in whole.pieces} | set(gathered.repeated)
        until = seconds_to_micros(gathered.wait_until)
        left = [one.id for one in pieces if not one.used and one.id not in gone]
        sql.WAIT.run_each(conn, [{"id": one, "until": until} for one in left])
