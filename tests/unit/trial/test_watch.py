"""Waiting for a named condition."""

from __future__ import annotations

import asyncio

import pytest

from gateway.trial.watch import NotInTime, Watch

pytestmark = pytest.mark.unit


async def test_what_came_true_while_nobody_could_look_is_in_time() -> None:
    """The process was held up: the deadline passed before the waiter was told, not before it was so."""
    so: list[bool] = []
    waiting = asyncio.create_task(Watch().until(lambda: bool(so), within_s=0.01, what="it"))
    await asyncio.sleep(0)
    so.append(True)
    await waiting


async def test_what_is_not_so_is_named_with_what_was_seen() -> None:
    with pytest.raises(NotInTime, match=r"it: not within 0\.01 s; seen: nothing"):
        await Watch().until(lambda: False, within_s=0.01, what="it")
