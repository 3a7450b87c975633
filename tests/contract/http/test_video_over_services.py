"""The video page's samples through the face and the rooms' real services: over a media server in memory, and
over a real LiveKit server with SQL below and people who connect with the tokens that the face gave them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from prometheus_client import CollectorRegistry

from gateway.clocks import SystemClock
from gateway.http.app import create_app
from gateway.http.ports_rooms import VideoRooms
from gateway.room_chances import RoomChances
from gateway.storage.room_invites import RoomInviteRepository
from gateway.storage.room_people import RoomPeopleRepository
from gateway.storage.rooms import RoomRepository
from telephony.clock import Clock
from tests.contract.video_rooms.worlds import address_of
from tests.rig.livekit import LiveKitRig
from tests.rig.video_samples import SAMPLES, Curl, replay
from tests.rig.visitors import Visitor, visitor
from tests.unit.http.asgi import Client
from tests.unit.http.rig import Rig, open_rig
from tests.unit.http.rooms_behind import KEPT, PASSING, VIDEO
from video_rooms.desk import Around, RoomDesk, furnish
from video_rooms.fakes import Delivery, FakeRoomServer
from video_rooms.fakes_around import FakeRecorder, QuietPhones, ToldRooms
from video_rooms.livekit.control import LiveKitRooms
from video_rooms.ports import RoomServer

pytestmark = pytest.mark.contract


class Media(Protocol):
    """Where people come in, and what is reported of it."""

    server: RoomServer
    clock: Clock

    async def come_in(self, way_in: Mapping[str, Any]) -> list[Delivery]:
        """Connect with what the face answered; the reports of it."""
        ...

    async def until_out(self, identity: str) -> None: ...


class InMemory:
    def __init__(self, rig: Rig) -> None:
        self.clock: Clock = rig.clock
        self.server = FakeRoomServer(rig.clock)
        self._rooms: dict[str, str] = {}

    async def come_in(self, way_in: Mapping[str, Any]) -> list[Delivery]:
        token = str(way_in["token"])
        person = self.server.come_in(token)
        self._rooms[person.identity] = self.server.grant_of(token).room
        return list(self.server.take())

    async def until_out(self, identity: str) -> None:
        here = await self.server.people(self._rooms[identity])
        assert identity not in {person.identity for person in here}


class AtLiveKit:
    def __init__(self, livekit: LiveKitRig, stack: AsyncExitStack) -> None:
        self.clock: Clock = SystemClock()
        self.server = LiveKitRooms(address_of(livekit), self.clock)
        self._livekit, self._stack = livekit, stack
        self._here: dict[str, Visitor] = {}

    async def come_in(self, way_in: Mapping[str, Any]) -> list[Delivery]:
        address, token = str(way_in.get("ws_url") or way_in["url"]), str(way_in["token"])
        claims, hooks = _claims(token), self._livekit.hooks
        room, identity = claims["video"]["room"], claims["sub"]
        hooks.reports[:] = [
            one for one in hooks.reports if not one.is_of("participant_joined", room, identity)
        ]
        here = await self._stack.enter_async_context(visitor(address, token))
        self._here[here.identity] = here
        report = await hooks.until("participant_joined", room, identity)
        assert report.content_type == "application/webhook+json"
        return [Delivery(report.body, report.authorization)]

    async def until_out(self, identity: str) -> None:
        assert await self._here[identity].left == "PARTICIPANT_REMOVED"


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


@asynccontextmanager
async def _media(rig: Rig, livekit: LiveKitRig | None) -> AsyncIterator[Media]:
    if livekit is None:
        yield InMemory(rig)
        return
    async with AsyncExitStack() as stack:
        real = AtLiveKit(livekit, stack)
        yield real
    await real.server.close()


def _desk(rig: Rig, media: Media) -> RoomDesk:
    return furnish(
        Around(
            media.server,
            RoomRepository(rig.database),
            RoomPeopleRepository(rig.database),
            RoomInviteRepository(rig.database),
            FakeRecorder(),
            QuietPhones(),
            ToldRooms(),
            RoomChances(),
            media.clock,
        )
    )


class Faced:
    """The face over the rooms' services, and a client of it."""

    def __init__(self, rig: Rig, media: Media, desk: RoomDesk) -> None:
        ports = VideoRooms(desk.scheduled, desk.invites, desk.adhoc, desk.hook)
        face = replace(rig.face, rooms=ports, registry=CollectorRegistry())
        self.rig, self.media, self.desk = rig, media, desk
        self.stranger = Client(create_app(face))
        self.client = self.stranger.having(rig.keys["developer"])

    async def arrive(self, way_in: Mapping[str, Any]) -> None:
        for one in await self.media.come_in(way_in):
            headers = {"Content-Type": "application/webhook+json", "Authorization": one.authorization}
            taken = await self.stranger.ask("POST", f"{VIDEO}/webhook", one.body, headers)
            assert taken.status == 204, taken.body


