"""The gateway stops: agents are told while calls can still be ended, and what they say of it is kept."""

from __future__ import annotations

import asyncio
import os
import socket
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway import wiring_agents
from gateway.clocks import SystemClock, new_id
from gateway.config import Settings
from gateway.http.face import Face
from gateway.runtime.ports import free_ports
from gateway.storage.agents import Agent
from gateway.storage.database import Database
from gateway.storage.keys import TenantRepository
from gateway.storage.records import Tenant
from gateway.wiring import Product
from gateway.wiring_voice import VoiceEngine
from telephony.errors import AgentUnavailable
from telephony.ids import TenantId
from tests.rig.agent_servers import Socket, serving
from tests.rig.fake_ami import FakeAmi
from voice_agents.core.record import AgentCall
from voice_agents.desk import AgentDesk

pytestmark = pytest.mark.contract

OURS = TenantId("ten_ours")


def settings_of(folder: Path, ami: FakeAmi, media: int | None = None) -> Settings:
    api, agi, free = free_ports(3)
    return Settings.from_env(
        {
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(Path.home() / ".cache"),
            "PATCHBAY_VAR_DIR": str(folder),
            "PATCHBAY_API_PORT": str(api),
            "PATCHBAY_AGI_PORT": str(agi),
            "PATCHBAY_MEDIA_PORT": str(media or free),
            "PATCHBAY_AMI_HOST": "127.0.0.1",
            "PATCHBAY_AMI_PORT": str(ami.port),
            "PATCHBAY_WEBHOOK_ALLOW_PRIVATE": "1",
            **{f"PATCHBAY_AMI_{role}_SECRET": ami.secret for role in ("CONTROL", "RECORDING", "EVENTS")},
        }
    )


async def an_agent(face: Face, url: str) -> AgentCall:
    """Register an agent at this address; a call that it shall take."""
    now = SystemClock().wall()
    spec = {"name": "Desk", "dialect": "native", "url": url}
    agent = Agent(new_id("agt"), OURS, 1, 1, "active", spec, "none", now, now)
    await face.books.agents.add(agent)
    return AgentCall(new_id("call"), OURS, agent.id, "inbound", "+12025550100", "+12025550101")


async def a_tenant(settings: Settings) -> None:
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
    try:
        await database.migrate()
        await TenantRepository(database).create(Tenant(OURS, "ours", SystemClock().wall()))
    finally:
        await database.close()


async def kept(settings: Settings, question: str) -> list[tuple[Any, ...]]:
    """What the database says, once the gateway has closed it."""
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)

    def ask(conn: Connection) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in conn.execute(text(question))]

    try:
        return await database.read(ask)
    finally:
        await database.close()


def _events(face: Face, what: str) -> float:
    found = face.registry.get_sample_value("patchbay_agent_events_total", {"what": what})
    assert found is not None
    return found


async def test_agents_are_told_first_and_their_last_words_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring_agents, "_DRAIN_S", 60.0)
    monkeypatch.setattr(AgentDesk, "drain", partialmethod(AgentDesk.drain, told_before_s=60.0))
    seen: list[str] = []
    stop = VoiceEngine.stop

    async def stopping(engine: VoiceEngine) -> None:
        seen.append("the call engine stops")
        await stop(engine)

    monkeypatch.setattr(VoiceEngine, "stop", stopping)
    ready = asyncio.Event()

    async def agent(socket: Socket) -> None:
        await socket.event("session.begin")
        socket.send({"type": "session.ready"})
        ready.set()
        ending = await socket.event("session.ending")
        seen.append(f"the agent hears of the {ending['reason']}")
        socket.send({"type": "session.summary", "text": "Nobody had come yet."})
        socket.send({"type": "session.ack"})
        await socket.event("session.ended")
        await socket.gone.wait()

    async with FakeAmi() as ami, serving(agent) as server:
        settings = settings_of(tmp_path, ami)
        await a_tenant(settings)
        product = Product(settings)
        try:
            face = await product.start()
            assert face.agent_calls is not None
            wanted = await an_agent(face, server.url)
            await face.agent_calls.prepare(wanted)
            async with asyncio.timeout(60):
                await ready.wait()
        finally:
            await product.stop()
        with pytest.raises(AgentUnavailable):
            await face.agent_calls.prepare(wanted)
        events = {what: _events(face, what) for what in ("told", "dropped", "failed")}
    assert events["told"] >= 2, "those of the beginning and of the end"
    assert (events["dropped"], events["failed"]) == (0, 0)
    assert seen == ["the agent hears of the drain", "the call engine stops"]
    ((record,),) = await kept(settings, "SELECT summary FROM agent_sessions")
    assert record == "Nobody had come yet."


async def test_a_gateway_whose_media_port_is_taken_says_so_and_lets_go_of_everything(tmp_path: Path) -> None:
    async with FakeAmi() as ami:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            settings = settings_of(tmp_path, ami, taken.getsockname()[1])
            product = Product(settings)
            with pytest.raises(OSError, match="in use"):
                await product.start()
            await product.stop()
        assert "patchbay.db-wal" not in os.listdir(tmp_path), "the database was not closed"
        again = Product(settings)
        try:
            await again.start()
        finally:
            await again.stop()
