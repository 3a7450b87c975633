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


def test_a_row_holds_none_that_is_given_away(offered: list[int]) -> None:
    offered += [40001, 40007]
    assert ports.free_port_row(3, avoid={40003}) == 40007


def test_a_sip_port_is_none_that_is_given_away(offered: list[int]) -> None:
    offered += [40001, 40007]
    assert ports.free_sip_port(avoid={40001}) == 40007


def test_what_is_chosen_can_be_bound() -> None:
    found = ports.free_ports(5)
    assert len(set(found)) == 5
    for port in found:
        with ports.bound("127.0.0.1", port, socket.SOCK_STREAM) as one:
            assert one.getsockname()[1] == port
