"""How speech services and sounds at addresses are reached: through the guard that webhooks go through.

Fits ``voice_agents.ports.Connector`` and ``StreamConnector``; ``sound`` fits what
``voice_agents.speech.front.Fronts`` fetches with.
Every address that a name leads to is checked, what is connected to is one of exactly those, redirections are
not followed, and no more is read than was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from yarl import URL

from gateway.webhooks.core.ssrf import Policy, Target, check_url
from gateway.webhooks.poster import Guard, GuardedResolver, Lookup, guarded_session, system_lookup
from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.wav import Mono, from_wav
from voice_agents.ports import Fetched

_AGENT: Final = "Patchbay-Speech/1.0"
_CONNECT_S: Final = 3.0
_SOUND_S: Final = 10.0
_MOST_SOUND: Final = 8_000_000
_CHUNK: Final = 65_536
_DNS_THREADS: Final = 4
_CLOSE_S: Final = 1.0
_MOST_OTHERS: Final = 1000
"""After so many messages that are no text, a service is taken for one that has nothing to say."""
_AS_HTTP: Final = {"ws": "http", "wss": "https"}


class GuardedSpeech:
    """Made inside a running loop; ``close`` ends its connections and threads. ``tls``: whom to trust, where
    that is not whom this machine trusts."""

    def __init__(
        self, policy: Policy, lookup: Lookup = system_lookup, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy, self._tls = policy, tls
        self._threads = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="speech-dns")
        self._sessions = {plain: self._session(Guard(policy, plain), lookup) for plain in (False, True)}

    def _session(self, guard: Guard, lookup: Lookup) -> aiohttp.ClientSession:
        resolver = GuardedResolver(guard, lookup, self._threads)
        session = guarded_session(guard, resolver, agent=_AGENT, limit=0, ssl=self._tls or True)
        session.trace_configs.append(_no_redirections())
        return session

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, most_bytes: int
    ) -> Fetched:
        """Post and read the answer. Raises ``SpeechUnavailable``."""
        return await self._ask("POST", url, headers, body, deadline_s, most_bytes)

    async def open(
        self, url: str, headers: Mapping[str, str], deadline_s: float, most_bytes: int
    ) -> SpeechStream:
        """A WebSocket (RFC 6455). Raises ``SpeechUnavailable``."""
        scheme, _, rest = url.partition(":")
        target = self._checked(f"{_AS_HTTP.get(scheme.lower(), 'no-socket')}:{rest}")
        try:
            async with asyncio.timeout(deadline_s):
                socket = await self._sessions[target.scheme == "http"].ws_connect(
                    URL(target.url, encoded=True),
                    headers=headers,
                    max_msg_size=most_bytes,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                )
        except TimeoutError:
            raise SpeechUnavailable(f"no connection within {deadline_s:g} s") from None
        except aiohttp.WSServerHandshakeError as error:
            raise SpeechUnavailable(f"the speech service answered {error.status}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SpeechUnavailable("the address cannot be reached") from error
        return SpeechStream(socket)

    async def sound(self, url: str) -> Mono:
        """The WAV file at an address. Raises ``SpeechUnavailable`` if there is none."""
        fetched = await self._ask("GET", url, {"Accept": "audio/wav"}, b"", _SOUND_S, _MOST_SOUND)
        if fetched.status != 200:
            raise SpeechUnavailable(f"the sound's address answered {fetched.status}")
        try:
            found = await asyncio.to_thread(from_wav, fetched.body)
        except ValueError as error:
            raise SpeechUnavailable("what is at the address is not a 16-bit WAV of one channel") from error
        if not found.pcm or not 4000 <= found.rate_hz <= 192_000:
            raise SpeechUnavailable("what is at the address has no sound")
        return found

    async def _ask(
        self, verb: str, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, most: int
    ) -> Fetched:
        target = self._checked(url)
        session = self._sessions[target.scheme == "http"]
        timeout = aiohttp.ClientTimeout(total=deadline_s, sock_connect=min(deadline_s, _CONNECT_S))
        try:
            async with session.request(
                verb,
                URL(target.url, encoded=True),
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                found = await self._read(response, most)
                return Fetched(response.status, response.content_type, found)
        except TimeoutError:
            raise SpeechUnavailable(f"no answer within {deadline_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SpeechUnavailable("the address cannot be reached") from error

    def _checked(self, url: str) -> Target:
        try:
            return check_url(url, self._policy)
        except InvalidInput as error:
            raise SpeechUnavailable(error.message) from error

    @staticmethod
    async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
        found = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            found += chunk
            if len(found) > most:
                response.close()
                raise SpeechUnavailable(f"the answer is longer than {most} octets")
        return bytes(found)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class SpeechStream:
    """An open WebSocket to a service. Fits ``voice_agents.ports.Stream``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: str | bytes) -> None:
        """Waits where the service takes less than it is sent. Raises ``SpeechUnavailable``."""
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_str(message)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise SpeechUnavailable("the speech service hung up") from error

    async def receive(self) -> str | None:
        """The next text message; None once there will be none: closed, broken, too long, or not of the
        protocol."""
        for _ in range(_MOST_OTHERS):
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                return str(message.data)
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
        return None

    async def close(self) -> None:
        """Say goodbye, and wait a little for the service to do so too."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._socket.close()


def _no_redirections() -> aiohttp.TraceConfig:
    """Opening a WebSocket follows them otherwise, and nothing that is asked here may."""

    async def refuse(*_: object) -> None:
        raise aiohttp.ClientError("redirected")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    trace.freeze()
    return trace
