"""A LiveKit server that is away, dies, refuses our key or answers nonsense: one named answer, in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from gateway.clocks import SystemClock
from gateway.runtime.ports import free_port
from telephony.errors import InvalidInput, RoomsUnavailable
from tests.contract.video_rooms.worlds import address_of, grant
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.visitors import visitor
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms

pytestmark = pytest.mark.contract

SECRET = "s" * 40
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
VERBS: dict[str, Callable[[LiveKitRooms], Awaitable[object]]] = {
    "create": lambda rooms: rooms.create("r", max_people=2),
    "rooms": lambda rooms: rooms.rooms(),
    "delete": lambda rooms: rooms.delete("r"),
    "people": lambda rooms: rooms.people("r"),
    "remove": lambda rooms: rooms.remove("r", "a"),
    "mute": lambda rooms: rooms.mute("r", "a", "audio"),
    "update": lambda rooms: rooms.update("r", "a", attributes={"a": "b"}, let_in=True),
    "send": lambda rooms: rooms.send("r", b"x", topic="t"),
    "start_recording": lambda rooms: rooms.start_recording("r", "f.mp4"),
    "stop_recording": lambda rooms: rooms.stop_recording("EG_1"),
}


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[str]:
    """Something that answers every request like this; its address."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def at(url: str, **settings: float) -> AsyncIterator[LiveKitRooms]:
    rooms = LiveKitRooms(LiveKitAddress(url, "key", SECRET), SystemClock(), **settings)  # type: ignore[arg-type]
    try:
        yield rooms
    finally:
        await rooms.close()


@pytest.mark.parametrize("verb", sorted(VERBS))
async def test_where_nobody_listens_rooms_are_unavailable(verb: str) -> None:
    async with at(f"ws://127.0.0.1:{free_port()}") as rooms:
        with pytest.raises(RoomsUnavailable):
            await VERBS[verb](rooms)


async def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_said() -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        await over.wait()
        return web.Response()

    async with served(never) as url, at(url, deadline_s=60.0) as patient, at(url, deadline_s=0.2) as rooms:
        waiting = asyncio.create_task(patient.create("r", max_people=2))
        async with asyncio.timeout(20):
            await asked.wait()
        with pytest.raises(RoomsUnavailable, match=r"within 0\.2 s"):
            await rooms.create("r", max_people=2)
        assert not waiting.done(), "it is the server that does not answer"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        over.set()


@pytest.mark.parametrize("verb", ["create", "delete", "people", "mute"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"\xff\xff\xff\xff"),
        (404, b"<html>no such page</html>"),
        (500, b'{"code":"internal","msg":"x"}'),
        (503, b""),
        (302, b""),
        (401, b""),
        (403, b'{"code":"permission_denied","msg":"x"}'),
    ],
)
async def test_nonsense_and_refusals_are_one_answer(status: int, body: bytes, verb: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    async with served(answer) as url, at(url) as rooms:
        with pytest.raises(RoomsUnavailable):
            await VERBS[verb](rooms)


async def test_a_recorder_that_does_not_answer_is_not_asked_again_at_once() -> None:
    asked: list[str] = []

    async def nobody(request: web.Request) -> web.StreamResponse:
        asked.append(request.path.rpartition("/")[2])
        if asked[-1] == "ListEgress":
            return web.Response(body=b"")
        return web.json_response({"code": "unavailable", "msg": "no response from servers"}, status=503)

    async with served(nobody) as url, at(url) as rooms:
        assert await rooms.start_recording("r", "f.mp4") is None
        assert await rooms.start_recording("r", "f.mp4") is None
        assert asked == ["ListEgress", "StartRoomCompositeEgress"]
        assert not await rooms.stop_recording("EG_1")


async def test_a_wrong_key_and_a_name_too_long(livekit: LiveKitRig) -> None:
    async with at(livekit.url) as rooms:
        with pytest.raises(RoomsUnavailable, match="key"):
            await rooms.rooms()
    rooms = LiveKitRooms(address_of(livekit), SystemClock())
    try:
        with pytest.raises(InvalidInput):
            await rooms.create("r" * 300, max_people=2)
    finally:
        await rooms.close()


async def test_a_server_that_dies_takes_its_rooms_along_and_is_used_again_once_it_is_back(
    tmp_path: Path,
) -> None:
    async with running_livekit(tmp_path, restart=False) as rig:  # it is away until we say so
        clock = SystemClock()
        rooms = LiveKitRooms(address_of(rig), clock)
        try:
            await rooms.create("r", max_people=2)
            async with visitor(rig.url, rooms.token(grant(clock, "r", "ada"))):
                await rig.until_people("r", lambda people: len(people) == 1)
                rig.server.kill()
                await rig.server.child.until(lambda s: s.phase == "stopped", 20)
                with pytest.raises(RoomsUnavailable):
                    await rooms.people("r")
                await rig.server.stop()
                await rig.server.start()
                assert await rooms.rooms() == ()
                assert (await rooms.create("r", max_people=2)).people == 0
        finally:
            await rooms.close()
