"""SQLite: one writing thread with group commit, a few reading threads, WAL between them.

All works that wait when the writer comes round share one transaction and one commit; each runs in
a savepoint of its own, so one that fails takes nobody with it. Results are delivered after the
commit, in one hop to the event loop. A patient work waits on the loop for another one to join: a
commit and two hops between threads cost more than most works do. A thread of its own copies the log
into the database, so that no commit waits for the disk. https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.storage.errors import BrokenConstraint, WriteOutcomeUnknown, is_busy, translate
from gateway.storage.sqlite_link import close_link, connect, raw_of
from telephony.errors import StorageUnavailable

T = TypeVar("T")

WAITING_MAX: Final = 4096
"""Works that may wait; more are refused at once with StorageUnavailable."""
BATCH_MAX: Final = 256
BATCH_SECONDS: Final = 0.02
"""A batch commits after this many works or seconds, whichever comes first: a bound on the latency."""
PATIENCE_S: Final = 0.01
"""How long a patient work waits for others to share its commit."""
READERS: Final = 2
CHECKPOINT_EVERY_S: Final = 0.5
WRITER_CHECKPOINT_PAGES: Final = 16_000
"""Log pages (of 4 KiB) after which a commit checkpoints by itself: only so a log never idle starts over."""


@dataclass(slots=True, eq=False)
class _Job:
    """A work on its way: the loop may withdraw it until the thread has started it."""

    work: Callable[[Connection], object]
    future: asyncio.Future[object]
    started: bool = False
    withdrawn: bool = False
    result: object = None
    error: BaseException | None = None

    def expire(self) -> None:
        """The deadline passed. Withdraw first, then look: the thread does the two in opposite order."""
        self.withdrawn = True
        if not self.future.done():
            self.future.set_exception(WriteOutcomeUnknown() if self.started else StorageUnavailable())

    def claim(self) -> bool:
        """Called by the thread right before it runs the work; False when nobody waits any more."""
        self.started = True
        return not self.withdrawn

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


_Lane = SimpleQueue[_Job | None]


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()


class SqliteBackend:
    """The embedded engine. Made by ``open``; owned by the event loop that opened it."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._written = threading.Event()
        self._writes: _Lane = SimpleQueue()
        self._reads: _Lane = SimpleQueue()
        self._lingering: list[_Job] = []
        self._leave: asyncio.TimerHandle | None = None
        self._threads: list[threading.Thread] = []

    @classmethod
    async def open(cls, path: str, synchronous: str) -> SqliteBackend:
        """Open or create the file. Raises StorageUnavailable where that is impossible."""
        if synchronous not in {"NORMAL", "FULL", "EXTRA"}:
            raise ValueError("synchronous is NORMAL, FULL or EXTRA")
        backend = cls(path, synchronous)
        try:
            await asyncio.to_thread(_touch, path, synchronous)
        except (OSError, sqlite3.Error, DBAPIError) as error:
            raise translate(error) from None
        backend._start()
        return backend

    def _start(self) -> None:
        roles = [
            ("storage-writer", self._write_forever),
            ("storage-checkpointer", self._checkpoint_forever),
        ]
        roles += [(f"storage-reader-{n}", self._read_forever) for n in range(READERS)]
        for name, role in roles:
            thread = threading.Thread(target=role, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    async def write(self, work: Callable[[Connection], T], deadline_s: float, patient: bool = False) -> T:
        return await self._result(self._writes, work, deadline_s, patient)

    async def read(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        return await self._result(self._reads, work, deadline_s)

    async def _result(
        self, lane: _Lane, work: Callable[[Connection], T], deadline_s: float, patient: bool = False
    ) -> T:
        waiting = lane.qsize() + (len(self._lingering) if patient else 0)
        if self._closing.is_set() or waiting >= WAITING_MAX:
            raise StorageUnavailable()
        job = _Job(work, self._loop.create_future())
        timer = self._loop.call_later(deadline_s, job.expire)
        if patient:
            self._linger(job)
        else:
            if lane is self._writes:
                self._send_lingering()
            lane.put(job)
        try:
            return cast(T, await job.future)
        except asyncio.CancelledError:
            job.withdrawn = True
            raise
        finally:
            timer.cancel()

    def _linger(self, job: _Job) -> None:
        self._lingering.append(job)
        if self._leave is None:
            self._leave = self._loop.call_later(PATIENCE_S, self._send_lingering)

    def _send_lingering(self) -> None:
        """Send the writer what has lingered: their time is over, or a work that cannot wait comes behind."""
        if self._leave is not None:
            self._leave.cancel()
            self._leave = None
        for job in self._lingering:
            self._writes.put(job)
        self._lingering.clear()

    async def reshape(self, work: Callable[[Connection], T], deadline_s: float) -> T:
        return await asyncio.to_thread(_reshape, self._path, work, deadline_s)

    async def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._send_lingering()
        for _ in range(READERS):
            self._reads.put(None)
        if not self._threads:
            return
        writer, *readers = self._threads
        # why one after another: of two that close at once neither is the last, and the journal stays (WAL)
        for thread in readers:
            await asyncio.to_thread(thread.join)
        self._writes.put(None)
        await asyncio.to_thread(writer.join)

    # The threads. Nothing below touches the event loop but through call_soon_threadsafe.

    def _deliver(self, jobs: list[_Job]) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle_all, jobs)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    def _write_forever(self) -> None:
        writer = _Writer(self._path, self._synchronous, self._closing)
        ended = False
        while not ended and (job := self._writes.get()) is not None:
            batch = [job]
            ended = writer.commit_together(batch, self._writes)
            self._deliver(batch)
            self._written.set()
        writer.close()

    def _checkpoint_forever(self) -> None:
        link: Connection | None = None
        while not self._closing.wait(CHECKPOINT_EVERY_S):
            if not self._written.is_set():
                continue
            self._written.clear()
            try:
                link = link or connect(self._path, self._synchronous, query_only=False)
                raw_of(link).execute("PRAGMA wal_checkpoint(PASSIVE)")
            except (sqlite3.Error, DBAPIError):  # the next turn, or the writer's own checkpoint, does it
                close_link(link)
                link = None
        close_link(link)

    def _read_forever(self) -> None:
        reader: Connection | None = None
        while (job := self._reads.get()) is not None:
            if not job.claim():
                continue
            try:
                reader = reader or connect(self._path, self._synchronous, query_only=True)
                job.result = snapshot(reader, job.work)
            except Exception as error:  # noqa: BLE001 # why: the edge of the reading loop; the caller gets it
                job.error = _deliverable(error)
                if isinstance(job.error, StorageUnavailable):
                    close_link(reader)
                    reader = None
            self._deliver([job])
        close_link(reader)


class _Writer:
    """The one connection that writes; lives in the writing thread."""

    def __init__(self, path: str, synchronous: str, closing: threading.Event) -> None:
        self._path = path
        self._synchronous = synchronous
        self._closing = closing
        self._link: Connection | None = None

    def commit_together(self, batch: list[_Job], lane: _Lane) -> bool:
        """Run the job in ``batch`` and those waiting in ``lane``, which join it; True when the lane ended.

        Afterwards every job of the batch has its result, committed, or its error.
        """
        ended = False
        try:
            link = self._link = self._link or self._dial()
            if not self._lock(link, batch[0]):
                return False
            ended = self._run_waiting(link, batch, lane)
            raw_of(link).execute("COMMIT")
        except Exception as error:  # noqa: BLE001 # why: the edge of the writing loop; each caller gets it
            self.close()
            lost = _deliverable(error)
            for job in batch:
                job.error = job.error or lost
        return ended

    def _dial(self) -> Connection:
        link = connect(self._path, self._synchronous, query_only=False)
        raw_of(link).execute(f"PRAGMA wal_autocheckpoint={WRITER_CHECKPOINT_PAGES}")
        return link

    def _lock(self, link: Connection, first: _Job) -> bool:
        """Take the write lock, trying as long as the first job's caller waits."""
        while not first.withdrawn:
            try:
                raw_of(link).execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as error:
                if not is_busy(error) or self._closing.is_set():
                    raise
        return False

    def _run_waiting(self, link: Connection, batch: list[_Job], lane: _Lane) -> bool:
        stop = time.monotonic() + BATCH_SECONDS
        job: _Job | None = batch[0]
        while job is not None:
            _attempt(link, job)
            if len(batch) >= BATCH_MAX or time.monotonic() >= stop:
                return False
            try:
                job = lane.get_nowait()
            except Empty:
                return False
            if job is not None:
                batch.append(job)
        return True

    def close(self) -> None:
        close_link(self._link)
        self._link = None


def _attempt(link: Connection, job: _Job) -> None:
    """One work in its savepoint. Raises only when the transaction around it is gone."""
    if not job.claim():
        return
    raw = raw_of(link)
    raw.execute("SAVEPOINT work")
    try:
        job.result = job.work(link)
    except Exception as error:  # noqa: BLE001 # why: whatever a work raises goes to its own caller
        job.error = _deliverable(error)
        while (inner := link.get_nested_transaction()) is not None:
            inner.rollback()
        if raw.in_transaction:  # a full disk ends the whole transaction, savepoints included
            raw.execute("ROLLBACK TO work")
    if not raw.in_transaction:
        raise StorageUnavailable
    raw.execute("RELEASE work")


def snapshot(link: Connection, work: Callable[[Connection], T]) -> T:
    raw = raw_of(link)
    raw.execute("BEGIN")
    try:
        return work(link)
    finally:
        if raw.in_transaction:
            raw.execute("ROLLBACK")


def _reshape(path: str, work: Callable[[Connection], T], deadline_s: float) -> T:
    """Foreign keys rest while tables are rebuilt, and are checked as a whole before the commit.

    They are switched off before the transaction: inside one the pragma has no effect.
    """
    link: Connection | None = None
    try:
        link = connect(path, "FULL", query_only=False)
        raw = raw_of(link)
        raw.execute(f"PRAGMA busy_timeout={int(deadline_s * 1000)}")
        raw.execute("PRAGMA foreign_keys=OFF")
        link.begin()  # the work must see that the transaction is not its own to commit
        raw.execute("BEGIN IMMEDIATE")
        result = work(link)
        broken = raw.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise BrokenConstraint(f"table {broken[0]} refers to rows of {broken[2]} that are not there")
        raw.execute("COMMIT")
    except (sqlite3.Error, DBAPIError) as error:
        raise translate(error) from None
    else:
        return result
    finally:
        close_link(link)


def _touch(path: str, synchronous: str) -> None:
    """See that the file is there and is a database. It holds secrets: only its owner may read it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    close_link(connect(path, synchronous, query_only=False))


def _deliverable(error: Exception) -> BaseException:
    """``error`` in our words, in a form that a future accepts."""
    if isinstance(error, StopIteration):
        return RuntimeError("the work raised StopIteration")
    return translate(error)
