"""Interactions in every backend: the newest state counts, forgotten is forgotten, the world hears once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.ports import SessionEvent
from telephony.errors import MalformedRequest
from tests.contract.proxy_pool.ledger_rig import ONE, OURS, T0, THEIRS, Books, opened, pair, session_id, ulid

pytestmark = pytest.mark.contract

STARTED = (SessionEvent("interaction.started", T0 + 1),)
ENDED = (SessionEvent("interaction.ended", T0 + 31, (("reason", "hangup_by_caller"),)),)


def call(number: int, **changes: object) -> Interaction:
    made = Interaction(
        id=InteractionId(f"int_{ulid(number)}"),
        tenant=OURS,
        session=session_id(1),
        kind=Kind.VOICE,
        from_seat=0,
        to_seat=1,
        proxy=ONE,
        subject=f"call_{ulid(number)}",
        status="ringing",
        created_at=T0 + 1,
        sequence=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ended(number: int) -> Interaction:
    return call(
        number,
        status="completed",
        answered_at=T0 + 2.5,
        ended_at=T0 + 31.25,
        duration_s=29,
        outcome="hangup_by_caller",
        sequence=3,
    )


async def test_an_interaction_reads_back_as_its_newest_state(books: Books) -> None:
    await opened(books, pair(1))
    await books.interactions.keep(call(1), STARTED)
    assert await books.interactions.get(OURS, call(1).id) == call(1)
    await books.interactions.keep(ended(1), ENDED)
    await books.interactions.keep(ended(1), ENDED)
    await books.interactions.keep(call(1, sequence=2, status="answered"), STARTED)
    assert await books.interactions.get(OURS, call(1).id) == ended(1)
    assert await books.interactions.get(THEIRS, call(1).id) is None
    told = sorted(await books.told())
    assert told == ["interaction.ended", "interaction.started", "session.opened"]


async def test_a_text_keeps_what_was_found_in_it(books: Books) -> None:
    text = call(
        2,
        kind=Kind.MESSAGE,
        from_seat=-1,
        status="blocked",
        segments=2,
        flags=("number", "link"),
        body="see you ☎",
        media=1,
        outcome="redacted",
    )
    await books.interactions.keep(text, ())
    assert await books.interactions.get(OURS, text.id) == text
    assert text.body not in repr(text)


async def test_a_forgotten_interaction_does_not_come_back(books: Books) -> None:
    await opened(books, pair(1))
    await books.interactions.keep(call(1, body="secret"), STARTED)
    assert not await books.interactions.forget(THEIRS, call(1).id)
    assert await books.interactions.forget(OURS, call(1).id)
    assert not await books.interactions.forget(OURS, call(1).id)
    await books.interactions.keep(ended(1), ENDED)
    assert await books.interactions.get(OURS, call(1).id) is None
    assert await books.interactions.page(OURS, session_id(1), limit=5) == ((), None, 0)
    assert "interaction.ended" not in await books.told()


async def test_a_sessions_interactions_are_newest_first_and_paged(books: Books) -> None:
    for n in range(5):
        await books.interactions.keep(call(n, created_at=T0 + n // 2), ())
    await books.interactions.keep(call(9, session=session_id(2)), ())
    await books.interactions.keep(call(8, tenant=THEIRS), ())
    seen: list[str] = []
    cursor = None
    while True:
        items, cursor, total = await books.interactions.page(OURS, session_id(1), limit=2, cursor=cursor)
        seen += [one.id for one in items]
        assert total == 5
        if cursor is None:
            break
    assert seen == [call(n).id for n in (4, 3, 2, 1, 0)]
    with pytest.raises(MalformedRequest):
        await books.interactions.page(OURS, session_id(1), limit=2, cursor="garbage")
