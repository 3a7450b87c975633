"""Where lines to agents may go: the guard that webhooks go through, for ``ws`` and ``wss``.

Fits ``voice_agents.lines.socket_line.Reach``. The address's text is checked, and every IP address that its
name leads to; what is connected to is one of exactly those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from gateway.policy.agent_url import check_agent_url
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.poster import AddressRefused, Guard, GuardedResolver, Lookup, system_lookup
from telephony.errors import InvalidInput, Unavailable

DNS_S: Final = 2.0
_DNS_THREADS: Final = 4


class GuardedReach:
    """``close`` ends its threads. ``dns_s``: how long a name may take."""

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup, *, dns_s: float = DNS_S) -> None:
        self._policy = policy
        self._dns_s = dns_s
        self._threads = ThreadPoolExecutor(_DNS_THREADS, thread_name_prefix="agent-dns")
        self._resolvers = {
            plain: GuardedResolver(Guard(policy, plain), lookup, self._threads) for plain in (False, True)
        }

    async def __call__(self, url: str) -> Sequence[str]:
        """The addresses that may be connected to. Raises InvalidInput, or Unavailable where there is none."""
        parts = urlsplit(check_agent_url(url, self._policy))
        resolver = self._resolvers[parts.scheme == "ws"]
        try:
            async with asyncio.timeout(self._dns_s):
                found = await resolver.resolve(parts.hostname or "")
        except AddressRefused as error:
            raise InvalidInput(str(error), field="url") from None
        except (OSError, TimeoutError):
            raise Unavailable("the agent's host name was not found") from None
        if not found:
            raise Unavailable("the agent's host name was not found")
        return list(dict.fromkeys(one["host"] for one in found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
