"""Masking sessions: opened, changed, closed, and found again by whoever dials.

Look-ups trust the index only while it can be trusted, and are checked against the session itself before
anybody is connected. Whatever a session loses (its end, a person) is first made PENDING in the index, so
that between the two stores every look-up asks the ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from proxy_pool.core.holding import moves_doors
from proxy_pool.core.number import Use
from proxy_pool.core.opening import bindings_of, check_loops, doors_of, lets_in
from proxy_pool.core.party import key_of
from proxy_pool.core.session import (
    Binding,
    CloseReason,
    Entry,
    Hold,
    Model,
    Session,
    SessionId,
)
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.desk import NewSession, SessionChange
from proxy_pool.drafts import (
    Drafted,
    Makers,
    changed_session,
    new_session,
    repinned,
    with_history,
)
from proxy_pool.placing import Placer
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.ports import Index, Ledger, NameTaken, SessionEvent, StaleVersion, SwitchCopy
from telephony.errors import Conflict, NotFound
from telephony.evolve import replace
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("proxy_pool.sessions")
_CHANGE_TRIES = 4
_KNOWN_LIMIT = 20_000
"""Most sessions kept in memory for look-ups."""


@dataclass(frozen=True, slots=True)
class Places:
    """What sessions stand on."""

    ledger: Ledger
    index: Index
    pool: PoolMemory
    copy: SwitchCopy
    placer: Placer
    makers: Makers
    settings: Callable[[TenantId], Awaitable[ServiceSettings]]
    ended: Callable[[Session], None]
    """Told of each session that ended here, for the conversations that still go on."""


class Sessions:
    """The verbs of a session's life."""

    def __init__(self, places: Places) -> None:
        self._p = places
        self._known: OrderedDict[SessionId, Session] = OrderedDict()
        self._newest: OrderedDict[SessionId, tuple[int, int]] = OrderedDict()
        self._later: set[asyncio.Task[None]] = set()
        self.tally: Counter[str] = Counter()

    # ------------------------------------------------------------ opening, changing, closing

    async def open(
        self, tenant: TenantId, wanted: NewSession, session_id: SessionId, *, again: bool = False
    ) -> Session:
        """Store a new session on numbers of its own. See ``proxy_pool.desk.MaskingDesk.open``.

        ``again``: an earlier attempt with this id was cut off; what it has stored, or stores while we are at
        it, is the session.
        """
        p = self._p
        if again and (stored := await p.ledger.get(tenant, session_id)) is not None:
            return stored
        settings = await p.settings(tenant)
        drafted = new_session(tenant, session_id, wanted, settings, p.makers)
        people = [one.party for one in (wanted.a, *wanted.others)]
        check_loops(people, p.pool.index_of(tenant))
        drafted = await self._remembering(drafted)
        opened = (SessionEvent("session.opened", drafted.blank.created_at),)

        async def store(session: Session, bindings: Sequence[Binding]) -> None:
            try:
                await p.ledger.open(session, bindings, opened)
            except NameTaken:
                raise Conflict("an open session has this unique name", code=NameTaken.code) from None

        given = {one.pin for one in (wanted.a, *wanted.others) if one.pin}
        repin = partial(repinned, given=given, makers=p.makers)
        session, bindings = await p.placer.place(drafted.blank, drafted.draft, store, repin)
        if again:
            stored = await self.get(tenant, session_id)
            if stored.participants != session.participants:
                return stored
        self.tally["opened"] += 1
        for binding in bindings:
            p.pool.note(tenant, binding.door.index, 1)
        self._settled(session, bindings)
        return session

    async def _remembering(self, drafted: Drafted) -> Drafted:
        """The same two people get the numbers they had, or (as the terms say) others."""
        blank, draft = drafted.blank, drafted.draft
        if blank.model is not Model.PAIR or draft.shared:
            return drafted
        a, b = (key_of(one.party) for one in blank.participants)
        before = await self._p.ledger.last_of_pair(blank.tenant, a, b)
        if before is None or not all(
            self._p.pool.usable(blank.tenant, number, Use.PAIRS, blank.terms.channels) for number in before
        ):
            return drafted
        return Drafted(blank, with_history(draft, blank.terms.sticky, before))

    async def change(self, tenant: TenantId, session_id: SessionId, change: SessionChange) -> Session:
        """Change people or terms of an open session, with the guarantees of opening one.

        One whose end has come is not revived, though nobody has closed it yet.
        """
        before = await self.get(tenant, session_id)
        if not self._open(before):
            raise Conflict("the session is closed", code="SESSION_CLOSED")
        for _ in range(_CHANGE_TRIES):
            try:
                return await self._change(before, change)
            except StaleVersion:
                before = await self.get(tenant, session_id)
                if not self._open(before):
                    break
        raise Conflict("the session was closed, or keeps changing", code="SESSION_CHANGED")

    def _open(self, session: Session) -> bool:
        return session.live and self._p.makers.now() < session.ends_at

    async def _change(self, before: Session, change: SessionChange) -> Session:
        p, tenant, session_id = self._p, before.tenant, before.id
        drafted = changed_session(before, change, await p.settings(tenant), p.makers)
        check_loops([one.party for one in drafted.blank.participants], p.pool.index_of(tenant))
        now = p.makers.now()
        free_at = now + before.terms.quarantine_s
        index_of = p.pool.index_of(tenant)
        await p.index.suspend(doors_of(before, index_of), now)
        self._forget(session_id)
        left: list[Binding] = []

        async def store(session: Session, bindings: Sequence[Binding]) -> None:
            told = (SessionEvent("session.changed", now),)
            left.extend(await p.ledger.change(session, bindings, free_at, told))

        given = {one.pin for one in (change.a, *(change.others or ())) if one is not None and one.pin}
        repin = partial(repinned, given=given, makers=p.makers)
        try:
            session, bindings = await p.placer.place(drafted.blank, drafted.draft, store, repin)
        except BaseException:  # why: cancelled too, its doors are suspended and may have to open again
            self._in_background(self._restore(tenant, session_id))
            raise
        p.copy.forget(before)
        self._forget(session_id)
        await p.index.put((*left, *bindings), p.makers.now())
        self._settled(session, bindings)
        return session

    async def close(
        self, tenant: TenantId, session_id: SessionId, reason: CloseReason = CloseReason.API
    ) -> Session:
        """End a session now. One that is closed already is returned as it is."""
        p = self._p
        before = await self.get(tenant, session_id)
        if not before.live:
            return before
        now = p.makers.now()
        await p.index.suspend(doors_of(before, p.pool.index_of(tenant)), now)
        self._forget(session_id)
        told = (SessionEvent("session.closed", now, (("reason", reason.value),)),)
        free_at = now + before.terms.quarantine_s
        try:
            closed = await p.ledger.close(tenant, session_id, reason, now, free_at, told)
        except BaseException:  # why: cancelled too, its doors are suspended and may have to open again
            self._in_background(self._restore(tenant, session_id))
            raise
        if closed is None:
            self._in_background(self._restore(tenant, session_id))
            return await self.get(tenant, session_id)
        session, quarantined = closed
        self._is_news(session)
        self._forget(session_id)
        self.tally["closed"] += 1
        for binding in quarantined:
            p.pool.note(tenant, binding.door.index, -1)
        p.copy.forget(before)
        # why awaited: once the answer is out, nobody may find the session by the index any more
        await p.index.put(quarantined, now)
        p.ended(session)
        return session

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session:
        """The session as the ledger has it. Raises NotFound."""
        session = await self._p.ledger.get(tenant, session_id)
        if session is None:
            raise NotFound("there is no such session")
        return session

    # ------------------------------------------------------------ who is dialling

    async def resolve(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None:
        """The live session behind (key, proxy number) and the seat it gives; None where there is none.

        Never late: the end of the session is judged here, by this clock. Never early: what the index has of
        the end may lag behind, so an end that seems to be past is asked of the ledger.
        """
        entry = await self._entry(tenant, key, proxy)
        now = self._p.makers.now()
        if entry is None or entry.hold is not Hold.LIVE or now >= entry.until:
            return None
        session = await self._session_of(tenant, entry)
        if session is None or not lets_in(session, key, proxy, entry.seat):
            return await self._resolve_again(tenant, key, proxy)
        if entry.until > session.ends_at:
            session = replace(session, ends_at=entry.until)
        return session, entry.seat

    async def _resolve_again(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None:
        """The index and the session do not fit together: only the ledger's word counts."""
        self.tally["mismatch"] += 1
        now = self._p.makers.now()
        binding = await self._p.ledger.resolve(tenant, key, proxy, now)
        if binding is None or binding.entry.hold is not Hold.LIVE or now >= binding.entry.until:
            return None
        self._in_background(self._p.index.put([binding], now))
        session = await self._p.ledger.get(tenant, binding.entry.session)
        if session is None or not lets_in(session, key, proxy, binding.entry.seat):
            return None
        return session, binding.entry.seat

    async def _entry(self, tenant: TenantId, key: str, proxy: E164) -> Entry | None:
        """What stands behind the door. That nobody does is the ledger's to say: a door in quarantine may have
        been given to the same two people again, and the index not have heard of it yet."""
        p = self._p
        index = p.pool.index_of(tenant).get(proxy)
        if index is None:
            return None
        now = p.makers.now()
        entry = await p.index.look_up(tenant, key, index, now)
        if entry is not None and entry.hold is Hold.LIVE and now < entry.until:
            return entry
        self.tally["read_through"] += 1
        binding = await p.ledger.resolve(tenant, key, proxy, now)
        if binding is None:
            return None
        self._in_background(p.index.put([binding], now))
        return binding.entry

    async def _session_of(self, tenant: TenantId, entry: Entry) -> Session | None:
        """From memory if it is the version that the entry speaks of, else from the ledger.

        Whom party A of a group or an open number reaches changes with every interaction: never from memory.
        """
        known = self._known.get(entry.session)
        if known is not None and known.version & 0xFF == entry.version & 0xFF and known.tenant == tenant:
            self._known.move_to_end(entry.session)
            return known
        session = await self._p.ledger.get(tenant, entry.session)
        if session is not None:
            self._remember(session)
        return session

    # ------------------------------------------------------------ after the ledger has spoken

    def used(self, session: Session) -> None:
        """An interaction has moved the session's end: tell the index and the switch.

        Does nothing where it has moved nothing, or the session was closed or changed since it was read.
        """
        if not moves_doors(session):
            return
        self._settled(session, bindings_of(session, self._p.pool.index_of(session.tenant)))

    def ended_elsewhere(self, session: Session) -> None:
        """Forget a session that another verb ended."""
        self._is_news(session)
        self._forget(session.id)

    def _settled(self, session: Session, bindings: Sequence[Binding]) -> None:
        if not self._is_news(session):
            return
        self._remember(session)
        self._p.copy.keep(session)
        self._in_background(self._p.placer.confirm(bindings))

    async def _restore(self, tenant: TenantId, session_id: SessionId) -> None:
        """After an attempt whose outcome may be unknown: the index learns what the ledger holds."""
        bindings = await self._p.ledger.bindings_of(tenant, session_id)
        await self._p.index.put(bindings, self._p.makers.now())

    def _is_news(self, session: Session) -> bool:
        """Whether nothing newer is known here: what was read before a change must not undo it.

        Each verb of the ledger raises the version or, with the same version, the number of interactions.
        """
        mark = (session.version, session.interactions)
        if mark < self._newest.get(session.id, mark):
            return False
        self._newest[session.id] = mark
        self._newest.move_to_end(session.id)
        if len(self._newest) > _KNOWN_LIMIT:
            self._newest.popitem(last=False)
        return True

    def _remember(self, session: Session) -> None:
        if session.model in (Model.GROUP, Model.ANYONE) or not self._is_news(session):
            return
        self._known[session.id] = session
        self._known.move_to_end(session.id)
        while len(self._known) > _KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _forget(self, session_id: SessionId) -> None:
        self._known.pop(session_id, None)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(_safely(work))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settle(self) -> None:
        """Wait for what was begun in the background."""
        await asyncio.gather(*self._later)


async def _safely(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001  # why: edge of a task; a PENDING door is read through until the next put
        _log.exception("index.not_told")
