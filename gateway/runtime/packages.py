"""Fetching the server programs into a private prefix, without root and without touching the system.

apt runs with its own state and an empty list of installed packages, so it downloads the whole dependency
closure; ``dpkg-deb`` unpacks it into a folder of ours. The folder's name is a hash of what it was made
from: clones share it, and a changed package set or recipe makes a new one beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.prefix import TRIPLETS, Manifest, Prefix, measure, read_manifest, write_manifest
from gateway.runtime.sources import KEYRINGS, AptSource, choose_mirror, read_sources, render_source

PACKAGES = ("asterisk", "asterisk-moh-opsound-gsm", "espeak-ng", "redis-server", "sip-tester")
SUITES = ("forky", "sid")
"""Tried in order. Debian 12 and 13 have no asterisk package."""
RECIPE = "1"
"""Raise it when the way of building changes: every machine then makes a new prefix."""
_APT_DEADLINE_S = 1_200
_URI_LINE = re.compile(r"^'[^']+' (?P<file>\S+) (?P<octets>\d+) ", re.MULTILINE)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a prefix is made from."""

    packages: tuple[str, ...] = PACKAGES
    suites: tuple[str, ...] = SUITES
    architecture: str = "amd64"
    version: str = RECIPE

    @property
    def key(self) -> str:
        """The name of the prefix's folder; equal recipes have equal keys."""
        parts = (*sorted(self.packages), "|", *self.suites, "|", self.version)
        return f"{self.architecture}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}"


def machine_recipe() -> Recipe:
    """The product's recipe for this machine. Raises ``ProvisionFailed`` where it cannot be followed."""
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise ProvisionFailed(
                f"{tool} is not on this machine, so servers cannot be fetched; install asterisk (22.10.1 or "
                "newer), redis-server, sip-tester and espeak-ng with your system's own tools"
            )
    architecture = _run(["dpkg", "--print-architecture"], "asking for the architecture").strip()
    if architecture not in TRIPLETS:
        raise ProvisionFailed(
            f"no recipe for the architecture {architecture}; known: {', '.join(sorted(TRIPLETS))}"
        )
    return Recipe(architecture=architecture)


def find_prefix(runtime_dir: Path, recipe: Recipe) -> Prefix | None:
    """The finished prefix for ``recipe``, or None."""
    folder = runtime_dir / recipe.key
    return _prefix(folder, recipe) if read_manifest(folder) is not None else None


def fetch_prefix(runtime_dir: Path, recipe: Recipe, say: Say, *, renew: bool = False) -> Prefix:
    """The prefix for ``recipe``, fetched if it is not there yet (or anew with ``renew``).

    Safe against other checkouts doing the same at once: one builds, the others wait and then use it.
    ``say`` gets progress lines for a person. Raises ``ProvisionFailed``.
    """
    runtime_dir.mkdir(parents=True, exist_ok=True)
    before = read_manifest(runtime_dir / recipe.key)
    if before is not None and not renew:
        return _prefix(runtime_dir / recipe.key, recipe)
    with one_builder(runtime_dir / f".{recipe.key}.lock", say):
        found = find_prefix(runtime_dir, recipe)
        if found is not None and not renew:
            return found
        for leftover in runtime_dir.glob(f".{recipe.key}.*.part"):
            shutil.rmtree(leftover, ignore_errors=True)
        part = runtime_dir / f".{recipe.key}.new.part"
        _build(part, recipe, say)
        return _put_in_place(part, runtime_dir / recipe.key, recipe)


def _prefix(folder: Path, recipe: Recipe) -> Prefix:
    return Prefix(folder / "root", TRIPLETS[recipe.architecture])


def _put_in_place(part: Path, folder: Path, recipe: Recipe) -> Prefix:
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.old.part")
        folder.rename(aside)
        part.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        part.rename(folder)
    return _prefix(folder, recipe)


