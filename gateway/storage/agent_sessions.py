"""Agents' sessions and what was said in them. Fits ``voice_agents.ports.SessionStore``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select, update

from gateway.storage.database import Database
from gateway.storage.statements import run, upsert
from gateway.storage.tables_agents import AGENT_SESSIONS as S
from gateway.storage.tables_agents import AGENT_TRANSCRIPTS as T
from telephony.ids import CallId, TenantId
from voice_agents.core.record import Evidence, Figures, How, SessionRecord, State
from voice_agents.core.talk import Reason
from voice_agents.core.transcript import ToolUse, Turn

FORGOTTEN = "forgotten"
"""Who wrote the summary of a session whose words were deleted."""


class AgentSessionRepository:
    """Another tenant's sessions are not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, record: SessionRecord) -> None:
        """See the port. A session that was stored as ended does not come back to life."""
        row, turns = _row(record), _turns_row(record)

        def work(conn: Connection) -> None:
            final = [state.value for state in State if state.final]
            if (
                not record.state.final
                and conn.execute(select(S.c.id).where(S.c.id == record.id, S.c.state.in_(final))).first()
            ):
                return
            upsert(conn, S, row, ("id",), ("tenant_id", "call_id"))
            upsert(conn, T, turns, ("session_id",), ("tenant_id", "call_id"))

        await self._database.write(work)

    async def of_call(self, tenant: TenantId, call_id: CallId) -> tuple[SessionRecord, ...]:
        """The sessions of a call in their order, without their turns."""
        return (await self.of_calls(tenant, [call_id])).get(call_id, ())

    async def of_calls(
        self, tenant: TenantId, calls: Sequence[CallId]
    ) -> Mapping[CallId, tuple[SessionRecord, ...]]:
        """The same of several calls; those without an agent are left out."""
        if not calls:
            return {}
        query = select(S).where(S.c.call_id.in_(calls), S.c.tenant_id == tenant).order_by(S.c.id)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        found: dict[CallId, tuple[SessionRecord, ...]] = {}
        for row in rows:
            call = CallId(row["call_id"])
            found[call] = (*found.get(call, ()), _record(row))
        return found

    async def transcripts(self, tenant: TenantId, call_id: CallId) -> tuple[SessionRecord, ...]:
        """The sessions of a call with their turns; those whose transcript was deleted are left out."""
        both = select(S, T.c.turns).join_from(S, T, S.c.id == T.c.session_id)
        query = both.where(S.c.call_id == call_id, S.c.tenant_id == tenant).order_by(S.c.id)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(replace(_record(row), turns=_turns(row["turns"])) for row in rows)

    async def forget(self, tenant: TenantId, call_id: CallId) -> bool:
        """Delete what was said in a call, and every account of it. Whether there was anything."""

        def work(conn: Connection) -> bool:
            gone = run(conn, delete(T).where(T.c.call_id == call_id, T.c.tenant_id == tenant))
            run(conn, _without_words().where(S.c.call_id == call_id, S.c.tenant_id == tenant))
            return gone > 0

        return await self._database.write(work)

    async def purge(self, before: float) -> int:
        """Delete the words of every session that began before this moment (epoch seconds); how many."""

        def work(conn: Connection) -> int:
            gone = run(conn, delete(T).where(T.c.created_at < before))
            if gone:
                run(conn, _without_words().where(S.c.created_at < before, S.c.summary_by != FORGOTTEN))
            return gone

        return await self._database.write(work)


def _without_words() -> Any:
    return update(S).values(summary="", summary_by=FORGOTTEN, summary_fields="{}")


def _row(record: SessionRecord) -> dict[str, Any]:
    evidence = record.evidence
    return {
        "id": record.id,
        "tenant_id": record.tenant,
        "call_id": record.call_id,
        "agent_id": record.agent_id,
        "agent_version": record.agent_version,
        "answered_by": record.answered_by,
        "direction": record.direction,
        "dialect": record.dialect,
        "state": record.state.value,
        "created_at": record.created_at,
        "ready_at": record.ready_at,
        "bridged_at": record.bridged_at,
        "ended_at": record.ended_at,
        "notified_at": None if evidence is None else evidence.agent_notified_at,
        "evidence": None if evidence is None else asdict(evidence),
        "failure": record.failure,
        "summary": record.summary,
        "summary_by": record.summary_by,
        "summary_fields": record.summary_fields,
        "figures": asdict(record.figures),
    }


def _turns_row(record: SessionRecord) -> dict[str, Any]:
    return {
        "session_id": record.id,
        "tenant_id": record.tenant,
        "call_id": record.call_id,
        "created_at": record.created_at,
        "turns": [asdict(turn) for turn in record.turns],
    }


def _record(row: RowMapping) -> SessionRecord:
    return SessionRecord(
        id=row["id"],
        call_id=row["call_id"],
        tenant=row["tenant_id"],
        agent_id=row["agent_id"],
        agent_version=row["agent_version"],
        answered_by=row["answered_by"],
        direction=row["direction"],
        dialect=row["dialect"],
        state=State(row["state"]),
        created_at=row["created_at"],
        ready_at=row["ready_at"],
        bridged_at=row["bridged_at"],
        ended_at=row["ended_at"],
        evidence=_evidence(row["evidence"]),
        failure=row["failure"],
        summary=row["summary"],
        summary_by=row["summary_by"],
        summary_fields=row["summary_fields"],
        figures=Figures(**row["figures"]),
    )


def _evidence(stored: Mapping[str, Any] | None) -> Evidence | None:
    if stored is None:
        return None
    how = stored.get("how")
    told = {"reason": Reason(stored["reason"]), "how": None if how is None else How(how)}
    return Evidence(**{**stored, **told})


def _turns(stored: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    return tuple(Turn(**{**turn, "tools": tuple(ToolUse(**use) for use in turn["tools"])}) for turn in stored)
