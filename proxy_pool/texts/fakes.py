"""Texts kept in memory, and a carrier that does as it is told: for tests and trials.

``MemoryTexts`` keeps the promises of ``gateway.storage.texts`` (one contract suite tests both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy_pool.core.interaction import Interaction
from proxy_pool.core.opening import used
from proxy_pool.core.optout import Standing
from proxy_pool.core.party import key_of as party_key
from proxy_pool.core.reassembly import PATIENCE_S, WINDOW_S, Key, Piece, gather, key_of
from proxy_pool.core.receipts import PARKED_S, RANK, advance, is_final
from proxy_pool.core.relay import Fault, event_of
from proxy_pool.core.session import SessionId
from proxy_pool.core.text import InboundText, OutboundText, Receipt, ReceiptState
from proxy_pool.ports import InteractionBook, Ledger, SessionEvent
from proxy_pool.texts.ports import (
    Arrived,
    Incoming,
    Judged,
    Lane,
    Outbound,
    Outgoing,
    Over,
    Sending,
    SentAs,
    SentOff,
    Taken,
    TryLater,
)
from telephony.errors import PatchbayError, StorageUnavailable
from telephony.ids import TenantId


@dataclass(slots=True)
class _In:
    text: InboundText
    taken_at: float
    state: str
    next_at: float
    claim: int = 0
    body: str = ""
    missing: tuple[int, ...] = ()
    outcome: str = ""


@dataclass(slots=True)
class _Out:
    outbound: Outbound
    queued_at: float
    next_at: float
    state: ReceiptState = ReceiptState.QUEUED
    error: str = ""
    provider_id: str = ""
    attempts: int = 0
    claim: int = 0
    body: str = ""

    @property
    def lane(self) -> Lane:
        return Lane(self.outbound.draft.carrier, self.outbound.draft.sender.reveal())

    @property
    def place(self) -> tuple[float, str]:
        return self.queued_at, self.outbound.id


@dataclass(slots=True)
class MemoryTexts:
    """Fits ``proxy_pool.texts.ports.TextStore``. ``told_alone`` holds events that belong to no session."""

    interactions: InteractionBook
    ledger: Ledger
    away: bool = False
    told_alone: list[tuple[Interaction, SessionEvent]] = field(default_factory=list)
    _in: dict[str, _In] = field(default_factory=dict)
    _out: dict[str, _Out] = field(default_factory=dict)
    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    _standings: dict[tuple[str, str], Standing] = field(default_factory=dict)
    _parked: list[tuple[float, Receipt]] = field(default_factory=list)

    # ------------------------------------------------------------ in

    async def take_in(
        self, texts: Sequence[Arrived], receipts: Sequence[Receipt], now: float
    ) -> Sequence[Taken]:
        self._answer()
        taken = [self._take(one, now) for one in texts]
        for receipt in receipts:
            await self._receive(receipt, now, park=True)
        return taken

    def _take(self, arrived: Arrived, now: float) -> Taken:
        name = (arrived.text.carrier, arrived.text.message_id)
        known = self._known.get(name)
        if known is not None:
            return Taken(known, new=False, done=self._in[known].state == "done")
        key = key_of(arrived.text)
        state, due = ("waiting", now) if key is None else ("held", now + PATIENCE_S)
        self._known[name] = arrived.id
        self._in[arrived.id] = _In(arrived.text, now, state, due, body=arrived.text.body)
        if key is not None:
            self._gather(key, now)
        return Taken(arrived.id, new=True)

    def _gather(self, key: Key, now: float) -> None:
        rows = {
            id_: row
            for id_, row in self._in.items()
            if key_of(row.text) == key and row.taken_at > now - WINDOW_S and row.outcome != "repeated"
        }
        pieces = [
            Piece(id_, row.text.part.number, row.text.body, row.taken_at, used=row.state != "held")
            for id_, row in rows.items()
            if row.text.part is not None
        ]
        gathered = gather(pieces, key.total, now)
        for whole in gathered.texts:
            first, *others = whole.pieces
            joined = self._in[first]
            joined.state, joined.body, joined.missing, joined.next_at = (
                "waiting",
                whole.body,
                whole.missing,
                now,
            )
            for one in others:
                self._in[one].state, self._in[one].outcome = "done", "part"
        for one in gathered.repeated:
            self._in[one].state, self._in[one].outcome = "done", "repeated"
        for row in rows.values():
            if row.state == "held" and gathered.wait_until is not None:
                row.next_at = gathered.wait_until

    async def claim_in(self, now: float, until: float, limit: int) -> Sequence[Incoming]:
        self._answer()
        overdue = {
            key_of(row.text) for row in self._in.values() if row.state == "held" and row.next_at <= now
        }
        for key in overdue:
            if key is not None:
                self._gather(key, now)
        first: dict[tuple[str, str], str] = {}
        for id_, row in sorted(self._in.items(), key=lambda one: (one[1].taken_at, one[0])):
            if row.state == "waiting":
                first.setdefault((row.text.sender, row.text.to.reveal()), id_)
        claimed: list[Incoming] = []
        for id_ in first.values():
            row = self._in[id_]
            if row.next_at <= now and len(claimed) < limit:
                row.claim, row.next_at = row.claim + 1, until
                whole = replace(row.text, body=row.body, part=None)
                claimed.append(Incoming(id_, whole, row.taken_at, row.claim, row.missing))
        return claimed

    async def put_back(self, incoming: Incoming, at: float) -> None:
        self._answer()
        row = self._in[incoming.id]
        if row.state == "waiting" and row.claim == incoming.claim:
            row.next_at = at

    async def standing(self, tenant: TenantId, key: str) -> Standing:
        self._answer()
        return self._standings.get((tenant, key), Standing())

    async def settle_in(self, incoming: Incoming, judged: Judged, now: float) -> bool:
        self._answer()
        row = self._in[incoming.id]
        if row.state != "waiting" or row.claim != incoming.claim:
            return False
        row.state, row.outcome, row.body = "done", judged.outcome, ""
        if judged.used is not None:
            await self._use(*judged.used, now)
        if judged.told is not None and judged.told.interaction.session:
            await self.interactions.keep(judged.told.interaction, judged.told.events)
        elif judged.told is not None:
            self.told_alone += [(judged.told.interaction, event) for event in judged.told.events]
        if judged.standing is not None:
            new = judged.standing
            self._standings[new.tenant, new.key] = new.standing
            if new.standing.opted_out:
                await self._hold(new.tenant, new.key, now)
        if judged.outbound is not None:
            await self._queue(judged.outbound, now)
        return True

    async def _use(self, tenant: TenantId, session_id: SessionId, seat: int, now: float) -> None:
        session = await self.ledger.get(tenant, session_id)
        if session is not None:
            await self.ledger.use(tenant, session_id, seat, now, used(session, seat, now).ends_at)

    async def _hold(self, tenant: TenantId, key: str, now: float) -> None:
        for id_, row in self._out.items():
            mine = row.outbound.tenant == tenant and party_key(row.outbound.draft.to) == key
            if mine and row.outbound.interaction and row.state is ReceiptState.QUEUED:
                await self._change(id_, ReceiptState.REJECTED, Fault.OPTED_OUT, now)

    async def _queue(self, outbound: Outbound, now: float) -> None:
        if outbound.id in self._out:
            return
        self._out[outbound.id] = _Out(outbound, now, now, body=outbound.draft.body)
        standing = self._standings.get((outbound.tenant, party_key(outbound.draft.to)), Standing())
        if outbound.interaction and standing.opted_out:
            await self._change(outbound.id, ReceiptState.REJECTED, Fault.OPTED_OUT, now)

    # ------------------------------------------------------------ out

    async def lanes(self, now: float) -> Sequence[Lane]:
        self._answer()
        due = {row.lane for row in self._waiting() if row.next_at <= now}
        return sorted(due)

    def _waiting(self) -> list[_Out]:
        return [row for row in self._out.values() if row.state is ReceiptState.QUEUED]

    async def claim_out(self, lane: Lane, now: float, until: float, limit: int) -> Sequence[Outgoing]:
        self._answer()
        first: dict[str, _Out] = {}
        for row in sorted((one for one in self._waiting() if one.lane == lane), key=lambda one: one.place):
            first.setdefault(party_key(row.outbound.draft.to), row)
        claimed: list[Outgoing] = []
        for row in first.values():
            if row.next_at <= now and len(claimed) < limit:
                row.claim, row.next_at = row.claim + 1, until
                one = row.outbound
                draft = replace(one.draft, body=row.body)
                claimed.append(
                    Outgoing(one.id, one.tenant, draft, row.attempts, row.claim, one.expires_at, one.media)
                )
        return claimed

    async def settle_out(self, outgoing: Outgoing, sending: Sending, now: float) -> None:
        self._answer()
        row = self._out[outgoing.id]
        if row.claim != outgoing.claim:
            return
        match sending:
            case TryLater(at, error, attempted):
                if row.state is ReceiptState.QUEUED:
                    row.next_at, row.error, row.attempts = at, error, row.attempts + attempted
            case SentOff(provider_id):
                row.provider_id = provider_id
                await self._change(outgoing.id, ReceiptState.SENT, "", now)
                await self._unpark(now)
            case Over(state, error):
                await self._change(outgoing.id, state, error, now)

    async def tend(self, now: float) -> int:
        self._answer()
        await self._unpark(now)
        self._parked = [(at, one) for at, one in self._parked if at >= now - PARKED_S]
        over = [row for row in self._waiting() if row.outbound.expires_at <= now and row.next_at <= now]
        for row in over:
            await self._change(row.outbound.id, ReceiptState.EXPIRED, "not_sent_in_time", now)
        return len(over)

    async def _unpark(self, now: float) -> None:
        parked, self._parked = self._parked, []
        for at, receipt in parked:
            if not await self._receive(receipt, now, park=False):
                self._parked.append((at, receipt))

    async def _receive(self, receipt: Receipt, now: float, *, park: bool) -> bool:
        for id_, row in self._out.items():
            mine = (row.outbound.draft.carrier, row.provider_id) == (receipt.carrier, receipt.message_id)
            if mine and row.provider_id:
                await self._change(id_, receipt.state, receipt.error, receipt.at or now)
                return True
        if park:
            self._parked.append((now, receipt))
        return False

    async def _change(self, id_: str, told: ReceiptState, error: str, at: float) -> None:
        row = self._out[id_]
        before = row.state
        row.state, row.error = advance(before, row.error if is_final(before) else "", told, error)
        if row.state is before:
            return
        row.body = ""
        kept = await self.interactions.get(row.outbound.tenant, row.outbound.interaction)
        if kept is None:
            return
        ended = at if is_final(row.state) else None
        changed = replace(
            kept, status=row.state.value, outcome=row.error, ended_at=ended, sequence=RANK[row.state]
        )
        event = event_of(row.state)
        await self.interactions.keep(changed, [SessionEvent(event, at)] if event else [])

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable


@dataclass(slots=True)
class FakeSender:
    """Fits ``Sender``. ``answers`` are raised or given in turn; then every text is taken."""

    answers: list[PatchbayError | str] = field(default_factory=list)
    sent: list[tuple[str, OutboundText]] = field(default_factory=list)
    tried: int = 0

    async def send(self, text: OutboundText, carrier: str) -> SentAs:
        self.tried += 1
        answer = self.answers.pop(0) if self.answers else f"prov-{self.tried}"
        if isinstance(answer, PatchbayError):
            raise answer
        self.sent.append((carrier, text))
        return SentAs(answer)
