"""The private prefix of this machine: whole, and every program in it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.runtime.packages import fetch_prefix, find_prefix, machine_recipe
from gateway.runtime.prefix import measure, read_manifest
from gateway.runtime.programs import Tools, ask_version, find_inside
from gateway.runtime.versions import REQUIREMENTS

pytestmark = pytest.mark.contract


def runtime_dir() -> Path:
    return Settings.from_env(os.environ).runtime_dir


def test_is_as_it_was_unpacked(fetched: Tools) -> None:
    if fetched.prefix is None:
        pytest.skip("every program is installed on this machine")
    manifest = read_manifest(fetched.prefix.root.parent)
    assert manifest is not None
    assert measure(fetched.prefix.root) == (manifest.files, manifest.octets)
    assert not list(fetched.prefix.root.parent.rglob("*.deb"))


@pytest.mark.parametrize("program", sorted(name for name, r in REQUIREMENTS.items() if r.package))
def test_each_program_runs_and_is_new_enough(fetched: Tools, program: str) -> None:
    found = fetched.programs[program]
    assert found.version >= REQUIREMENTS[program].least
    if fetched.prefix is not None and found.origin == "prefix":
        assert find_inside(program, fetched.prefix) == found
    assert ask_version(program, fetched.command(program, *REQUIREMENTS[program].ask)) == found.version


def test_asking_again_fetches_nothing(fetched: Tools) -> None:
    if fetched.prefix is None:
        pytest.skip("every program is installed on this machine")
    said: list[str] = []
    assert fetch_prefix(runtime_dir(), machine_recipe(), said.append) == fetched.prefix
    assert said == []
    assert find_prefix(runtime_dir(), machine_recipe()) == fetched.prefix


async def test_speech_comes_out_of_espeak(fetched: Tools, tmp_path: Path) -> None:
    out = tmp_path / "hello.wav"
    argv = fetched.command("espeak-ng", "-w", str(out), "hello")
    process = await asyncio.create_subprocess_exec(*argv)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert out.read_bytes()[:4] == b"RIFF"
    assert out.stat().st_size > 10_000
