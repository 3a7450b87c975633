"""What the doctor says of real LiveKit servers: well, with another key, too generous, away."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Secret, Settings
from gateway.runtime.checks_rooms import check_rooms
from gateway.runtime.findings import Finding
from gateway.runtime.ports import free_port
from gateway.stack import base_url
from tests.rig.livekit import LiveKitRig, livekit_program, running_livekit
from tests.rig.product import free_settings, running_product

pytestmark = pytest.mark.contract


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(found.verdict, found.detail) for found in findings]


async def test_one_that_is_well_and_one_that_refuses(livekit: LiveKitRig, tmp_path: Path) -> None:
    mine = replace(free_settings(tmp_path), room_server=livekit.address)
    (well,) = await check_rooms(mine, False)
    assert well.verdict == "ok"
    other = replace(livekit.address, secret=Secret("x" * 40))
    (refused,) = await check_rooms(replace(mine, room_server=other), False)
    assert (refused.verdict, "our key" in refused.detail) == ("fail", True)
    assert "DEVOTEL_ORBIT_MEDIA_URL" in refused.mend
    away = replace(livekit.address, url=f"ws://127.0.0.1:{free_port()}")
    (gone,) = await check_rooms(replace(mine, room_server=away), False)
    assert (gone.verdict, "away" in gone.detail) == ("fail", True)


async def test_one_that_makes_rooms_for_anybody_is_told(tmp_path: Path) -> None:
    async with running_livekit(tmp_path / "server") as rig:
        config = tmp_path / "server/livekit/livekit.yaml"
        await rig.server.child.stop()
        given = json.loads(config.read_text())
        given["room"]["auto_create"] = True
        config.write_text(json.dumps(given))
        await rig.server.child.start()
        found = await check_rooms(replace(free_settings(tmp_path), room_server=rig.address), False)
        assert [one.verdict for one in found] == ["ok", "warn"]
        assert "auto_create" in found[1].detail
        assert not await rig.people("any")


async def test_without_one_it_is_a_warning_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = free_settings(tmp_path, {"PATCHBAY_LIVEKIT": "auto"})
    (off,) = await check_rooms(replace(plain, livekit="off"), False)
    assert off.verdict == "ok"
    monkeypatch.setattr("gateway.runtime.checks_rooms.find_livekit", lambda settings, say: None)
    (missing,) = await check_rooms(plain, False)
    assert (missing.verdict, "no video rooms" in missing.detail) == ("warn", True)


async def test_the_products_own(tmp_path: Path) -> None:
    """The whole product: the gateway is told of its server, which the doctor finds well."""
    program = livekit_program()
    async with running_product(tmp_path, extra={"PATCHBAY_LIVEKIT": "auto"}) as product:
        assert product.stack.livekit is not None
        environment = product.stack.environment()
        assert environment["DEVOTEL_ORBIT_MEDIA_URL"] == product.stack.livekit.address.url
        again = Settings.from_env({"HOME": os.environ["HOME"], **environment})
        assert again.room_server == product.stack.livekit.address
        hooks = json.loads((tmp_path / "livekit/livekit.yaml").read_text())["webhook"]["urls"]
        assert hooks == [f"{base_url(product.stack.settings)}/api/v1/video/webhook"]
        (well,) = await check_rooms(
            replace(product.stack.settings, livekit_server_bin=Path(program.head[0])), True
        )
        assert well.verdict == "ok"
        await product.stack.livekit.stop()
        (away,) = await check_rooms(product.stack.settings, True)
        assert away.verdict == "warn"
