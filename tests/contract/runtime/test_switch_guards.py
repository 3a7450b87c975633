"""What the switch lets each AMI user and each stranger do."""

from __future__ import annotations

import asyncio
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import AmiLogin, Secret
from gateway.runtime.ami_probe import AmiProbe, ami_probe
from gateway.runtime.plan import SipPlan, demo_plan
from gateway.runtime.switch import EmbeddedSwitch
from gateway.runtime.switch_config import TEMPLATES
from telephony.errors import SwitchUnavailable
from tests.rig.switch import PHONE_PASSWORDS, running_switch

pytestmark = pytest.mark.contract

STORY = """\
[from-trunk]
exten => story,1,Answer()
 same => n,UserEvent(Milestone,Step: one)
 same => n,MixMonitor({{ recordings_dir }}/story.wav)
 same => n,StopMixMonitor()
 same => n,Hangup()
exten => wait,1,Answer()
 same => n,Wait(1)
"""
STORY_CALL = {
    "Channel": "Local/story@from-trunk",
    "Context": "from-trunk",
    "Exten": "wait",
    "Priority": "1",
    "Async": "true",
}
DENIED = "Permission denied"
PASSED = {
    "FullyBooted", "Shutdown", "DialBegin", "DialState", "Newstate", "HangupRequest", "Hangup",
    "OriginateResponse", "MixMonitorStart", "MixMonitorStop", "MixMonitorMute", "UserEvent", "DTMFEnd",
}  # fmt: skip
RISKY: dict[str, dict[str, str]] = {
    "Command": {"Command": "core show version"},
    "MixMonitor": {"Channel": "PJSIP/none", "File": "x.wav"},
    "StopMixMonitor": {"Channel": "PJSIP/none"},
    "Originate": {"Channel": "Local/1@nowhere", "Context": "nowhere", "Exten": "1", "Priority": "1"},
    "Hangup": {"Channel": "PJSIP/none"},
    "Setvar": {"Variable": "A", "Value": "b"},
    "Redirect": {"Channel": "PJSIP/none", "Exten": "1", "Context": "x", "Priority": "1"},
    "Getvar": {"Variable": "A"},
    "CoreShowChannels": {},
    "CoreStatus": {},
    "Status": {},
    "UserEvent": {"UserEvent": "Forged"},
    "Reload": {},
    "ModuleLoad": {"LoadType": "load", "Module": "app_system.so"},
    "GetConfig": {"Filename": "manager.conf"},
    "UpdateConfig": {"SrcFilename": "manager.conf", "DstFilename": "manager.conf"},
    "Filter": {"Operation": "Add", "Filter": "Event: Hangup"},
    "DBPut": {"Family": "f", "Key": "k", "Val": "v"},
    "MessageSend": {"To": "pjsip:alice", "From": "x", "Body": "b"},
}
LOOK = {"CoreShowChannels", "CoreStatus", "Status", "Getvar"}
CALLS = LOOK | {"StopMixMonitor", "Hangup", "Setvar", "Redirect"}
# MixMonitor needs the class `system`, and with it come configuration, modules and the database: the
# recording user's secret is worth as much as the switch itself (asterisk-config/README.md).
ALLOWED: dict[str, set[str]] = {
    "control": CALLS | {"Originate", "MessageSend"},
    "recording": CALLS | {"MixMonitor", "Reload", "ModuleLoad", "Filter", "DBPut", "GetConfig"},
    "events": set(),
}


async def logged_in(switch: EmbeddedSwitch, probe: AmiProbe, role: str) -> None:
    name, secret = switch.address.users[role]
    await probe.login(AmiLogin(name, Secret(secret)))


@pytest.mark.parametrize("role", ["control", "recording", "events"])
async def test_each_user_may_do_its_work_and_no_more(tmp_path: Path, role: str) -> None:
    async with running_switch(tmp_path) as switch, ami_probe("127.0.0.1", switch.address.ami_port) as probe:
        await logged_in(switch, probe, role)
        assert (await probe.ask("Ping"))["Response"] == "Success"
        replies = {
            action: await probe.ask(action, headers, deadline_s=30) for action, headers in RISKY.items()
        }
    permitted = {action for action, reply in replies.items() if reply.get("Message") != DENIED}
    assert permitted == ALLOWED[role]


async def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    async with running_switch(tmp_path) as switch, ami_probe("127.0.0.1", switch.address.ami_port) as probe:
        with pytest.raises(SwitchUnavailable, match="refuses user patchbay-control"):
            await probe.login(AmiLogin("patchbay-control", Secret("guess")))


