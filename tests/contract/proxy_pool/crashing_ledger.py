"""A process that opens, uses, changes and closes sessions until it is killed.

Each line is a verb and a session's number, printed once the ledger had acknowledged it.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from gateway.storage.database import Database
from proxy_pool.core.session import CloseReason, Session
from proxy_pool.ports import SessionEvent
from telephony.errors import StorageUnavailable
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import CLOSED, OPENED, OURS, T0, WEEK, doors, in_sql, pair

CHANGED = (SessionEvent("session.changed", T0 + 5),)


def numbered(number: int) -> Session:
    return pair(number, E164(f"+1415{number:07d}"), E164(f"+1510{number:07d}"))


async def live(url: str) -> None:
    """16 at a time; of four sessions one is used, one changed, one closed."""
    database = await Database.open(url)
    ledger = in_sql(database).ledger
    numbers = iter(range(1, 10**6))

    async def one_life(number: int) -> None:
        session = numbered(number)
        await ledger.open(session, doors(session), OPENED)
        tell("opened", number)
        match number % 4:
            case 1:
                await ledger.use(OURS, session.id, 0, T0 + 5, T0 + 9000)
                tell("used", number)
            case 2:
                after = replace(session, metadata=(("changed", "yes"),), version=2)
                await ledger.change(after, doors(after)[:1], T0 + WEEK, CHANGED)
                tell("changed", number)
            case 3:
                await ledger.close(OURS, session.id, CloseReason.API, T0 + 60, T0 + WEEK, CLOSED)
                tell("closed", number)

    async def one_by_one() -> None:
        for number in numbers:
            with suppress(
                StorageUnavailable
            ):  # a busy machine: nothing was acknowledged, the next one may be
                await one_life(number)

    await asyncio.gather(*(one_by_one() for _ in range(16)))


def tell(verb: str, number: int) -> None:
    sys.stdout.write(f"{verb} {number}\n")
    sys.stdout.flush()


def killed_after(url: str, lines: int) -> set[tuple[str, int]]:
    """What a process that was killed in the middle of its work had been told is done."""
    command = [sys.executable, "-m", "tests.contract.proxy_pool.crashing_ledger", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        told = set(_parsed(other.stdout.readline() for _ in range(lines)))
        other.send_signal(signal.SIGKILL)
        told |= set(_parsed(other.stdout))
    assert other.returncode == -signal.SIGKILL
    return told


def _parsed(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        if line.endswith("\n"):  # the last one may have been cut
            verb, number = line.split()
            yield verb, int(number)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1]))
