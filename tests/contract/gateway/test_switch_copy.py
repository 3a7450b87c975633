"""The writer of the copy against a scripted switch: the latest state of each door, once, whatever befalls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dialplan.ami.client import AmiLink
from gateway.copied_doors import Outside
from gateway.switch_copy import SwitchCopyWriter
from proxy_pool.core.session import Model, Participant, Session, SessionId, Status, Terms
from telephony.ids import TenantId
from telephony.numbers import E164
from tests.rig.ami_heard import Heard, link_to
from tests.rig.fake_ami import Asked, FakeAmi, FakeSession, deny, obey

pytestmark = pytest.mark.contract

NOW = 1_800_000_000.0
X, Y = "12025550100", "12025550101"


class Astdb(FakeAmi):
    """A switch that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, str] = {}
        self.log: list[str] = []
        for name in ("DBPut", "DBDel", "DBDelTree"):
            self.script[name] = self.keep
        self.script["DBGet"] = self.show

    async def show(self, session: FakeSession, asked: Asked) -> None:
        if asked["Key"] not in self.kept:
            await deny(session, asked)
            return
        own = ("ActionID", asked["ActionID"])
        session.reply(asked, "Success", ("EventList", "start"), ("Message", "Result will follow"))
        session.message(
            ("Event", "DBGetResponse"), own, ("Key", asked["Key"]), ("Val", self.kept[asked["Key"]])
        )
        session.message(("Event", "DBGetComplete"), own, ("EventList", "Complete"), ("ListItems", "1"))

    async def keep(self, session: FakeSession, asked: Asked) -> None:
        self.log.append(f"{asked.name} {asked['Key']}".strip())
        match asked.name:
            case "DBPut":
                self.kept[asked["Key"]] = asked["Val"]
            case "DBDel" if asked["Key"] not in self.kept:
                await deny(session, asked)
                return
            case "DBDel":
                del self.kept[asked["Key"]]
            case "DBDelTree":
                self.kept.clear()
        await obey(session, asked)


@pytest.fixture
async def ami() -> AsyncIterator[Astdb]:
    async with Astdb() as server:
        yield server


@pytest.fixture
async def link(ami: Astdb) -> AsyncIterator[AmiLink]:
    link = link_to(ami, Heard())
    await link.start()
    await link.wait_up(30)
    yield link
    await link.stop()


@pytest.fixture
async def copy(link: AmiLink) -> AsyncIterator[SwitchCopyWriter]:
    copy = SwitchCopyWriter(link, Outside(lambda number: "carrier"), lambda: NOW)
    yield copy
    await copy.stop(0.1)


