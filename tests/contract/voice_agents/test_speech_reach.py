"""How speech services are reached: where one may go, how long one waits, how much one reads."""

from __future__ import annotations

import asyncio
import socket
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web

from gateway.speech_reach import GuardedSpeech
from gateway.webhooks.core.ssrf import Policy
from telephony.errors import SpeechUnavailable
from voice_agents.core.wav import Mono, to_wav
from voice_agents.ports import Fetched

pytestmark = pytest.mark.contract

SOUND = Mono(array("h", [100, -100] * 80).tobytes(), 8000)


@dataclass
class Service:
    """A server on loopback; ``asked`` lists paths and bodies."""

    url: str = ""
    asked: list[tuple[str, str, bytes, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path_qs, body, request.headers.get("Authorization", "")))
        match request.path:
            case "/sound":
                return web.Response(body=to_wav(SOUND), content_type="audio/wav")
            case "/moved":
                raise web.HTTPFound("/sound")
            case "/slow":
                await asyncio.sleep(30)
            case "/long":
                return web.Response(body=bytes(9_000_000))
            case "/empty":
                return web.Response(body=to_wav(Mono(b"", 8000)))
            case "/text":
                return web.Response(text="no sound")
        raise web.HTTPNotFound


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    found = Service()
    application = web.Application(client_max_size=10_000_000)
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
    await site.start()
    (where,) = runner.addresses
    found.url = f"http://127.0.0.1:{where[1]}"
    yield found
    await runner.cleanup()


@pytest_asyncio.fixture
async def reach() -> AsyncIterator[GuardedSpeech]:
    found = GuardedSpeech(Policy(allow_private=True))
    yield found
    await found.close()


async def test_a_request_and_its_answer(reach: GuardedSpeech, service: Service) -> None:
    url = f"{service.url}/sound?language=en"
    fetched = await reach.post(url, {"Authorization": "Bearer x"}, b"hello", 30.0, 10_000)
    assert fetched == Fetched(200, "audio/wav", to_wav(SOUND))
    assert service.asked == [("POST", "/sound?language=en", b"hello", "Bearer x")]


async def test_a_sound_at_an_address(reach: GuardedSpeech, service: Service) -> None:
    assert await reach.sound(f"{service.url}/sound") == SOUND


@pytest.mark.parametrize("path", ["text", "moved", "absent", "empty", "long"])
async def test_what_is_no_sound_is_said_so(reach: GuardedSpeech, service: Service, path: str) -> None:
    with pytest.raises(SpeechUnavailable):
        await reach.sound(f"{service.url}/{path}")
    assert [asked[1] for asked in service.asked] == [f"/{path}"]


async def test_redirections_are_not_followed(reach: GuardedSpeech, service: Service) -> None:
    assert (await reach.post(f"{service.url}/moved", {}, b"", 30.0, 10_000)).status == 302


async def test_no_more_is_read_than_was_asked_for(reach: GuardedSpeech, service: Service) -> None:
    with pytest.raises(SpeechUnavailable, match="longer"):
        await reach.post(f"{service.url}/sound", {}, b"", 30.0, 100)


async def test_a_slow_service_is_not_waited_for(reach: GuardedSpeech, service: Service) -> None:
    with pytest.raises(SpeechUnavailable, match="within"):
        await reach.post(f"{service.url}/slow", {}, b"", 0.2, 100)


async def test_nobody_listens(reach: GuardedSpeech) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SpeechUnavailable, match="reached"):
            await reach.post(f"http://127.0.0.1:{taken.getsockname()[1]}/", {}, b"", 30.0, 100)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/a.wav", "http://8.8.8.8/a.wav", "file:///etc/passwd", "nonsense", "https://[::1]/",
     "https://169.254.169.254/latest", "https://inside.example/a.wav"],
)  # fmt: skip
async def test_where_one_may_not_go(url: str) -> None:
    asked: list[str] = []

    def inside(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        asked.append(host)
        return [(socket.AF_INET, "10.0.0.7")]

    reach = GuardedSpeech(Policy(), inside)
    with pytest.raises(SpeechUnavailable):
        await reach.sound(url)
    assert asked in ([], ["inside.example"])
    await reach.close()
