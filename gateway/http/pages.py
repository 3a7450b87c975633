"""The bundled documentation page: three files of ours, read once, no third party and no network."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from gateway.http.answers import Plain
from telephony.errors import NotFound

FOLDER: Final = Path(__file__).with_name("static")
_KINDS: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
}
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSETS: Final = frozenset({"docs.css", "docs.js", "docs-try.js"})


def page(name: str) -> Plain:
    """An HTML page."""
    return _file(name)


def asset(name: str) -> Plain:
    """A script or style sheet by name. Raises NotFound for any other."""
    if name not in _ASSETS:
        raise NotFound
    return _file(name)


@cache
def _file(name: str) -> Plain:
    content = (FOLDER / name).read_bytes()
    tag = b'"%s"' % hashlib.sha256(content).hexdigest()[:16].encode()
    headers = (
        (b"cache-control", b"no-cache"),
        (b"etag", tag),
        (b"content-security-policy", _POLICY),
    )
    return Plain(content, _KINDS[Path(name).suffix], headers=headers)
