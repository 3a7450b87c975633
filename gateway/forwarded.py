"""From where a request really comes, where reverse proxies pass it on. Pure.

Each proxy writes the address that it was asked from at the right end of X-Forwarded-For; whatever stands left
of what a trusted one wrote may have been made up by whoever asked
(https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Networks = tuple[IPv4Network | IPv6Network, ...]
Address = IPv4Address | IPv6Address
_HEADER: Final = b"x-forwarded-for"
_WITH_PORT: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15}))(?::[0-9]{1,5})?")
_LONGEST: Final = 60


def client_address(peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Networks) -> str | None:
    """The rightmost address that is no trusted proxy's, as ``ipaddress`` spells it. ``peer`` is the socket's:
    where it is no trusted proxy's it stands, whatever the headers say. Where a proxy passed on what is no
    address, the proxy's own stands."""
    known = None if peer is None else _read(peer)
    if known is None or not _is_trusted(known, trusted):
        return peer
    lines = [value.decode("latin-1") for name, value in headers if name == _HEADER]
    for hop in reversed(",".join(lines).split(",")):
        further = _read(hop.strip(" \t"))
        if further is None:
            break
        known = further
        if not _is_trusted(known, trusted):
            break
    return str(known)


def _is_trusted(address: Address, trusted: Networks) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _read(text: str) -> Address | None:
    """An address, with a port or without; an IPv4 address in IPv6's clothes is one of IPv4."""
    if len(text) > _LONGEST or "%" in text:
        return None
    ported = _WITH_PORT.fullmatch(text)
    plain = text if ported is None else ported["six"] or ported["four"]
    try:
        address = ip_address(plain)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
