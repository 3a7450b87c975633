"""Attachments in from carriers: fetched behind the webhook guard, bounded, with credentials only at home.

Fits ``gateway.media_folder.Fetch``. A carrier's media address often leads on to a store elsewhere, so a few
redirections are followed, each checked like the first; the account's credentials go to the origin of its API
and nowhere else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from gateway.carriers.plan import CarrierPlan
from gateway.webhooks.core.ssrf import Policy, check_url
from gateway.webhooks.poster import (
    Guard,
    GuardedResolver,
    Lookup,
    guarded_session,
    refused_address,
    system_lookup,
)
from proxy_pool.texts.ports import MediaUnfit
from telephony.errors import InvalidInput, Unavailable

TOTAL_S: Final = 15.0
CONNECT_S: Final = 5.0
REDIRECTS: Final = 3
_AHEAD: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset({408, 425, 429})


class CarrierFetch:
    """Fetches for the configured carriers. Made inside a running loop; ``close`` ends its connections."""

    def __init__(self, plan: CarrierPlan, *, lookup: Lookup | None = None) -> None:
        self._plan = plan
        self._lookup = lookup or system_lookup
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="media-dns")
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}

    async def __call__(self, carrier: str, url: str, most: int) -> bytes:
        """At most ``most`` + 1 bytes. Raises MediaUnfit (refused, gone), Unavailable."""
        known = self._plan.carriers.get(carrier)
        if known is None:
            raise MediaUnfit("refused")
        policy = Policy(allow_private=known.allow_private)
        for _ in range(REDIRECTS + 1):
            try:
                target = check_url(url, policy)
            except InvalidInput:
                raise MediaUnfit("refused") from None
            headers = known.adapter.media_headers(target.url, known.account)
            session = self._session(policy, target.scheme == "http")
            found = await _get(session, target.url, dict(headers), most)
            if isinstance(found, bytes):
                return found
            url = urljoin(target.url, found)
        raise MediaUnfit("redirects")

    def _session(self, policy: Policy, plaintext: bool) -> aiohttp.ClientSession:
        kind = (policy.allow_private, plaintext)
        if kind not in self._sessions:
            guard = Guard(policy, plaintext)
            self._sessions[kind] = guarded_session(
                guard,
                GuardedResolver(guard, self._lookup, self._threads),
                agent="Patchbay/1.0",
                timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S),
                limit=16,
                force_close=True,
            )
        return self._sessions[kind]

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _get(session: aiohttp.ClientSession, url: str, headers: dict[str, str], most: int) -> bytes | str:
    """The content, or the address that it leads on to."""
    try:
        async with session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as response:
            if response.status in _AHEAD and "location" in response.headers:
                return response.headers["location"]
            if response.status >= 500 or response.status in _LATER:
                raise Unavailable("the carrier's media are not to be had now")
            if response.status != 200:
                raise MediaUnfit("gone")
            return await _content(response, most)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if refused_address(error) is not None:
            raise MediaUnfit("refused") from None
        raise Unavailable("the carrier's media are not to be had now") from None


async def _content(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Up to one byte more than ``most``: enough to see that it is too much."""
    parts, size = [], 0
    while size <= most and (chunk := await response.content.read(min(64 * 1024, most + 1 - size))):
        parts.append(chunk)
        size += len(chunk)
    if size > most:
        response.close()
    return b"".join(parts)
