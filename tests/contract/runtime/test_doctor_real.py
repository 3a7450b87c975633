"""The doctor before real servers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from gateway.cli.doctor import examine
from gateway.config import AmiLogin, AmiLogins, Secret, Settings
from gateway.runtime.checks_servers import check_database, check_redis, check_switch
from gateway.runtime.findings import Finding
from gateway.runtime.ports import free_port
from gateway.runtime.redis import EmbeddedRedis
from gateway.runtime.switch_config import TEMPLATES
from tests.rig.switch import running_switch
from tests.rig.world import tools

pytestmark = pytest.mark.contract


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in findings}


async def test_our_own_switch_passes_every_check(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        address = switch.address
        found = await check_switch(address.ami_host, address.ami_port, address.logins, time.time)
    assert len(found) == 5
    assert {f.verdict for f in found} == {"ok"}, found


async def test_a_wrong_secret_names_the_variable(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        address = switch.address
        good = address.logins
        logins = AmiLogins(good.control, AmiLogin(good.recording.user, Secret("guess")), good.events)
        found = await check_switch(address.ami_host, address.ami_port, logins, time.time)
    failed = [f for f in found if f.verdict == "fail"]
    assert [f.name for f in failed] == ["switch as recording"]
    assert "PATCHBAY_AMI_RECORDING_USER" in failed[0].mend


async def test_a_user_with_wrong_rights_is_told(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    manager = templates / "manager.conf.j2"
    text = manager.read_text()
    assert "write = originate,call,message,reporting" in text
    manager.write_text(text.replace("write = originate,call,message,reporting", "write = call,command"))
    async with running_switch(tmp_path, templates=templates) as switch:
        address = switch.address
        found = await check_switch(address.ami_host, address.ami_port, address.logins, time.time)
    rights = next(f for f in found if f.name == "AMI rights of control")
    assert rights.verdict == "fail"
    assert "CoreShowChannels, CoreStatus, MessageSend, Originate" in rights.detail


async def test_servers_that_are_away_fail_with_a_mend(tmp_path: Path) -> None:
    nobody = AmiLogin("x", Secret("x"))
    logins = AmiLogins(nobody, nobody, nobody)
    port = free_port()
    for findings in (
        await check_switch("127.0.0.1", port, logins, time.time),
        await check_redis(f"redis://127.0.0.1:{port}", time.time),
        await check_database(f"postgresql+asyncpg://x:hidden@127.0.0.1:{port}/x", time.time),
    ):
        assert {f.verdict for f in findings} == {"fail"}
        assert all(f.mend and "hidden" not in f.detail for f in findings)


async def test_our_own_redis_passes(tmp_path: Path) -> None:
    server = EmbeddedRedis(tools(), tmp_path / "redis")
    url = await server.start()
    try:
        assert set(verdicts(await check_redis(url, time.time)).values()) == {"ok"}
    finally:
        await server.stop()


async def test_a_stack_that_is_not_running_is_examined_without_it(tmp_path: Path) -> None:
    variables = {
        "HOME": str(tmp_path),
        "PATCHBAY_VAR_DIR": str(tmp_path / "var"),
        "PATCHBAY_RUNTIME": str(Settings.from_env(os.environ).runtime_dir),
    }
    for name in ("API", "AGI", "AMI", "SIP"):
        variables[f"PATCHBAY_{name}_PORT"] = str(free_port())
    found = verdicts(await examine(Settings.from_env(variables)))
    assert found["switch"] == "ok"
    assert found["asterisk"] == "ok"
    assert found["speech"] == "ok"
    assert not (tmp_path / "var").exists()


async def test_the_command_says_it_in_json_and_in_its_exit_code(tmp_path: Path) -> None:
    environment = {
        "HOME": str(Path.home()),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PATCHBAY_VAR_DIR": str(tmp_path / "var"),
        "PATCHBAY_REDIS_URL": f"redis://127.0.0.1:{free_port()}",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "doctor", "--json",
        stdout=asyncio.subprocess.PIPE, env=environment, cwd=Path.cwd(),
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 110)
    document = json.loads(out)
    assert process.returncode == 1
    assert document["healthy"] is False
    assert "redis" in [f["name"] for f in document["findings"] if f["verdict"] == "fail"]
