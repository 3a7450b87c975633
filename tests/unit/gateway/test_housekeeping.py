"""Chores run, and one that fails is tried again without keeping the others from running."""

from __future__ import annotations

import asyncio

import pytest

from gateway.housekeeping import Housekeeping
from telephony.errors import StorageUnavailable

pytestmark = pytest.mark.unit


async def test_a_failing_chore_neither_stops_the_others_nor_itself() -> None:
    failed, done = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def fails() -> None:
        failed.release()
        raise StorageUnavailable

    async def works() -> None:
        done.release()

    house = Housekeeping([("fails", fails), ("works", works)], every_s=0.0)
    house.start()
    async with asyncio.timeout(60):
        for _ in range(3):
            await failed.acquire()
            await done.acquire()
    await house.stop()


async def test_stopping_before_starting_is_harmless() -> None:
    await Housekeeping([]).stop()
