"""``patchbay doctor``: look at everything this product stands on, and say how to mend what is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.api import connect
from gateway.config import Settings, current_settings
from gateway.config_speech import OPERATORS
from gateway.runtime.checks_machine import (
    check_folders,
    check_ports,
    check_programs,
    check_settings,
    check_speech,
    read_plan,
)
from gateway.runtime.checks_masking import check_carriers, judge_pool
from gateway.runtime.checks_room_sip import check_room_sip
from gateway.runtime.checks_rooms import check_rooms, room_address
from gateway.runtime.checks_servers import check_database, check_redis, check_switch
from gateway.runtime.checks_speech import check_ears, check_voice
from gateway.runtime.findings import Finding, exit_code, fail, ok
from gateway.runtime.pidfile import PidFile, identify
from gateway.runtime.switch import make_logins
from telephony.errors import InvalidInput, PatchbayError

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Check programs, folders, disk, ports, switch, Redis, database, speech, carriers, rooms and the pool.

    Works on a stack that runs, on one that does not, and on external servers. Exit code 1 if anything fails.
    """
    try:
        findings = asyncio.run(examine(current_settings()))
    except InvalidInput as failure:
        findings = [fail("settings", failure.message, f"mend {failure.field}")]
    print(as_document(findings) if as_json else as_lines(findings))
    sys.exit(exit_code(findings))


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, the machine first. Changes nothing."""
    plan, plan_finding = read_plan(settings)
    programs, program_findings = await asyncio.to_thread(check_programs, settings)
    findings = [*check_settings(settings), plan_finding, *program_findings]
    findings += [*check_folders(settings), await asyncio.to_thread(check_speech, programs.get("espeak-ng"))]
    findings += await examine_speech(settings)
    running = is_running(settings)
    if not running:
        findings += check_ports(settings, plan)
    findings += await _examine_switch(settings, running)
    findings += await _examine_redis(settings, running)
    findings += await check_database(settings.database_url, time.time)
    findings += await asyncio.to_thread(lambda: list(check_carriers(settings)))
    rooms = await check_rooms(settings, running)
    answers = rooms[0].verdict == "ok"
    livekit = room_address(settings, running) if answers else None
    findings += [*rooms, *await check_room_sip(settings, plan, livekit, running)]
    return findings + await _examine_pool(settings)


def is_running(settings: Settings) -> bool:
    """Whether the stack of this ``var_dir`` is up: one of its children lives."""
    notes = ("switch/log/asterisk.pid", "redis/redis.pid", "log/gateway.pid")
    for note in notes:
        known = PidFile(settings.var_dir / note).read()
        now = None if known is None else identify(known.pid)
        if known is not None and now is not None and now.started == known.started:
            return True
    return False


async def examine_speech(settings: Settings) -> list[Finding]:
    """The services that speak and listen for agents, where any are chosen."""
    from gateway.speech_reach import GuardedSpeech  # why: what follows takes a second to import
    from gateway.wiring_speech import listening_service, speaking_service

    reach = GuardedSpeech(OPERATORS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            speaks = speaking_service(settings, reach, time.time, Path(folder))
            voice = await check_voice(settings, speaks, time.monotonic)
        return [voice, await check_ears(settings, listening_service(settings, reach), time.monotonic)]
    finally:
        await reach.close()


async def _examine_switch(settings: Settings, running: bool) -> list[Finding]:
    if settings.ami_logins is not None:
        return await check_switch(settings.ami_host, settings.ami_port, settings.ami_logins, time.time)
    if not running:
        return [ok("switch", "embedded, not running now")]
    logins = make_logins(settings.var_dir / "switch" / "secrets")
    return await check_switch("127.0.0.1", settings.ami_port, logins, time.time)


async def _examine_redis(settings: Settings, running: bool) -> list[Finding]:
    if settings.redis_url:
        return await check_redis(settings.redis_url, time.time)
    socket = settings.var_dir / "redis" / "redis.sock"
    if not running or not socket.exists():
        return [ok("redis", "embedded, not running now")]
    return await check_redis(f"unix://{socket}", time.time)


async def _examine_pool(settings: Settings) -> list[Finding]:
    """The pool of the tenant whose key is kept here, as the running gateway tells of it."""
    try:
        async with connect(settings, None) as api:
            pool = await api.ask("GET", "/v1/proxy/pool")
            forecast = await api.ask("GET", "/v1/proxy/pool/forecast")
    except PatchbayError:
        return [ok("number pool", "not looked at: no gateway answers, or none of its keys is kept here")]
    return list(judge_pool(pool["data"], forecast["data"]))


def as_lines(findings: Iterable[Finding]) -> str:
    """For a person: a mark, a name, what was found, and below it how to mend it."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.verdict]}  {finding.name}: {finding.detail}")
        if finding.mend:
            lines.append(f"      → {finding.mend}")
    return "\n".join(lines)


def as_document(findings: Iterable[Finding]) -> str:
    """For a program: ``{healthy, findings: [{name, verdict, detail, mend}]}``."""
    listed = list(findings)
    return json.dumps(
        {"healthy": exit_code(listed) == 0, "findings": [asdict(finding) for finding in listed]},
        indent=1,
        ensure_ascii=False,
    )
