"""The WebSocket driver against what the switch's driver really does, and against what it never should."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import patch

import aiohttp
import pytest
import pytest_asyncio

from tests.contract.voice_agents.media_world import new_token, patient
from tests.rig.media import RecordingEar
from tests.rig.pretend_switch import WebSocketChannel, dial_websocket
from tests.unit.voice_agents.model_switch import numbered
from voice_agents.core.audio import Codec
from voice_agents.core.playout import LEAD, UNCONFIRMED
from voice_agents.media import websocket_port
from voice_agents.media.leg import Leg, Yard
from voice_agents.media.watchdog import Watchdog
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import abilities_of

pytestmark = pytest.mark.contract

ULAW = Codec.ULAW


class World:
    def __init__(self, port: WebSocketPort, address: tuple[str, int], http: aiohttp.ClientSession) -> None:
        self.port, self.address, self.http = port, address, http
        self.channels: list[WebSocketChannel] = []

    async def comes(self, codec: Codec = ULAW) -> tuple[WebSocketChannel, RecordingEar]:
        """Somebody who is expected is connected, and has said nothing yet."""
        ear, token = RecordingEar(), new_token()
        self.port.expect(token, codec, ear, 60.0)
        dialled = self.port.dial_string(token, codec)
        channel = await dial_websocket(self.http, self.address, dialled, starts=False)
        assert channel is not None
        self.channels.append(channel)
        return channel, ear

    async def talks(self, codec: Codec = ULAW, **start: object) -> tuple[Leg, WebSocketChannel, RecordingEar]:
        channel, ear = await self.comes(codec)
        await channel.starts(**start)
        await ear.until(lambda told: told.leg is not None, "the leg")
        assert isinstance(ear.leg, Leg)
        return ear.leg, channel, ear

    async def asks(self, head: str) -> bytes:
        """The answer to a raw request, all of it."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(head.encode())
        try:
            return await asyncio.wait_for(reader.read(), 30.0)
        finally:
            writer.close()


@asynccontextmanager
async def running(watchdog: Watchdog) -> AsyncIterator[World]:
    port = WebSocketPort(abilities_of((22, 10, 1)), yard=Yard(watchdog=watchdog))
    address = await port.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as http:
        world = World(port, address, http)
        try:
            with patient(), patch.object(websocket_port, "_HANDSHAKE_S", 30.0):
                yield world
        finally:
            for channel in world.channels:
                await channel.hangs_up()
            await port.close()


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with running(Watchdog(stall_s=60.0)) as found:
        yield found


async def until(holds: object, what: str, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.005)


def plain_start(token: str) -> bytes:
    """MEDIA_START of a telephone in µ-law as a client's frame, masked with zeros (RFC 6455 section 5.3)."""
    start = {"event": "MEDIA_START", "channel_id": "1763.1", "format": "ulaw", "optimal_frame_size": 160}
    text = json.dumps(start | {"channel_variables": {"PB_SOCKET": token}}).encode()
    assert 125 < len(text) < 65_536
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text


def said(channel: WebSocketChannel, codec: Codec = ULAW) -> list[bytes]:
    return [frame for frame in channel.heard if frame is not None and frame != codec.silence]


# ---------------------------------------------------------------- coming in

UPGRADE = (
    "GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: media\r\n\r\n"
)


@pytest.mark.parametrize(
    "variables", [{}, {"PB_SOCKET": "a" * 24}, {"PB_SOCKET": ["a" * 24]}, [], {"PB_SOCKET": ""}, None]
)
async def test_whoever_names_no_expected_call_is_put_out(world: World, variables: object) -> None:
    channel, ear = await world.comes()
    await channel.says(numbered(1))
    await channel.starts(channel_variables=variables)
    await until(lambda: not channel.up, "the end")
    assert (ear.leg, ear.frames, world.port.open_legs) == (None, [], 0)
    assert world.port.counts.refused == 1


async def test_whoever_says_nothing_is_put_out_and_heard_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_port, "_HANDSHAKE_S", 0.3)
    channel, ear = await world.comes()
    await channel.says(numbered(1))
    await channel.presses("1")
    await until(lambda: not channel.up, "the end")
    assert (ear.leg, ear.frames, ear.digits, world.port.open_legs) == (None, [], "", 0)
    assert world.port.counts.refused == 1


async def test_only_so_many_may_be_there_without_a_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_port, "_NAMELESS_MOST", 2)
    (first, ear), _ = await world.comes(), await world.comes()
    assert (await world.asks(UPGRADE.format("/media"))).startswith(b"HTTP/1.1 503 ")
    assert world.port.counts.refused == 1
    await first.starts()
    await ear.until(lambda told: told.leg is not None, "the first has said who it is")
    await world.talks()


