"""Where a webhook may go: a decision on the URL's text, and another on every address it leads to.

Both are needed. The text decides what is stored; the address decides at each connection, because a name
can lead elsewhere tomorrow (DNS rebinding). Address ranges follow the IANA special-purpose registries
(RFC 6890 and its updates): what is not plainly public is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from telephony.errors import InvalidInput

INVALID_URL: Final = "INVALID_WEBHOOK_URL"
MAX_URL: Final = 2_048
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows. ``allow_private`` opens loopback and private networks, any port, and
    plain http to those networks only; link-local, multicast and metadata addresses stay shut."""

    allow_private: bool = False
    ports: frozenset[int] = frozenset({80, 443, 8443})


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed: ``url`` is its only spelling from here on, ``host`` without brackets."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Scheme, host and port: fit for logs, as the path may hold a secret."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"


_SPELLING = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_PATH = re.compile(r"[A-Za-z0-9._~:/@!$&'()*+,;=%-]*")
_LOCAL_NAMES: Final = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "corp",
    "home",
    "private",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "svc",
    "test",
    "invalid",
    "onion",
)
"""Names (and everything below them) that never lead to the public Internet (RFC 6761, RFC 6762, RFC 8375)."""
_METADATA_NAMES: Final = frozenset(
    {"metadata", "instance-data", "metadata.google.internal", "metadata.azure.internal", "metadata.goog"}
)


def _networks(*texts: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


_METADATA: Final = _networks(
    "169.254.0.0/16",  # every cloud; also all of IPv4 link-local
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure, a public address that answers inside only
    "192.0.0.192/32",  # Oracle
    "fd00:ec2::254/128",  # AWS
    "fd20:ce::254/128",  # Google
)
_OPENED_BY_ALLOW_PRIVATE: Final = (
    ("a loopback address", _networks("127.0.0.0/8", "::1/128")),
    ("a private address", _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("a carrier-grade NAT address", _networks("100.64.0.0/10")),
)
_NEVER: Final = (
    ("an unspecified address", _networks("0.0.0.0/8", "::/128")),
    ("a multicast address", _networks("224.0.0.0/4", "ff00::/8")),
    (
        "a documentation address",
        _networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    ),
    ("a translated IPv4 address", _networks("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")),
    ("a tunnelled IPv4 address", _networks("2002::/16", "2001::/32", "192.88.99.0/24")),
    (
        "a reserved address",
        _networks("192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "192.31.196.0/24", "192.52.193.0/24")
        + _networks("192.175.48.0/24", "2001::/23", "2620:4f:8000::/48"),
    ),
)
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")


def check_url(text: str, policy: Policy, field: str = "url") -> Target:
    """The target of a webhook URL; raises ``InvalidInput`` (INVALID_WEBHOOK_URL, ``field``) for any doubt.

    A fragment is cut off (it is never sent). Hosts must be written in ASCII, in one way only: dotted
    quads for IPv4, brackets for IPv6, ``xn--`` for international names.
    """
    if not text or len(text) > MAX_URL:
        raise _refuse(field, f"a URL of 1 to {MAX_URL} characters")
    if _SPELLING.fullmatch(text) is None or _BAD_ESCAPE.search(text):
        raise _refuse(
            field, "ASCII without spaces, control characters or backslashes (xn-- for other letters)"
        )
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _refuse(field, "https://host[:port]/path") from None
    scheme = parts.scheme.lower()
    if scheme != "https" and not (scheme == "http" and policy.allow_private):
        raise _refuse(field, "https://…")
    if "@" in parts.netloc:
        raise _refuse(field, "no user name or password in the URL")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None or _PATH.fullmatch(parts.path) is None:
        raise _refuse(field, "https://host[:port]/path")
    given_port = authority["port"]
    usual_port = 443 if scheme == "https" else 80
    port = int(given_port) if given_port else usual_port
    _check_port(port, policy, field)
    if authority["six"]:
        host = _checked_ipv6(authority["six"], scheme, policy, field)
    else:
        host = _checked_name(authority["name"].lower(), scheme, policy, field)
    spelled = _bracketed(host) + (f":{port}" if port != usual_port else "")
    query = f"?{parts.query}" if parts.query else ""
    return Target(f"{scheme}://{spelled}{parts.path or '/'}{query}", scheme, host, port)


def refusal(address: Address, policy: Policy, *, plaintext: bool) -> str | None:
    """Why no connection may go to this address, in a few words; None if it may.

    ``plaintext``: the URL is http, which is allowed to loopback and private addresses only.
    """
    if _within(address, _METADATA):
        return "a link-local or metadata address"
    for name, networks in _OPENED_BY_ALLOW_PRIVATE:
        if _within(address, networks):
            return None if policy.allow_private else name
    for name, networks in _NEVER:
        if _within(address, networks):
            return name
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _PUBLIC_IPV6):
        return "not a public address"
    return "a public address, which needs https" if plaintext else None


def parse_address(text: str) -> Address | None:
    """An IP address in its proper spelling, or None: octal, hexadecimal and short forms are none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _checked_ipv6(text: str, scheme: str, policy: Policy, field: str) -> str:
    address = parse_address(text)
    if not isinstance(address, IPv6Address):
        raise _refuse(field, "an IPv6 address in brackets, without a zone")
    _check_literal(address, scheme, policy, field)
    return str(address)


def _checked_name(given: str, scheme: str, policy: Policy, field: str) -> str:
    host = given[:-1] if given.endswith(".") else given
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refuse(field, "a host name of letters, digits and hyphens")
    if _NUMBER.fullmatch(labels[-1]):
        address = parse_address(host)
        if not isinstance(address, IPv4Address):
            raise _refuse(field, "an IPv4 address as four plain decimal numbers")
        _check_literal(address, scheme, policy, field)
        return host
    _check_name(host, policy, field)
    return host


def _check_literal(address: Address, scheme: str, policy: Policy, field: str) -> None:
    reason = refusal(address, policy, plaintext=scheme == "http")
    if reason is not None:
        raise _refuse(field, f"a public address; this is {reason}")


def _check_name(host: str, policy: Policy, field: str) -> None:
    if host in _METADATA_NAMES:
        raise _refuse(field, "a host that is not a metadata service")
    if policy.allow_private:
        return
    if "." not in host or any(host == name or host.endswith("." + name) for name in _LOCAL_NAMES):
        raise _refuse(field, "a public host name")


def _check_port(port: int, policy: Policy, field: str) -> None:
    if not 1 <= port <= 65_535 or (port not in policy.ports and not policy.allow_private):
        raise _refuse(field, "port " + ", ".join(str(p) for p in sorted(policy.ports)))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _within(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _refuse(field: str, expected: str) -> InvalidInput:
    return InvalidInput(
        f"the webhook address is refused: expected {expected}",
        field=field,
        expected=expected,
        code=INVALID_URL,
    )
