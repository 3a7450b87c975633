"""What the doctor says of real LiveKit servers' SIP interfaces: none without Redis, trunks missing, there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.clocks import SystemClock
from gateway.config import Secret, Settings, stored_secret
from gateway.config_room_sip import room_sip_end
from gateway.room_sip import trunk_plan
from gateway.runtime import checks_room_sip
from gateway.runtime.checks_room_sip import check_room_sip, check_trunks
from gateway.runtime.findings import Finding, ok
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.product import free_settings
from tests.rig.redis_port import redis_on_a_port
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.livekit.trunks import LiveKitTrunks
from video_rooms.siptrunk.keeper import TrunkKeeper

pytestmark = pytest.mark.contract

SIP = {"PATCHBAY_ROOM_SIP_HOST": "127.0.0.1", "PATCHBAY_ROOM_SIP_SWITCH": "127.0.0.1:5060"}


async def make_trunks(rig: LiveKitRig, settings: Settings) -> None:
    """As the gateway of this installation does."""
    end = room_sip_end(settings, stored_secret, settings.var_dir)
    assert end is not None
    secret = stored_secret(settings.var_dir / "signing.secret").reveal().encode()
    at = LiveKitAddress(rig.address.url, rig.address.key, rig.address.secret.reveal())
    rooms = LiveKitRooms(at, SystemClock())
    try:
        keeper = TrunkKeeper(LiveKitTrunks(rooms), trunk_plan(settings, end, secret), SystemClock().epoch)
        assert await keeper.look()
    finally:
        await rooms.close()


async def test_a_livekit_without_redis_has_no_sip(livekit: LiveKitRig, tmp_path: Path) -> None:
    settings = free_settings(tmp_path, SIP)
    found = await check_trunks(settings, livekit.address, "0a1b2c3d", running=True)
    assert (found.verdict, "refuses what has to do with SIP" in found.detail) == ("warn", True)
    assert "Redis" in found.mend
    alone = await check_trunks(replace(settings, room_carrier="sip"), livekit.address, None, running=True)
    assert alone.verdict == "fail"


async def test_trunks_that_are_missing_and_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers(settings: Settings) -> Finding:
        return ok("service", "answers")

    monkeypatch.setattr(checks_room_sip, "check_service", answers)
    settings = free_settings(tmp_path / "var", SIP)
    async with (
        redis_on_a_port(tmp_path / "redis") as redis,
        running_livekit(tmp_path / "server", redis=redis) as rig,
    ):

        async def last(*, running: bool) -> tuple[str, str]:
            found = await check_room_sip(settings, None, rig.address, running)
            return found[-1].verdict, found[-1].detail

        before = await last(running=False)
        assert before == (
            "ok",
            "LiveKit has a SIP interface; the gateway makes its trunks there when it starts",
        )
        assert not (settings.var_dir / "signing.secret").exists(), "the doctor makes nothing"
        missing = await last(running=True)
        assert missing == ("warn", "LiveKit has not our trunks (inbound, outbound)")
        await make_trunks(rig, settings)
        assert await last(running=True) == ("ok", "LiveKit has our trunks (inbound, outbound)")
        other = replace(settings, signing_secret=Secret("another installation's, of 32 or more"))
        there = await check_room_sip(other, None, rig.address, True)
        assert there[-1].verdict == "warn", "another installation's trunks are not ours"
