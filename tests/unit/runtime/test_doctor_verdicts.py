"""What the doctor makes of what it sees."""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path

import pytest

from gateway.cli.doctor import as_document, as_lines
from gateway.config import Settings
from gateway.runtime.checks_machine import (
    check_folders,
    check_ports,
    check_prefix,
    check_settings,
    nearest,
    read_plan,
)
from gateway.runtime.checks_servers import check_sqlite, judge_redis, judge_rights, judge_version
from gateway.runtime.findings import Finding, Verdict, exit_code, fail, ok, skew, space, warn
from gateway.runtime.ports import free_port
from gateway.runtime.prefix import Manifest, Prefix, measure, write_manifest

pytestmark = pytest.mark.unit


def settings(folder: Path, **variables: str) -> Settings:
    given = {f"PATCHBAY_{name}": value for name, value in variables.items()}
    return Settings.from_env({"HOME": str(folder), "PATCHBAY_VAR_DIR": str(folder / "var")} | given)


CONTROL = {"Originate", "Hangup", "Setvar", "Status", "CoreShowChannels", "CoreStatus", "MessageSend"}
RECORDING = {"MixMonitor", "StopMixMonitor", "MixMonitorMute", "DBPut", "DBDel", "DBDelTree", "DBGetTree"}


@pytest.mark.parametrize(
    ("role", "allowed", "verdict"),
    [
        ("control", {*CONTROL, "Ping"}, "ok"),
        ("control", {"Originate", "Hangup"}, "fail"),
        ("control", CONTROL - {"MessageSend"}, "fail"),
        ("control", {*CONTROL, "Command"}, "warn"),
        ("recording", RECORDING, "ok"),
        ("recording", RECORDING - {"MixMonitor"}, "fail"),
        ("recording", RECORDING - {"DBDelTree"}, "fail"),
        ("events", {"Ping", "Logoff"}, "ok"),
        ("events", {"Ping", "Hangup"}, "warn"),
    ],
)
def test_rights_are_enough_and_not_too_much(role: str, allowed: set[str], verdict: Verdict) -> None:
    found = judge_rights(role, frozenset(allowed))
    assert found.verdict == verdict
    assert bool(found.mend) is (verdict != "ok")


@pytest.mark.parametrize(
    ("text", "verdict"), [("22.10.1", "ok"), ("22.10.0", "fail"), ("", "fail"), ("23.1.0", "ok")]
)
def test_a_running_switch_that_is_too_old_fails(text: str, verdict: Verdict) -> None:
    assert judge_version(text).verdict == verdict


@pytest.mark.parametrize(
    ("version", "append_only", "policy", "verdicts"),
    [
        ("8.0.6", 1, "noeviction", ["ok", "ok"]),
        ("6.2.0", 1, "noeviction", ["fail", "ok"]),
        ("7.4.0", 0, "allkeys-lru", ["ok", "warn", "warn"]),
        ("7.2.4", 1, "noeviction", ["ok", "warn", "ok"]),
    ],
)
def test_a_redis_that_forgets_is_told(
    version: str, append_only: int, policy: str, verdicts: list[Verdict]
) -> None:
    assert [f.verdict for f in judge_redis(version, append_only, policy)] == verdicts


@pytest.mark.parametrize(("apart", "verdict"), [(0.0, "ok"), (-1.9, "ok"), (5.0, "warn"), (-31.0, "fail")])
def test_clocks_apart_are_told(apart: float, verdict: Verdict) -> None:
    assert skew("clock", 1000.0 + apart, 1000.0, 1000.0).verdict == verdict


@pytest.mark.parametrize(
    ("theirs", "told"), [(1000.0, "+0.0 s"), (1030.0, "+0.0 s"), (1045.0, "+5.0 s"), (995.0, "-5.0 s")]
)
def test_an_answer_that_took_long_does_not_put_a_clock_wrong(theirs: float, told: str) -> None:
    found = skew("clock", theirs, 1000.0, 1040.0)
    assert told in found.detail
    assert (found.verdict == "ok") is (told == "+0.0 s")


