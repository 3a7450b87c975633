"""LiveKit's server as a program: found, or built once from its own module where there is a Go toolchain.

No Debian suite packages it; ``go install`` builds it as it is published (https://pkg.go.dev, module
``github.com/livekit/livekit-server``). It is optional: without it there are no video rooms, and nothing else
is missing. Only ``patchbay runtime fetch`` builds; whoever serves takes what is there.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from gateway.config import Settings
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.packages import Say, one_builder
from gateway.runtime.programs import Program, ask_version, find_outside
from gateway.runtime.versions import REQUIREMENTS, Version, require, show

NAME: Final = "livekit-server"
MODULE: Final = "github.com/livekit/livekit-server"
RELEASE: Final = "v1.13.5"
CHECKSUM: Final = "h1:HWfxfKvi5k1czMVqLV/htGmPgEBhrqHMxpfyMvfhyVo="
"""Of the module's zip at that release (``go version -m``), which in turn pins all that it is built from."""
GO_LEAST: Final[Version] = (1, 26)
"""What the release's go.mod asks for."""
NO_ROOMS: Final = "there are no video rooms; everything else works"
_GO_PLACES: Final = "/usr/local/go/bin:/usr/lib/go/bin:/opt/go/bin"
_ASK_DEADLINE_S: Final = 20
_BUILD_DEADLINE_S: Final = 1_200


def find_livekit(settings: Settings, say: Say) -> Program | None:
    """The configured program, the machine's if new enough, the built one, or None. Fetches nothing.

    Raises ``ProvisionFailed`` for a configured one that does not run or is too old: somebody meant it.
    """
    outside = find_outside(NAME, settings.livekit_server_bin, say)
    return outside or _built(settings.runtime_dir)


def provide_livekit(settings: Settings, say: Say) -> Program | None:
    """The same, built first where it is wanted, missing, and can be built. Says why there is none."""
    if not settings.embedded_livekit:
        return None
    found = find_livekit(settings, say)
    if found is not None:
        return found
    go = find_go()
    if go is None:
        say(f"runtime: {NAME} is not here, and no Go {show(GO_LEAST)} or newer to build it: {NO_ROOMS}")
        return None
    try:
        return build_livekit(settings.runtime_dir, go, say)
    except (ProvisionFailed, OSError) as failure:
        say(f"runtime: {failure}")
        say(f"runtime: {NAME} could not be built: {NO_ROOMS}")
        return None


def find_go() -> str | None:
    """A Go that is new enough by itself (``GOTOOLCHAIN=local``: none is downloaded)."""
    place = shutil.which("go") or shutil.which("go", path=_GO_PLACES)
    if place is None:
        return None
    try:
        said = _run([place, "version"], _ASK_DEADLINE_S, "asking Go for its version")
    except ProvisionFailed:
        return None
    match = re.search(r"\bgo(\d+)\.(\d+)", said)
    version = (int(match[1]), int(match[2])) if match else (0,)
    return place if version >= GO_LEAST else None


def build_livekit(runtime_dir: Path, go: str, say: Say) -> Program:
    """Build it into ``runtime_dir``; one builder at a time. Raises ``ProvisionFailed``."""
    folder = program_folder(runtime_dir)
    runtime_dir.mkdir(parents=True, exist_ok=True)
    with one_builder(runtime_dir / f".{folder.name}.lock", say):
        found = _built(runtime_dir)
        if found is not None:
            return found
        part = runtime_dir / f".{folder.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        say(f"runtime: building {NAME} {RELEASE} with {go}: some minutes, once")
        _run(
            ["env", "GOTOOLCHAIN=local", "CGO_ENABLED=0", f"GOBIN={part}", go, "install",
             f"{MODULE}/cmd/server@{RELEASE}"],
            _BUILD_DEADLINE_S, f"building {NAME}",
        )  # fmt: skip
        made = part / "server"
        _check_origin(go, made)
        made.rename(part / NAME)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    program = _built(runtime_dir)
    if program is None:
        raise ProvisionFailed(f"{folder / NAME} was built and does not run")
    return program


def program_folder(runtime_dir: Path) -> Path:
    """Where the built program is: another folder for each release and machine."""
    return runtime_dir / f"livekit-{RELEASE.removeprefix('v')}-{platform.machine()}"


def _built(runtime_dir: Path) -> Program | None:
    binary = program_folder(runtime_dir) / NAME
    if not binary.is_file():
        return None
    try:
        version = ask_version(NAME, [str(binary), *REQUIREMENTS[NAME].ask])
        require(NAME, version, str(binary))
    except ProvisionFailed:
        return None
    return Program(NAME, (str(binary),), version, "prefix")


def _check_origin(go: str, binary: Path) -> None:
    """That the program was made from the very module we know."""
    said = _run([go, "version", "-m", str(binary)], _ASK_DEADLINE_S, "reading what it was built from")
    if not re.search(
        rf"^\s*mod\s+{re.escape(MODULE)}\s+{re.escape(RELEASE)}\s+{re.escape(CHECKSUM)}", said, re.M
    ):
        raise ProvisionFailed(f"{MODULE} {RELEASE} is not what it was: its checksum differs")


def _run(argv: list[str], within_s: int, doing: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=within_s,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise ProvisionFailed(f"{doing} failed: {type(failure).__name__}") from failure
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-4:]
        raise ProvisionFailed(f"{doing} failed: " + "\n".join(words))
    return done.stdout
