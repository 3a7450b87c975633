"""One attempt over real sockets: which answers come back, and where it never goes."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from gateway.runtime.ports import bound
from gateway.webhooks import poster as module
from gateway.webhooks.core.backoff import Answer, NoReply, Reply
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.poster import GuardedPoster, Limits

if TYPE_CHECKING:
    from .conftest import Received, Receiver

    Make = Callable[[], Awaitable[Receiver]]

pytestmark = pytest.mark.contract

STRICT, OPEN = Policy(), Policy(allow_private=True)
USUAL = Limits()
V4, V6 = socket.AF_INET, socket.AF_INET6


class Names:
    """A name server that answers as told, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(V6 if ":" in address else V4, address) for address in found]


@asynccontextmanager
async def posting(policy: Policy = OPEN, limits: Limits = USUAL, **more: Any) -> AsyncIterator[GuardedPoster]:
    poster = GuardedPoster(policy, limits, **more)
    try:
        yield poster
    finally:
        await poster.close()


async def post(url: str, policy: Policy = OPEN, limits: Limits = USUAL, **more: Any) -> Answer:
    async with posting(policy, limits, **more) as poster:
        return await poster.post(url, {"webhook-id": "evt_1", "Content-Type": "application/json"}, b'{"a":1}')


@asynccontextmanager
async def raw_server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Any:
    """A TCP server that says what it likes; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_body_and_headers_arrive_as_given(receivers: Make) -> None:
    receiver = await receivers()
    answer = await post(receiver.url("/a%20b?c=d%2Fe"))
    assert answer == Reply(204, {}, "")
    (seen,) = receiver.requests
    assert (seen.request.method, seen.request.raw_path, seen.body) == ("POST", "/a%20b?c=d%2Fe", b'{"a":1}')
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"].startswith("Patchbay-Webhooks/")
    assert seen.headers["webhook-id"] == "evt_1"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in seen.headers


async def test_a_redirect_is_reported_and_not_followed(receivers: Make) -> None:
    receiver, secret = await receivers(), await receivers()

    async def answer(_: Received) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": secret.url("/internal")})

    receiver.answer = answer
    told = await post(receiver.url())
    assert isinstance(told, Reply)
    assert told.status == 302
    assert secret.requests == []


async def test_the_headers_that_matter_are_kept_and_the_reply_is_excerpted(receivers: Make) -> None:
    receiver = await receivers()

    async def answer(_: Received) -> web.StreamResponse:
        headers = {"Retry-After": "7", "Webhook-Delivery": "abort-message", "X-Other": "1"}
        return web.Response(status=503, headers=headers, text="no\x00way\n" + "x" * 1000)

    receiver.answer = answer
    told = await post(receiver.url())
    assert isinstance(told, Reply)
    assert told.headers == {"retry-after": "7", "webhook-delivery": "abort-message"}
    assert told.excerpt.startswith("no\ufffdway\nx")
    assert len(told.excerpt) == 512


async def test_a_long_reply_is_cut_off(receivers: Make) -> None:
    receiver, cut = await receivers(), asyncio.Event()

    async def answer(seen: Received) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(seen.request)
        try:
            for _ in range(2_000):
                await response.write(b"y" * 100 * 1024)
        except ConnectionError:
            cut.set()
        return response

    receiver.answer = answer
    told = await post(receiver.url())
    assert isinstance(told, Reply)
    assert (told.status, told.excerpt) == (200, "y" * 512)
    async with asyncio.timeout(60):
        await cut.wait()


async def test_the_status_counts_even_if_the_body_never_ends(receivers: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        await writer.drain()
        await reader.read()

    async with raw_server(talk) as port:
        told = await post(f"http://127.0.0.1:{port}/", limits=Limits(total_s=2.0))
    assert told == Reply(200, {}, "hello")


async def test_compressed_replies_are_not_unpacked(receivers: Make) -> None:
    receiver = await receivers()
    bomb = gzip.compress(b"0" * 1_000_000)

    async def answer(_: Received) -> web.StreamResponse:
        return web.Response(status=500, body=bomb, headers={"Content-Encoding": "gzip"})

    receiver.answer = answer
    told = await post(receiver.url())
    assert isinstance(told, Reply)
    assert "000" not in told.excerpt


async def test_silence_ends_at_the_deadline(receivers: Make) -> None:
    receiver, never = await receivers(), asyncio.Event()

    async def answer(_: Received) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    receiver.answer = answer
    assert await post(receiver.url(), limits=Limits(total_s=0.2)) == NoReply(
        "timeout", "no answer within 0.2 s"
    )


async def test_a_closed_port_is_a_failed_connection() -> None:
    with bound("127.0.0.1", 0, socket.SOCK_STREAM) as nobody_listens:
        answer = await post(f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/")
    assert isinstance(answer, NoReply)
    assert answer.kind == "connect"


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 two hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"h" * 100_000 + b"\r\n\r\n",
        b"HTTP/9.9 200\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/1.1 200 OK\r\n",
    ],
    ids=["nothing", "garbage", "status", "huge header", "version", "tls", "half"],
)
async def test_a_reply_that_is_none_is_a_failure_and_nothing_more(bytes_sent: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes_sent)
        await writer.drain()

    async with raw_server(talk) as port:
        answer = await post(f"http://127.0.0.1:{port}/")
    assert isinstance(answer, NoReply)
    assert answer.kind in {"connect", "protocol"}


async def test_a_receiver_without_tls_behind_https_fails_the_handshake(receivers: Make) -> None:
    receiver = await receivers()
    answer = await post(receiver.url().replace("http:", "https:"))
    assert isinstance(answer, NoReply)
    assert answer.kind in {"tls", "connect"}
    assert receiver.requests == []


@pytest.mark.parametrize(
    "url", ["http://example.com/", "https://127.0.0.1/", "https://u:p@example.com/", "nonsense"]
)
async def test_a_url_that_policy_refuses_is_never_sent(url: str) -> None:
    names = Names(["93.184.216.34"])
    answer = await post(url, STRICT, lookup=names)
    assert isinstance(answer, NoReply)
    assert answer.kind == "refused"
    assert names.asked == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "a loopback address"),
        ("10.0.0.5", "a private address"),
        ("169.254.169.254", "a link-local or metadata address"),
        ("::ffff:127.0.0.1", "a translated IPv4 address"),
        ("64:ff9b::7f00:1", "a translated IPv4 address"),
        ("fe80::1%lo", "not a public address"),
        ("0.0.0.0", "an unspecified address"),
        ("not an address", "not an address"),
    ],
)
async def test_a_public_name_that_leads_inside_is_not_connected_to(address: str, reason: str) -> None:
    names = Names([address])
    answer = await post("https://innocent.example.com/", STRICT, lookup=names)
    assert answer == NoReply("dns", f"the host name leads to {reason}")


async def test_only_the_allowed_addresses_of_a_name_are_tried(receivers: Make) -> None:
    receiver = await receivers()
    names = Names(["169.254.169.254", "93.184.216.34", "127.0.0.1"])
    answer = await post(f"http://mixed.example.com:{receiver.port}/", OPEN, lookup=names)
    assert isinstance(answer, Reply)
    assert [seen.headers["Host"] for seen in receiver.requests] == [f"mixed.example.com:{receiver.port}"]


async def test_a_name_that_changes_its_mind_is_refused_when_it_leads_inside(receivers: Make) -> None:
    """DNS rebinding: harmless when it was checked, loopback when it counts."""
    receiver = await receivers()
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    url = f"http://rebind.example.com:{receiver.port}/"
    assert isinstance(await post(url, OPEN, lookup=names), Reply)
    answer = await post(url, OPEN, lookup=names)
    assert answer == NoReply("dns", "the host name leads to a link-local or metadata address")
    assert len(receiver.requests) == 1


async def test_a_name_is_resolved_once_and_that_address_is_used(receivers: Make) -> None:
    receiver = await receivers()
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    answer = await post(f"http://once.example.com:{receiver.port}/", OPEN, lookup=names)
    assert isinstance(answer, Reply)
    assert names.asked == ["once.example.com"]


async def test_plain_http_never_leaves_private_networks() -> None:
    answer = await post("http://plain.example.com/", OPEN, lookup=Names(["93.184.216.34"]))
    assert answer == NoReply("dns", "the host name leads to a public address, which needs https")


async def test_the_socket_itself_refuses_when_every_other_check_is_passed_by(
    receivers: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A literal IP never meets the resolver: the last door must hold alone."""
    receiver = await receivers()
    real = module._checked
    monkeypatch.setattr(module, "_checked", lambda url, _: real(url, OPEN)._replace(plaintext=False))
    answer = await post(receiver.url(), STRICT)
    assert answer == NoReply("dns", "the connection would go to a loopback address")
    assert receiver.requests == []


