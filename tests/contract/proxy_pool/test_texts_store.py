"""The text store keeps its promises in memory, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text as sql_text

from gateway.storage.texts import SqlMediaBook
from gateway.storage.texts_out import KEPT_S
from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.optout import Standing
from proxy_pool.core.reassembly import PATIENCE_S
from proxy_pool.core.receipts import PARKED_S
from proxy_pool.core.relay import Draft
from proxy_pool.core.session import Session
from proxy_pool.core.text import Media, Receipt, ReceiptState
from proxy_pool.ports import SessionEvent
from proxy_pool.texts.ports import (
    Arrived,
    Incoming,
    Judged,
    KeptMedia,
    Lane,
    NewStanding,
    Outbound,
    Over,
    SentOff,
    Told,
    TryLater,
)
from tests.contract.proxy_pool.ledger_rig import BOB, CARL, ONE, OURS, THREE, TWO, Books, ulid
from tests.contract.proxy_pool.texts_rig import NOW, TextRig, part, store_of, text

pytestmark = pytest.mark.contract

JUDGED = Judged("relayed")


@pytest.fixture
async def rig(books: Books) -> TextRig:
    return TextRig(books, store_of(books))


async def claim(rig: TextRig, at: float = NOW, limit: int = 50) -> list[Incoming]:
    return list(await rig.store.claim_in(at, at + 60, limit))


def interaction(session: Session, number: int) -> Interaction:
    return Interaction(
        id=InteractionId(f"int_{ulid(number)}"),
        tenant=OURS,
        session=session.id,
        kind=Kind.MESSAGE,
        from_seat=0,
        to_seat=1,
        proxy=ONE,
        subject=f"msg_{ulid(number)}",
        status="queued",
        created_at=NOW,
        sequence=1,
    )


def queued(
    session: Session | None, number: int, to: object = BOB, body: str = "hi", **more: object
) -> Judged:
    """A judgement that queues a text from TWO."""
    draft = Draft("sim", TWO, to, body)  # type: ignore[arg-type]
    outbound = Outbound(f"msg_{ulid(number)}", OURS, draft, NOW + 100)
    if session is None:
        return Judged("relayed", outbound=replace(outbound, **more))  # type: ignore[arg-type]
    told = interaction(session, number)
    outbound = replace(outbound, interaction=told.id, **more)  # type: ignore[arg-type]
    return Judged("relayed", Told(told, (SessionEvent("message.received", NOW),)), outbound=outbound)


async def queue(rig: TextRig, *judgements: Judged) -> None:
    """Let one inbound text after another have these effects."""
    for at, judged in enumerate(judgements):
        await rig.taken(text("x", sender=f"+1999555{at:04d}"))
        (one,) = await claim(rig)
        assert await rig.store.settle_in(one, judged, NOW + at / 100)


# ---------------------------------------------------------------- in


async def test_a_text_delivered_twice_is_stored_once_and_keeps_its_first_id(rig: TextRig) -> None:
    first = await rig.store.take_in([Arrived("msg_1", text("hi", message_id="same"))], (), NOW)
    again = await rig.store.take_in([Arrived("msg_2", text("hi", message_id="same"))], (), NOW)
    assert [(one.id, one.new, one.done) for one in (*first, *again)] == [
        ("msg_1", True, False),
        ("msg_1", False, False),
    ]
    assert [one.id for one in await claim(rig)] == ["msg_1"]


async def test_deliveries_at_the_same_time_leave_one_text(rig: TextRig) -> None:
    arrivals = [Arrived(f"msg_{n}", text("hi", message_id="same")) for n in range(20)]
    taken = await asyncio.gather(*(rig.store.take_in([one], (), NOW) for one in arrivals))
    assert sum(one.new for [one] in taken) == 1
    assert len({one.id for [one] in taken}) == 1
    assert len(await claim(rig)) == 1


async def test_the_same_message_id_of_another_carrier_is_another_text(rig: TextRig) -> None:
    one = text("hi", message_id="same")
    await rig.taken(one, replace(one, carrier="other", sender=CARL.reveal()))
    assert len(await claim(rig)) == 2


async def test_a_text_comes_out_as_it_went_in(rig: TextRig) -> None:
    sent = text("héllo 😀\n\t€", opt_out="help", sent_at=NOW - 3, media=(Media("https://c/1", "image/png"),))
    await rig.taken(sent)
    (one,) = await claim(rig)
    assert one.text == sent
    assert one.taken_at == pytest.approx(NOW)


async def test_a_claimed_text_is_hidden_until_its_claim_ends(rig: TextRig) -> None:
    await rig.taken(text("hi"))
    (first,) = await claim(rig)
    assert await claim(rig, NOW + 59) == []
    (second,) = await claim(rig, NOW + 60)
    assert (second.id, second.claim) == (first.id, first.claim + 1)


async def test_only_the_latest_claim_settles_and_only_once(rig: TextRig) -> None:
    session = await rig.session()
    await rig.taken(text("hi"))
    (dead,) = await claim(rig)
    (alive,) = await claim(rig, NOW + 60)
    assert not await rig.store.settle_in(dead, queued(session, 1), NOW + 61)
    assert await rig.claimed() == []
    assert await rig.store.settle_in(alive, queued(session, 1), NOW + 61)
    assert not await rig.store.settle_in(alive, queued(session, 2), NOW + 61)
    rig.now = NOW + 62
    assert [one.id for one in await rig.claimed()] == [f"msg_{ulid(1)}"]


async def test_a_text_put_back_comes_again_at_its_time(rig: TextRig) -> None:
    await rig.taken(text("hi"))
    (one,) = await claim(rig)
    await rig.store.put_back(one, NOW + 5)
    assert await claim(rig, NOW + 4) == []
    assert len(await claim(rig, NOW + 5)) == 1


async def test_of_a_conversation_one_text_at_a_time_is_judged_in_order(rig: TextRig) -> None:
    for n in range(3):
        rig.now = NOW + n
        await rig.taken(text(f"to one {n}"), text(f"other {n}", sender=BOB, to=TWO))
    seen = []
    for _ in range(3):
        batch = await claim(rig, NOW + 5)
        assert len(batch) == 2
        assert await claim(rig, NOW + 5) == []
        seen += [one.text.body for one in batch]
        for one in batch:
            await rig.store.settle_in(one, JUDGED, NOW + 5)
    assert [body for body in seen if "to one" in body] == ["to one 0", "to one 1", "to one 2"]
    assert [body for body in seen if "other" in body] == ["other 0", "other 1", "other 2"]


async def test_two_who_claim_at_once_never_get_the_same_text(rig: TextRig) -> None:
    await rig.taken(*(text("x", sender=f"+1999555{n:04d}") for n in range(40)))
    batches = await asyncio.gather(*(claim(rig, limit=15) for _ in range(6)))
    ids = [one.id for batch in batches for one in batch]
    assert len(ids) == len(set(ids))
    ids += [one.id for one in await claim(rig)]
    assert len(set(ids)) == 40


# ---------------------------------------------------------------- parts


async def test_parts_in_any_order_come_as_one_text(rig: TextRig) -> None:
    await rig.taken(part(3, 3, "c"), part(1, 3, "a"))
    assert await claim(rig) == []
    await rig.taken(part(2, 3, "b"))
    (one,) = await claim(rig)
    assert (one.text.body, one.missing, one.text.part) == ("abc", (), None)


async def test_parts_that_come_at_the_same_time_come_as_one_text(rig: TextRig) -> None:
    await asyncio.gather(*(rig.taken(part(n, 8, str(n))) for n in range(1, 9)))
    assert [one.text.body for one in await claim(rig)] == ["12345678"]


async def test_an_incomplete_text_comes_when_patience_ends(rig: TextRig) -> None:
    await rig.taken(part(1, 3, "a"))
    rig.now = NOW + 100
    await rig.taken(part(3, 3, "c"))
    assert await claim(rig, NOW + 99 + PATIENCE_S) == []
    (one,) = await claim(rig, NOW + 100 + PATIENCE_S)
    assert (one.text.body, one.missing) == ("ac", (2,))


async def test_a_part_repeated_under_another_id_adds_nothing_before_or_after(rig: TextRig) -> None:
    await rig.taken(part(1, 2, "a"), part(1, 2, "a"), part(2, 2, "b"), part(2, 2, "b"))
    (one,) = await claim(rig)
    assert one.text.body == "ab"
    await rig.store.settle_in(one, JUDGED, NOW)
    await rig.taken(part(2, 2, "b"), part(1, 2, "a"))
    assert await claim(rig, NOW + 10 * PATIENCE_S) == []


async def test_parts_of_other_people_and_references_stay_apart(rig: TextRig) -> None:
    await rig.taken(part(1, 2, "a"), part(2, 2, "x", reference=8), part(2, 2, "y", sender=CARL))
    assert await claim(rig) == []


# ---------------------------------------------------------------- standings


async def test_who_opted_out_gets_nothing_of_what_waits_nor_of_what_comes(rig: TextRig) -> None:
    session = await rig.session()
    out = NewStanding(OURS, BOB.reveal(), Standing(True))
    await queue(rig, queued(session, 1), queued(session, 2, to=CARL), Judged("keyword_stop", standing=out))
    assert (await rig.store.standing(OURS, BOB.reveal())).opted_out
    await queue(rig, queued(session, 3))
    rig.now = NOW + 1
    assert [one.draft.to for one in await rig.claimed()] == [CARL]
    statuses = {one.id: (one.status, one.outcome) for one in await rig.interactions(session)}
    assert statuses[InteractionId(f"int_{ulid(1)}")] == ("rejected", "opted_out")
    assert statuses[InteractionId(f"int_{ulid(3)}")] == ("rejected", "opted_out")
    assert statuses[InteractionId(f"int_{ulid(2)}")] == ("queued", "")


async def test_the_services_own_answer_reaches_who_opted_out(rig: TextRig) -> None:
    out = NewStanding(OURS, BOB.reveal(), Standing(True))
    await queue(rig, replace(queued(None, 1), standing=out))
    assert [one.draft.to for one in await rig.claimed()] == [BOB]


async def test_standings_are_of_one_tenant_and_remember_help(rig: TextRig) -> None:
    await queue(rig, Judged("x", standing=NewStanding(OURS, BOB.reveal(), Standing(False, NOW))))
    assert await rig.store.standing(OURS, BOB.reveal()) == Standing(False, NOW)
    assert await rig.store.standing(type(OURS)("ten_theirs"), BOB.reveal()) == Standing()


# ---------------------------------------------------------------- out


async def test_lanes_are_told_apart_by_carrier_and_number(rig: TextRig) -> None:
    by_three = queued(None, 3)
    assert by_three.outbound is not None
    moved = replace(by_three.outbound, draft=Draft("other", THREE, BOB, "x"))
    await queue(rig, queued(None, 1), queued(None, 2, to=CARL), replace(by_three, outbound=moved))
    rig.now = NOW + 1
    assert sorted(await rig.store.lanes(rig.now)) == [
        Lane("other", THREE.reveal()),
        Lane("sim", TWO.reveal()),
    ]
    assert await rig.store.lanes(NOW - 1) == []


async def test_a_conversations_next_text_waits_until_the_first_is_sent_or_over(rig: TextRig) -> None:
    await queue(rig, queued(None, 1), queued(None, 2), queued(None, 3), queued(None, 4, to=CARL))
    rig.now = NOW + 1
    batch = {one.id: one for one in await rig.claimed()}
    assert set(batch) == {f"msg_{ulid(1)}", f"msg_{ulid(4)}"}
    first = batch[f"msg_{ulid(1)}"]
    await rig.store.settle_out(first, TryLater(NOW + 30, "throttled"), rig.now)
    assert await rig.claimed() == []
    rig.now = NOW + 30
    (first,) = await rig.claimed()
    assert (first.id, first.attempts) == (f"msg_{ulid(1)}", 1)
    await rig.store.settle_out(first, SentOff("p1"), rig.now)
    (second,) = await rig.claimed()
    await rig.store.settle_out(second, Over(ReceiptState.FAILED, "30003"), rig.now)
    assert [one.id for one in await rig.claimed()] == [f"msg_{ulid(3)}"]


async def test_a_text_whose_sender_died_is_sent_again_and_the_dead_ones_word_comes_too_late(
    rig: TextRig,
) -> None:
    session = await rig.session()
    await queue(rig, queued(session, 1))
    rig.now = NOW + 1
    (dead,) = await rig.claimed()
    assert await rig.claimed() == []
    rig.now = NOW + 61
    (alive,) = await rig.claimed()
    await rig.store.settle_out(dead, SentOff("lost"), rig.now)
    await rig.store.settle_out(alive, SentOff("kept"), rig.now)
    await rig.store.take_in((), [Receipt("sim", "kept", ReceiptState.DELIVERED)], rig.now)
    (one,) = await rig.interactions(session)
    assert one.status == "delivered"


async def test_a_text_past_its_time_expires_but_not_while_it_is_being_sent(rig: TextRig) -> None:
    session = await rig.session()
    await queue(rig, queued(session, 1), queued(session, 2, to=CARL))
    rig.now = NOW + 70
    (one, _) = await rig.claimed()
    await rig.store.settle_out(_, TryLater(NOW + 71, "throttled"), rig.now)
    assert await rig.store.tend(NOW + 101) == 1
    await rig.store.settle_out(one, SentOff("p1"), NOW + 102)
    assert sorted((one.status, one.outcome) for one in await rig.interactions(session)) == [
        ("expired", "not_sent_in_time"),
        ("sent", ""),
    ]


# ---------------------------------------------------------------- receipts


async def sent(rig: TextRig, session: Session, number: int = 1) -> None:
    await queue(rig, queued(session, number))
    rig.now = NOW + 1
    (one,) = await rig.claimed()
    await rig.store.settle_out(one, SentOff(f"p{number}"), rig.now)


async def status(rig: TextRig, session: Session) -> tuple[str, str, float | None, int]:
    (one,) = await rig.interactions(session)
    return one.status, one.outcome, one.ended_at, one.sequence


async def test_receipts_bring_the_interaction_forward_and_the_world_hears_each_step_once(
    rig: TextRig,
) -> None:
    session = await rig.session()
    await sent(rig, session)
    assert await status(rig, session) == ("sent", "", None, 2)
    delivered = Receipt("sim", "p1", ReceiptState.DELIVERED, at=NOW + 9)
    for receipt in (delivered, Receipt("sim", "p1", ReceiptState.SENT), delivered):
        await rig.store.take_in((), [receipt], NOW + 10)
    assert await status(rig, session) == ("delivered", "", NOW + 9, 4)
    assert await rig.told() == ["message.received", "message.sent", "message.delivered"]


async def test_a_failure_names_its_error_and_a_late_delivery_mends_it(rig: TextRig) -> None:
    session = await rig.session()
    await sent(rig, session)
    await rig.store.take_in((), [Receipt("sim", "p1", ReceiptState.UNDELIVERED, "30005", NOW + 5)], NOW + 6)
    assert await status(rig, session) == ("undelivered", "30005", NOW + 5, 3)
    await rig.store.take_in((), [Receipt("sim", "p1", ReceiptState.DELIVERED, "", NOW + 7)], NOW + 8)
    assert await status(rig, session) == ("delivered", "", NOW + 7, 4)
    assert (await rig.told())[-2:] == ["message.failed", "message.delivered"]


async def test_a_receipt_that_overtakes_the_carriers_answer_waits_for_it(rig: TextRig) -> None:
    session = await rig.session()
    await rig.store.take_in((), [Receipt("sim", "p1", ReceiptState.DELIVERED, "", NOW + 0.5)], NOW + 0.6)
    await sent(rig, session)
    assert await status(rig, session) == ("delivered", "", NOW + 0.5, 4)


async def test_a_receipt_for_nobody_is_forgotten_after_ten_minutes(rig: TextRig) -> None:
    session = await rig.session()
    await rig.store.take_in((), [Receipt("sim", "p1", ReceiptState.DELIVERED)], NOW - PARKED_S - 1)
    await rig.store.tend(NOW)
    await sent(rig, session)
    assert (await status(rig, session))[0] == "sent"


async def test_a_receipt_of_another_carrier_with_the_same_id_is_nobodys(rig: TextRig) -> None:
    session = await rig.session()
    await sent(rig, session)
    await rig.store.take_in((), [Receipt("other", "p1", ReceiptState.DELIVERED)], NOW + 5)
    assert (await status(rig, session))[0] == "sent"


async def test_a_forgotten_interaction_does_not_come_back_by_a_receipt(rig: TextRig) -> None:
    session = await rig.session()
    await sent(rig, session)
    (one,) = await rig.interactions(session)
    assert await rig.books.interactions.forget(OURS, one.id)
    await rig.store.take_in((), [Receipt("sim", "p1", ReceiptState.DELIVERED)], NOW + 5)
    assert await rig.interactions(session) == []


async def test_a_judged_text_counts_as_a_use_of_its_session(rig: TextRig) -> None:
    session = await rig.session()
    await queue(rig, replace(queued(session, 1), used=(OURS, session.id, 0)))
    used = await rig.books.ledger.get(OURS, session.id)
    assert used is not None
    assert (used.interactions, used.status, used.last_used_at) == (1, "in_progress", pytest.approx(NOW))
    assert used.ends_at > session.ends_at


# ---------------------------------------------------------------- attachments and age (SQL alone)


async def test_attachments_of_queued_texts_are_known_until_they_are_forgotten(rig: TextRig) -> None:
    if rig.books.database is None:
        pytest.skip("memory: what is known of attachments lives in SQL alone")
    book = SqlMediaBook(rig.books.database)
    kept = KeptMedia("med_1", "a.jpg", "image/jpeg", 7)
    await queue(rig, queued(None, 1, media=(kept,)))
    assert await book.get("med_1") == kept
    assert await book.get("med_2") is None
    assert await book.known(["a.jpg", "b.jpg"]) == {"a.jpg"}
    await book.forget(NOW - 1)
    assert await book.get("med_1") == kept
    await book.forget(NOW + 1)
    assert await book.known(["a.jpg"]) == frozenset()
    rig.now = NOW + 1
    (one,) = await rig.claimed()
    assert one.media == (kept,)


async def test_texts_are_forgotten_a_week_after_their_end_and_not_while_they_wait(rig: TextRig) -> None:
    if rig.books.database is None:
        pytest.skip("memory keeps everything: it is gone with the process")
    waiting = queued(None, 2, to=CARL, body="still waiting")
    assert waiting.outbound is not None
    waiting = replace(waiting, outbound=replace(waiting.outbound, expires_at=NOW + 10**7))
    await queue(rig, queued(None, 1), waiting)
    await rig.taken(text("never judged"))
    rig.now = NOW + 1
    first, second = sorted(await rig.claimed(), key=lambda one: one.id)
    await rig.store.settle_out(first, SentOff("p1"), rig.now)
    await rig.store.settle_out(second, TryLater(NOW + 2, "throttled"), rig.now)
    await rig.store.tend(NOW + KEPT_S + 100)
    counted = await rig.books.database.read(
        lambda conn: [
            conn.execute(sql_text(f"SELECT count(*) FROM {table}")).scalar()
            for table in ("texts_in", "texts_out")
        ]
    )
    assert counted == [1, 1]