async def test_two_that_come_in_the_same_moment_are_not_mixed_up(world: World) -> None:
    """What their queries say does not count: the driver may give both the one of either."""
    (first, one), (second, other) = await world.comes(), await world.comes()
    await second.starts()
    await first.starts()
    await first.says(numbered(1))
    await second.says(numbered(2))
    await one.until(lambda told: told.frames == [numbered(1)], "the first's own")
    await other.until(lambda told: told.frames == [numbered(2)], "the second's own")


async def test_a_call_is_named_once(world: World) -> None:
    _, channel, ear = await world.talks()
    again = await dial_websocket(
        world.http, world.address, f"WebSocket/patchbay/c(ulaw)nf(json)/{channel.token}"
    )
    assert again is None
    await channel.says(numbered(1))
    await ear.until(lambda told: told.frames == [numbered(1)], "the call goes on")


@pytest.mark.parametrize(
    "head", ["GET / HTTP/1.1\r\n\r\n", "BREW /pot HTCPCP/1.0\r\n\r\n", "\x00\x01\r\n\r\n"]
)
async def test_what_is_no_websocket_gets_no_socket(world: World, head: str) -> None:
    answer = await world.asks(head)
    assert b"101" not in answer[:20]
    await world.talks()


async def test_who_connects_and_says_nothing_is_not_waited_for(world: World) -> None:
    reader, writer = await asyncio.open_connection(*world.address)
    assert await asyncio.wait_for(reader.read(), 30.0) == b""
    writer.close()


# ---------------------------------------------------------------- what the switch does


async def test_sound_before_media_start_is_heard(world: World) -> None:
    channel, ear = await world.comes()
    await channel.says(numbered(1))
    await channel.starts()
    await ear.until(lambda told: told.frames == [numbered(1)], "the caller")
    assert isinstance(ear.leg, Leg)
    ear.leg.play(numbered(2))
    await until(lambda: said(channel) == [numbered(2)], "the agent")
    await channel.says(numbered(3))
    await ear.until(lambda told: len(told.frames) == 2, "the call goes on")
    assert ear.why == ""


@pytest.mark.parametrize("changes", [{"format": "slin16"}, {"optimal_frame_size": 320}])
async def test_another_format_than_asked_for_ends_the_channel(
    world: World, changes: dict[str, object]
) -> None:
    _, _, ear = await world.talks(**changes)
    await ear.until(lambda told: told.why == "protocol", "the end")
    assert world.port.counts.broken == 1


@pytest.mark.parametrize("text", ["MEDIA_START connection_id:x", "{", '{"event":"STATUS"}'])
async def test_what_is_not_the_switchs_language_ends_the_channel_alone(world: World, text: str) -> None:
    _, other, fine = await world.talks()
    _, channel, ear = await world.talks()
    await channel.ws.send_str(text)
    await ear.until(lambda told: told.why == "protocol", "the end")
    await other.says(numbered(1))
    await fine.until(lambda told: len(told.frames) == 1, "the other call")
    assert fine.why == ""


async def test_unknown_events_errors_and_pings_mean_nothing(world: World) -> None:
    _, channel, ear = await world.talks()
    await channel.tells("QUEUE_DRAINED", channel_id="1")
    await channel.tells("ERROR", channel_id="1", error_text="Unable to parse JSON command")
    await channel.tells("MEDIA_MARK_PROCESSED", channel_id="1", correlation_id="nobody's")
    await channel.tells("MEDIA_MARK_PROCESSED", channel_id="1", correlation_id="999999999999")
    await channel.tells("STATUS", queue_length=7, media_paused=False)
    await channel.ws.ping()
    await channel.says(numbered(1))
    await ear.until(lambda told: len(told.frames) == 1, "the call goes on")
    assert ear.why == ""


async def test_a_caller_with_frames_of_30_ms_is_heard_in_frames_of_20(world: World) -> None:
    _, channel, ear = await world.talks()
    stream = b"".join(numbered(n) for n in range(12))
    for at in range(0, len(stream), 240):
        await channel.says(stream[at : at + 240])
    await ear.until(lambda told: len(told.frames) == 12, "all of it")
    assert b"".join(ear.frames) == stream


async def test_no_command_is_too_long_and_no_message_more_than_a_frame(world: World) -> None:
    leg, channel, ear = await world.talks()
    leg.play(b"".join(numbered(n) for n in range(100)))
    leg.mark("a mark's name may be as long as an agent likes: it stays here " * 5)
    await until(lambda: len(said(channel)) > 20, "some of it")
    leg.pause()
    leg.resume()
    await ear.until(lambda told: len(told.marks) == 1, "the mark")
    await until(lambda: len(said(channel)) >= 100, "all of it")
    assert channel.too_long == []
    assert said(channel) == [numbered(n) for n in range(100)]
    assert channel.most <= UNCONFIRMED + LEAD, "however late a switch is with its ticks"


