"""The face served over real HTTP in a thread of its own, and ids of things that are there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from gateway.policy.attempt import CallLimits
from tests.unit.http.masked import SESSIONS
from tests.unit.http.rig import NUMBER_LIMITS, OURS, TO, Rig, open_rig
from tests.unit.http.rooms_behind import room_paths

PROXIES = ("+12025550301", "+12025550302", "+12025550303")


@dataclass
class Live:
    """The face as it is served, and ids of things that are there."""

    url: str
    keys: dict[str, str]
    ids: dict[str, str]


async def _fill(rig: Rig) -> dict[str, str]:
    call_id = await rig.ended(record=True)
    (rig.folder / f"{call_id}-1.wav").write_bytes(b"RIFF" + bytes(40))
    hook = (await rig.client.post("/api/v1/webhooks", {"url": "https://a.example/", "events": ["*"]})).data
    sent = (await rig.client.post(f"/api/v1/webhooks/{hook['id']}/test")).data
    spare = (await rig.client.post("/api/v1/settings/api-keys", {"name": "spare", "role": "viewer"})).data
    proxies = await rig.pool(*PROXIES)
    session = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": "phone:bob"})).data["id"]
    return {
        "session_id": session,
        "interaction_id": await rig.masked.interact(OURS, session, rig.clock.now()),
        "media_id": "med_01J00000000000000000000000",
        "call_id": call_id,
        "recording_id": f"{call_id}-1",
        "webhook_id": hook["id"],
        "delivery_id": sent["delivery_id"],
        "number_id": proxies[0],
        "agent_id": (await rig.client.post("/api/v1/agents", {"name": "Desk"})).data["id"],
        "carrier": "trunkline",
        "key_id": spare["id"],
        **await room_paths(rig.client),
    }


class _Started(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def served(
    folder: Path, limits: CallLimits = NUMBER_LIMITS, environment: Mapping[str, str] | None = None
) -> Iterator[Live]:
    """The face in a thread with an event loop of its own."""
    found: list[Live] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_rig(folder, limits=limits, environment=environment) as rig:
            ids = await _fill(rig)
            config = uvicorn.Config(rig.app, lifespan="off", log_level="error")
            server = _Started(config)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                port = listening.getsockname()[1]
                running = asyncio.create_task(server.serve(sockets=[listening]))
                await server.up.wait()
                found.append(Live(f"http://127.0.0.1:{port}", rig.keys, ids))
                ready.set()
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served-face")
    thread.start()
    try:
        assert ready.wait(90)
        yield found[0]
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