@pytest.fixture(params=["memory", "livekit"])
def livekit_or_none(request: pytest.FixtureRequest) -> LiveKitRig | None:
    return request.getfixturevalue("livekit") if request.param == "livekit" else None


@pytest.fixture
async def faced(tmp_path: Path, livekit_or_none: LiveKitRig | None) -> AsyncIterator[Faced]:
    async with open_rig(tmp_path) as rig, _media(rig, livekit_or_none) as media:
        desk = _desk(rig, media)
        yield Faced(rig, media, desk)
        await desk.recordings.settle()


async def test_every_sample_is_answered_as_documented(faced: Faced):
    async def ask(curl: Curl) -> tuple[int, bytes]:
        key = faced.rig.keys["developer"]
        headers = {name: value.replace("$KEY", key) for name, value in curl.headers.items()}
        answer = await faced.stranger.ask(curl.method, curl.path, curl.body, headers)
        return answer.status, answer.body

    assert await replay(ask, faced.arrive) == [sample.name for sample in SAMPLES]


async def test_who_is_kicked_is_out_and_a_new_token_lets_them_back(faced: Faced):
    room = (await faced.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    way_in = (await faced.client.post(f"{KEPT}/{room}/join", {"identity": "jo smith"})).data
    await faced.arrive(way_in)
    assert (await faced.client.post(f"{KEPT}/{room}/participants/jo smith/kick")).data["kicked"] is True
    await faced.media.until_out("jo smith")
    shown = (await faced.client.get(f"{KEPT}/{room}")).data["participants"][0]
    assert (shown["status"], shown["why_left"]) == ("left", "kicked")
    assert shown["left_at"] is not None
    again = (await faced.client.post(f"{KEPT}/{room}/join", {"identity": "jo smith"})).data
    await faced.arrive(again)
    shown = (await faced.client.get(f"{KEPT}/{room}")).data["participants"][0]
    assert shown["status"] == "joined"


async def test_a_report_with_another_signature_is_refused(faced: Faced):
    room = (await faced.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    way_in = (await faced.client.post(f"{KEPT}/{room}/join", {"identity": "jo"})).data
    for one in await faced.media.come_in(way_in):
        for body, signature in ((one.body + b" ", one.authorization), (one.body, "x" + one.authorization)):
            headers = {"Content-Type": "application/webhook+json", "Authorization": signature}
            answer = await faced.stranger.ask("POST", f"{VIDEO}/webhook", body, headers)
            assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert (await faced.client.get(f"{KEPT}/{room}")).data["room"]["status"] == "scheduled"


async def test_a_neighbour_finds_nothing_and_its_rooms_of_the_same_name_are_its_own(faced: Faced):
    theirs = faced.stranger.having(faced.rig.keys["theirs"])
    room = (await faced.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    assert (await theirs.get(f"{KEPT}/{room}")).status == 404
    assert (await theirs.post(f"{KEPT}/{room}/join", {"identity": "spy"})).status == 404
    name = f"same-name-{room[-12:]}"
    ours = (await faced.client.post(PASSING, {"name": name})).data["room_name"]
    other = (await theirs.post(PASSING, {"name": name})).data["room_name"]
    assert ours != other
    assert (await theirs.get(f"{PASSING}/{ours}")).status == 404
    assert (await theirs.ask("DELETE", f"{PASSING}/{ours}")).status == 200
    assert (await faced.client.get(f"{PASSING}/{name}")).data["name"] == ours
    for client in (faced.client, theirs):
        assert (await client.ask("DELETE", f"{PASSING}/{name}")).status == 200
        assert (await client.get(f"{PASSING}/{name}")).status == 404


async def test_an_invite_is_used_as_often_as_it_may_be(faced: Faced):
    room = (await faced.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    invite = (await faced.client.post(f"{KEPT}/{room}/invites", {"max_uses": 1})).data
    path = f"{VIDEO}/invites/{invite['invite_token']}/redeem"
    assert (await faced.stranger.post(path, {"display_name": "Jo"})).status == 200
    assert (await faced.stranger.post(path, {"display_name": "Al"})).status == 404
    assert (await faced.client.get(f"{KEPT}/{room}/invites")).data[0]["uses_count"] == 1
    revoked = await faced.client.ask("DELETE", f"{KEPT}/{room}/invites/{invite['id']}")
    assert revoked.data["revoked"] is True
