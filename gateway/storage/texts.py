"""Texts in SQL, both sides in one. Fits ``proxy_pool.texts.ports.TextStore``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, select

from gateway.storage import texts_statements as sql
from gateway.storage.columns import seconds_to_micros
from gateway.storage.database import Database
from gateway.storage.statements import first
from gateway.storage.tables_texts import TEXT_MEDIA as M
from gateway.storage.texts_in import SqlTextInbox, Used
from gateway.storage.texts_out import SqlTextOutbox, Stores
from proxy_pool.core.session import Session
from proxy_pool.texts.ports import KeptMedia

MEDIA_KEPT_S: Final = 2 * 86_400.0
"""How long an attachment can be fetched; longer than a text may wait, and a carrier may take to fetch it."""


def _nobody(_: Session) -> None:
    """For a store beside no index."""


class SqlTexts(SqlTextInbox, SqlTextOutbox):
    """``used`` is told of sessions whose end may have moved, once that is durable."""

    def __init__(self, stores: Stores, used: Used = _nobody) -> None:
        SqlTextOutbox.__init__(self, stores)
        SqlTextInbox.__init__(self, stores, self, used)
        self._database = stores.database

    async def take_over(self, now: float) -> None:
        """At the start: what a process that died had claimed is due at once.

        Only in SQLite, which one process has for itself; elsewhere another one may be at it, and claims run
        out. Raises StorageUnavailable.
        """
        if self._database.dialect != "sqlite":
            return
        at = {"now": seconds_to_micros(now)}

        def work(conn: Connection) -> None:
            sql.RELEASE_IN.run(conn, at)
            sql.RELEASE_OUT.run(conn, at)

        await self._database.write(work)


class SqlMediaBook:
    """Which attachments are in the media folder."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, media_id: str) -> KeptMedia | None:
        row = await self._database.read(lambda conn: first(conn, select(M).where(M.c.id == media_id)))
        return None if row is None else KeptMedia(row["id"], row["file"], row["content_type"], row["size"])

    async def known(self, files: Sequence[str]) -> frozenset[str]:
        """Which of these files belong to a text."""

        def work(conn: Connection) -> frozenset[str]:
            return frozenset(conn.execute(select(M.c.file).where(M.c.file.in_(files))).scalars())

        return await self._database.read(work)

    async def forget(self, before: float, limit: int = 500) -> None:
        """Forget attachments from before this moment; their files may then be deleted."""

        def work(conn: Connection) -> None:
            old = select(M.c.id).where(M.c.created_at < before).limit(limit)
            conn.execute(delete(M).where(M.c.id.in_(list(conn.execute(old).scalars()))))

        await self._database.write(work)
