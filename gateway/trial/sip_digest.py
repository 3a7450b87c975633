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
    found = _parameters(rest)
    algorithm = found.get("algorithm", "MD5")
    if algorithm.upper() != "MD5" or "nonce" not in found:
        return None
    offered = {token.strip() for token in found.get("qop", "").split(",")}
    return Challenge(
        found.get("realm", ""), found["nonce"], algorithm, "auth" in offered, found.get("opaque", "")
    )


def _parameters(text: str) -> dict[str, str]:
    return {m.group(1).lower(): m.group(2) or m.group(3) or "" for m in _PARAMETER.finditer(text)}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def authorization(challenge: Challenge, who: Credentials, method: str, uri: str, cnonce: str) -> str:
    """The Authorization value that answers a challenge; ``cnonce`` is chosen by the caller."""
    secret = _md5(f"{who.user}:{challenge.realm}:{who.password}")
    asked = _md5(f"{method}:{uri}")
    parts = [
        f'username="{who.user}"', f'realm="{challenge.realm}"', f'nonce="{challenge.nonce}"',
        f'uri="{uri}"', "algorithm=MD5",
    ]  # fmt: skip
    if challenge.qop:
        answer = _md5(f"{secret}:{challenge.nonce}:00000001:{cnonce}:auth:{asked}")
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        answer = _md5(f"{secret}:{challenge.nonce}:{asked}")
    parts.append(f'response="{answer}"')
    if challenge.opaque:
        parts.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(parts)


def proves(value: str, method: str, who: Credentials, nonce: str) -> bool:
    """Whether an Authorization value answers the challenge with this nonce, by one who knows the password."""
    scheme, _, rest = value.partition(" ")
    said = _parameters(rest)
    if scheme.lower() != "digest" or said.get("username") != who.user or said.get("nonce") != nonce:
        return False
    secret = _md5(f"{who.user}:{said.get('realm', '')}:{who.password}")
    asked = _md5(f"{method}:{said.get('uri', '')}")
    middle = [said.get("nc", ""), said.get("cnonce", ""), said["qop"]] if said.get("qop") else []
    return said.get("response") == _md5(":".join([secret, nonce, *middle, asked]))
