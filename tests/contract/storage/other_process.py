"""A program that writes to a database (``… URL``) until the fault tests kill it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from datetime import date

from sqlalchemy import insert

from gateway.storage.database import Database
from gateway.storage.tables import DAILY_USAGE
from telephony.ids import TenantId

TENANT = TenantId("tnt_writer")


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
    command = [sys.executable, "-m", "tests.contract.storage.other_process", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        numbers = {int(other.stdout.readline()) for _ in range(acknowledged)}
        other.send_signal(signal.SIGKILL)
        numbers |= {int(line) for line in other.stdout if line.endswith("\n")}
    assert other.returncode == -signal.SIGKILL
    return numbers


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