async def heard_until_hangup(probe: AmiProbe) -> list[dict[str, str]]:
    """Everything the events user gets until both halves of a Local channel have ended."""
    heard: list[dict[str, str]] = []
    async with asyncio.timeout(60):
        while sum(message["Event"] == "Hangup" for message in heard) < 2:
            heard.append(dict(await probe.any_event()))
    return heard


async def test_the_events_user_hears_what_a_call_needs_and_nothing_else(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    (templates / "extensions.conf.j2").write_text(STORY)
    async with (
        running_switch(tmp_path, templates=templates) as switch,
        ami_probe("127.0.0.1", switch.address.ami_port) as events,
        ami_probe("127.0.0.1", switch.address.ami_port) as control,
    ):
        await logged_in(switch, events, "events")
        await logged_in(switch, control, "control")
        await control.ask("Originate", STORY_CALL)
        heard = await heard_until_hangup(events)
    names = {message["Event"] for message in heard}
    assert names <= PASSED
    assert names >= {"DialBegin", "Newstate", "UserEvent", "MixMonitorStart", "MixMonitorStop", "Hangup"}
    assert {m["ChannelState"] for m in heard if m["Event"] == "Newstate"} == {"6"}
    timed = [m for m in heard if m["Event"] != "FullyBooted"]  # sent at login, outside the stream of events
    assert all("." in m["Timestamp"] for m in timed)


async def recorded(switch: EmbeddedSwitch, channel: str) -> None:
    """Wait until the switch has written of this channel: it does so some time after it told of the end."""
    async with asyncio.timeout(60):
        # why polled: a file tells nobody
        while not (switch.cdr_file.exists() and channel in switch.cdr_file.read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_switchs_own_call_records_hold_no_number(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    (templates / "extensions.conf.j2").write_text(STORY)
    number = "14155552671"
    async with (
        running_switch(tmp_path, templates=templates) as switch,
        ami_probe("127.0.0.1", switch.address.ami_port) as events,
        ami_probe("127.0.0.1", switch.address.ami_port) as control,
    ):
        await logged_in(switch, events, "events")
        await logged_in(switch, control, "control")
        await control.ask("Originate", {**STORY_CALL, "ChannelId": "leg_1", "CallerID": f"<{number}>"})
        await heard_until_hangup(events)
        await recorded(switch, "leg_1")
    records = switch.cdr_file.read_text()
    assert "leg_1" in records
    assert "ANSWERED" in records
    assert number not in records
    assert number not in switch.messages_log.read_text()


def sip_request(method: str, sender: str, host: str, port: int) -> bytes:
    return (
        f"{method} sip:14155552671@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{method}-{sender}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{sender}@example.net>;tag=1\r\nTo: <sip:14155552671@127.0.0.1>\r\n"
        f"Call-ID: {method}-{sender}\r\nCSeq: 1 {method}\r\nContact: <sip:{sender}@{host}:{port}>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


async def answer_to(switch: EmbeddedSwitch, method: str, sender: str, host: str) -> str:
    """The first answer to one SIP request from an address nobody knows."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind((host, 0))
        request = sip_request(method, sender, host, stranger.getsockname()[1])
        stranger.sendto(request, ("127.0.0.1", switch.address.sip_port))
        return (await asyncio.wait_for(loop.sock_recv(stranger, 4096), 30)).decode()


def without_chance(answer: str) -> str:
    """An answer without the parts that are random or echo the request."""
    keep = ("SIP/2.0", "WWW-Authenticate", "Server", "Allow", "Contact", "Content-Length")
    lines = [line for line in answer.split("\r\n") if line.startswith(keep)]
    return "\n".join(line.split("nonce=")[0] for line in lines)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"])
async def test_a_stranger_learns_nothing(tmp_path: Path, method: str) -> None:
    """Known and unknown names get the same challenge: it does not tell which phones or trunks there are."""
    async with running_switch(tmp_path) as switch:
        answers = {
            without_chance(await answer_to(switch, method, sender, "127.0.0.9"))
            for sender in ("stranger", "alice", "carrier", "14155552671")
        }
    assert len(answers) == 1
    only = answers.pop()
    assert only.startswith("SIP/2.0 401")
    assert "Asterisk" not in only


async def test_with_a_list_of_sources_others_are_turned_away(tmp_path: Path) -> None:
    plan = replace(demo_plan(PHONE_PASSWORDS), sip=SipPlan(phones_from=("127.0.0.8",)))
    async with running_switch(tmp_path, plan) as switch:
        assert (await answer_to(switch, "INVITE", "alice", "127.0.0.9")).startswith("SIP/2.0 403")
        assert (await answer_to(switch, "REGISTER", "alice", "127.0.0.8")).startswith("SIP/2.0 401")
