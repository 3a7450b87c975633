"""One attempt over the network: aiohttp, held to the address that was checked.

Every guard stands twice. The URL is checked before each request; every address that its name leads to is
filtered when it is resolved, and the connection goes to one of exactly those; the socket itself is
refused for any other address, because a literal IP never meets the resolver. No redirects, no proxy from
the environment, no cookies, no decompression, one deadline over everything.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.webhooks.core.backoff import Answer, NoReply, Reply
from gateway.webhooks.core.ssrf import Policy, check_url, parse_address, refusal
from telephony.errors import InvalidInput

USER_AGENT: Final = "Patchbay-Webhooks/1.0"
_KEPT_HEADERS: Final = ("retry-after", "webhook-delivery")
_KEEP_ALIVE_S: Final = 1.5
"""Shorter than the usual servers' (2 s and more), so that a reused connection is not one being closed."""
_DNS_CACHE_S: Final = 10
_DNS_THREADS: Final = 8

Lookup = Callable[[str, int], list[tuple[socket.AddressFamily, str]]]
"""The system's blocking resolver: (host, port) to (family, address) pairs; raises OSError."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``total_s`` bounds an attempt from resolving to the last byte read, ``connect_s`` its connection.

    ``keep_body``: whether a reply carries its body, of which never more than ``reply_bytes`` is read; one
    that is longer, or breaks off, counts as no reply then, for nobody could act on a part of it.
    """

    total_s: float = 15.0
    connect_s: float = 5.0
    reply_bytes: int = 64 * 1024
    excerpt_chars: int = 512
    keep_body: bool = False


class AddressRefused(OSError):
    """A name leads to, or a connection would go to, an address that webhooks must not reach."""


class _Sent(NamedTuple):
    url: URL
    plaintext: bool


class GuardedPoster:
    """Fits ``Poster``. Made inside a running loop; ``close`` ends its connections and threads."""

    def __init__(
        self,
        policy: Policy,
        limits: Limits = Limits(),
        *,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="webhook-dns")
        self._checked = lru_cache(maxsize=1024)(lambda url: _checked(url, policy))
        self._sessions = {
            plaintext: self._session(Guard(policy, plaintext), lookup or system_lookup, tls)
            for plaintext in (False, True)
        }

    def _session(self, guard: Guard, lookup: Lookup, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
        limits = self._limits
        return guarded_session(
            guard,
            GuardedResolver(guard, lookup, self._threads),
            agent=USER_AGENT,
            timeout=aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s),
            limit=0,
            keepalive_timeout=_KEEP_ALIVE_S,
            ttl_dns_cache=_DNS_CACHE_S,
            ssl=tls or True,
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            sent = self._checked(url)
        except InvalidInput as error:
            return NoReply("refused", error.message)
        try:
            async with self._sessions[sent.plaintext].post(
                sent.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if self._limits.keep_body:
                    return await self._whole(response)
                excerpt = await self._read(response)
                kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                return Reply(response.status, kept, excerpt)
        except Exception as error:  # noqa: BLE001 # why: the edge of the network; any failure is an answer
            return self._no_reply(error)

    async def _read(self, response: aiohttp.ClientResponse) -> str:
        """The start of the reply as text. The status counts even when the body never ends or breaks off."""
        start, size = b"", 0
        try:
            while chunk := await response.content.read(self._limits.reply_bytes):
                if len(start) < self._limits.excerpt_chars:
                    start += chunk[: self._limits.excerpt_chars]
                size += len(chunk)
                if size >= self._limits.reply_bytes:
                    response.close()
                    break
        except (aiohttp.ClientError, TimeoutError):
            response.close()
        return printable(start.decode("utf-8", "replace")[: self._limits.excerpt_chars])

    async def _whole(self, response: aiohttp.ClientResponse) -> Answer:
        body = await response.content.read(self._limits.reply_bytes + 1)
        while len(body) <= self._limits.reply_bytes and not response.content.at_eof():
            body += await response.content.read(self._limits.reply_bytes + 1 - len(body))
        if len(body) > self._limits.reply_bytes:
            response.close()
            return NoReply("protocol", f"the reply is longer than {self._limits.reply_bytes} bytes")
        return Reply(response.status, {}, body=body)

    def _no_reply(self, error: Exception) -> NoReply:
        refused = refused_address(error)
        if refused is not None:
            return NoReply("dns", str(refused))
        if isinstance(error, TimeoutError):
            return NoReply("timeout", f"no answer within {self._limits.total_s:g} s")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return NoReply("dns", "the host name was not found")
        if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
            return NoReply("tls", printable(str(error)))
        if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
            return NoReply("connect", printable(str(error) or "the connection broke"))
        return NoReply("protocol", printable(f"{type(error).__name__}: {error}"))

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guard:
    """Says which addresses may be connected to, and makes sockets for those only."""

    def __init__(self, policy: Policy, plaintext: bool) -> None:
        self._policy = policy
        self._plaintext = plaintext

    def reason(self, address: str) -> str | None:
        parsed = parse_address(address)
        if parsed is None:
            return "not an address"
        return refusal(parsed, self._policy, plaintext=self._plaintext)

    def socket(self, info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, where = info
        reason = self.reason(str(where[0]))
        if reason is not None:
            raise AddressRefused(f"the connection would go to {reason}")
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """Resolves in threads of its own, so that a slow name server holds up nothing else."""

    def __init__(self, guard: Guard, lookup: Lookup, threads: ThreadPoolExecutor) -> None:
        self._guard = guard
        self._lookup = lookup
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port)
        allowed = [(kind, address) for kind, address in found if self._guard.reason(address) is None]
        if found and not allowed:
            raise AddressRefused(f"the host name leads to {self._guard.reason(found[0][1])}")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in allowed
        ]

    async def close(self) -> None:
        """The threads belong to the poster."""


def guarded_session(
    guard: Guard,
    resolver: GuardedResolver,
    *,
    agent: str = USER_AGENT,
    timeout: aiohttp.ClientTimeout | None = None,
    **connector: Any,
) -> aiohttp.ClientSession:
    """A client that connects where the guard lets it and nowhere else, and takes nothing from its
    surroundings: no proxy, no cookies, no compressed answers. ``connector``: what ``TCPConnector`` takes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, socket_factory=guard.socket, **connector),
        timeout=timeout or aiohttp.ClientTimeout(),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"User-Agent": agent, "Accept-Encoding": "identity"},
    )


def system_lookup(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses of a host, by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(where[0])) for family, _, _, _, where in found]


def _checked(url: str, policy: Policy) -> _Sent:
    target = check_url(url, policy)
    return _Sent(URL(target.url, encoded=True), target.scheme == "http")


def refused_address(error: BaseException | None) -> AddressRefused | None:
    """The refusal behind an error of the client, if there is one."""
    seen = error
    while seen is not None:
        if isinstance(seen, AddressRefused):
            return seen
        inner = getattr(seen, "os_error", None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return None


def printable(text: str) -> str:
    """No control characters: the text is stored and shown."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
