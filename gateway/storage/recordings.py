"""Recordings as the world sees them: folded from the call's tapes in the transaction that stores its events.

The detail of a ``recording.ready`` event tells the file (``file``, ``duration_ms``, ``channels``,
``bytes``); the detail of ``recording.failed`` tells the ``reason``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, select

from dialplan.core.call import Call, Tape, TapeState
from dialplan.core.record import CallEvent
from gateway.storage.database import Database
from gateway.storage.records import Recording, RecordingState
from gateway.storage.statements import run, upsert
from gateway.storage.tables import RECORDINGS
from telephony.ids import CallId, TenantId

_STATES = {
    TapeState.RECORDING: RecordingState.RECORDING,
    TapeState.PAUSED: RecordingState.PAUSED,
    TapeState.STOPPED: RecordingState.PROCESSING,
}
_FINAL = (RecordingState.READY.value, RecordingState.FAILED.value)
_VERDICTS = {"recording.ready": RecordingState.READY, "recording.failed": RecordingState.FAILED}


class RecordingRepository:
    """Reads and forgets recordings; ``CallRepository.append`` writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant: TenantId, recording_id: str) -> Recording | None:
        found = await self._where(RECORDINGS.c.id == recording_id, RECORDINGS.c.tenant_id == tenant)
        return found[0] if found else None

    async def of_call(self, tenant: TenantId, call_id: CallId) -> tuple[Recording, ...]:
        """All recordings of a call, oldest first."""
        return await self._where(RECORDINGS.c.call_id == call_id, RECORDINGS.c.tenant_id == tenant)

    async def ready_of(self, tenant: TenantId, calls: Sequence[CallId]) -> Mapping[CallId, Recording]:
        """The newest finished recording of each of these calls that has one: for a page of the list."""
        if not calls:
            return {}
        found = await self._where(
            RECORDINGS.c.call_id.in_(calls),
            RECORDINGS.c.tenant_id == tenant,
            RECORDINGS.c.state == RecordingState.READY.value,
        )
        return {recording.call_id: recording for recording in found}

    async def forget(self, tenant: TenantId, recording_id: str) -> bool:
        """Drop a finished recording's row; False when there is none, or it is still being made."""
        mine = (RECORDINGS.c.id == recording_id, RECORDINGS.c.tenant_id == tenant)
        statement = delete(RECORDINGS).where(*mine, RECORDINGS.c.state.in_(_FINAL))
        return await self._database.write(lambda conn: run(conn, statement)) > 0

    async def _where(self, *conditions: ColumnElement[bool]) -> tuple[Recording, ...]:
        query = select(RECORDINGS).where(*conditions).order_by(RECORDINGS.c.created_at, RECORDINGS.c.id)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_recording(row) for row in rows)


def fold_recordings(conn: Connection, call: Call, fresh: Sequence[CallEvent]) -> None:
    """Bring the rows of the call's tapes up to its state and the events that are stored with it."""
    for tape in call.tapes:
        values = recording_row(call, tape, fresh)
        if values is not None:
            upsert(conn, RECORDINGS, values, ("id",), ("call_id", "tenant_id", "created_at"))


def recording_row(call: Call, tape: Tape, fresh: Sequence[CallEvent]) -> dict[str, Any] | None:
    """What is known of a tape now; None when there is nothing (more) to say about it."""
    state, told = _STATES.get(tape.state), dict[str, str]()
    for event in fresh:
        detail = dict(event.detail)
        if event.type in _VERDICTS and detail.get("recording_id") == tape.id:
            state, told = _VERDICTS[event.type], detail
    if state is None:
        return None
    started = tape.started_at if tape.started_at is not None else tape.stopped_at
    return {
        "id": tape.id,
        "call_id": call.id,
        "tenant_id": call.terms.tenant,
        "state": state.value,
        "file": told.get("file"),
        "duration_ms": _whole(told.get("duration_ms")),
        "channels": _whole(told.get("channels")),
        "bytes": _whole(told.get("bytes")),
        "created_at": call.created_at if started is None else started,
        "ended_at": tape.stopped_at,
        "failure": told.get("reason", "unknown") if state is RecordingState.FAILED else None,
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _recording(row: RowMapping) -> Recording:
    return Recording(
        id=row["id"],
        call_id=CallId(row["call_id"]),
        tenant=TenantId(row["tenant_id"]),
        state=RecordingState(row["state"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        file=row["file"],
        duration_ms=row["duration_ms"],
        channels=row["channels"],
        bytes=row["bytes"],
        failure=row["failure"],
    )