async def test_a_name_that_is_not_found_is_a_dns_failure() -> None:
    def lookup(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = await post("https://missing.example.com/", STRICT, lookup=lookup)
    assert answer == NoReply("dns", "the host name was not found")


async def test_the_environments_proxy_is_ignored(receivers: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, proxy = await receivers(), await receivers()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url(""))
    assert isinstance(await post(receiver.url()), Reply)
    assert (len(receiver.requests), len(proxy.requests)) == (1, 0)


async def test_a_reply_is_kept_whole_where_that_is_asked(receivers: Make) -> None:
    receiver = await receivers()
    bodies = [b"", b"1234\x008\r\n", b"123456789"]

    async def answer(_: Received) -> web.StreamResponse:
        return web.Response(body=bodies[len(receiver.requests) - 1])

    receiver.answer = answer
    told = [await post(receiver.url(), limits=Limits(reply_bytes=8, keep_body=True)) for _ in bodies]
    assert told[:2] == [Reply(200, {}, body=body) for body in bodies[:2]]
    assert told[2] == NoReply("protocol", "the reply is longer than 8 bytes")


async def test_a_reply_that_breaks_off_is_none_where_it_is_kept() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()

    async with raw_server(talk) as port:
        answer = await post(f"http://127.0.0.1:{port}/", limits=Limits(keep_body=True))
    assert isinstance(answer, NoReply)
