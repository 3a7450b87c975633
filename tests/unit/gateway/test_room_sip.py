"""What a LiveKit server is told by these settings, and who carries whom."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clocks import SystemClock
from gateway.config import Settings
from gateway.config_room_sip import installation_mark, room_sip_end
from gateway.room_sip import (
    PHONE,
    RoomsBySip,
    RoomSipPlan,
    SipSurroundings,
    trunk_plan,
    with_sip,
)
from gateway.room_workers import RoomsHere, RoomWorkersPlan
from gateway.secret import Secret
from video_rooms.core.leg import Join
from video_rooms.core.live import Grant
from video_rooms.core.room import Role
from video_rooms.core.trunks import CallOut
from video_rooms.fakes import FakeRoomServer
from video_rooms.fakes_around import CountedChances
from video_rooms.fakes_trunk import FakeTrunkDesk
from video_rooms.livekit.tokens import press
from video_rooms.ports_media import NotAdmitted

pytestmark = pytest.mark.unit

SECRET = b"installation"


def settings(**given: str) -> Settings:
    return Settings.from_env(
        {"HOME": "/home/nobody"} | {f"PATCHBAY_{name}": value for name, value in given.items()}
    )


def made(path: Path) -> Secret:
    return Secret(path.name * 3)


def carrier(*, alone: bool = False, called: bool = False) -> RoomsBySip:
    by = {"ROOM_SIP_WAY": "out", "ROOM_SIP_SWITCH": "127.0.0.1:5060"} if called else {}
    known = settings(ROOM_SIP_HOST="127.0.0.1", **by)
    end = room_sip_end(known, made, Path("/var"))
    assert end is not None
    server = FakeRoomServer(SystemClock())
    plan = RoomSipPlan(trunk_plan(known, end, SECRET), "room1", "127.0.0.1", 0, alone=alone, called=called)
    other = RoomsHere(RoomWorkersPlan(0, "127.0.0.1", 0))
    return RoomsBySip(plan, other, server, FakeTrunkDesk(server), CountedChances(), SystemClock())


def test_the_trunks_are_as_the_settings_say() -> None:
    known = settings(
        ROOM_SIP_HOST="192.0.2.7", ROOM_SIP_ALLOWED="192.0.2.0/24", ROOM_SIP_SWITCH="192.0.2.1:5060"
    )
    end = room_sip_end(known, made, Path("/var"))
    assert end is not None
    plan = trunk_plan(known, end, SECRET)
    assert plan.mark == installation_mark(SECRET)
    assert plan.inbound is not None
    assert plan.inbound.number == f"rooms-{plan.mark}"
    assert (plan.inbound.user, plan.inbound.password) == ("patchbay", "room-sip" * 3)
    assert plan.inbound.allowed == ("192.0.2.0/24",)
    assert plan.outbound is not None
    assert (plan.outbound.address, plan.outbound.user) == ("192.0.2.1:5060", "room_sip")
    assert plan.outbound.password == "room-sip-back" * 3


def test_without_a_way_back_there_is_no_trunk_for_it() -> None:
    known = settings(ROOM_SIP_HOST="127.0.0.1")
    end = room_sip_end(known, made, Path("/var"))
    assert end is not None
    assert trunk_plan(known, end, SECRET).outbound is None


def test_where_livekit_calls_the_switch_nobody_is_let_in_there_by_calling() -> None:
    known = settings(ROOM_SIP_WAY="out", ROOM_SIP_HOST="192.0.2.7", ROOM_SIP_SWITCH="192.0.2.1:5060")
    end = room_sip_end(known, made, Path("/var"))
    assert end is not None
    plan = trunk_plan(known, end, SECRET)
    assert plan.inbound is None
    assert plan.outbound is not None
    assert plan.outbound.address == "192.0.2.1:5060"


def test_telephones_that_are_called_in_have_identities_of_our_own() -> None:
    phone = carrier(called=True).identity(PHONE)
    assert phone.startswith("phone_")
    assert len(phone) == len("phone_") + 8


async def test_what_is_called_is_the_socket_of_this_connection() -> None:
    by_sip = carrier(called=True)
    await by_sip.start()
    try:
        desk = by_sip.keeper.desk
        assert isinstance(desk, FakeTrunkDesk)
        await by_sip.keeper.look()
        called: list[CallOut] = []

        async def busy(call: CallOut) -> int | None:
            called.append(call)
            return 486

        desk.service = busy
        assert by_sip._ladder is not None
        now, identity = datetime.now(UTC), by_sip.identity(PHONE)
        grant = Grant(
            room="live", identity=identity, name="Ann", role=Role.PHONE, pass_id="p", expires_at=now
        )
        join = Join("ws://rooms.invalid", press(grant, "key", "s" * 40, now, host_is_admin=False), identity)
        with pytest.raises(NotAdmitted):
            await by_sip._ladder.enter(join, Deaf(), muted=False)
        assert re.fullmatch("1[0-9a-f]{32}", called[0].number)
        assert called[0].identity == identity
    finally:
        await by_sip.stop()


class Deaf:
    """Fits ``StayEar``."""

    def put_out(self, why: str) -> None: ...

    def track_muted(self, on: bool) -> None: ...

    def crowd(self) -> None: ...

    def voices(self) -> None: ...


def test_an_installation_is_known_by_a_mark_that_tells_nothing() -> None:
    assert installation_mark(SECRET) == installation_mark(SECRET)
    assert installation_mark(SECRET) != installation_mark(b"another")
    assert len(installation_mark(SECRET)) == 8


def test_telephones_have_identities_that_livekit_makes_and_others_their_own() -> None:
    by_sip = carrier()
    phone = by_sip.identity(PHONE)
    assert phone.startswith("sip_")
    assert by_sip.names.caller_of(phone) is not None
    assert by_sip.identity("agent_").startswith("agent_")


@pytest.mark.parametrize("alone", [False, True])
async def test_who_carries_a_telephone(alone: bool) -> None:
    by_sip = carrier(alone=alone)
    await by_sip.start()
    try:
        await by_sip.keeper.look()
        assert "/room1/" in await by_sip.expect("call_1", Nobody(), 1.0)
        desk = by_sip.keeper.desk
        assert isinstance(desk, FakeTrunkDesk)
        desk.away = True
        await by_sip.keeper.look()
        connection = "/room1/" if alone else "/room0/"
        assert connection in await by_sip.expect("call_2", Nobody(), 1.0)
        assert sum(state.legs for state in by_sip.states) == 2
    finally:
        await by_sip.stop()


class Nobody:
    """Fits ``LegEar``."""

    def heard(self, leg_id: str, fact: object) -> None: ...


async def test_what_the_switch_can_is_told_to_both() -> None:
    by_sip = carrier()
    by_sip.unbuffered = True
    assert by_sip.unbuffered
    assert by_sip._other.unbuffered


def test_without_a_service_everything_is_as_it_was(tmp_path: Path) -> None:
    server = FakeRoomServer(SystemClock())
    around = SipSurroundings(server, FakeTrunkDesk(server), CountedChances(), SystemClock())
    other = RoomsHere(RoomWorkersPlan(0, "127.0.0.1", 0))
    home = {"VAR_DIR": str(tmp_path)}
    assert with_sip(settings(**home), SECRET, other, around) is other
    by_sip = with_sip(settings(ROOM_SIP_HOST="127.0.0.1", ROOM_WORKERS="3", **home), SECRET, other, around)
    assert isinstance(by_sip, RoomsBySip)
    assert [state.number for state in by_sip.states] == [0, 3]
