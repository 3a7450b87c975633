"""A process that relays the texts of a database until somebody kills it: ``python … URL STOP_AT``.

It prints a word at each step and waits for a line before it goes on past ``STOP_AT``, so that it can be
killed exactly there: ``judged`` (nothing is settled yet), ``settled``, ``sending``, ``sent`` (not noted yet).
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

from gateway.storage.database import Database
from proxy_pool.core.text import OutboundText
from proxy_pool.texts.ports import Incoming, Judged, SentAs
from tests.contract.proxy_pool import ledger_rig
from tests.contract.proxy_pool.ledger_rig import in_sql
from tests.contract.proxy_pool.texts_rig import NOW, TextRig, store_of


def step(name: str, stop_at: str) -> None:
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    if name == stop_at:
        sys.stdin.readline()


class SteppingSender:
    """Writes down what it sends, at once and durably: the carrier's own memory."""

    def __init__(self, stop_at: str) -> None:
        self.stop_at = stop_at
        self.tried = 0

    async def send(self, text: OutboundText, carrier: str) -> SentAs:
        self.tried += 1
        step("sending", self.stop_at)
        sys.stdout.write(f"carrier got {text.id}\n")
        sys.stdout.flush()
        step("sent", self.stop_at)
        return SentAs(f"prov-{text.id}")


async def main(url: str, stop_at: str) -> None:
    ledger_rig._COUNTER = count(1_000_000)  # ids of its own, beside its parent's in the same database
    database = await Database.open(url)
    books = in_sql(database)
    rig = TextRig(books, store_of(books), SteppingSender(stop_at), now=NOW + 1)  # type: ignore[arg-type]
    settle = rig.store.settle_in

    async def settle_in(incoming: Incoming, judged: Judged, now: float) -> bool:
        step("judged", stop_at)
        done = await settle(incoming, judged, now)
        step("settled", stop_at)
        return done

    rig.store.settle_in = settle_in  # type: ignore[method-assign]
    while await rig.relay().judge_due():
        pass
    await rig.pump().send_due()
    step("end", stop_at)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
