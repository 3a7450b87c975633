"""The private prefix: Debian packages unpacked into a folder of ours, run by their own loader.

``Prefix.command`` makes the argument list that runs a program of the prefix with the prefix's own C
library (``ld.so --library-path … program``), so the machine's libraries never mix in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.runtime.errors import ProvisionFailed

MANIFEST = "prefix.json"
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
PLACES = {
    "asterisk": "usr/sbin/asterisk",
    "redis-server": "usr/bin/redis-server",
    "sipp": "usr/bin/sipp",
    "espeak-ng": "usr/bin/espeak-ng",
}


@dataclass(frozen=True, slots=True)
class AsteriskDirs:
    """Where an Asterisk keeps what it was shipped with: modules, and shared files (documentation, sounds)."""

    modules: Path
    shared: Path


@dataclass(frozen=True, slots=True)
class Prefix:
    """One finished prefix. ``root`` holds usr/, etc/; ``triplet`` is its architecture's folder name."""

    root: Path
    triplet: str

    def command(self, program: str, *args: str) -> list[str]:
        """The argument list that runs ``program`` (see ``PLACES``) with ``args``."""
        extra = [f"--path={self.root / 'usr/lib' / self.triplet}"] if program == "espeak-ng" else []
        return [*self.head(program), *extra, *args]

    def head(self, program: str) -> list[str]:
        """Loader, library path and the program itself. Raises ``ProvisionFailed`` if it is not there."""
        place = self.root / PLACES[program]
        if not place.is_file():
            raise ProvisionFailed(f"{place} is missing; run: patchbay runtime fetch --renew")
        libraries = ":".join(
            str(self.root / folder / self.triplet / sub).rstrip("/")
            for sub in ("", "pulseaudio")
            for folder in ("usr/lib", "lib")
            if (self.root / folder / self.triplet / sub).is_dir()
        )
        return [str(find_loader(self.root, self.triplet)), "--library-path", libraries, str(place)]

    def asterisk_dirs(self) -> AsteriskDirs:
        return AsteriskDirs(
            modules=self.root / "usr/lib" / self.triplet / "asterisk/modules",
            shared=self.root / "usr/share/asterisk",
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was unpacked: suite, package versions, and how many files and bytes there should be."""

    suite: str
    packages: dict[str, str]
    files: int
    octets: int


def find_loader(root: Path, triplet: str) -> Path:
    """The prefix's dynamic loader. With a merged /usr the unpacked root has no /lib64, so look everywhere.

    A link that leaves the prefix is passed over: it would start the machine's loader instead.
    """
    for folder in ("usr/lib64", "lib64", f"usr/lib/{triplet}", f"lib/{triplet}", "usr/lib", "lib"):
        for candidate in sorted((root / folder).glob("ld-linux*.so.*")):
            real = candidate.resolve()
            if real.is_file() and real.is_relative_to(root.resolve()):
                return candidate
    raise ProvisionFailed(f"no dynamic loader in {root}; run: patchbay runtime fetch --renew")


def measure(root: Path) -> tuple[int, int]:
    """How many regular files there are below ``root``, and their size in octets."""
    sizes = [p.lstat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink()]
    return len(sizes), sum(sizes)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Written last: a prefix with a manifest was finished."""
    text = {
        "suite": manifest.suite,
        "files": manifest.files,
        "octets": manifest.octets,
        "packages": manifest.packages,
    }
    (folder / MANIFEST).write_text(json.dumps(text, indent=1, sort_keys=True) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in ``folder``; None if the prefix was never finished or the file is damaged."""
    try:
        text = json.loads((folder / MANIFEST).read_text())
        return Manifest(
            suite=str(text["suite"]),
            packages={str(name): str(version) for name, version in text["packages"].items()},
            files=int(text["files"]),
            octets=int(text["octets"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
