"""Checks of servers: the switch over AMI, Redis, the database. They look and change nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.config import AmiLogin, AmiLogins
from gateway.runtime.ami_probe import AmiProbe, ami_probe
from gateway.runtime.checks_machine import nearest
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.findings import Finding, fail, ok, skew, warn
from gateway.runtime.versions import parse_version, require, show
from telephony.errors import SwitchUnavailable

NEEDED = {
    "control": frozenset(
        {"Originate", "Hangup", "Setvar", "Status", "CoreShowChannels", "CoreStatus", "MessageSend"}
    ),
    "recording": frozenset(
        {"MixMonitor", "StopMixMonitor", "MixMonitorMute", "DBPut", "DBDel", "DBDelTree", "DBGetTree"}
    ),
    "events": frozenset[str](),
}
"""Actions each AMI user needs (ListCommands shows exactly what a user may do)."""
TOO_MUCH = {
    "control": frozenset({"Command", "MixMonitor", "ModuleLoad", "Reload", "UpdateConfig", "GetConfig"}),
    "recording": frozenset({"Command", "Originate", "UpdateConfig"}),
    "events": frozenset({"Command", "Originate", "Hangup", "Setvar", "MixMonitor", "UserEvent", "Status"}),
}
"""Actions that a user should not be able to do, because it never does them."""
_CLASSES = {
    "control": "write = originate,call,message,reporting",
    "recording": "write = system,call",
    "events": "no write line, read = call,user,system,dtmf",
}
_DEADLINE_S = 5.0
_EXPIRES_FIELDS = (7, 4)
"""The first Redis with HEXPIRE, which the index of masking sessions uses where it is there."""


def judge_rights(role: str, allowed: frozenset[str]) -> Finding:
    """Whether an AMI user may do its work, and no more than that."""
    name = f"AMI rights of {role}"
    missing = NEEDED[role] - allowed
    if missing:
        mend = f"in manager.conf: {_CLASSES[role]} (see asterisk-config/manager.conf.j2)"
        return fail(name, f"may not {', '.join(sorted(missing))}", mend)
    spare = TOO_MUCH[role] & allowed
    if spare:
        return warn(name, f"may also {', '.join(sorted(spare))}", f"in manager.conf: {_CLASSES[role]}")
    return ok(name, "exactly what it needs")


async def check_switch(host: str, port: int, logins: AmiLogins, now: Callable[[], float]) -> list[Finding]:
    """Reach AMI as each user; version, rights, events, clock."""
    findings: list[Finding] = []
    roles = {"control": logins.control, "recording": logins.recording, "events": logins.events}
    for role, login in roles.items():
        try:
            async with ami_probe(host, port, _DEADLINE_S) as probe:
                findings += await _check_user(probe, role, login, now)
        except SwitchUnavailable as failure:
            mend = (
                f"check PATCHBAY_AMI_{role.upper()}_USER and …_SECRET, and the user's permit lines"
                if "refuses user" in failure.message
                else "check PATCHBAY_AMI_HOST and PATCHBAY_AMI_PORT, and that the switch runs"
            )
            findings.append(fail(f"switch as {role}", failure.message, mend))
    return findings


async def _check_user(probe: AmiProbe, role: str, login: AmiLogin, now: Callable[[], float]) -> list[Finding]:
    await probe.login(login, _DEADLINE_S)
    commands = await probe.ask("ListCommands")
    findings = [judge_rights(role, frozenset(commands))]
    try:
        await probe.event("FullyBooted", 2.0)
    except SwitchUnavailable:
        mend = f"give {login.user} read = system, and a filter that lets FullyBooted pass"
        findings.append(fail(f"AMI events of {role}", "FullyBooted does not come", mend))
    if role == "control":
        settings = await probe.ask("CoreSettings")
        findings.append(judge_version(settings.get("AsteriskVersion", "")))
        asked = now()
        pong = await probe.ask("Ping")
        findings.append(skew("switch clock", float(pong.get("Timestamp", "0")), asked, now()))
    return findings


def judge_version(text: str) -> Finding:
    """Whether the running switch is new enough."""
    try:
        version = parse_version("asterisk", f"Asterisk {text}")
        require("asterisk", version, "the running switch")
    except ProvisionFailed as failure:
        return fail("switch version", failure.message, "upgrade Asterisk")
    return ok("switch version", show(version))


async def check_redis(url: str, now: Callable[[], float]) -> list[Finding]:
    """PING, version, persistence, memory policy, clock."""
    mend = "check PATCHBAY_REDIS_URL, and that Redis runs"
    try:
        async with Redis.from_url(
            url, socket_timeout=_DEADLINE_S, socket_connect_timeout=_DEADLINE_S, decode_responses=True
        ) as redis:
            server = await redis.info("server")
            persistence = await redis.info("persistence")
            memory = await redis.info("memory")
            asked = now()
            seconds, micros = await redis.time()
            answered = now()
    except (RedisError, OSError) as failure:
        return [fail("redis", f"does not answer: {type(failure).__name__}", mend)]
    return [
        *judge_redis(
            str(server["redis_version"]), int(persistence["aof_enabled"]), str(memory["maxmemory_policy"])
        ),
        skew("redis clock", seconds + micros / 1e6, asked, answered),
    ]


def judge_redis(version_text: str, append_only: int, policy: str) -> Iterator[Finding]:
    """Whether a Redis keeps what it is told."""
    try:
        version = parse_version("redis-server", f"v={version_text}")
        require("redis-server", version, "the running Redis")
        yield ok("redis", f"answers, {show(version)}")
        if version < _EXPIRES_FIELDS:
            yield warn(
                "redis",
                f"{show(version)} cannot expire a hash's fields: reservations of a gateway that died use "
                "memory until they are overwritten",
                "upgrade to Redis 7.4 or newer",
            )
    except ProvisionFailed as failure:
        yield fail("redis", failure.message, "upgrade Redis")
    if append_only:
        yield ok("redis persistence", "append-only file is on")
    else:
        yield warn(
            "redis persistence", "append-only file is off", "CONFIG SET appendonly yes, then CONFIG REWRITE"
        )
    if policy != "noeviction":
        yield warn(
            "redis memory", f"it may forget by itself ({policy})", "CONFIG SET maxmemory-policy noeviction"
        )


async def check_database(url: str, now: Callable[[], float]) -> list[Finding]:
    """Whether the database is there and can be written."""
    if url.startswith("sqlite"):
        return [check_sqlite(Path(url.split(":///", 1)[1]))]
    mend = "check PATCHBAY_DATABASE_URL, and that PostgreSQL runs and lets this machine in"
    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1), timeout=_DEADLINE_S)
        try:
            asked = now()
            row = await connection.fetchrow(
                "select current_setting('transaction_read_only') = 'on' as read_only,"
                " has_schema_privilege(current_user, 'public', 'CREATE') as may_create,"
                " extract(epoch from clock_timestamp())::float8 as clock, version() as version",
                timeout=_DEADLINE_S,
            )
            answered = now()
        finally:
            await connection.close(timeout=_DEADLINE_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as failure:
        return [fail("database", f"cannot be reached: {type(failure).__name__}", mend)]
    if row["read_only"] or not row["may_create"]:
        trouble = "is read-only (a standby?)" if row["read_only"] else "does not let this user make tables"
        return [fail("database", trouble, "name the primary, and grant CREATE on schema public")]
    version = " ".join(str(row["version"]).split()[:2])
    return [
        ok("database", f"{version}, writable"),
        skew("database clock", float(row["clock"]), asked, answered),
    ]


def check_sqlite(path: Path) -> Finding:
    """Take and give back the write lock; a file that is not there yet needs a writable folder."""
    if not path.exists():
        if os.access(nearest(path.parent), os.W_OK | os.X_OK):
            return ok("database", f"SQLite at {path}, to be made")
        return fail("database", f"{path} cannot be made", f"chown or chmod {nearest(path.parent)}")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_DEADLINE_S)
        try:
            connection.execute("begin immediate")
            connection.execute("rollback")
            verdict = str(connection.execute("pragma quick_check(1)").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as failure:
        return fail("database", f"{path}: {failure}", "mend its rights, or bring back a backup")
    if verdict != "ok":
        return fail("database", f"{path} is damaged: {verdict}", "bring back a backup (docs/operations.md)")
    return ok("database", f"SQLite at {path}, writable, whole")