@contextmanager
def one_builder(lock: Path, say: Say) -> Iterator[None]:
    """Hold ``lock`` against other checkouts that build the same."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("runtime: another checkout is building the same; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(part: Path, recipe: Recipe, say: Say) -> None:
    mirror = choose_mirror(read_sources())
    refusals = []
    for suite in recipe.suites:
        apt = part / "apt"
        config = _prepare_apt(apt, mirror, suite, recipe)
        try:
            debs = _download(apt, config, recipe, suite, say)
        except ProvisionFailed as failure:
            say(f"runtime: {suite} cannot give it ({failure.message.splitlines()[-1]})")
            refusals.append(f"{suite}: {failure.message}")
            shutil.rmtree(apt, ignore_errors=True)
            continue
        _unpack(part, debs, suite, say)
        shutil.rmtree(apt)
        return
    raise ProvisionFailed(
        f"none of the Debian suites gave the packages {', '.join(recipe.packages)}:\n" + "\n".join(refusals)
    )


def _prepare_apt(apt: Path, mirror: AptSource, suite: str, recipe: Recipe) -> Path:
    """Folders and a configuration file for an apt that knows nothing of this machine but its mirror."""
    for folder in ("lists/partial", "cache/archives/partial", "sources", "nothing"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    keyring = next((path for path in KEYRINGS if Path(path).is_file()), "")
    (apt / "sources/private.sources").write_text(render_source(mirror, suite, keyring))
    (apt / "status").write_text("")
    config = apt / "apt.conf"
    config.write_text(render_apt_conf(apt, recipe.architecture))
    return config


def render_apt_conf(apt: Path, architecture: str) -> str:
    """apt.conf(5) text, read after the machine's own: its proxies stay, its hooks and pins do not."""
    return f"""\
#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
#clear Dir::Etc::sourcelist;
#clear Dir::Etc::sourceparts;
APT::Update::Error-Mode "any";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Default-Release "";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Debug::NoLocking "1";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{apt}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{apt}/nothing";
Dir::State "{apt}";
Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::State::extended_states "{apt}/extended_states";
Dir::Cache "{apt}/cache";
Dir::Log "{apt}";
"""


def _download(apt: Path, config: Path, recipe: Recipe, suite: str, say: Say) -> list[Path]:
    run = ["apt-get", "-q", "-c", str(config)]
    say(f"runtime: reading the package lists of {suite}")
    _run([*run, "update"], f"reading the package lists of {suite}")
    plan = _run([*run, "--print-uris", "install", *recipe.packages], f"choosing packages of {suite}")
    sizes = [int(match["octets"]) for match in _URI_LINE.finditer(plan)]
    say(f"runtime: downloading {len(sizes)} packages, {sum(sizes) / 1e6:.0f} MB")
    _run([*run, "--download-only", "install", *recipe.packages], f"downloading packages of {suite}")
    debs = sorted((apt / "cache/archives").glob("*.deb"))
    if len(debs) < len(sizes) or not debs:
        raise ProvisionFailed(f"{len(sizes)} packages were promised, {len(debs)} came")
    return debs


def _unpack(part: Path, debs: list[Path], suite: str, say: Say) -> None:
    say(f"runtime: unpacking {len(debs)} packages")
    root = part / "root"
    root.mkdir(exist_ok=True)
    for deb in debs:
        _run(["dpkg-deb", "--extract", str(deb), str(root)], f"unpacking {deb.name}")
        deb.unlink()
    files, octets = measure(root)
    packages = dict(package_of(deb.name) for deb in debs)
    write_manifest(part, Manifest(suite, packages, files, octets))
    say(f"runtime: {files} files, {octets / 1e6:.0f} MB unpacked from {suite}")


def package_of(deb: str) -> tuple[str, str]:
    """Name and version out of a downloaded file's name (``name_version_arch.deb``, ``:`` as ``%3a``)."""
    name, version, _ = deb.removesuffix(".deb").split("_", 2)
    return name, unquote(version)


def _run(argv: list[str], doing: str) -> str:
    """Run a tool to its end and return what it printed; its last words become the error's text."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=_APT_DEADLINE_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ProvisionFailed(f"{doing} took longer than {_APT_DEADLINE_S} s") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-6:]
        raise ProvisionFailed(f"{doing} failed: " + "\n".join(words))
    return done.stdout
