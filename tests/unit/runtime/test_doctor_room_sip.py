"""What the doctor says of the way into rooms by SIP: its settings, and a service that answers, or not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from gateway.config import Settings
from gateway.runtime import checks_room_sip
from gateway.runtime.checks_room_sip import check_room_sip, check_service, judge_settings
from gateway.runtime.plan import SipPlan, SwitchPlan, Trunk

pytestmark = pytest.mark.unit

PLAIN = {"ROOM_SIP_HOST": "127.0.0.1", "ROOM_SIP_PORT": "5070"}
OUT = {**PLAIN, "ROOM_SIP_WAY": "out", "ROOM_SIP_SWITCH": "127.0.0.1:5060"}
FAR = {"ROOM_SIP_HOST": "192.0.2.7", "ROOM_SIP_ALLOWED": "192.0.2.1/32"}


def settings(**given: str) -> Settings:
    return Settings.from_env(
        {"HOME": "/home/nobody"} | {f"PATCHBAY_{name}": value for name, value in given.items()}
    )


def plan(*identify: str, port: int = 0) -> SwitchPlan:
    trunk = Trunk("carrier", "sip.example.com", identify=identify)
    return SwitchPlan(trunks=(trunk,), sip=SipPlan(udp_port=port))


class Service(asyncio.DatagramProtocol):
    """Answers as it is told, and keeps what it was asked. ``deaf``: so many requests are lost."""

    def __init__(self, *answers: bytes, deaf: int = 0) -> None:
        self.answers, self.deaf = answers, deaf
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        if len(self.asked) > self.deaf:
            for answer in self.answers:
                self.transport.sendto(answer, addr)


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    """Its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: service, local_addr=("127.0.0.1", 0))
    try:
        yield str(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def test_without_a_service_there_is_nothing_to_say() -> None:
    assert await check_room_sip(settings(), plan(), None, True) == []
    assert await check_room_sip(settings(**PLAIN, ROOM_CARRIER="bridge"), plan(), None, True) == []


@pytest.mark.parametrize(
    ("given", "known", "verdict", "words"),
    [
        (PLAIN, plan("192.0.2.9"), "", ""),
        (FAR, plan("192.0.2.9", "carrier.example.com"), "", ""),
        ({**PLAIN, "ROOM_SIP_PORT": "5060"}, None, "fail", "the switch's own"),
        ({**PLAIN, "ROOM_SIP_PORT": "5099"}, plan(port=5099), "fail", "the switch's own"),
        ({**PLAIN, "ROOM_SIP_PORT": "5060"}, plan(port=5099), "", ""),
        ({**PLAIN, "ROOM_SIP_ALLOWED": "192.0.2.0/24"}, None, "warn", "may not call it"),
        ({**OUT, "ROOM_SIP_ALLOWED": "192.0.2.0/24"}, None, "", ""),
        ({**FAR, "ROOM_SIP_SWITCH": "127.0.0.1:5060"}, None, "warn", "its own machine"),
        ({**FAR, "ROOM_SIP_SWITCH": "192.0.2.1:5060"}, None, "", ""),
        (FAR, plan("192.0.2.0/29"), "warn", "count as the trunk carrier's"),
    ],
)
def test_addresses_that_cannot_be_meant(
    given: dict[str, str], known: SwitchPlan | None, verdict: str, words: str
) -> None:
    found = judge_settings(settings(**given), known)
    assert [one.verdict for one in found] == ([verdict] if verdict else [])
    assert all(words in one.detail and one.mend for one in found)


@pytest.mark.parametrize("status", [b"200 OK", b"405 Method Not Allowed"])
async def test_a_service_that_answers_is_well(monkeypatch: pytest.MonkeyPatch, status: bytes) -> None:
    monkeypatch.setattr(checks_room_sip, "_TRIES_S", (30.0,))
    service = Service(b"noise", b"SIP/2.0 100 Trying\r\n\r\n", b"SIP/2.0 " + status + b"\r\n\r\n")
    async with serving(service) as port:
        found = await check_service(settings(ROOM_SIP_HOST="127.0.0.1", ROOM_SIP_PORT=port))
    assert (found.verdict, status[:3].decode() in found.detail) == ("ok", True)
    (asked,) = service.asked
    assert asked.startswith(b"OPTIONS sip:127.0.0.1:")
    assert asked.endswith(b"Content-Length: 0\r\n\r\n")


async def test_a_request_that_is_lost_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_room_sip, "_TRIES_S", (0.05, 30.0))
    service = Service(b"SIP/2.0 200 OK\r\n\r\n", deaf=1)
    async with serving(service) as port:
        found = await check_service(settings(ROOM_SIP_HOST="127.0.0.1", ROOM_SIP_PORT=port))
    assert found.verdict == "ok"
    assert service.asked[0] == service.asked[1]


@pytest.mark.parametrize(("carrier", "verdict"), [("auto", "warn"), ("sip", "fail")])
async def test_one_that_is_silent_or_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, carrier: str, verdict: str
) -> None:
    monkeypatch.setattr(checks_room_sip, "_TRIES_S", (0.05, 0.05))
    given = {"ROOM_SIP_HOST": "127.0.0.1", "ROOM_CARRIER": carrier}
    async with serving(Service()) as port:
        silent = await check_service(settings(**given, ROOM_SIP_PORT=port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = str(closed.getsockname()[1])
    gone = await check_service(settings(**given, ROOM_SIP_PORT=port))
    assert [silent.verdict, gone.verdict] == [verdict, verdict]
    assert "does not answer OPTIONS" in silent.detail
    assert "no SIP service at" in gone.detail
    assert all(("media bridge" in one.mend) is (carrier == "auto") for one in (silent, gone))


async def test_livekit_is_not_asked_where_it_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_room_sip, "_TRIES_S", (30.0,))
    async with serving(Service(b"SIP/2.0 200 OK\r\n\r\n")) as port:
        here = replace(settings(**PLAIN), room_sip_port=int(port))
        (only,) = await check_room_sip(here, plan(), None, False)
    assert only.verdict == "ok"


async def test_a_service_that_calls_the_switch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(_: object) -> object:
        raise AssertionError("the switch may not reach it")

    monkeypatch.setattr(checks_room_sip, "check_service", asked)
    known = settings(**FAR, ROOM_SIP_WAY="out", ROOM_SIP_SWITCH="192.0.2.1:5060")
    assert await check_room_sip(known, None, None, running=True) == []
