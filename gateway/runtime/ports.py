"""Free loopback ports for servers that are told their port before they start."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import ExitStack

_RTP_FIRST, _RTP_LAST = 20_000, 32_000
"""Below Linux's ephemeral range (32768 and up), so that no client socket sits in a range we hand out."""


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
    """The first of ``count`` free ports in a row, none of them one to ``avoid``."""
    while True:
        first = free_port(host)
        if any(port in avoid for port in range(first, first + count)):
            continue
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(bound(host, port, socket.SOCK_STREAM))
            except (OSError, OverflowError):
                continue
        return first


def free_sip_port(host: str = "127.0.0.1", *, avoid: Collection[int] = ()) -> int:
    """A port free for UDP and for TCP, as a SIP listener wants; none to ``avoid``."""
    with ExitStack() as held:
        while True:
            udp = held.enter_context(bound(host, 0, socket.SOCK_DGRAM))
            port = int(udp.getsockname()[1])
            if port in avoid:
                continue
            try:
                held.enter_context(bound(host, port, socket.SOCK_STREAM))
            except OSError:
                continue  # the UDP socket stays held, so this port is not offered again
            return port


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
        if _all_free(host, first, size):
            return first, first + size - 1
    raise OSError(f"no {size} free UDP ports in a row between {_RTP_FIRST} and {_RTP_LAST}")


def _all_free(host: str, first: int, size: int) -> bool:
    with ExitStack() as held:
        try:
            for port in range(first, first + size):
                held.enter_context(bound(host, port, socket.SOCK_DGRAM))
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
