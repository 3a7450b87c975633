"""The registry of agents. A version never changes once written; an archived agent takes no new calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, TypeVar

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.records import Json, Page
from gateway.storage.statements import first, run
from gateway.storage.tables_agents import AGENT_VERSIONS as V
from gateway.storage.tables_agents import AGENTS as A
from telephony.errors import Conflict
from telephony.ids import TenantId
from voice_agents.core.agent import AgentSpec
from voice_agents.core.registry import Kept, spec_of

Status = Literal["active", "archived"]
MOST_VERSIONS: Final = 10_000
MOST_AGENTS: Final = 1_000
"""Of one tenant, archived ones not counted."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent in one of its versions. ``newest`` is the version that new calls get. ``spec`` is what was
    registered, in the words of the HTTP face and without the secret."""

    id: str
    tenant: TenantId
    version: int
    newest: int
    status: Status
    spec: Mapping[str, Json]
    auth_kind: str
    created_at: datetime
    updated_at: datetime
    secret: str = field(default="", repr=False)

    @property
    def archived(self) -> bool:
        return self.status == "archived"


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit makes of an agent."""

    spec: Mapping[str, Json]
    auth_kind: str
    secret: str = field(repr=False)


class AgentRepository:
    """Every verb knows the tenant. Fits ``voice_agents.ports.AgentBook``."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    async def agent(self, tenant: str, agent_id: str, version: int | None = None) -> AgentSpec | None:
        """See the port; an archived agent is still there for the calls that have it."""
        found = await self.get(TenantId(tenant), agent_id, version)
        if found is None:
            return None
        secret, archived = found.secret, found.archived
        kept = Kept(found.id, found.version, found.tenant, found.spec, found.auth_kind, secret, archived)
        return spec_of(kept)

    async def add(self, agent: Agent) -> None:
        """Raises Duplicate for an id that is taken, Conflict where the tenant has too many."""

        def work(conn: Connection) -> None:
            mine = (A.c.tenant_id == agent.tenant, A.c.status == "active")
            if conn.execute(select(func.count()).select_from(A).where(*mine)).scalar_one() >= MOST_AGENTS:
                raise Conflict(f"a tenant has at most {MOST_AGENTS} agents; archive one first")
            row = {
                "id": agent.id,
                "tenant_id": agent.tenant,
                "version": agent.version,
                "status": agent.status,
                "created_at": agent.created_at,
                "updated_at": agent.updated_at,
            }
            run(conn, insert(A).values(row))
            _write_version(conn, agent)

        await self._database.write(work)

    async def get(self, tenant: TenantId, agent_id: str, version: int | None = None) -> Agent | None:
        """The agent in this version, or its newest."""
        return await self._database.read(lambda conn: _one(conn, tenant, agent_id, version))

    async def page(
        self, tenant: TenantId, status: Status, *, limit: int, cursor: str | None = None
    ) -> Page[Agent]:
        """Newest first, each in its newest version. Raises MalformedRequest (INVALID_CURSOR)."""
        scope = scope_of("agents", tenant, status)
        wanted = Wanted(scope, [A.c.tenant_id == tenant, A.c.status == status], limit, cursor)
        read = page_reader(A, wanted, self._cursors, lambda row: row)

        def work(conn: Connection) -> Page[Agent]:
            page = read(conn)
            newest = [V.c.agent_id.in_([row["id"] for row in page.items]), A.c.version == V.c.version]
            rows = conn.execute(_both().where(*newest)).mappings().all()
            by_id = {row["id"]: _agent(row) for row in rows}
            return Page(tuple(by_id[row["id"]] for row in page.items), page.cursor, page.total)

        return await self._database.read(work)

    async def versions(
        self, tenant: TenantId, agent_id: str, *, limit: int, cursor: str | None = None
    ) -> Page[Agent] | None:
        """Every version of the agent, newest first; None where the tenant has no such agent."""
        scope = scope_of("agent_versions", tenant, agent_id)
        wanted = Wanted(scope, [V.c.tenant_id == tenant, V.c.agent_id == agent_id], limit, cursor)
        read = page_reader(V, wanted, self._cursors, lambda row: row)

        def work(conn: Connection) -> Page[Agent] | None:
            known = _one(conn, tenant, agent_id, None)
            if known is None:
                return None
            page = read(conn)
            items = tuple(
                replace(
                    known,
                    version=row["version"],
                    spec=row["spec"],
                    auth_kind=row["auth_kind"],
                    updated_at=row["created_at"],
                    secret="",
                )
                for row in page.items
            )
            return Page(items, page.cursor, page.total)

        return await self._database.read(work)

    async def change(
        self, tenant: TenantId, agent_id: str, edit: Callable[[Agent], Edited], at: datetime
    ) -> Agent | None:
        """Write what the pure ``edit`` makes of the newest version as the next one; the same again makes
        none. None: no such agent. Raises Conflict for an archived agent."""

        def work(conn: Connection) -> Agent | None:
            known = _locked(conn, tenant, agent_id)
            if known is None:
                return None
            edited = edit(known)
            if (dict(edited.spec), edited.auth_kind) == (dict(known.spec), known.auth_kind):
                if edited.secret != known.secret:
                    return _rotated(conn, known, edited.secret, at)
                return known
            if known.newest >= MOST_VERSIONS:
                raise Conflict(f"an agent has at most {MOST_VERSIONS} versions; register another")
            made = replace(
                known,
                version=known.newest + 1,
                newest=known.newest + 1,
                spec=dict(edited.spec),
                auth_kind=edited.auth_kind,
                secret=edited.secret,
                updated_at=max(at, known.updated_at),  # versions are listed by time: it never goes back
            )
            _write_version(conn, made)
            newest = {"version": made.version, "updated_at": made.updated_at}
            run(conn, update(A).where(A.c.id == agent_id).values(newest))
            return made

        return await self._database.write(work)

    async def rotate(self, tenant: TenantId, agent_id: str, secret: str, at: datetime) -> Agent | None:
        """The secret of the newest version, and of every one that is proved the same way. None: no such
        agent. Raises Conflict for an archived agent."""

        def work(conn: Connection) -> Agent | None:
            known = _locked(conn, tenant, agent_id)
            return None if known is None else _rotated(conn, known, secret, at)

        return await self._database.write(work)

    async def archive(self, tenant: TenantId, agent_id: str, at: datetime) -> bool:
        """Take no new calls; doing it again changes nothing. False: no such agent."""

        def work(conn: Connection) -> bool:
            if _one(conn, tenant, agent_id, None) is None:
                return False
            active = (A.c.id == agent_id, A.c.status == "active")
            run(conn, update(A).where(*active).values(status="archived", updated_at=at))
            return True

        return await self._database.write(work)


def _both() -> Select[*tuple[object, ...]]:
    newest = A.c.version.label("newest")
    version = [V.c.version, V.c.spec, V.c.auth_kind, V.c.secret]
    agent = [A.c.id, A.c.tenant_id, A.c.status, A.c.created_at, V.c.created_at.label("updated_at")]
    return select(*agent, newest, *version).join_from(A, V, A.c.id == V.c.agent_id)


def _one(conn: Connection, tenant: TenantId, agent_id: str, version: int | None) -> Agent | None:
    wanted = A.c.version if version is None else version
    mine = (A.c.id == agent_id, A.c.tenant_id == tenant, V.c.version == wanted)
    row = first(conn, _both().where(*mine))
    return None if row is None else _agent(row)


def _locked(conn: Connection, tenant: TenantId, agent_id: str) -> Agent | None:
    """The newest version, and nobody else changes the agent meanwhile."""
    first(conn, select(A.c.id).where(A.c.id == agent_id, A.c.tenant_id == tenant).with_for_update())
    known = _one(conn, tenant, agent_id, None)
    if known is not None and known.archived:
        raise Conflict("the agent is archived", code="AGENT_ARCHIVED")
    return known


def _rotated(conn: Connection, known: Agent, secret: str, at: datetime) -> Agent:
    same = (V.c.agent_id == known.id, V.c.auth_kind == known.auth_kind)
    run(conn, update(V).where(*same).values(secret=secret))
    run(conn, update(A).where(A.c.id == known.id).values(updated_at=at))
    return replace(known, secret=secret)


def _write_version(conn: Connection, agent: Agent) -> None:
    row = {
        "id": f"{agent.id}.{agent.version:06d}",
        "agent_id": agent.id,
        "tenant_id": agent.tenant,
        "version": agent.version,
        "spec": dict(agent.spec),
        "auth_kind": agent.auth_kind,
        "secret": agent.secret,
        "created_at": agent.updated_at,
    }
    run(conn, insert(V).values(row))


def _agent(row: RowMapping) -> Agent:
    return Agent(
        id=row["id"],
        tenant=TenantId(row["tenant_id"]),
        version=row["version"],
        newest=row["newest"],
        status=row["status"],
        spec=row["spec"],
        auth_kind=row["auth_kind"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        secret=row["secret"],
    )
