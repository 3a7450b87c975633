"""A real Asterisk comes up from our templates: clean, complete, supervised, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Secret
from gateway.runtime.ami_probe import ami_probe
from gateway.runtime.errors import ChildFailed
from gateway.runtime.pidfile import identify
from gateway.runtime.plan import Credentials, RtpPlan, SipPlan, SwitchPlan, Trunk, demo_plan
from gateway.runtime.switch import EmbeddedSwitch
from tests.rig.switch import PHONE_PASSWORDS, running_switch, switch_spec
from tests.rig.world import tools

pytestmark = pytest.mark.contract

EXPECTED_TROUBLE = {
    r"ccss declined to load": "ccss.conf switches call completion off; Asterisk calls that an error",
    r"Some non-required modules failed to load": "that is ccss, too",
}
"""Lines above NOTICE at start that are no trouble, each with its reason."""


def troubles(log: str) -> list[str]:
    """WARNING and ERROR lines that nobody has explained."""
    found = [line for line in log.splitlines() if re.search(r"\] (WARNING|ERROR)\[", line)]
    return [line for line in found if not any(re.search(known, line) for known in EXPECTED_TROUBLE)]


def full_plan(folder: Path) -> SwitchPlan:
    """Every kind of trunk and phone the plan knows, but TLS."""
    login = Credentials("house", Secret("house-password"))
    return SwitchPlan(
        trunks=(
            Trunk("carrier", "127.0.0.2", identify=("127.0.0.2",)),
            Trunk("streams", "127.0.0.3", 5070, "tcp", ("127.0.0.3",), auth=login, srtp="required"),
            Trunk("registers", "127.0.0.4", 5071, register=login, srtp="preferred"),
        ),
        phones=demo_plan(PHONE_PASSWORDS).phones,
        rtp=RtpPlan(timeout_s=30),
        sip=SipPlan(external_address="192.0.2.1", local_nets=("127.0.0.0/8",)),
    )


async def test_starts_in_time_without_a_complaint(tmp_path: Path) -> None:
    """Start raises where the switch has not booted within its own deadline."""
    async with running_switch(tmp_path) as switch:
        assert switch.state.phase == "running"
        assert troubles(switch.messages_log.read_text()) == []


async def test_every_kind_of_trunk_and_phone_is_understood(tmp_path: Path) -> None:
    async with running_switch(tmp_path, full_plan(tmp_path)) as switch:
        assert troubles(switch.messages_log.read_text()) == []
        address = switch.address
        async with ami_probe(address.ami_host, address.ami_port) as probe:
            await probe.login(address.logins.recording)
            for name in ("carrier", "streams", "registers", "alice", "bob"):
                reply = await probe.ask("PJSIPShowEndpoint", {"Endpoint": name})
                assert reply["Response"] == "Success", reply


async def test_every_module_we_ask_for_runs(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        listed = (switch.spec.base / "etc/modules.conf").read_text()
        modules = re.findall(r"^(?:require|load) = (\S+)$", listed, re.MULTILINE)
        assert len(modules) > 60
        address = switch.address
        async with ami_probe(address.ami_host, address.ami_port) as probe:
            await probe.login(address.logins.recording)
            absent = [
                m for m in modules if (await probe.ask("ModuleCheck", {"Module": m}))["Response"] != "Success"
            ]
        assert absent == []


async def test_files_with_secrets_are_private(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        for folder in ("etc", "secrets"):
            for file in (switch.spec.base / folder).iterdir():
                assert file.stat().st_mode & 0o077 == 0, file


async def test_a_killed_switch_comes_back_and_says_so(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        before = switch.state.pid
        switch.kill()
        state = await switch.child.until(lambda s: s.restarts == 1 and s.phase == "running", 90)
        assert state.pid != before
        assert state.last_exit == -9
        address = switch.address
        async with ami_probe(address.ami_host, address.ami_port) as probe:
            await probe.login(address.logins.events)


async def test_a_switch_that_shall_stay_dead_does(tmp_path: Path) -> None:
    async with running_switch(tmp_path, restart=False) as switch:
        switch.kill()
        state = await switch.child.until(lambda s: s.phase == "stopped", 60)
        assert (state.last_exit, state.pid, state.restarts) == (-9, None, 0)


async def test_stop_leaves_no_process_and_no_listener(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch:
        pid = switch.state.pid
        assert pid is not None
        assert identify(pid) is not None
    assert identify(pid) is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", switch.spec.ports.ami))
    assert not switch.child.spec.log.with_suffix(".pid").exists()


async def test_a_port_in_use_is_an_error_with_the_log(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as first:
        spec = switch_spec(tmp_path / "second")
        second = EmbeddedSwitch(tools(), replace(spec, ports=replace(spec.ports, ami=first.spec.ports.ami)))
        with pytest.raises(ChildFailed, match="refuses user"):
            await second.start()
        assert second.state.phase == "stopped"
        assert second.state.pid is None


async def test_two_switches_in_one_folder_are_refused(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as first:
        twin = EmbeddedSwitch(tools(), first.spec)
        with pytest.raises(
            ChildFailed, match=f"runs already as process {first.state.pid} of process {os.getpid()}"
        ):
            await twin.start()
        assert first.state.phase == "running"


async def test_a_deep_folder_does_not_break_the_control_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    async with running_switch(deep) as switch:
        assert switch.state.phase == "running"


async def test_a_stranded_child_is_ended_before_a_new_one_starts(tmp_path: Path) -> None:
    """The process in the pid file lives, but its parent is not the one noted there: nobody minds it."""
    stray = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    found = identify(stray.pid)
    assert found is not None
    spec = switch_spec(tmp_path)
    switch = EmbeddedSwitch(tools(), spec)
    note = switch.child.spec.log.with_suffix(".pid")
    note.parent.mkdir(parents=True)
    note.write_text(f"{found.pid} {found.started} 999999999\n")
    try:
        await switch.start()
        assert await asyncio.wait_for(stray.wait(), 30) == -15
    finally:
        await switch.stop()
