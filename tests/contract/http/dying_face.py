"""The HTTP face with number masking on SQLite, as a process that kills itself while opening a session.

The points are those of ``proxy_pool.placing``, 1 and 5 among them. The file ``owner`` gets the owner's key,
and there is a file ``answered`` if an answer got out.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway.storage.database import Database
from gateway.storage.idempotency import IdempotencyRepository
from proxy_pool.placing import Placer, Point
from proxy_pool.service import Masking
from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import OTHER, TO, open_rig

PROXIES = tuple(f"+120255503{n:02d}" for n in range(4))
BODY = {"party_a": TO, "party_b": OTHER}
KEY = {"Idempotency-Key": "ride-9"}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: int) -> None:
    """Arrange for death there."""
    if point == 1:
        Masking.open = _dies_before  # type: ignore[method-assign,assignment]
    elif point == 5:
        keep = IdempotencyRepository.complete

        async def keep_and_die(self: IdempotencyRepository, *args: Any) -> None:
            await keep(self, *args)
            die()

        IdempotencyRepository.complete = keep_and_die  # type: ignore[method-assign]
    else:
        make = Placer.__init__

        def made(self: Placer, *args: Any) -> None:
            make(self, *args[:4], lambda reached: die() if reached is Point(point) else None)

        Placer.__init__ = made  # type: ignore[method-assign,assignment]


async def _dies_before(self: Masking, *args: Any, **more: Any) -> None:
    die()


async def life(folder: Path) -> None:
    database = await Database.open(f"sqlite:///{folder / 'patchbay.db'}")
    await database.migrate()
    async with open_rig(folder, database, masking_in_sql=True) as rig:
        await rig.pool(*PROXIES)
        (folder / "owner").write_text(rig.keys["owner"])
        await rig.client.post(SESSIONS, BODY, KEY)
        (folder / "answered").touch()


if __name__ == "__main__":
    die_at(int(sys.argv[1]))
    asyncio.run(life(Path(sys.argv[2])))
