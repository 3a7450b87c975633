"""Free loopback ports for servers that are told their port before they start."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from secrets import randbelow

_RTP_FIRST, _RTP_LAST = 20_000, 32_000
"""Below Linux's ephemeral range (32768 and up), so that no client socket sits in a range we hand out."""
_QUIET_FIRST, _QUIET_LAST = 10_000, 19_999
"""Below it as well, and clear of RTP. The kernel offers odd ports to who binds any, and takes even ones for
connections: of those that it offers a row of two holds one that any connection may have taken by the time it
is bound."""


def free_port(host: str = "127.0.0.1", *, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port nobody listens on now, chosen by the kernel."""
    return free_ports(1, host, kind=kind)[0]


def free_ports(
    count: int,
    host: str = "127.0.0.1",
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    avoid: Collection[int] = (),
) -> list[int]:
    """``count`` different free ports; all are held open while choosing, so none comes twice.

    ``avoid`` are given away already: they look free until whoever got them has bound them.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = int(held.enter_context(bound(host, 0, kind)).getsockname()[1])
            if port not in avoid:
                found.append(port)
    return found


def free_port_row(count: int, host: str = "127.0.0.1", *, avoid: Collection[int] = ()) -> int:
    """The first of ``count`` free ports in a row, none of them one to ``avoid``. Raises ``OSError`` if there
    is no such row."""
    for first in _quiet(count):
        row = range(first, first + count)
        if not any(port in avoid for port in row) and _all_free(host, row, socket.SOCK_STREAM):
            return first
    raise OSError(f"no {count} free ports in a row between {_QUIET_FIRST} and {_QUIET_LAST}")


def free_sip_port(host: str = "127.0.0.1", *, avoid: Collection[int] = ()) -> int:
    """A port free for UDP and for TCP, as a SIP listener wants; none to ``avoid``. Raises ``OSError`` if
    there is none."""
    for port in _quiet(1):
        both = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        if port not in avoid and all(_all_free(host, [port], kind) for kind in both):
            return port
    raise OSError(f"no free port for SIP between {_QUIET_FIRST} and {_QUIET_LAST}")


def _quiet(count: int) -> Iterator[int]:
    """Where a row may begin that no client socket sits in, from anywhere on: others who ask at the same time
    begin elsewhere."""
    places = _QUIET_LAST - _QUIET_FIRST + 2 - count
    start = randbelow(places)
    return (_QUIET_FIRST + (start + turn) % places for turn in range(places))


def free_udp_range(size: int, host: str = "127.0.0.1", *, spread: int = 0, above: int = 0) -> tuple[int, int]:
    """First and last port (even, odd) of ``size`` free UDP ports in a row, for RTP and RTCP.

    ``spread`` (a process id, say) moves the start of the search, so that test runs side by side do not
    meet. ``above`` keeps clear of a range that ends there and is in use only now and then, as a switch's
    is. Raises ``OSError`` if there is no such row.
    """
    size += size % 2
    lowest = max(_RTP_FIRST, above + 2 - above % 2)
    blocks = (_RTP_LAST - lowest) // size
    for turn in range(blocks):
        first = lowest + ((turn + spread) % blocks) * size
        if _all_free(host, range(first, first + size), socket.SOCK_DGRAM):
            return first, first + size - 1
    raise OSError(f"no {size} free UDP ports in a row between {_RTP_FIRST} and {_RTP_LAST}")


def _all_free(host: str, ports: Collection[int], kind: socket.SocketKind) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                held.enter_context(bound(host, port, kind))
        except OSError:
            return False
        return True


def bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket bound there (port 0: whichever is free). Raises ``OSError``, and leaves none behind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    fresh = socket.socket(family, kind)
    try:
        fresh.bind((host, port))
    except OSError:
        fresh.close()
        raise
    return fresh
