"""Programs that run as another process in the fault tests: ``lock FILE`` and ``write URL``."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from datetime import date

from sqlalchemy import insert

from gateway.storage.database import Database
from gateway.storage.tables import DAILY_USAGE
from telephony.ids import TenantId

TENANT = TenantId("tnt_writer")


def lock(path: str) -> None:
    """Hold SQLite's write lock from the word ``locked`` until standard input ends."""
    link = sqlite3.connect(path, isolation_level=None)
    link.execute("BEGIN IMMEDIATE")
    sys.stdout.write("locked\n")
    sys.stdout.flush()
    sys.stdin.read()
    link.execute("ROLLBACK")


async def write(url: str) -> None:
    """Write rows until killed, 16 at a time; each number is printed once it was acknowledged."""
    database = await Database.open(url)
    numbers = iter(range(1, 10**9))

    async def one_by_one() -> None:
        for number in numbers:
            row = {"tenant_id": TENANT, "day": f"{date.min}-{number}", "seconds": number}
            await database.write(lambda conn, row=row: conn.execute(insert(DAILY_USAGE), row) and None)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(one_by_one() for _ in range(16)))


def killed_after(url: str, acknowledged: int) -> set[int]:
    """What a process that was killed in the middle of writing had been told is stored."""
    command = [sys.executable, "-m", "tests.contract.storage.other_process", "write", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        numbers = {int(other.stdout.readline()) for _ in range(acknowledged)}
        other.send_signal(signal.SIGKILL)
        numbers |= {int(line) for line in other.stdout if line.endswith("\n")}
    assert other.returncode == -signal.SIGKILL
    return numbers


if __name__ == "__main__":
    if sys.argv[1] == "lock":
        lock(sys.argv[2])
    else:
        asyncio.run(write(sys.argv[2]))