@pytest.mark.parametrize(("octets", "verdict"), [(4e8, "fail"), (1e9, "warn"), (6e9, "ok")])
def test_little_space_is_told(octets: float, verdict: Verdict) -> None:
    assert space("disk", int(octets)).verdict == verdict


def test_only_a_failure_counts_in_the_exit_code() -> None:
    assert exit_code([ok("a", "b"), warn("a", "b", "c")]) == 0
    assert exit_code([ok("a", "b"), fail("a", "b", "c")]) == 1


def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {f"{name}_PORT": str(free_port()) for name in ("AMI", "AGI", "MEDIA", "SIP")}
        found = list(check_ports(settings(tmp_path, API_PORT=str(port), **ports), None))
    assert [(f.verdict, f.detail) for f in found] == [("fail", f"API: TCP 127.0.0.1:{port} is in use")]
    assert "PATCHBAY_API_PORT" in found[0].mend


def test_settings_that_cannot_work_together_are_told(tmp_path: Path) -> None:
    secrets = {f"AMI_{role}_SECRET": "x" for role in ("CONTROL", "RECORDING", "EVENTS")}
    far = settings(tmp_path, AMI_HOST="10.0.0.5", **secrets)
    assert [f.verdict for f in check_settings(far)] == ["fail"]
    bare = settings(tmp_path, API_HOST="0.0.0.0", ALLOW_PUBLIC="1", TYPO="1")
    assert [f.verdict for f in check_settings(bare)] == ["warn", "warn"]
    assert list(check_settings(settings(tmp_path))) == []


def test_a_bad_trunks_file_is_named_by_key(tmp_path: Path) -> None:
    file = tmp_path / "trunks.toml"
    file.write_text("[[trunk]]\nname = 'x'\n")
    plan, found = read_plan(settings(tmp_path, TRUNKS_FILE=str(file)))
    assert plan is None
    assert found.verdict == "fail"
    assert "trunk[0].host" in found.detail
    assert read_plan(settings(tmp_path, TRUNKS_FILE=str(tmp_path / "none")))[1].verdict == "fail"


def test_a_secret_others_can_read_fails(tmp_path: Path) -> None:
    found = settings(tmp_path)
    found.var_dir.mkdir()
    secret = found.var_dir / "signing.secret"
    secret.write_text("x" * 40)
    secret.chmod(0o644)
    assert [f.mend for f in check_folders(found) if f.verdict == "fail"] == [f"chmod 600 {secret}"]
    secret.chmod(0o600)
    assert not [f for f in check_folders(found) if f.name == "secrets"]


def test_a_prefix_that_lost_a_file_fails(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "program").write_text("x")
    prefix = Prefix(root, "x86_64-linux-gnu")
    assert check_prefix(prefix).verdict == "fail"
    write_manifest(tmp_path, Manifest("forky", {"a": "1"}, *measure(root)))
    assert check_prefix(prefix).verdict == "ok"
    (root / "program").unlink()
    assert check_prefix(prefix).verdict == "fail"


def test_a_database_file_is_looked_at_closely(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    assert check_sqlite(path).verdict == "ok"
    sqlite3.connect(path).execute("create table t (a)").connection.close()
    assert check_sqlite(path).verdict == "ok"
    path.write_bytes(b"this is no database at all" * 100)
    assert check_sqlite(path).verdict == "fail"


def test_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert nearest(tmp_path / "a/b/c") == tmp_path


def test_findings_are_shown_for_people_and_for_programs() -> None:
    findings = [ok("disk", "12 GB free"), fail("ports", "in use", "stop it")]
    assert as_lines(findings) == "ok    disk: 12 GB free\nFAIL  ports: in use\n      → stop it"
    document = json.loads(as_document(findings))
    assert document["healthy"] is False
    assert [Finding(**f) for f in document["findings"]] == findings
