"""Texts out over HTTP: one attempt, bounded in time and bytes, told truthfully.

Nothing is sent twice by itself: what fails before a connection stood was never sent (CarrierUnreachable);
what fails after it may have been taken (OutcomeUnknown). The connection goes only to an address that the
webhook guard allows, where a carrier of this machine or network needs ``allow_private`` in its table.
"""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
import structlog
from yarl import URL

from gateway.carriers.plan import Carrier, CarrierPlan
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.poster import Guard, GuardedResolver, Lookup, guarded_session, system_lookup
from proxy_pool.core.text import OutboundText
from proxy_pool.texts.ports import CarrierRefused, CarrierThrottled, CarrierUnreachable, SentAs
from proxy_pool.wire.carrier import HttpRequest, Outcome, Refused, Sent, Throttled, Unclear
from telephony.errors import NotFound, OutcomeUnknown

TOTAL_S: Final = 15.0
CONNECT_S: Final = 5.0
ANSWER_BYTES: Final = 64 * 1024
USER_AGENT: Final = "Patchbay/1.0"
_KEEP_ALIVE_S: Final = 1.5
"""Shorter than the usual servers', so that a reused connection is not one being closed."""
_log = structlog.get_logger("gateway.carriers")


class HttpSender:
    """Sends texts over the configured carriers. Made inside a running loop; ``close`` ends it."""

    def __init__(
        self,
        plan: CarrierPlan,
        *,
        total_s: float = TOTAL_S,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._plan = plan
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="carrier-dns")
        self._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S)
        self._sessions = {
            name: self._session(carrier, lookup or system_lookup, tls)
            for name, carrier in plan.carriers.items()
        }

    def _session(self, carrier: Carrier, lookup: Lookup, tls: ssl.SSLContext | None) -> aiohttp.ClientSession:
        plaintext = carrier.account.api_base.startswith("http://")
        guard = Guard(Policy(allow_private=carrier.allow_private), plaintext)
        return guarded_session(
            guard,
            GuardedResolver(guard, lookup, self._threads),
            agent=USER_AGENT,
            timeout=self._timeout,
            limit=32,
            keepalive_timeout=_KEEP_ALIVE_S,
            ssl=tls or True,
        )

    async def send(self, text: OutboundText, carrier: str) -> SentAs:
        """Send once; raises CarrierThrottled, CarrierRefused, CarrierUnreachable, OutcomeUnknown."""
        known = self._plan.carriers.get(carrier)
        if known is None:
            raise NotFound("there is no such carrier")
        if text.phone:
            raise CarrierRefused("no_number", permanent=True)
        if text.media and not known.adapter.carries_media:
            raise CarrierRefused("no_media", permanent=True)
        request = known.adapter.encode_send(text, known.account)
        outcome = await self._post(known, request)
        _log.info("carrier.answered", carrier=carrier, message_id=text.id, outcome=type(outcome).__name__)
        match outcome:
            case Sent(provider_id, segments):
                return SentAs(provider_id, segments)
            case Throttled(seconds):
                raise CarrierThrottled(seconds)
            case Refused(code, permanent):
                raise CarrierRefused(code, permanent=permanent)
            case Unclear(code):
                raise OutcomeUnknown(f"whether the carrier took the text is not known: {code}")

    async def _post(self, carrier: Carrier, request: HttpRequest) -> Outcome:
        try:
            async with self._sessions[carrier.name].request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = await _read(response)
                return carrier.adapter.decode_sent(response.status, headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise CarrierUnreachable(f"no connection to the carrier: {type(error).__name__}") from None
        except TimeoutError:
            return Unclear("timeout")
        except (aiohttp.ClientError, OSError) as error:
            return Unclear(type(error).__name__)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer; nothing where it is too long or breaks off: its status counts all the same."""
    parts, size = [], 0
    try:
        while chunk := await response.content.read(ANSWER_BYTES):
            size += len(chunk)
            if size > ANSWER_BYTES:
                response.close()
                return b""
            parts.append(chunk)
    except (aiohttp.ClientError, TimeoutError):
        response.close()
        return b""
    return b"".join(parts)
