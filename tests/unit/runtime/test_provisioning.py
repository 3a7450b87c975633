"""Where packages come from, which versions are refused, how long a crash waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.runtime.backoff import LONGEST_S, STEADY_AFTER_S, backoff_s, failures_after
from gateway.runtime.errors import ProgramTooOld, ProvisionFailed
from gateway.runtime.packages import Recipe, package_of, render_apt_conf
from gateway.runtime.pidfile import identify
from gateway.runtime.ports import free_ports, free_udp_range
from gateway.runtime.prefix import Manifest, Prefix, find_loader, read_manifest, write_manifest
from gateway.runtime.programs import find_outside
from gateway.runtime.sources import (
    AptSource,
    choose_mirror,
    parse_deb822,
    parse_one_line,
    read_sources,
    render_source,
)
from gateway.runtime.versions import parse_version, require

pytestmark = pytest.mark.unit

ONE_LINE = """
# a comment
deb-src http://source.example.net/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] https://packages.example.com stable-ish main
deb http://security.example.net/debian-security bookworm-security main
deb [ signed-by=/k.gpg trusted=yes ] http://mirror.example.net/debian bookworm main contrib  # near
"""
DEB822 = """\
# first stanza is off
Types: deb
Enabled: no
URIs: http://off.example.net/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://mirror.example.net/debian http://second.example.net/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_one_line_sources_are_read() -> None:
    found = parse_one_line(ONE_LINE)
    assert [s.uri for s in found] == [
        "https://packages.example.com",
        "http://security.example.net/debian-security",
        "http://mirror.example.net/debian",
    ]
    mirror = choose_mirror(found)
    assert mirror == AptSource(
        "http://mirror.example.net/debian", ("bookworm",), ("main", "contrib"), "/k.gpg", True
    )


def test_deb822_sources_are_read_with_an_embedded_key() -> None:
    found = parse_deb822(DEB822)
    assert [s.uri for s in found] == ["http://mirror.example.net/debian", "http://second.example.net/debian"]
    assert choose_mirror(found).suites == ("trixie", "trixie-updates")
    again = parse_deb822(render_source(found[0], "forky", ""))
    assert again[0].signed_by == found[0].signed_by
    assert again[0].suites == ("forky",)


def test_a_keyring_is_given_where_the_source_names_none() -> None:
    source = AptSource("http://m.example.net/debian", ("bookworm",), ("main",))
    assert "Signed-By: /k.gpg\n" in render_source(source, "sid", "/k.gpg")
    assert "Signed-By" not in render_source(source, "sid", "")
    assert "Trusted" not in render_source(source, "sid", "")


def test_a_machine_without_debian_is_told_what_to_install() -> None:
    ubuntu = parse_one_line("deb http://archive.example.org/ubuntu noble main universe")
    with pytest.raises(ProvisionFailed, match="install asterisk"):
        choose_mirror(ubuntu)