async def test_the_switch_is_told_to_go_on_after_each_flush(world: World) -> None:
    """None is told anything where all it was given must have been played: then it is tried once more."""
    leg, channel, _ = await world.talks()
    while leg.playout._freeze is None:
        heard = len(said(channel))
        leg.play(b"".join(numbered(n) for n in range(50)))
        await until(lambda heard=heard: len(said(channel)) > heard + 3, "some of it")
        leg.flush()
    await until(lambda: "CONTINUE_MEDIA" in channel.commands, "the order to go on")
    orders = [order for order in channel.commands if order not in ("ANSWER", "MARK_MEDIA")]
    assert orders == ["PAUSE_MEDIA", "GET_STATUS", "FLUSH_MEDIA", "CONTINUE_MEDIA"]


async def test_a_switch_that_says_stop_gets_nothing_until_it_says_go_on(world: World) -> None:
    leg, channel, ear = await world.talks()
    await channel.tells("MEDIA_XOFF", channel_id="1")
    await channel.says(numbered(1))
    await ear.until(lambda told: len(told.frames) == 1, "that the order was read")
    sent = leg.playout.switch.sent
    leg.play(numbered(9) * 10)
    await asyncio.sleep(0.1)
    assert leg.playout.switch.sent == sent
    await channel.tells("MEDIA_XON", channel_id="1")
    await until(lambda: len(said(channel)) == 10, "what waited")


async def test_a_switch_without_a_queue_is_paced_from_here(world: World) -> None:
    leg, channel, ear = await world.talks(unbuffered=True)
    await until(lambda: leg.playout.direct, "the switch's word")
    began = time.monotonic()
    leg.play(b"".join(numbered(n) for n in range(20)))
    leg.mark("end")
    await ear.until(lambda told: told.marks == [("end", True)], "the end")
    assert 0.3 <= time.monotonic() - began <= 5.0
    assert "GET_STATUS" not in channel.commands


async def test_a_channel_that_nobody_reads_is_not_filled(world: World) -> None:
    leg, channel, ear = await world.talks()
    channel.plays = False
    await asyncio.sleep(1.0)
    assert channel.most <= 16
    channel.plays = True
    leg.play(numbered(1))
    leg.mark("m")
    await ear.until(lambda told: told.marks == [("m", True)], "that it goes on")


# ---------------------------------------------------------------- who does not read, or does not run


async def test_a_switch_that_reads_nothing_any_more_loses_the_channel_and_nobody_waits(world: World) -> None:
    _, other, _ = await world.talks()
    leg, channel, ear = await world.talks()
    channel.ws._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    leg.playout.direct = True
    leg._wire.frame(bytes(8000))
    for _ in range(20_000):
        if ear.why:
            break
        leg._wire.frame(bytes(8000))
    assert ear.why == "stalled"
    assert world.port.counts.stalled == 1
    before = len(other.heard)
    await until(lambda: len(other.heard) > before + 10, "the other call goes on")
    channel.ws._response.connection.transport.resume_reading()  # type: ignore[union-attr]


async def test_a_slow_ear_does_not_stop_the_reader(world: World) -> None:
    """The reader takes ten seconds of sound at once, whatever the agent's side does with it."""
    _, channel, ear = await world.talks()
    for number in range(500):
        await channel.says(numbered(number))
    await ear.until(lambda told: len(told.frames) == 500, "all of it")


async def test_a_loop_that_stands_still_loses_its_sockets_and_comes_back() -> None:
    """What the switch sees of it, it sees while the loop stands still: here, in a ``recv`` of its own."""
    watchdog = Watchdog(stall_s=0.5, look_s=0.05)
    async with running(watchdog) as world:
        await loses_its_sockets(world)
        assert watchdog.stalls == 1
        watchdog._stall_s = 60.0
        _, channel, _ = await world.talks()
        await until(lambda: len(channel.heard) > 5, "new calls")


async def loses_its_sockets(world: World) -> None:
    ear, token = RecordingEar(), new_token()
    world.port.expect(token, ULAW, ear, 60.0)
    plain = socket.create_connection(world.address)
    plain.sendall(UPGRADE.format("/media").encode() + plain_start(token))
    await ear.until(lambda told: told.leg is not None, "the leg")
    await asyncio.sleep(0.1)
    plain.settimeout(30.0)
    while plain.recv(65_536):
        pass
    plain.close()
    await ear.until(lambda told: told.why == "stalled", "why it ended")
