"""Where the media server is, by new names or old; how the embedded one is found, built and set up."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import Secret, Settings
from gateway.config_rooms import RoomServerAddress, read_keys
from gateway.runtime import livekit_program
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.livekit import LiveKitPlan, livekit_yaml
from gateway.runtime.livekit_program import CHECKSUM, MODULE, RELEASE, find_livekit, provide_livekit
from gateway.stack import Stack, to_environment
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

NEW = {
    "DEVOTEL_ORBIT_MEDIA_URL": "wss://media.example/",
    "DEVOTEL_ORBIT_MEDIA_API_KEY": "key-1",
    "DEVOTEL_ORBIT_MEDIA_API_SECRET": "hidden-word",
}
OLD = {name.replace("ORBIT_MEDIA", "LIVEKIT"): value for name, value in NEW.items()}


def settings(**environ: str) -> Settings:
    return Settings.from_env({"HOME": "/home/somebody", **environ})


@pytest.mark.parametrize("names", [NEW, OLD])
def test_a_server_of_ones_own_has_two_families_of_names(names: dict[str, str]) -> None:
    found = settings(**names)
    assert found.room_server == RoomServerAddress("wss://media.example", "key-1", Secret("hidden-word"))
    assert not found.embedded_livekit
    assert "hidden-word" not in repr(found)
    assert settings(**to_environment(found), HOME="/").room_server == found.room_server


def test_the_newer_name_wins_one_by_one() -> None:
    found = settings(**(OLD | {"DEVOTEL_ORBIT_MEDIA_URL": "ws://other.example"}))
    assert found.room_server is not None
    assert (found.room_server.url, found.room_server.key) == ("ws://other.example", "key-1")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"DEVOTEL_ORBIT_MEDIA_API_KEY": ""}, "DEVOTEL_ORBIT_MEDIA_API_KEY"),
        ({"DEVOTEL_ORBIT_MEDIA_API_SECRET": " "}, "DEVOTEL_ORBIT_MEDIA_API_SECRET"),
        ({"DEVOTEL_ORBIT_MEDIA_URL": ""}, "DEVOTEL_ORBIT_MEDIA_URL"),
        ({"DEVOTEL_ORBIT_MEDIA_URL": "ftp://media.example"}, "DEVOTEL_ORBIT_MEDIA_URL"),
        ({"DEVOTEL_ORBIT_MEDIA_URL": "wss://user:hidden-word@media.example"}, "DEVOTEL_ORBIT_MEDIA_URL"),
        ({"DEVOTEL_ORBIT_MEDIA_URL": "wss://"}, "DEVOTEL_ORBIT_MEDIA_URL"),
        ({"DEVOTEL_ORBIT_MEDIA_API_KEY": "two words"}, "DEVOTEL_ORBIT_MEDIA_API_KEY"),
        ({"DEVOTEL_ORBIT_MEDIA_API_SECRET": "a\nb"}, "DEVOTEL_ORBIT_MEDIA_API_SECRET"),
        ({"PATCHBAY_LIVEKIT_PUBLIC_URL": "https://x"}, "PATCHBAY_LIVEKIT_PUBLIC_URL"),
        ({"PATCHBAY_LIVEKIT": "perhaps"}, "PATCHBAY_LIVEKIT"),
        ({"PATCHBAY_LIVEKIT_OLD_KEYS": "hidden-word"}, "PATCHBAY_LIVEKIT_OLD_KEYS"),
        ({"PATCHBAY_LIVEKIT_OLD_KEYS": "a:b,:hidden-word"}, "PATCHBAY_LIVEKIT_OLD_KEYS"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is_quoted(change: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        settings(**(NEW | change))
    assert caught.value.field == field
    assert "hidden-word" not in str(caught.value)


def test_keys_of_before() -> None:
    found = settings(PATCHBAY_LIVEKIT_OLD_KEYS="a:one, b:two:2").livekit_old_keys
    assert found is not None
    assert read_keys(found) == {"a": "one", "b": "two:2"}


def test_without_any_there_is_the_embedded_one_unless_it_is_off() -> None:
    assert settings().embedded_livekit
    assert not settings(PATCHBAY_LIVEKIT="off").embedded_livekit


def test_the_configuration_cannot_be_broken_out_of() -> None:
    secret = Secret('"\n},"room":{"auto_create":true}')
    plan = LiveKitPlan(7880, 7881, ("http://127.0.0.1:1/hook",), redis="/run/x.sock")
    told = json.loads(livekit_yaml(plan, "k", secret))
    assert told["room"]["auto_create"] is False
    assert told["keys"] == {"k": secret.reveal()}
    assert told["webhook"] == {"api_key": "k", "urls": ["http://127.0.0.1:1/hook"]}
    assert (told["bind_addresses"], told["rtc"]["tcp_port"]) == (["127.0.0.1"], 0)
    assert told["redis"] == {"address": "/run/x.sock", "db": 0}
    assert "redis" not in json.loads(livekit_yaml(replace(plan, redis=None), "k", secret))


# ---------------------------------------------------------------- found, built


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def a_go(folder: Path, *, version: str = "go1.26.8", install: str = "", origin: str = CHECKSUM) -> str:
    """A Go toolchain whose ``install`` makes a server that tells its version."""
    built = (
        "printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' > $GOBIN/server; chmod +x $GOBIN/server"
    )
    return str(
        script(
            folder / "go",
            f"""case "$1 $2" in
