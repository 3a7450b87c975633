"""A real LiveKit server as our child: private, on loopback alone, back after a crash, gone when told."""

from __future__ import annotations

import json
import re
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from livekit import api

from gateway.runtime.errors import ChildFailed
from gateway.runtime.livekit import EmbeddedLiveKit, LiveKitPlan, installation_secret
from gateway.runtime.pidfile import identify
from gateway.runtime.ports import free_port
from gateway.runtime.redis import EmbeddedRedis
from tests.rig.livekit import livekit_program, running_livekit
from tests.rig.visitors import visitor
from tests.rig.world import tools

pytestmark = pytest.mark.contract


def listeners(pid: int) -> set[str]:
    """Addresses of every socket of this process that waits for others (proc(5))."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                inodes.add(found[1])
    addresses = set()
    for table, waiting in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[9] in inodes and columns[3] == waiting:
                addresses.add(columns[1].partition(":")[0])
    return addresses


async def test_starts_private_and_on_loopback_alone(tmp_path: Path) -> None:
    async with running_livekit(tmp_path) as rig:
        config = tmp_path / "livekit/livekit.yaml"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "secrets/livekit").stat().st_mode) == 0o600
        assert json.loads(config.read_text())["room"]["auto_create"] is False
        pid = rig.server.state.pid
        assert pid is not None
        assert listeners(pid) == {"0100007F"}, "127.0.0.1 and nothing else"
        assert rig.address.secret == installation_secret(tmp_path), "made once"


async def test_stops_at_once_with_people_in_it(tmp_path: Path) -> None:
    async with running_livekit(tmp_path) as rig:
        room = await rig.create()
        async with visitor(rig.url, rig.token(room, "ada")):
            await rig.until_people(room, lambda people: len(people) == 1)
            pid = rig.server.state.pid
            await rig.server.stop()
            assert rig.server.state.last_exit == 0, "by itself: past the deadline it would have been killed"
            assert pid is not None
            assert identify(pid) is None


async def test_stops_at_once_right_after_its_start(tmp_path: Path) -> None:
    """Told to stop in the first tenth of a second it would go on for ever: ready means past that."""
    async with running_livekit(tmp_path) as rig:
        await rig.create()
        await rig.server.stop()
        assert rig.server.state.last_exit == 0


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        plan = LiveKitPlan(taken.getsockname()[1], free_port(kind=socket.SOCK_DGRAM), ())
        secret = installation_secret(tmp_path)
        server = EmbeddedLiveKit(livekit_program(), tmp_path / "livekit", plan, secret)
        with pytest.raises(ChildFailed, match="address already in use"):
            await server.start()


async def test_trunks_and_rules_for_telephones_are_kept_where_there_is_a_redis(tmp_path: Path) -> None:
    redis = EmbeddedRedis(tools(), tmp_path / "redis")
    await redis.start()
    try:
        async with running_livekit(tmp_path, redis=str(redis.socket)) as rig:
            trunk = api.SIPInboundTrunkInfo(
                name="in", numbers=["+12025550100"], auth_username="u", auth_password="p"
            )
            made = await rig.control.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=trunk))
            listed = await rig.control.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            assert [found.sip_trunk_id for found in listed.items] == [made.sip_trunk_id]
    finally:
        await redis.stop()
