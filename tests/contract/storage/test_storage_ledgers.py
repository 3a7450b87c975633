"""Idempotency, usage and audit in every database."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from gateway.storage.audit import AuditRepository, seal
from gateway.storage.database import Database
from gateway.storage.idempotency import KEPT, LEASE, IdempotencyRepository, complete_in
from gateway.storage.records import AuditEntry, Claim, Claimed, InProgress, Mismatch, Replay
from gateway.storage.tables import AUDIT, IDEMPOTENCY
from gateway.storage.usage import UsageRepository
from telephony.ids import TenantId
from tests.contract.storage.fresh import PATIENCE_S

pytestmark = pytest.mark.contract

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")


@pytest.fixture
def claims(database: Database) -> IdempotencyRepository:
    return IdempotencyRepository(database)


async def claim(
    claims: IdempotencyRepository,
    resource: str,
    *,
    tenant: TenantId = OURS,
    request: str = "r",
    now: datetime = NOW,
) -> Claim:
    return await claims.claim(tenant, "key-1", request, resource, now)


async def test_the_first_claim_wins_and_the_answer_is_replayed(claims: IdempotencyRepository) -> None:
    assert await claim(claims, "call_1") == Claimed("call_1")
    assert await claim(claims, "call_2") == InProgress()
    await claims.complete(OURS, "key-1", 201, b'{"id": "call_1"}')
    assert await claim(claims, "call_3") == Replay(201, b'{"id": "call_1"}')
    assert await claim(claims, "call_4", request="another") == Mismatch()
    assert await claim(claims, "call_5", tenant=THEIRS) == Claimed("call_5")


async def test_an_answer_is_kept_as_it_was_first_given(claims: IdempotencyRepository) -> None:
    await claim(claims, "call_1")
    await claims.complete(OURS, "key-1", 201, b"first")
    await claims.complete(OURS, "key-1", 500, b"second")
    await claims.release(OURS, "key-1")
    assert await claim(claims, "call_2") == Replay(201, b"first")


async def test_a_released_claim_starts_afresh(claims: IdempotencyRepository) -> None:
    await claim(claims, "call_1")
    await claims.release(OURS, "key-1")
    assert await claim(claims, "call_2", request="another") == Claimed("call_2")


async def test_an_abandoned_claim_is_taken_over_once_with_its_first_resource(
    claims: IdempotencyRepository,
) -> None:
    await claim(claims, "call_1")
    assert await claim(claims, "call_2", now=NOW + LEASE - timedelta(microseconds=1)) == InProgress()
    assert await claim(claims, "call_3", now=NOW + LEASE) == Claimed("call_1", again=True)
    assert await claim(claims, "call_4", now=NOW + LEASE) == InProgress()


async def test_of_many_claims_at_once_one_wins(claims: IdempotencyRepository) -> None:
    found = await asyncio.gather(*(claim(claims, f"call_{n}") for n in range(20)))
    assert Counter(type(one) for one in found) == {Claimed: 1, InProgress: 19}


async def test_after_a_day_a_key_is_new_again(claims: IdempotencyRepository) -> None:
    await claim(claims, "call_1")
    await claims.complete(OURS, "key-1", 201, b"old")
    later = NOW + KEPT
    assert await claim(claims, "call_2", now=later - timedelta(microseconds=1)) == Replay(201, b"old")
    assert await claim(claims, "call_3", request="another", now=later) == Claimed("call_3")


async def test_purging_drops_what_is_old_and_only_that(
    claims: IdempotencyRepository, database: Database
) -> None:
    await claims.claim(OURS, "old", "r", "call", NOW - KEPT)

    def many_more(conn: Connection) -> None:
        old = conn.execute(select(IDEMPOTENCY)).mappings().one()
        conn.execute(insert(IDEMPOTENCY), [{**old, "key": f"old-{n}"} for n in range(2_499)])

    await database.write(many_more, deadline_s=PATIENCE_S)
    await claim(claims, "call_1")
    assert await claims.purge(NOW) == 2_500
    assert await claims.purge(NOW) == 0
    assert await claim(claims, "call_2") == InProgress()


async def test_an_answer_can_be_kept_together_with_its_effect(
    claims: IdempotencyRepository, database: Database
) -> None:
    await claim(claims, "call_1")

    def effect_that_fails(conn: object) -> None:
        complete_in(conn, OURS, "key-1", 201, b"made")  # type: ignore[arg-type]
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        await database.write(effect_that_fails)
    assert await claim(claims, "call_2") == InProgress()
    await database.write(lambda conn: complete_in(conn, OURS, "key-1", 201, b"made"))
    assert await claim(claims, "call_3") == Replay(201, b"made")


async def test_usage_adds_up_by_tenant_and_day(database: Database) -> None:
    usage = UsageRepository(database)
    day, next_day = date(2026, 3, 8), date(2026, 3, 9)
    assert await usage.seconds_on(OURS, day) == 0
    await asyncio.gather(*(usage.add(OURS, day, n) for n in range(1, 21)))
    await usage.add(OURS, next_day, 7)
    await usage.add(THEIRS, day, 5)
    figures = [await usage.seconds_on(*of) for of in ((OURS, day), (OURS, next_day), (THEIRS, day))]
    assert figures == [210, 7, 5]


def entry(n: int, tenant: TenantId = OURS) -> AuditEntry:
    details = {"before": {"name": "a"}, "after": {"name": "é", "n": n, "ratio": 0.1}}
    return AuditEntry(
        f"aud_{tenant}_{n}", tenant, NOW + timedelta(seconds=n), "key_1", "number.change", "num_1", details
    )


async def test_audit_entries_form_one_chain_per_tenant_however_many_write(database: Database) -> None:
    audit = AuditRepository(database)
    stored = await asyncio.gather(
        *(audit.append(entry(n)) for n in range(12)), audit.append(entry(0, THEIRS))
    )
    entries = await audit.entries(OURS)
    assert [one.number for one in entries] == list(range(1, 13))
    assert [one.previous_hash for one in entries] == ["", *(one.hash for one in entries[:-1])]
    assert list(entries) == sorted(stored[:-1], key=lambda one: one.number)
    assert await audit.entries(OURS, after=10) == entries[10:]
    assert await audit.verify(OURS) is None
    assert (await audit.entries(THEIRS))[0].number == 1
    assert await audit.verify(TenantId("tnt_nobody")) is None


@pytest.mark.parametrize(
    ("harm", "found_at"),
    [
        (update(AUDIT).where(AUDIT.c.number == 3).values(actor="somebody else"), 3),
        (update(AUDIT).where(AUDIT.c.number == 3).values(details={"after": "nothing"}), 3),
        (update(AUDIT).where(AUDIT.c.number == 3).values(at=NOW), 3),
        (update(AUDIT).where(AUDIT.c.number == 3).values(hash="0" * 64), 3),
        (delete(AUDIT).where(AUDIT.c.number == 3), 3),
        (delete(AUDIT).where(AUDIT.c.number == 1), 1),
    ],
)
async def test_tampering_with_the_audit_log_is_found(database: Database, harm: object, found_at: int) -> None:
    audit = AuditRepository(database)
    for n in range(1, 6):
        await audit.append(entry(n))
    await database.write(lambda conn: conn.execute(harm) and None)  # type: ignore[call-overload]
    assert await audit.verify(OURS) == found_at


async def test_a_changed_entry_with_a_fresh_hash_breaks_the_next_link(database: Database) -> None:
    audit = AuditRepository(database)
    for n in range(1, 4):
        await audit.append(entry(n))
    forged = replace((await audit.entries(OURS))[1], actor="somebody else")
    forge = update(AUDIT).where(AUDIT.c.number == 2).values(actor=forged.actor, hash=seal(forged))
    await database.write(lambda conn: conn.execute(forge) and None)
    assert await audit.verify(OURS) == 3
