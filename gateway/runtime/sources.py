"""Where this machine gets Debian packages from: its apt sources, read in both of their forms.

One-line ``*.list`` files and deb822 ``*.sources`` files (sources.list(5)) become ``AptSource`` values; the
first that serves Debian proper is the mirror from which the private prefix is fetched. Pure functions
over text; ``read_sources`` is the thin shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.runtime.errors import ProvisionFailed

_NAMED_SUITES = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke")
DEBIAN_SUITES = frozenset(("stable", "oldstable", "testing", "unstable", "sid", *_NAMED_SUITES))
KEYRINGS = tuple(f"/usr/share/keyrings/debian-archive-keyring{ending}" for ending in (".gpg", ".pgp"))
_OPTIONS = re.compile(r"^(?P<type>deb(?:-src)?)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<rest>.+)$")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive: its address, its suites, and how its signature is checked."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False

    def is_debian(self) -> bool:
        """Whether this is the main Debian archive (not its security part, not another vendor's)."""
        return "main" in self.components and any(suite in DEBIAN_SUITES for suite in self.suites)


def parse_one_line(text: str) -> list[AptSource]:
    """Read a ``sources.list``; lines that are not binary sources are passed over."""
    found = []
    for raw in text.splitlines():
        match = _OPTIONS.match(raw.split("#", 1)[0].strip())
        if match is None or match["type"] != "deb":
            continue
        options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
        words = match["rest"].split()
        if len(words) >= 2:
            found.append(
                AptSource(
                    uri=words[0],
                    suites=(words[1],),
                    components=tuple(words[2:]),
                    signed_by=options.get("signed-by", ""),
                    trusted=options.get("trusted", "") == "yes",
                )
            )
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Read a ``*.sources`` file: stanzas of ``Field: value``, continued by indented lines."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        found += [
            AptSource(
                uri=uri,
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=fields.get("signed-by", ""),
                trusted=fields.get("trusted", "").lower() == "yes",
            )
            for uri in fields.get("uris", "").split()
        ]
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0].isspace() and name:
            fields[name] += "\n" + line  # an embedded key keeps its lines, indentation included
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()


def choose_mirror(sources: Iterable[AptSource]) -> AptSource:
    """The machine's own Debian archive. Raises ``ProvisionFailed`` where there is none."""
    for source in sources:
        if source.is_debian():
            return source
    raise ProvisionFailed(
        "this machine's apt sources name no Debian archive; install asterisk (22.10.1 or newer), "
        "redis-server, sip-tester and espeak-ng yourself, or point PATCHBAY_ASTERISK_BIN and its "
        "companions at them"
    )


def render_source(mirror: AptSource, suite: str, keyring: str) -> str:
    """A deb822 source for ``suite`` on the same mirror; ``keyring`` is used where the mirror names none."""
    lines = ["Types: deb", f"URIs: {mirror.uri}", f"Suites: {suite}", "Components: main", "Targets: Packages"]
    if mirror.signed_by or keyring:
        lines.append(f"Signed-By: {mirror.signed_by or keyring}")
    if mirror.trusted:
        lines.append("Trusted: yes")
    return "\n".join(lines) + "\n"


def read_sources(etc_apt: Path = Path("/etc/apt")) -> list[AptSource]:
    """All binary sources of this machine, in apt's own order."""
    parts = etc_apt / "sources.list.d"
    files = [etc_apt / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]
    found: list[AptSource] = []
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            text = file.read_text(errors="replace")
            found += parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text)
    return found
