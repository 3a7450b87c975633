"""The gateway is away: masked calls go on from the copy in the switch, to the right person or to nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from dialplan.ami.client import AmiLink
from dialplan.ami.wire import AmiAction
from dialplan.ports import Ending
from gateway.copied_doors import FAMILY, MADE, Outside
from gateway.runtime.switch_config import SwitchLimits
from gateway.switch_copy import SwitchCopyWriter
from gateway.switch_records import SwitchRecords
from gateway.trial.sip_behaviour import answers, rings
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import WITHIN_S
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.session import (
    Flow,
    Model,
    OnExpiry,
    Participant,
    PinMode,
    Session,
    SessionId,
    Status,
    Terms,
)
from telephony.ids import ChannelId, TenantId
from telephony.numbers import E164
from tests.rig.leaks import find_leaks
from tests.rig.links import ami_link, database
from tests.rig.masked import DIALS_A, DIALS_B, QUICK, A, B, Masked, masked_world, naming_headers

pytestmark = pytest.mark.switch

ALICE = Credentials("alice", "alice-on-loopback")
STRANGER = "+14155550166"
PEOPLE = (Participant(0, E164(A), E164(DIALS_A)), Participant(1, E164(B), E164(DIALS_B)))


@dataclass(slots=True)
class Away:
    """The world without a gateway; ``link`` may read and write the switch's database."""

    world: Masked
    link: AmiLink
    copy: SwitchCopyWriter

    async def knows(self, *sessions: Session) -> None:
        for session in sessions:
            self.copy.keep(session)
        await asyncio.wait_for(self.copy.settled(), WITHIN_S)

    def a_dials(self, number: str = DIALS_A, caller: str = A, **how: object) -> OutgoingCall:
        return self.world.a.call(Dial(number, self.world.sip, caller, **how))  # type: ignore[arg-type]

    async def nobody_is_called(self, call: OutgoingCall) -> None:
        """The caller hears why, and B's phone never rings."""
        await call.reaches(CallState.RINGING)
        await call.cancel()
        assert not self.world.b.live
        assert await database(self.link, MADE) == {}

    async def made(self) -> list[list[str]]:
        return [value.split(",") for value in (await database(self.link, MADE)).values()]

    async def recorded(self) -> Ending:
        """What the switch's own record says of the one call that it made; it is written after the call."""
        (channel,) = await database(self.link, MADE)
        records = SwitchRecords(self.world.switch.cdr_file)
        async with asyncio.timeout(WITHIN_S):
            while not (found := await records.of([ChannelId(channel)])):  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.02)
        return found[ChannelId(channel)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running_away(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Away]:
    async with (
        masked_world(tmp_path_factory.mktemp("away"), limits=SwitchLimits()) as world,
        ami_link(world.switch.address, "recording") as link,
    ):
        await world.agi.stop(0)
        outside = Outside(lambda number: "beta" if number == E164(B) else "alpha")
        copy = SwitchCopyWriter(link, outside, time.time)
        copy.start()
        yield Away(world, link, copy)
        await copy.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def away(running_away: Away) -> Away:
    """Nothing copied, nothing noted, B at home, and the calls before this one over."""
    for phone in (running_away.world.a, running_away.world.b):
        await phone.quiet()
    for family in (FAMILY, MADE):
        for key in await database(running_away.link, family):
            await running_away.link.act(AmiAction("DBDel", (("Family", family), ("Key", key))), deadline_s=5)
    for phone in (running_away.world.a, running_away.world.b):
        phone.transport.trace.clear()
        phone.incoming.clear()
        phone.decide = lambda _: answers()
    return running_away


def pair(terms: Terms | None = None, **changes: object) -> Session:
    """A and B, for ten minutes."""
    now = time.time()
    session = Session(
        SessionId("ses_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        TenantId("tnt_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        Model.PAIR,
        terms or Terms(),
        PEOPLE,
        now,
        now + 600,
    )
    session = replace(session, **changes)  # type: ignore[arg-type]
    return replace(session, terms=replace(session.terms, expires_at=session.ends_at))


async def test_both_sides_reach_each_other_and_see_the_number_they_know(away: Away) -> None:
    await away.knows(pair())
    call = away.a_dials()
    await call.reaches(CallState.ANSWERED)
    there = away.world.b.incoming[-1]
    assert (there.facts.user, there.facts.from_user, there.facts.from_display) == (B, DIALS_B, "")
    await call.hang_up()
    back = away.world.b.call(Dial(DIALS_B, away.world.sip, B))
    await back.reaches(CallState.ANSWERED)
    here = away.world.a.incoming[-1]
    assert (here.facts.user, here.facts.from_user) == (A, DIALS_A)
    await back.hang_up()
    await away.world.a.quiet()
    made = sorted(await away.made(), key=lambda parts: parts[3])
    assert [parts[1:8] for parts in made] == [
        [pair().tenant, pair().id, "0", "1", DIALS_A, A.lstrip("+"), "alpha"],
        [pair().tenant, pair().id, "1", "0", DIALS_B, B.lstrip("+"), "beta"],
    ]
    async with asyncio.timeout(WITHIN_S):  # a record is written after its call
        while f'"{pair().id}/0/1"' not in away.world.switch.cdr_file.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("named_media")
async def test_nothing_of_either_party_reaches_the_other(away: Away) -> None:
    await away.knows(pair())
    away.world.b.decide = lambda _: replace(answers(), reply_headers=naming_headers(B))
    call = away.world.a_calls()
    await call.reaches(CallState.ANSWERED)
    await call.hang_up(headers=naming_headers(A))
    await away.world.b.quiet()
    assert find_leaks(A, away.world.b.received_bytes()) == []
    assert find_leaks(B, away.world.a.received_bytes()) == []


@pytest.mark.parametrize("caller", [A, A.lstrip("+"), "00" + A.lstrip("+")])
@pytest.mark.parametrize("dialled", [DIALS_A, DIALS_A.lstrip("+")])
async def test_numbers_may_be_written_with_plus_with_zeros_or_plain(
    away: Away, caller: str, dialled: str
) -> None:
    await away.knows(pair())
    call = away.a_dials(dialled, caller)
    await call.reaches(CallState.ANSWERED)
    assert away.world.b.incoming[-1].facts.user == B
    await call.hang_up()
    await away.world.b.quiet()


@pytest.mark.parametrize(
    ("caller", "display"),
    [
        (STRANGER, ""),
        (STRANGER, f"sip:{A}@carrier.example"),
        (STRANGER, f"<sip:{A}@carrier.example>"),
        (STRANGER, f"{A} <sip:{A}@x> sip:{A}@x"),
        (STRANGER, f"<sip:{A}@x>, @{A}"),
        (STRANGER, f"${{DB(pb/{DIALS_A}/{A})}}"),
        ("anonymous", A),
        (f"{A}%0D%0A", ""),
        (f"{A}%20", ""),
        (f"%0A{A}", ""),
        (f"{A}:{A}", ""),
        (f"{A};phone-context={A}", ""),
        (f"@{A}", ""),
        (f"*{A}", ""),
        ("*", ""),
        ("%2A", ""),
        ("@alice", ""),
        ("%40alice", ""),
        (f"{A.lstrip('+')}/x", ""),
        (f"..%2F{A.lstrip('+')}", ""),
        ("%22%26%22", ""),
        ("", ""),
    ],
)
async def test_nobody_else_is_taken_for_the_caller(away: Away, caller: str, display: str) -> None:
    phone = PhoneParty("alice")
    await away.knows(pair(), pair(participants=(Participant(0, phone, E164(DIALS_A)), PEOPLE[1]), id="ses_2"))
    # what is no SIP at all gets no answer, which ends here as a 408
    async with await SipPhone.open(away.world.a.address[0], timers=QUICK) as outside:
        call = outside.call(Dial(DIALS_A, away.world.sip, caller, display))
        await call.until(lambda: call.state >= CallState.RINGING, WITHIN_S, "an answer")
        assert not away.world.b.incoming
        assert await away.made() == []
        if call.state < CallState.ENDED:
            await call.cancel()


async def test_a_name_before_the_address_costs_the_caller_nothing(away: Away) -> None:
    await away.knows(pair())
    call = away.a_dials(display=f"Zoë <sip:{STRANGER}@x>, (a) sip:{STRANGER}@x;")
    await call.reaches(CallState.ANSWERED)
    await call.hang_up()
    await away.world.b.quiet()


@pytest.mark.parametrize(
    "session",
    {
        "closed": lambda: pair(status=Status.CLOSED),
        "over": lambda: pair(ends_at=time.time() - 1),
        "without voice": lambda: pair(Terms(channels=frozenset())),
        "the other way only": lambda: pair(Terms(flow=Flow.B_TO_A)),
        "behind a PIN": lambda: pair(Terms(pin_mode=PinMode.ALWAYS)),
        "its numbers free at once": lambda: pair(Terms(quarantine_s=0)),
    }.items(),
    ids=lambda item: item[0],
)
async def test_a_session_that_does_not_let_him_in_is_not_joined(away: Away, session: tuple) -> None:  # type: ignore[type-arg]
    await away.knows(pair(), session[1]())
    await away.nobody_is_called(away.a_dials())


async def test_a_forgotten_session_is_not_joined(away: Away) -> None:
    await away.knows(pair())
    away.copy.forget(pair())
    await asyncio.wait_for(away.copy.settled(), WITHIN_S)
    assert await database(away.link, FAMILY) == {}
    await away.nobody_is_called(away.a_dials())


async def test_an_entry_that_nobody_took_away_ends_with_its_session(away: Away) -> None:
    end = time.time() + 4
    await away.knows(pair(ends_at=end))
    call = away.a_dials()
    await call.reaches(CallState.ANSWERED)
    await asyncio.sleep(max(0.0, end + 0.5 - time.time()))
    assert call.state is CallState.ANSWERED, "the session's end cuts nothing unless it is told to"
    await call.hang_up()
    await away.world.b.quiet()
    late = away.a_dials()
    await late.reaches(CallState.RINGING)
    await late.cancel()
    assert len(away.world.b.incoming) == 1


async def test_a_session_that_ends_its_talks_ends_them_here_too(away: Away) -> None:
    end = time.time() + 4
    await away.knows(pair(Terms(on_expiry=OnExpiry.END_NOW), ends_at=end))
    call = away.a_dials()
    await call.reaches(CallState.ANSWERED)
    await call.reaches(CallState.ENDED)
    assert -2.5 < time.time() - end < 10, "in whole seconds; and not when the talk's own time is over"


async def test_a_talk_lasts_no_longer_than_its_limit(away: Away) -> None:
    await away.knows(pair(Terms(call_limit_s=1)))
    call = away.a_dials()
    await call.reaches(CallState.ANSWERED)
    await call.reaches(CallState.ENDED)
    ending = await away.recorded()
    assert ending.answered_at is not None
    assert ending.ended_at is not None
    assert 0.9 < ending.ended_at - ending.answered_at < 10.0


async def test_nobody_is_rung_longer_than_the_terms_say(away: Away) -> None:
    away.world.b.decide = lambda _: rings()
    await away.knows(pair(Terms(ring_timeout_s=1)))
    call = away.a_dials()
    await call.reaches(CallState.ENDED)
    assert call.ending is not None
    assert call.ending.status == 480


async def test_anyone_reaches_the_one_and_the_one_his_callee(away: Away) -> None:
    people = (PEOPLE[0], Participant(1, E164(B), E164(DIALS_A)))
    await away.knows(pair(model=Model.ANYONE, participants=people))
    visitor = away.world.b.call(Dial(DIALS_A, away.world.sip, STRANGER))
    await visitor.reaches(CallState.ANSWERED)
    assert away.world.a.incoming[-1].facts.user == A
    await visitor.hang_up()
    call = away.a_dials()
    await call.reaches(CallState.ANSWERED)
    assert away.world.b.incoming[-1].facts.user == B
    await call.hang_up()
    await away.world.b.quiet()


async def test_a_phone_of_ours_is_known_by_its_name_and_called_by_it(away: Away) -> None:
    people = (Participant(0, PhoneParty("alice"), E164(DIALS_A)), PEOPLE[1])
    await away.knows(pair(participants=people))
    async with await SipPhone.open(decide=lambda _: answers(), name="alice") as alice:
        await alice.register(away.world.sip, ALICE)
        call = alice.call(Dial(DIALS_A, away.world.sip, "alice", credentials=ALICE))
        await call.reaches(CallState.ANSWERED)
        assert away.world.b.incoming[-1].facts.from_user == DIALS_B
        await call.hang_up()
        back = away.world.b.call(Dial(DIALS_B, away.world.sip, B))
        await back.reaches(CallState.ANSWERED)
        assert alice.incoming[-1].facts.from_user == DIALS_A
        await back.hang_up()
        await alice.register(away.world.sip, ALICE, expires_s=0)
    assert {parts[6] for parts in await away.made()} == {"@alice", B.lstrip("+")}


async def test_a_gateway_that_hangs_is_one_that_is_away(away: Away) -> None:
    """It takes the question and never answers: the copy is asked once the question's time is over."""
    await away.knows(pair())

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = away.world.switch.spec.agi[1]
    async with await asyncio.start_server(never, "127.0.0.1", port):
        call = away.a_dials()
        await call.reaches(CallState.ANSWERED)
        assert away.world.b.incoming[-1].facts.user == B
        await call.hang_up()
        await away.world.b.quiet()
    assert len(await away.made()) == 1


async def test_a_gateway_that_is_there_but_gives_no_route_is_not_overruled(away: Away) -> None:
    await away.knows(pair())

    async def none(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n\n")
        writer.close()

    port = away.world.switch.spec.agi[1]
    async with await asyncio.start_server(none, "127.0.0.1", port):
        await away.nobody_is_called(away.a_dials())


async def test_forgetting_leaves_no_number_in_the_file(away: Away) -> None:
    """Real numbers are in the switch's database while they are needed, and overwritten when they are not."""
    await away.knows(pair())
    away.copy.forget(pair())
    await asyncio.wait_for(away.copy.settled(), WITHIN_S)
    file = away.world.switch.spec.base / "db" / "astdb.sqlite3"
    async with asyncio.timeout(30):
        while True:
            if not any(find_leaks(number, file.read_bytes()) for number in (A, B)):
                return
            await asyncio.sleep(0.1)
