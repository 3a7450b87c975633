"""HTTP digest authentication for SIP (RFC 3261 section 22, RFC 7616 with MD5). Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


@dataclass(frozen=True, slots=True)
class Challenge:
    realm: str
    nonce: str
    algorithm: str
    qop: bool
    opaque: str


def read_challenge(value: str) -> Challenge | None:
    """A WWW-Authenticate or Proxy-Authenticate value; ``None`` if it is not an MD5 digest challenge."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "digest":
        return None
    found = {m.group(1).lower(): m.group(2) or m.group(3) or "" for m in _PARAMETER.finditer(rest)}
    algorithm = found.get("algorithm", "MD5")
    if algorithm.upper() != "MD5" or "nonce" not in found:
        return None
    offered = {token.strip() for token in found.get("qop", "").split(",")}
    return Challenge(
        found.get("realm", ""), found["nonce"], algorithm, "auth" in offered, found.get("opaque", "")
    )


def authorization(challenge: Challenge, who: Credentials, method: str, uri: str, cnonce: str) -> str:
    """The Authorization value that answers a challenge; ``cnonce`` is chosen by the caller."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    secret = md5(f"{who.user}:{challenge.realm}:{who.password}")
    asked = md5(f"{method}:{uri}")
    parts = [
        f'username="{who.user}"', f'realm="{challenge.realm}"', f'nonce="{challenge.nonce}"',
        f'uri="{uri}"', "algorithm=MD5",
    ]  # fmt: skip
    if challenge.qop:
        answer = md5(f"{secret}:{challenge.nonce}:00000001:{cnonce}:auth:{asked}")
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        answer = md5(f"{secret}:{challenge.nonce}:{asked}")
    parts.append(f'response="{answer}"')
    if challenge.opaque:
        parts.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(parts)
