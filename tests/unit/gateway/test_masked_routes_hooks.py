"""The application's say in calls to proxy numbers: it blocks, opens sessions, speaks, or is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog.testing

from dialplan.core.call import Announcement, Connect, Later, Reject, Trunk
from gateway.http.limits import LocalRates
from gateway.masked_callers import Attempter, AttemptLimits, Caller
from gateway.webhooks.core.backoff import NoReply, Reply
from proxy_pool.core.number import Use
from proxy_pool.core.settings import UnknownCallers
from proxy_pool.desk import Seating
from proxy_pool.ports import SessionFilter
from telephony.errors import NotFound
from tests.rig.masking import TENANT, person, proxy, ulid
from tests.unit.gateway.masked_stage import Line, Stage, staged

pytestmark = pytest.mark.unit

ANNE, BOB, EVE = person(1), person(2), person(3)
INTERCEPT, CALLBACK = "https://app.example/intercept", "https://app.example/unknown"
BLOCKED, AWAY = (21, "blocked"), (21, "hook_unavailable")


async def sessions(stage: Stage) -> list[Any]:
    return list((await stage.masking.page(TENANT, SessionFilter(), limit=50)).items)


# ---------------------------------------------------------------- intercept


async def test_the_application_blocks_known_and_unknown_callers_alike() -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT, fallback=EVE)
        session = await stage.open(ANNE, BOB)
        dialled = session.participants[0].proxy
        assert (await stage.call(ANNE, dialled)).reached == BOB
        assert (await stage.call(person(9), dialled)).reached == EVE
        for says in ({"action": "block"}, None):
            if says is None:
                stage.app.says = lambda body: Reply(403, {})
            else:
                stage.app.answers(**says)
            for caller in (ANNE, person(9), ""):
                assert (await stage.call(caller, dialled)).rejection == BLOCKED


async def test_the_application_hears_who_is_in_the_session_but_no_real_number() -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT)
        session = await stage.open(ANNE, BOB)
        await stage.call(BOB, session.participants[1].proxy)
        await stage.call(EVE, session.participants[1].proxy)
        known, unknown = (event["data"] for event in stage.app.heard)
        assert known == {
            "channel": "voice",
            "proxy_number": session.participants[1].proxy.reveal(),
            "from": BOB.masked,
            "session_id": session.id,
            "from_seat": 1,
            "to_seat": 0,
        }
        assert (unknown["from"], unknown["session_id"], unknown["from_seat"]) == (EVE.masked, None, None)


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize(
    "reply",
    [
        NoReply("timeout", ""),
        NoReply("refused", ""),
        Reply(500, {}),
        Reply(302, {}),
        Reply(200, {}, body=b"yes"),
        Reply(200, {}, body=b'{"action":"allow","action":"allow"}'),
        Reply(200, {}, body=b'{"action":"reject"}'),
        Reply(200, {}, body=b"[]"),
    ],
    ids=str,
)
async def test_no_sensible_answer_is_no_answer(reply: Any, fail_open: bool) -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT, fail_open=fail_open)
        stage.app.says = lambda body: reply
        session = await stage.open(ANNE, BOB)
        line = await stage.call(ANNE, session.participants[0].proxy)
        assert (line.reached if fail_open else line.rejection) == (BOB if fail_open else AWAY)


async def test_who_waits_for_the_application_is_looked_up_again() -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT)
        session = await stage.open(ANNE, BOB)
        stage.app.hold = asyncio.Event()
        line = await stage.call(ANNE, session.participants[0].proxy)
        assert line.route == Later(1)
        assert line.last.private
        await stage.masking.close(TENANT, session.id)
        stage.app.hold.set()
        assert (await line.waits()).rejection == (21, "session_ended")


async def test_waiting_for_the_application_has_an_end() -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT, hook_timeout_s=10.0)
        stage.app.hold = asyncio.Event()
        session = await stage.open(ANNE, BOB)
        line = await stage.call(ANNE, session.participants[0].proxy)
        stage.hand.at += 1.5
        await line.waits()
        assert line.told == [Later(1), Later(9)]
        stage.hand.at += 9
        assert (await line.waits()).rejection == AWAY


# ---------------------------------------------------------------- unknown callers


async def test_the_application_opens_a_session_for_the_caller() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        stage.app.answers(action="connect", session={"party_a": BOB.reveal(), "party_b": EVE.reveal()})
        line = await stage.call(EVE, proxy(3))
        (session,) = await sessions(stage)
        eve = session.participants[1]
        assert (eve.party, eve.proxy) == (EVE, proxy(3))
        assert line.route == Connect(Trunk(BOB, "carrier"), session.participants[0].proxy)
        assert (line.last.session_id, line.last.seat) == (session.id, 1)
        assert stage.app.heard[0]["data"]["from"] == EVE.reveal()
        assert (await stage.call(EVE, proxy(3))).reached == BOB
        assert len(stage.app.heard) == 1
        assert (await stage.call(BOB, line.route.cli)).reached == EVE


@pytest.mark.parametrize("caller", [EVE, ""])
@pytest.mark.parametrize(
    "wanted",
    [
        {"party_a": ANNE.reveal(), "party_b": BOB.reveal()},
        {"party_a": ANNE.reveal()},
        {"party_a": "nobody", "party_b": BOB.reveal()},
        {"party_a": EVE.reveal(), "party_b": EVE.reveal()},
        {"party_a": EVE.reveal(), "party_b": BOB.reveal(), "model": "anyone"},
    ],
    ids=["of others", "half", "unreadable", "of one", "of another model"],
)
async def test_no_session_is_opened_that_is_not_the_callers(caller: Any, wanted: dict[str, str]) -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        stage.app.answers(action="connect", session=wanted)
        assert (await stage.call(caller, proxy(1))).rejection == AWAY
        assert await sessions(stage) == []


async def test_a_session_opened_on_the_spot_has_every_guarantee_of_any_other() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        earlier = await stage.open(Seating(EVE, proxy(1)), ANNE, expires_at=stage.hand.at + 60)
        await stage.masking.close(TENANT, earlier.id)
        stage.app.answers(action="connect", session={"party_a": EVE.reveal(), "party_b": BOB.reveal()})
        assert (await stage.call(EVE, proxy(1))).rejection == AWAY
        assert (await stage.call(EVE, proxy(2))).reached == BOB


async def test_an_open_number_is_opened_for_whoever_calls() -> None:
    async with staged(Use.ANYONE) as stage:
        await stage.unknown(callback_url=CALLBACK)
        stage.app.answers(action="connect", session={"party_a": BOB.reveal(), "model": "anyone"})
        assert (await stage.call("", proxy(2))).reached == BOB
        assert (await sessions(stage))[0].participants[0].proxy == proxy(2)


async def test_the_application_names_a_session() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        session = await stage.open(Seating(ANNE, proxy(1)), Seating(BOB, proxy(2)))

        async def told(dialled: int, caller: Any = EVE, **more: Any) -> Line:
            stage.app.answers(action="connect", session_id=session.id, **more)
            return await stage.call(caller, proxy(dialled))

        assert (await told(1)).reached == BOB
        assert (await told(2)).reached == ANNE
        assert (await told(3)).rejection == AWAY
        assert (await told(3, seat=1)).reached == ANNE
        assert (await told(3, seat=7)).rejection == AWAY
        assert (await told(3, caller=ANNE)).reached == BOB
        assert (await told(3, caller=BOB, seat=0)).rejection == AWAY
        await stage.masking.close(TENANT, session.id)
        assert (await told(1)).rejection == AWAY


async def test_a_session_of_nobody_is_no_way_in() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        stage.app.answers(action="connect", session_id=ulid("ses", 77))
        assert (await stage.call(EVE, proxy(1))).rejection == AWAY
        with pytest.raises(NotFound):
            await stage.masking.get(TENANT, ulid("ses", 77))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "sound"),
    [
        ({"text": "Closed."}, "tts/7"),
        ({"sound": "closed"}, f"prompts/{TENANT}/closed"),
        ({"sound": "unheard"}, None),
        ({"sound": "../../etc/passwd"}, None),
        ({"text": "a", "sound": "closed"}, None),
        ({}, None),
    ],
)
async def test_the_application_has_something_said(answer: dict[str, str], sound: str | None) -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK)
        stage.app.answers(action="announce", **answer)
        line = await stage.call(EVE, proxy(1))
        assert line.route == (Reject(*AWAY) if sound is None else Connect(Announcement(sound)))
        assert line.last.session_id is None


async def test_the_application_rejects_or_lets_the_ladder_go_on() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK, fallback=ANNE)
        stage.app.answers(action="reject")
        assert (await stage.call(EVE, proxy(1))).rejection == BLOCKED
        stage.app.answers(action="continue")
        assert (await stage.call(EVE, proxy(1))).reached == ANNE


async def test_questions_come_in_their_order_with_waits_between_them() -> None:
    async with staged() as stage:
        await stage.unknown(intercept_url=INTERCEPT, ask_pin=True, callback_url=CALLBACK)
        stage.app.hold = asyncio.Event()
        line = await stage.call(EVE, proxy(1))
        stage.app.hold.set()
        await line.waits()
        stage.app.hold.clear()
        await line.types("111222", "111222", "111222")
        stage.app.answers(action="connect", session={"party_a": EVE.reveal(), "party_b": BOB.reveal()})
        stage.app.hold.set()
        await line.waits()
        kinds = [type(told).__name__ for told in line.told]
        assert kinds == ["Later", "Gather", "Gather", "Gather", "Later", "Connect"]
        assert line.reached == BOB
        assert [event["type"].partition(".")[2] for event in stage.app.heard] == [
            "intercept",
            "unknown_caller",
        ]


async def test_no_number_is_logged() -> None:
    async with staged() as stage:
        await stage.unknown(callback_url=CALLBACK, ask_pin=True)
        session = await stage.open(ANNE, BOB)
        stage.app.answers(action="connect", session={"party_a": ANNE.reveal(), "party_b": BOB.reveal()})
        with structlog.testing.capture_logs() as logs:
            line = await stage.call(EVE, session.participants[0].proxy)
            await line.types("111222", "111222", "111222")
            assert line.rejection == AWAY
        assert logs
        for one in (ANNE, BOB, EVE):
            assert one.reveal().lstrip("+") not in repr((logs, stage.routes._walks))


# ---------------------------------------------------------------- limits


async def test_guessing_many_at_once_gains_nothing() -> None:
    looked = 0
    go = asyncio.Event()

    async def look() -> None:
        nonlocal looked
        looked += 1
        await go.wait()

    limits, unknown = AttemptLimits(LocalRates(lambda: 0.0), b"k"), UnknownCallers(pin_attempts_per_number=7)
    guesses = [
        asyncio.create_task(limits.guess(Attempter(TENANT, proxy(1), Caller(str(count % 5))), unknown, look))
        for count in range(50)
    ]
    for _ in range(200):
        await asyncio.sleep(0)
    assert (looked, sum(task.done() for task in guesses)) == (7, 43)
    go.set()
    assert await asyncio.gather(*guesses) == [None] * 50
    assert looked == 7
    assert await limits.guess(Attempter(TENANT, proxy(1), Caller("x")), unknown, look) is None
    assert looked == 7
    assert not limits._guessing


def test_a_callers_number_shows_in_no_repr() -> None:
    caller = Caller(EVE.reveal(), EVE)
    assert EVE.reveal().lstrip("+") not in repr(Attempter(TENANT, proxy(1), caller))