def session(number: int = 0, **changes: object) -> Session:
    a, b = E164(f"+1415555{number:04d}"), E164(f"+1416555{number:04d}")
    one = Session(
        SessionId(f"ses_{number}"),
        TenantId("tnt_1"),
        Model.PAIR,
        Terms(expires_at=NOW + 600),
        (Participant(0, a, E164(f"+{X}")), Participant(1, b, E164(f"+{Y}"))),
        NOW,
        NOW + 600,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def doors(*numbers: int) -> set[str]:
    return {f"{p}/{area}555{n:04d}" for n in numbers for p, area in ((X, "1415"), (Y, "1416"))}


async def settled(copy: SwitchCopyWriter) -> None:
    await asyncio.wait_for(copy.settled(), 30)


async def listed(*sessions: Session) -> AsyncIterator[Session]:
    for one in sessions:
        yield one


async def test_what_is_kept_is_there_and_what_is_forgotten_is_not(ami: Astdb, copy: SwitchCopyWriter) -> None:
    copy.start()
    copy.keep(session(1))
    copy.keep(session(2))
    await settled(copy)
    assert set(ami.kept) == doors(1, 2)
    copy.forget(session(1))
    copy.keep(session(2, status=Status.CLOSED))
    await settled(copy)
    assert ami.kept == {}


async def test_a_door_that_is_not_there_is_not_removed(ami: Astdb, copy: SwitchCopyWriter) -> None:
    """The switch would tell of it in its log, with the number that is in the door's name."""
    copy.start()
    copy.forget(session(1))
    copy.keep(session(2, status=Status.CLOSED))
    await settled(copy)
    assert ami.log == []


async def test_only_the_latest_state_of_a_door_is_written(ami: Astdb, copy: SwitchCopyWriter) -> None:
    for end in range(100):
        copy.keep(session(1, ends_at=NOW + 1 + end))
    copy.start()
    await settled(copy)
    assert len(ami.log) == 2
    assert {value.split(",")[0] for value in ami.kept.values()} == {str(int(NOW) + 100)}


async def test_a_door_that_changes_while_it_is_written_is_written_again(
    ami: Astdb, copy: SwitchCopyWriter
) -> None:
    async def change(by: FakeSession, asked: Asked) -> None:
        ami.script["DBPut"] = ami.keep
        copy.forget(session(1))
        await ami.keep(by, asked)

    ami.script["DBPut"] = change
    copy.keep(session(1))
    copy.start()
    await settled(copy)
    assert ami.kept == {}


async def test_what_was_noted_while_the_link_was_away_is_written_when_it_is_back(
    ami: Astdb, copy: SwitchCopyWriter
) -> None:
    copy.start()
    copy.keep(session(1))
    await settled(copy)
    await ami.close()
    copy.forget(session(1))
    copy.keep(session(2))
    assert copy.metrics().waiting == 4
    await ami.listen()
    await settled(copy)
    assert set(ami.kept) == doors(2)


async def test_a_resync_leaves_nothing_of_before_and_all_that_is_live(
    ami: Astdb, copy: SwitchCopyWriter
) -> None:
    ami.kept = {f"{X}/14155559999": "stale"}
    copy.start()
    assert await copy.resync(listed(session(1), session(2, status=Status.CLOSED), session(3))) == 4
    await settled(copy)
    assert set(ami.kept) == doors(1, 3)
    assert ami.log[0] == "DBDelTree"


async def test_what_is_said_during_a_resync_is_newer_than_what_it_reads(
    ami: Astdb, copy: SwitchCopyWriter
) -> None:
    """A session that is closed while the old list is still being read must not come back."""

    async def reading() -> AsyncIterator[Session]:
        copy.forget(session(1))
        copy.keep(session(4))
        await settled(copy)
        for number in (1, 2):
            yield session(number)

    copy.keep(session(1))
    copy.start()
    await copy.resync(reading())
    await settled(copy)
    assert set(ami.kept) == doors(2, 4)


async def test_a_door_in_flight_when_all_is_cleared_is_not_lost(ami: Astdb, copy: SwitchCopyWriter) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def during(by: FakeSession, asked: Asked) -> None:
        ami.script["DBPut"] = ami.keep
        begun.set()
        await go_on.wait()
        await ami.keep(by, asked)

    ami.script["DBPut"] = during
    copy.keep(session(1))
    copy.start()
    await asyncio.wait_for(begun.wait(), 30)
    await copy.resync(listed())
    go_on.set()
    await settled(copy)
    assert set(ami.kept) == doors(1)


async def test_switched_off_it_writes_nothing_and_takes_away_what_was_there(
    ami: Astdb, link: AmiLink
) -> None:
    ami.kept = {f"{X}/14155550001": "of an earlier run"}
    copy = SwitchCopyWriter(link, Outside(lambda number: "carrier"), lambda: NOW, on=False)
    copy.start()
    copy.keep(session(1))
    assert await copy.resync(listed(session(2))) == 0
    await settled(copy)
    await copy.stop()
    assert (ami.kept, ami.log) == ({}, ["DBDelTree"])


async def test_metrics_tell_how_far_the_copy_is_behind(link: AmiLink) -> None:
    clock = [NOW]
    copy = SwitchCopyWriter(link, Outside(lambda number: "carrier"), lambda: clock[0])
    copy.keep(session(1))
    clock[0] += 7
    copy.keep(session(1))
    assert (copy.metrics().waiting, copy.metrics().lag_s) == (2, 7.0)
    copy.start()
    await settled(copy)
    assert (copy.metrics().waiting, copy.metrics().lag_s, copy.metrics().written) == (0, 0.0, 2)
    await copy.stop()
