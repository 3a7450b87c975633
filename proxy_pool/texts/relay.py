"""The relay of texts: takes them in, judges each once, and queues what goes on.

What a carrier hands over is stored before it is answered. Judging happens afterwards and may be cut off
anywhere: a text is settled in the same transaction that queues what goes out, so it has its effect exactly
once, and a text whose judge died comes again when the claim runs out. Texts of one conversation are judged
one after the other, of different ones side by side.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from proxy_pool.core.interaction import Interaction, Kind
from proxy_pool.core.number import PoolNumber, Use
from proxy_pool.core.optout import Heeded, Word, heed, said_by, word_of
from proxy_pool.core.party import ANYONE, Party, PhoneParty, key_of, shown
from proxy_pool.core.reach import Approach, Reached, reach
from proxy_pool.core.relay import (
    BLOCKED,
    EXPIRES_S,
    OPT_IN,
    OPT_OUT,
    PHONES,
    RECEIVED,
    REFUSED,
    Circumstances,
    Draft,
    Dropped,
    Passed,
    Stopped,
    carry,
    interaction_id,
    interaction_of,
    writer,
)
from proxy_pool.core.session import VISITOR, Channel, Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.core.text import InboundText, Receipt
from proxy_pool.ports import SessionEvent
from proxy_pool.texts.ports import (
    Arrived,
    Incoming,
    Judged,
    KeptMedia,
    MediaKeeper,
    MediaUnfit,
    NewStanding,
    Outbound,
    Owner,
    Resolve,
    Settings,
    Taken,
    TextInbox,
    Told,
)
from telephony.errors import PatchbayError
from telephony.numbers import E164

MAX_MEDIA: Final = 10
"""Attachments of one text that are looked at; further ones count as removed."""
MAX_BODY: Final = 4096
"""Letters of a text that are kept; no carrier sends as many."""
_log = structlog.get_logger("proxy_pool.texts")


@dataclass(frozen=True, slots=True)
class RelayPace:
    """``claim_s`` outlasts the judging of a text with its attachments; ``judge_s`` is its deadline."""

    poll_s: float = 1.0
    batch: int = 64
    claim_s: float = 120.0
    judge_s: float = 60.0
    retry_s: float = 5.0

    def __post_init__(self) -> None:
        if self.claim_s <= self.judge_s:
            raise ValueError("a claim must outlast the judging of a text")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the relay asks. ``queued`` is called when a text was queued, so that it goes out at once."""

    resolve: Resolve
    owner: Owner
    settings: Settings
    now: Callable[[], float]
    new_id: Callable[[str], str]
    media: MediaKeeper | None = None
    queued: Callable[[], None] = lambda: None


