"""A simulated carrier, the real HTTP face behind a proxy's public address, and a store in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry

from gateway.carriers.intake import CarrierIntake
from gateway.carriers.plan import CarrierPlan, parse_carriers
from gateway.carriers.sender import HttpSender
from gateway.http.app import create_app
from gateway.trial.carrier_control import Control
from gateway.trial.carrier_faults import Faults
from gateway.trial.carrier_sim import CarrierSim, SimSetup
from gateway.trial.watch import Watch
from proxy_pool.core.text import InboundText, OutboundText, Receipt
from telephony.errors import StorageUnavailable
from telephony.numbers import E164
from tests.unit.http.asgi import Client
from tests.unit.http.rig import Rig, open_rig

THEM, US = "+14155552671", "+12025550100"
PUBLIC = "https://phone.example.com/gate"
"""Where a proxy answers for us: neither host nor path nor scheme are those of the real request."""
QUICK = Faults(receipt_s=0.01, reorder_s=0.05, late_s=0.2, slow_s=5.0)


@dataclass
class MemoryTexts:
    """Fits ``TextsIn``. What is told twice is kept once. ``away``: how often storing still fails."""

    texts: dict[tuple[str, str], InboundText] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    deliveries: int = 0
    away: int = 0
    stuck: bool = False
    watch: Watch = field(default_factory=Watch)

    async def take_in(self, texts: Sequence[InboundText], receipts: Sequence[Receipt]) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        if self.away:
            self.away -= 1
            raise StorageUnavailable
        self.deliveries += len(texts) + len(receipts)
        for text in texts:
            self.texts.setdefault((text.carrier, text.message_id), text)
        for receipt in receipts:
            if receipt not in self.receipts:
                self.receipts.append(receipt)
        self.watch.changed()

    @property
    def bodies(self) -> list[str]:
        return [text.body for text in self.texts.values()]


@dataclass
class World:
    """Everything between a simulated carrier and a store."""

    sim: CarrierSim
    texts: MemoryTexts
    intake: CarrierIntake
    sender: HttpSender
    plan: CarrierPlan
    rig: Rig
    client: Client
    port: int

    async def send(self, body: str = "Yes, it is", id_: str = "msg_01") -> str:
        return (await self.sender.send(OutboundText(id_, E164(US), E164(THEM), body), "sim")).provider_id


class _Server(uvicorn.Server):
    """Says when it listens, and ends when it is told to, not at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up, self.over = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.over.wait()


@asynccontextmanager
async def world(
    folder: Path,
    kind: str,
    faults: Faults = QUICK,
    *,
    seed: int = 3,
    method: str = "POST",
    total_s: float = 10.0,
) -> AsyncIterator[World]:
    """One carrier of this kind, joined to the face and back."""
    async with open_rig(folder, environment={"PATCHBAY_PUBLIC_URL": PUBLIC}) as rig:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        setup = SimSetup(
            kind,
            f"http://127.0.0.1:{port}/v1/proxy/inbound/sim",
            f"{PUBLIC}/v1/proxy/inbound/sim",
            seed=seed,
            method=method,
            faults=faults,
        )
        control = Control()
        async with await CarrierSim.start(setup, rig.clock.now, control=control.routes) as sim:
            control.of(sim)
            plan = parse_carriers(sim.plan_text(), PUBLIC)
            texts = MemoryTexts()
            intake = CarrierIntake(plan, texts, rig.clock.now)
            app = create_app(replace(rig.face, carrier_hooks=intake, registry=CollectorRegistry()))
            server = _Server(uvicorn.Config(app, lifespan="off", log_level="error"))
            running = asyncio.create_task(server.serve(sockets=[listening]))
            sender = HttpSender(plan, total_s=total_s)
            try:
                await server.up.wait()
                yield World(sim, texts, intake, sender, plan, rig, Client(app), port)
            finally:
                await sender.close()
                server.over.set()
                await running
