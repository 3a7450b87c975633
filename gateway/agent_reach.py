"""Where lines to agents may go: the guard that webhooks go through, for ``ws`` and ``wss``.

Fits ``voice_agents.lines.socket_line.Reach``. The address's text is checked, and every IP address that its
name leads to; what is connected to is one of exactly those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gateway.webhooks.core.ssrf import Policy, check_url
from gateway.webhooks.poster import Guard, Lookup, system_lookup
from telephony.errors import InvalidInput, Unavailable

_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DNS_S: Final = 2.0
_DNS_THREADS: Final = 4


class GuardedReach:
    """``close`` ends its threads."""

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="agent-dns")
        self._guards = {scheme: Guard(policy, scheme == "ws") for scheme in _SCHEMES}

    async def __call__(self, url: str) -> Sequence[str]:
        """The addresses that may be connected to. Raises InvalidInput, or Unavailable where there is none."""
        scheme, _, rest = url.partition("://")
        if scheme not in _SCHEMES:
            raise InvalidInput("an agent's address begins with wss://", field="url", expected="wss://…")
        target = check_url(f"{_SCHEMES[scheme]}://{rest}", self._policy)
        try:
            async with asyncio.timeout(_DNS_S):
                found = await self._resolved(target.host, target.port)
        except (OSError, TimeoutError):
            raise Unavailable("the agent's host name was not found") from None
        reason: Callable[[str], str | None] = self._guards[scheme].reason
        allowed = [address for address in found if reason(address) is None]
        if not allowed:
            why = reason(found[0]) if found else "nowhere"
            raise InvalidInput(f"the agent's host name leads to {why}", field="url")
        return allowed

    async def _resolved(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port)
        return list(dict.fromkeys(address for _, address in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
