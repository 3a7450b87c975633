"""What comes in from carriers: verified, read, stored, and only then answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from gateway.carriers.plan import CarrierPlan
from gateway.carriers.ports import TextsIn
from proxy_pool.core.text import InboundText, Receipt
from proxy_pool.wire.carrier import HookAnswer, Ignored, RawRequest
from proxy_pool.wire.reading import refuse_signature
from telephony.errors import MalformedRequest, NotAuthenticated, StorageUnavailable

TAKE_DEADLINE_S: Final = 8.0
"""Shorter than the shortest patience of carriers that wait at all (10 s); the others call again."""
_log = structlog.get_logger("gateway.carriers")


class CarrierIntake:
    """Takes requests from all configured carriers. ``now`` gives epoch seconds.

    ``counts`` has (carrier, word) → how many: ``text``, ``receipt``, ``unsigned``, ``malformed``, and
    ``ignored_…`` with the reason. Names of carriers that are not configured are counted as ``?``.
    """

    def __init__(self, plan: CarrierPlan, texts: TextsIn, now: Callable[[], float]) -> None:
        self._plan = plan
        self._texts = texts
        self._now = now
        self.counts: Counter[tuple[str, str]] = Counter()

    def knows(self, carrier: str) -> bool:
        return self._plan.knows(carrier)

    async def receive(self, name: str, request: RawRequest) -> HookAnswer:
        """What to answer, once all that was told is stored.

        Raises NotAuthenticated (an unknown carrier looks the same), MalformedRequest, StorageUnavailable.
        """
        carrier = self._plan.carriers.get(name)
        if carrier is None:
            self.counts["?", "unsigned"] += 1
            raise refuse_signature()
        try:
            carrier.adapter.verify(request, carrier.account, self._now())
        except NotAuthenticated:
            self._count(name, "unsigned")
            _log.warning("carrier.unsigned", carrier=name, method=request.method)
            raise
        try:
            told = carrier.adapter.parse(request, name)
        except MalformedRequest as error:
            self._count(name, "malformed")
            _log.warning("carrier.malformed", carrier=name, field=error.field, reason=error.message)
            raise
        texts = [one for one in told if isinstance(one, InboundText)]
        receipts = [one for one in told if isinstance(one, Receipt)]
        for one in told:
            if isinstance(one, Ignored):
                self._count(name, f"ignored_{one.reason}")
                _log.info("carrier.ignored", carrier=name, reason=one.reason)
        if texts or receipts:
            await self._store(texts, receipts)
        self._count(name, "text", len(texts))
        self._count(name, "receipt", len(receipts))
        return carrier.adapter.answer()

    async def _store(self, texts: list[InboundText], receipts: list[Receipt]) -> None:
        try:
            async with asyncio.timeout(TAKE_DEADLINE_S):
                await self._texts.take_in(texts, receipts)
        except TimeoutError:
            raise StorageUnavailable("the text was not stored in time; it may be told again") from None

    def _count(self, name: str, word: str, by: int = 1) -> None:
        if by:
            self.counts[name, word] += by
