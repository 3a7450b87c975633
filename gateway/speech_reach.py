"""How speech services and sounds at addresses are reached: through the guard that webhooks go through.

Fits ``voice_agents.ports.Connector``; ``sound`` fits what ``voice_agents.speech.front.Fronts`` fetches with.
Every address that a name leads to is checked, what is connected to is one of exactly those, redirections are
not followed, and no more is read than was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from yarl import URL

from gateway.webhooks.core.ssrf import Policy, check_url
from gateway.webhooks.poster import Guard, GuardedResolver, Lookup, guarded_session, system_lookup
from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.wav import Mono, from_wav
from voice_agents.ports import Fetched

_CONNECT_S: Final = 3.0
_SOUND_S: Final = 10.0
_MOST_SOUND: Final = 8_000_000
_CHUNK: Final = 65_536
_DNS_THREADS: Final = 4


class GuardedSpeech:
    """Made inside a running loop; ``close`` ends its connections and threads."""

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._threads = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="speech-dns")
        self._sessions = {plain: self._session(Guard(policy, plain), lookup) for plain in (False, True)}

    def _session(self, guard: Guard, lookup: Lookup) -> aiohttp.ClientSession:
        return guarded_session(guard, GuardedResolver(guard, lookup, self._threads), limit=0)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, most_bytes: int
    ) -> Fetched:
        """Post and read the answer. Raises ``SpeechUnavailable``."""
        return await self._ask("POST", url, headers, body, deadline_s, most_bytes)

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
        try:
            target = check_url(url, self._policy)
        except InvalidInput as error:
            raise SpeechUnavailable(error.message) from error
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