def test_sources_are_read_from_both_places(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/old.list.save").write_text(ONE_LINE)
    assert len(read_sources(tmp_path)) == 5
    assert read_sources(tmp_path / "nowhere") == []


def test_apt_keeps_its_state_in_our_folder() -> None:
    text = render_apt_conf(Path("/cache/x"), "arm64")
    for key in ("Dir::State", "Dir::State::status", "Dir::State::lists", "Dir::Cache"):
        assert f'{key} "/cache/x' in text
    assert 'APT::Architectures { "arm64"; };' in text
    assert "#clear DPkg;" in text


def test_a_recipe_has_one_key_and_each_change_another() -> None:
    recipe = Recipe(packages=("b", "a"), suites=("forky",))
    assert recipe.key == Recipe(packages=("a", "b"), suites=("forky",)).key
    others = {
        Recipe(packages=("a",), suites=("forky",)).key,
        Recipe(packages=("a", "b"), suites=("sid",)).key,
        Recipe(packages=("a", "b"), suites=("forky",), version="x").key,
        Recipe(packages=("a", "b"), suites=("forky",), architecture="arm64").key,
        recipe.key,
    }
    assert len(others) == 5


def test_a_package_file_tells_name_and_version() -> None:
    assert package_of("redis-server_5%3a8.0.6-1_amd64.deb") == ("redis-server", "5:8.0.6-1")


def prefix(root: Path, loader: str, triplet: str) -> Prefix:
    libraries = (f"usr/lib/{triplet}/libc.so.6", f"usr/lib/{triplet}/pulseaudio/x.so")
    for place in (loader, *libraries, "usr/sbin/asterisk", "usr/bin/espeak-ng"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text("")
    return Prefix(root, triplet)


@pytest.mark.parametrize(
    ("loader", "triplet"),
    [
        ("usr/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        ("usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
        ("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
    ],
)
def test_a_program_runs_by_the_prefixs_own_loader(tmp_path: Path, loader: str, triplet: str) -> None:
    found = prefix(tmp_path, loader, triplet)
    libraries = f"{tmp_path}/usr/lib/{triplet}:{tmp_path}/usr/lib/{triplet}/pulseaudio"
    head = [f"{tmp_path}/{loader}", "--library-path", libraries]
    assert found.command("asterisk", "-V") == [*head, f"{tmp_path}/usr/sbin/asterisk", "-V"]
    assert found.command("espeak-ng")[-1] == f"--path={tmp_path}/usr/lib/{triplet}"
    with pytest.raises(ProvisionFailed, match="redis-server is missing"):
        found.command("redis-server")


def test_a_loader_outside_the_prefix_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    root = tmp_path / "root"
    (root / "usr/lib64").mkdir(parents=True)
    (root / "usr/lib64/ld-linux-x86-64.so.2").symlink_to(tmp_path / "outside")
    with pytest.raises(ProvisionFailed, match="no dynamic loader"):
        find_loader(root, "x86_64-linux-gnu")


def test_a_manifest_comes_back_as_it_went(tmp_path: Path) -> None:
    manifest = Manifest("forky", {"a": "1"}, 3, 4)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    (tmp_path / "prefix.json").write_text("{}")
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize(
    ("program", "printed", "version"),
    [
        ("asterisk", "Asterisk 22.10.1+dfsg+~cs6.17.60671434-1", (22, 10, 1)),
        ("asterisk", "Asterisk 20.6.0~dfsg+~cs6.13.40431414-2build5", (20, 6, 0)),
        ("asterisk", "Asterisk certified/20.7-cert4", (20, 7)),
        ("redis-server", "Redis server v=8.0.6 sha=00000000:0 malloc=jemalloc bits=64", (8, 0, 6)),
        ("sipp", "\n SIPp v3.8.0-TLS-SCTP-PCAP.\n", (3, 8, 0)),
        ("espeak-ng", "eSpeak NG text-to-speech: 1.52.0  Data at: /usr/lib", (1, 52, 0)),
    ],
)
def test_a_version_is_read_from_what_a_program_prints(
    program: str, printed: str, version: tuple[int, ...]
) -> None:
    assert parse_version(program, printed) == version


def test_a_program_that_does_not_tell_its_version_is_an_error() -> None:
    with pytest.raises(ProvisionFailed, match="it said: not found"):
        parse_version("asterisk", "not found\n")
    with pytest.raises(ProvisionFailed, match="it said: nothing"):
        parse_version("asterisk", "")


@pytest.mark.parametrize("version", [(22, 10, 0), (22, 10), (20, 99, 99), (21,)])
def test_an_older_asterisk_is_refused_with_the_reason(version: tuple[int, ...]) -> None:
    with pytest.raises(
        ProgramTooOld,
        match=r"22\.10\.1 or newer is needed, because 22\.10\.1 is the security release of 2026-06-25",
    ):
        require("asterisk", version, "/usr/sbin/asterisk")


@pytest.mark.parametrize("version", [(22, 10, 1), (22, 11, 0), (23, 0)])
def test_a_newer_asterisk_passes(version: tuple[int, ...]) -> None:
    require("asterisk", version, "x")


def script(folder: Path, printed: str) -> Path:
    folder.mkdir(exist_ok=True)
    place = folder / "asterisk"
    place.write_text(f"#!/bin/sh\necho '{printed}'\n")
    place.chmod(0o755)
    return place


def test_a_configured_old_program_is_an_error_but_a_found_one_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = script(tmp_path / "old", "Asterisk 22.10.0")
    said: list[str] = []
    with pytest.raises(ProgramTooOld):
        find_outside("asterisk", old, said.append)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.defpath}")
    assert find_outside("asterisk", None, said.append) is None
    assert "22.10.0" in said[0]
    assert "looking further" in said[0]
    new = script(tmp_path / "new", "Asterisk 22.10.1")
    monkeypatch.setenv("PATH", f"{new.parent}:{os.defpath}")
    found = find_outside("asterisk", None, said.append)
    assert found is not None
    assert (found.origin, found.head) == ("machine", (str(new),))
    configured = Settings.from_env({"HOME": "/h", "PATCHBAY_ASTERISK_BIN": str(new)}).asterisk_bin
    assert (found_configured := find_outside("asterisk", configured, said.append)) is not None
    assert found_configured.origin == "configured"


def test_waiting_doubles_up_to_a_limit_and_is_spread() -> None:
    waits = [backoff_s(n, 0.999999) for n in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[1] / waits[0] == pytest.approx(2)
    assert max(waits) <= LONGEST_S
    assert backoff_s(1_000_000, 0.0) == LONGEST_S / 2
    assert backoff_s(3, 0.0) == pytest.approx(backoff_s(3, 0.999999) / 2, rel=1e-3)


def test_a_long_run_wins_trust_back() -> None:
    assert failures_after(7, STEADY_AFTER_S) == 1
    assert failures_after(7, STEADY_AFTER_S - 1) == 8


def test_free_ports_are_different_and_media_ports_come_in_pairs() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    first, last = free_udp_range(101, spread=os.getpid())
    assert first % 2 == 0
    assert last - first + 1 == 102


def test_a_process_is_itself_and_nobody_else(tmp_path: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.parent == os.getppid()
    odd = tmp_path / "7"
    odd.mkdir()
    fields = "S 1 " + " ".join(str(n) for n in range(5, 60))
    (odd / "stat").write_text(f"7 (a) b) {fields}")
    found = identify(7, tmp_path)
    assert found is not None
    assert (found.parent, found.started) == (1, 22)
    (odd / "stat").write_text(f"7 (x) {fields.replace('S', 'Z')}")
    assert identify(7, tmp_path) is None
    assert identify(8, tmp_path) is None