class TextRelay:
    """Fits ``gateway.carriers.ports.TextsIn``. ``counts`` has outcome → how many texts had it."""

    def __init__(self, store: TextInbox, around: Surroundings, pace: RelayPace | None = None) -> None:
        self._store = store
        self._around = around
        self._pace = pace or RelayPace()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()

    # ------------------------------------------------------------ taking in

    async def take_in(self, texts: Sequence[InboundText], receipts: Sequence[Receipt]) -> None:
        """Store what a carrier tells: durable when this returns, judged afterwards."""
        await self._take(texts, receipts)

    async def take_one(self, text: InboundText) -> Taken:
        """The same for one text, with the id it has from now on."""
        return (await self._take((text,), ()))[0]

    async def _take(self, texts: Sequence[InboundText], receipts: Sequence[Receipt]) -> Sequence[Taken]:
        arrived = [Arrived(self._around.new_id("msg"), _storable(text)) for text in texts]
        taken = await self._store.take_in(arrived, receipts, self._around.now())
        self.counts["repeated"] += sum(not one.new for one in taken)
        if texts:
            self._wake.set()
        return taken

    # ------------------------------------------------------------ the loop

    async def start(self) -> None:
        self._wake.set()
        self._loop = asyncio.create_task(self._run(), name="text-relay")

    async def stop(self) -> None:
        """Judge no more; what is cut off comes again."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.wait([loop])

    async def _run(self) -> None:
        while True:
            try:
                found = await self.judge_due()
            except PatchbayError as error:
                _log.warning("texts.storage_unavailable", code=error.code)
                found = 0
            if not found:
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._pace.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def judge_due(self) -> int:
        """Judge what waits now, a batch of it; how many there were."""
        now = self._around.now()
        claimed = await self._store.claim_in(now, now + self._pace.claim_s, self._pace.batch)
        async with asyncio.TaskGroup() as judging:
            for incoming in claimed:
                judging.create_task(self._judge(incoming))
        return len(claimed)

    async def _judge(self, incoming: Incoming) -> None:
        try:
            async with asyncio.timeout(self._pace.judge_s):
                judged = await self._judgement(incoming)
                done = await self._store.settle_in(incoming, judged, self._around.now())
        except (PatchbayError, TimeoutError) as error:
            _log.warning("texts.judged_later", message_id=incoming.id, kind=type(error).__name__)
            await self._put_back(incoming)
            return
        except Exception as error:  # noqa: BLE001 # why: one text that breaks us must not stop the others
            _log.error("texts.judging_broke", message_id=incoming.id, kind=type(error).__name__)
            await self._put_back(incoming)
            return
        if done:
            self.counts[judged.outcome] += 1
            _log.debug("texts.judged", message_id=incoming.id, outcome=judged.outcome)
            if judged.outbound is not None:
                self._around.queued()

    async def _put_back(self, incoming: Incoming) -> None:
        try:
            await self._store.put_back(incoming, self._around.now() + self._pace.retry_s)
        except PatchbayError:
            return  # it comes again when the claim runs out

    # ------------------------------------------------------------ judging

    async def _judgement(self, incoming: Incoming) -> Judged:
        text = incoming.text
        number = self._around.owner(text.to)
        party = writer(text, to_ours=number is not None, from_ours=self._is_ours(text.sender))
        if isinstance(party, Dropped) or number is None:
            return Judged(str(party))
        key = key_of(party)
        standing = await self._store.standing(number.tenant, key)
        by_carrier = said_by(text.opt_out)
        word = by_carrier or word_of(text.body, opted_out=standing.opted_out)
        if word is not None and not text.media:
            heeded = heed(word, standing, self._around.now(), answered_by_carrier=by_carrier is not None)
            return await self._heed(incoming, number, party, heeded)
        found = await self._resolve(number, key)
        if found is None:
            return Judged(Dropped.UNKNOWN)
        return await self._relay(incoming, number, key, found)

    def _is_ours(self, sender: str) -> bool:
        try:
            return self._around.owner(E164(sender)) is not None
        except PatchbayError:
            return False

    async def _resolve(self, number: PoolNumber, key: str) -> tuple[Session, int] | None:
        """Whoever is no participant is a visitor of an open number."""
        found = await self._around.resolve(number.tenant, key, number.number)
        if found is None and number.use is Use.ANYONE:
            found = await self._around.resolve(number.tenant, ANYONE, number.number)
        return found

    async def _relay(
        self, incoming: Incoming, number: PoolNumber, key: str, found: tuple[Session, int]
    ) -> Judged:
        session, seat = found
        now = self._around.now()
        approach = Approach(caller=key, ours=lambda one: self._around.owner(one) is not None)
        way = reach(session, seat, Channel.SMS, now, approach)
        kept: tuple[KeptMedia, ...] = ()
        known = Circumstances(None, media=len(incoming.text.media), missing=incoming.missing)
        if isinstance(way, Reached):
            out = await self._store.standing(session.tenant, key_of(way.target))
            known = replace(known, number=self._around.owner(way.cli), opted_out=out.opted_out)
        verdict = carry(session, way, incoming.text.body, known)
        if isinstance(verdict, Passed) and incoming.text.media:
            kept = await self._keep_media(incoming.text)
            lost = len(incoming.text.media) - len(kept)
            known = replace(known, media=len(kept), lost=lost)
            verdict = carry(session, way, incoming.text.body, known)
        settings = await self._around.settings.of(session.tenant)
        return self._judged(incoming, session, verdict, (number, kept, settings))

    def _judged(
        self,
        incoming: Incoming,
        session: Session,
        verdict: Passed | Stopped,
        given: tuple[PoolNumber, tuple[KeptMedia, ...], ServiceSettings],
    ) -> Judged:
        number, kept, settings = given
        now = self._around.now()
        told = interaction_of(session, incoming.id, number.number, verdict, incoming.taken_at, now)
        if isinstance(verdict, Stopped):
            event = BLOCKED if verdict.status == "blocked" else REFUSED
            return Judged(str(verdict.outcome), Told(told, (SessionEvent(event, now),)))
        told = replace(told, media=len(kept), body=verdict.draft.body if settings.keep_bodies else "")
        outbound = Outbound(
            incoming.id, session.tenant, verdict.draft, now + EXPIRES_S, interaction_id(incoming.id), kept
        )
        return Judged(
            "relayed",
            Told(told, (SessionEvent(RECEIVED, now),)),
            used=(session.tenant, session.id, verdict.from_seat),
            outbound=outbound,
        )

    async def _keep_media(self, text: InboundText) -> tuple[KeptMedia, ...]:
        """The attachments that can go along; an Unavailable carrier makes the text wait."""
        if self._around.media is None:
            return ()
        kept = []
        for one in text.media[:MAX_MEDIA]:
            try:
                kept.append(await self._around.media.keep(text.carrier, one))
            except MediaUnfit as error:
                _log.info("texts.media_removed", reason=error.message)
        return tuple(kept)

    # ------------------------------------------------------------ stop words

    async def _heed(self, incoming: Incoming, number: PoolNumber, party: Party, heeded: Heeded) -> Judged:
        now = self._around.now()
        key = key_of(party)
        standing = NewStanding(number.tenant, key, heeded.after)
        told = None
        if heeded.changed:
            found = await self._resolve(number, key)
            event = SessionEvent(OPT_OUT if heeded.word is Word.STOP else OPT_IN, now, _who(party))
            told = Told(_word_interaction(incoming, number, found, heeded.word, now), (event,))
        return Judged(
            f"{Dropped.WORD}_{heeded.word}",
            told,
            standing=standing,
            outbound=await self._answer(incoming, number, party, heeded),
        )

    async def _answer(
        self, incoming: Incoming, number: PoolNumber, party: Party, heeded: Heeded
    ) -> Outbound | None:
        settings = await self._around.settings.of(number.tenant)
        body = getattr(settings.answers, heeded.word.value)
        carrier = PHONES if isinstance(party, PhoneParty) else number.carrier
        if not heeded.answer or not body or not carrier:
            return None
        draft = Draft(carrier, number.number, party, body)
        return Outbound(incoming.id, number.tenant, draft, self._around.now() + EXPIRES_S)


def _who(party: Party) -> tuple[tuple[str, str], ...]:
    return (("participant", shown(party, whole=False)),)


def _word_interaction(
    incoming: Incoming, number: PoolNumber, found: tuple[Session, int] | None, word: Word, now: float
) -> Interaction:
    """A stop word is an interaction of its writer's session where there is one; of none otherwise."""
    session, seat = found if found is not None else (None, VISITOR)
    return Interaction(
        id=interaction_id(incoming.id),
        tenant=number.tenant,
        session=SessionId("") if session is None else session.id,
        kind=Kind.MESSAGE,
        from_seat=seat,
        to_seat=VISITOR,
        proxy=number.number,
        subject=incoming.id,
        status="received",
        created_at=incoming.taken_at,
        ended_at=now,
        outcome="opt_out" if word is Word.STOP else "opt_in",
        sequence=1,
    )


def _storable(text: InboundText) -> InboundText:
    """Without what no database takes (U+0000, halves of surrogate pairs), and of bounded length."""
    return replace(
        text,
        sender=_clean(text.sender)[:64],
        message_id=_clean(text.message_id)[:255],
        body=_clean(text.body)[:MAX_BODY],
        opt_out=_clean(text.opt_out)[:16],
    )


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
