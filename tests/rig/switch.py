"""A real switch for a test: started on free ports in the test's own folder, stopped when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gateway.config import Secret
from gateway.runtime.plan import SwitchPlan, demo_plan
from gateway.runtime.switch import EmbeddedSwitch, SwitchSpec, free_switch_ports
from tests.rig.world import tools

PHONE_PASSWORDS = {"alice": Secret("alice-on-loopback"), "bob": Secret("bob-on-loopback")}


def switch_spec(folder: Path, plan: SwitchPlan | None = None, agi_port: int = 4573) -> SwitchSpec:
    """A spec on free ports, with all its state below ``folder``."""
    return SwitchSpec(
        plan=demo_plan(PHONE_PASSWORDS) if plan is None else plan,
        base=folder / "switch",
        ports=free_switch_ports(),
        agi=("127.0.0.1", agi_port),
        recordings=folder / "recordings",
        sounds=folder / "sounds",
    )


@asynccontextmanager
async def running_switch(
    folder: Path, plan: SwitchPlan | None = None, agi_port: int = 4573, **changes: object
) -> AsyncIterator[EmbeddedSwitch]:
    """An Asterisk that is up; ``changes`` are fields of ``SwitchSpec`` (``restart=False``, ``limits=…``).

    Without a plan it has the demo's: trunk ``carrier`` at 127.0.0.2, phones ``alice`` and ``bob``.
    """
    spec = replace(switch_spec(folder, plan, agi_port), **changes)  # type: ignore[arg-type]
    switch = EmbeddedSwitch(tools(), spec)
    try:
        await switch.start()
        yield switch
    finally:
        await switch.stop()