"version -m") echo "	mod	{MODULE}	{RELEASE}	{origin}";;
"version ") echo "go version {version} linux/amd64";;
"install {MODULE}/cmd/server@{RELEASE}") test "$GOTOOLCHAIN" = local || exit 9; {install or built};;
*) exit 8;; esac""",
        )
    )


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A machine with neither LiveKit nor Go."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(livekit_program, "_GO_PLACES", "/nowhere")
    monkeypatch.setattr("gateway.runtime.programs._SYSTEM_PATH", "/nowhere")
    return settings(PATCHBAY_RUNTIME=str(tmp_path / "runtime"))


def test_without_go_it_is_said_once_and_nothing_fails(bare: Settings) -> None:
    said: list[str] = []
    assert provide_livekit(bare, said.append) is None
    assert len(said) == 1
    assert "no video rooms" in said[0]
    assert find_livekit(bare, said.append) is None


def test_where_it_is_not_wanted_nothing_is_said_or_built(bare: Settings) -> None:
    said: list[str] = []
    assert provide_livekit(replace(bare, livekit="off"), said.append) is None
    assert provide_livekit(settings(**NEW, PATCHBAY_RUNTIME=str(bare.runtime_dir)), said.append) is None
    assert said == []
    assert not bare.runtime_dir.exists()


def test_go_builds_it_once(bare: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_go(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    built = provide_livekit(bare, print)
    assert built is not None
    assert (built.version, built.origin) == ((1, 13, 5), "prefix")
    assert Path(built.head[0]).is_relative_to(bare.runtime_dir)
    (tmp_path / "go").unlink()
    assert provide_livekit(bare, print) == built
    assert find_livekit(bare, print) == built


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"install": "echo 'proxy is away' >&2; exit 1"}, "proxy is away"),
        ({"origin": "h1:somethingElse="}, "checksum differs"),
        ({"version": "go1.25.9"}, "no Go 1.26 or newer"),
        ({"version": "devel"}, "no Go 1.26 or newer"),
        ({"install": "true"}, "could not be built"),
    ],
)
def test_a_build_that_fails_leaves_nothing_and_stops_nothing(
    told: dict[str, str], words: str, bare: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_go(tmp_path, **told)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said: list[str] = []
    assert provide_livekit(bare, said.append) is None
    assert words in "\n".join(said)
    assert "no video rooms" in said[-1]
    assert find_livekit(bare, said.append) is None


def test_the_machines_own_is_taken_if_new_enough(
    bare: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script(tmp_path / "livekit-server", "echo livekit-server version 1.9.0")
    said: list[str] = []
    assert find_livekit(bare, said.append) is None
    assert "1.9.0" in said[0]
    script(tmp_path / "livekit-server", "echo livekit-server version 1.14.0")
    found = find_livekit(bare, said.append)
    assert found is not None
    assert (found.version, found.origin) == ((1, 14, 0), "machine")


def test_a_configured_one_that_is_too_old_is_an_error(bare: Settings, tmp_path: Path) -> None:
    old = script(tmp_path / "mine", "echo livekit-server version 1.9.0")
    with pytest.raises(ProvisionFailed, match=r"1\.9\.0"):
        find_livekit(replace(bare, livekit_server_bin=old), print)


async def test_the_stack_goes_on_without_it(bare: Settings, tmp_path: Path) -> None:
    said: list[str] = []
    stack = Stack(replace(bare, var_dir=tmp_path / "var"), said.append)
    assert await stack._start_livekit() is None
    assert "no video rooms" in said[-1]
    assert not [name for name in stack.environment() if name.startswith("DEVOTEL")]
