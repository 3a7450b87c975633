"""Ports that are given away before anybody binds them come to nobody else."""

from __future__ import annotations

import socket

import pytest

from gateway.runtime import ports

pytestmark = pytest.mark.unit


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the kernel offers, in this order, to whoever asks for any port."""
    queue: list[int] = []
    sound = ports.bound

    class Named:
        def __init__(self, port: int) -> None:
            self.port = port

        def __enter__(self) -> Named:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was opened."""

        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", self.port

    def bound(host: str, port: int, kind: socket.SocketKind) -> object:
        return Named(queue.pop(0) if port == 0 else port) if queue or port else sound(host, port, kind)

    monkeypatch.setattr(ports, "bound", bound)
    return queue


def test_one_that_is_given_away_is_not_chosen(offered: list[int]) -> None:
    offered += [40001, 40003, 40005]
    assert ports.free_ports(2, avoid={40003}) == [40001, 40005]


@pytest.fixture
def last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance begins at the last place there is."""
    monkeypatch.setattr(ports, "randbelow", lambda places: places - 1)


@pytest.mark.usefixtures("offered", "last_place")
def test_a_row_holds_none_that_is_given_away() -> None:
    assert ports.free_port_row(3) == 19997
    assert ports.free_port_row(3, avoid={19998}) == 10000
    assert ports.free_port_row(3, avoid={19998, 10001}) == 10002
    with pytest.raises(OSError, match="3 free ports in a row"):
        ports.free_port_row(3, avoid=range(10000, 19999, 2))


@pytest.mark.usefixtures("offered", "last_place")
def test_a_sip_port_is_none_that_is_given_away() -> None:
    assert ports.free_sip_port() == 19999
    assert ports.free_sip_port(avoid={19999}) == 10000
    with pytest.raises(OSError, match="no free port for SIP"):
        ports.free_sip_port(avoid=range(10000, 20000))


@pytest.mark.usefixtures("last_place")
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_what_is_taken_is_passed_over(kind: socket.SocketKind) -> None:
    with ports.bound("127.0.0.9", 19999, kind):
        assert ports.free_sip_port("127.0.0.9") == 10000
        row = ports.free_port_row(2, "127.0.0.9")
    assert row == (10000 if kind is socket.SOCK_STREAM else 19998)


def test_no_connection_takes_what_was_chosen() -> None:
    """Linux gives connections ports from 32768 on, and even ones at that (ip-sysctl, ip_local_port_range)."""
    row, sip = ports.free_port_row(3), ports.free_sip_port()
    assert max(row + 2, sip) < 32_768
    first, last = ports.free_udp_range(4)
    assert not {row, row + 1, row + 2, sip} & set(range(first, last + 1))


def test_what_is_chosen_can_be_bound() -> None:
    found = ports.free_ports(5)
    assert len(set(found)) == 5
    for port in found:
        with ports.bound("127.0.0.1", port, socket.SOCK_STREAM) as one:
            assert one.getsockname()[1] == port
