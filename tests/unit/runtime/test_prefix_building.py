"""Building a prefix, with an apt that does as the test says."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gateway.runtime import packages
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.packages import Recipe, fetch_prefix, find_prefix
from gateway.runtime.prefix import measure, read_manifest
from gateway.runtime.sources import AptSource

pytestmark = pytest.mark.unit

RECIPE = Recipe(packages=("asterisk",), suites=("forky", "sid"))
APT = """#!/bin/sh
# the folder of this run is where its configuration file is
while [ "$1" != "" ]; do
  case "$1" in
    -c) conf="$2"; shift;;
    update) verb=update;; --print-uris) verb=plan;; --download-only) verb=get;;
  esac
  shift
done
apt=$(dirname "$conf")
suite=$(sed -n 's/^Suites: //p' "$apt/sources/private.sources")
echo "$verb $suite" >> "$LOG"
case "$suite" in $BROKEN) echo "E: no such suite: $suite" >&2; exit 100;; esac
case "$verb" in
  plan) echo "'http://m/asterisk_1%3a22.10.1-1_amd64.deb' asterisk_1%3a22.10.1-1_amd64.deb 12 SHA256:0";;
  get) [ -n "$LOSES" ] || echo content > "$apt/cache/archives/asterisk_1%3a22.10.1-1_amd64.deb";;
esac
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/usr/sbin" && echo program > "$3/usr/sbin/asterisk"
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name, text in (("apt-get", APT), ("dpkg-deb", DPKG_DEB)):
        (bin_dir / name).write_text(text)
        (bin_dir / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.defpath}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("BROKEN", "nothing")
    monkeypatch.setenv("LOSES", "")
    mirror = AptSource("http://mirror.example.net/debian", ("bookworm",), ("main",))
    monkeypatch.setattr(packages, "read_sources", lambda: [mirror])
    return tmp_path / "log"


def test_the_first_suite_that_has_it_serves(tmp_path: Path, log: Path) -> None:
    said: list[str] = []
    found = fetch_prefix(tmp_path / "runtime", RECIPE, said.append)
    assert (found.root / "usr/sbin/asterisk").read_text() == "program\n"
    manifest = read_manifest(found.root.parent)
    assert manifest is not None
    assert (manifest.suite, manifest.packages) == ("forky", {"asterisk": "1:22.10.1-1"})
    assert measure(found.root) == (manifest.files, manifest.octets)
    assert log.read_text().splitlines() == ["update forky", "plan forky", "get forky"]
    assert any("downloading 1 packages" in line for line in said)
    assert {p.name for p in found.root.parent.iterdir()} == {"root", "prefix.json"}


def test_the_next_suite_is_tried(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "forky")
    found = fetch_prefix(tmp_path / "runtime", RECIPE, lambda _: None)
    manifest = read_manifest(found.root.parent)
    assert manifest is not None
    assert manifest.suite == "sid"


def test_where_no_suite_has_it_every_reason_is_told(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "*")
    with pytest.raises(ProvisionFailed, match=r"(?s)no such suite: forky.*no such suite: sid"):
        fetch_prefix(tmp_path / "runtime", RECIPE, lambda _: None)
    assert find_prefix(tmp_path / "runtime", RECIPE) is None


def test_a_download_that_lost_packages_is_no_prefix(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSES", "all")
    with pytest.raises(ProvisionFailed, match="1 packages were promised, 0 came"):
        fetch_prefix(tmp_path / "runtime", RECIPE, lambda _: None)


def test_two_checkouts_at_once_build_one(tmp_path: Path, log: Path) -> None:
    roots: list[Path] = []
    builders = [
        threading.Thread(
            target=lambda: roots.append(fetch_prefix(tmp_path / "runtime", RECIPE, lambda _: None).root)
        )
        for _ in range(3)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(30)
    assert len(roots) == 3
    assert len(set(roots)) == 1
    assert log.read_text().splitlines().count("get forky") == 1


def test_renewing_replaces_and_leftovers_go(tmp_path: Path, log: Path) -> None:
    runtime = tmp_path / "runtime"
    first = fetch_prefix(runtime, RECIPE, lambda _: None)
    (first.root / "old").write_text("x")
    (runtime / f".{RECIPE.key}.new.part").mkdir()
    again = fetch_prefix(runtime, RECIPE, lambda _: None, renew=True)
    assert again == first
    assert not (again.root / "old").exists()
    assert not list(runtime.glob("*.part"))
    assert not list(runtime.glob(".*.part"))


def test_an_unfinished_folder_is_not_a_prefix(tmp_path: Path) -> None:
    (tmp_path / RECIPE.key / "root/usr/sbin").mkdir(parents=True)
    assert find_prefix(tmp_path, RECIPE) is None
