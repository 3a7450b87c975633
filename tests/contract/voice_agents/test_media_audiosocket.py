"""The AudioSocket driver against strangers, pieces of packets and sound that was not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.voice_agents.media_world import new_token
from tests.rig.media import RecordingEar
from voice_agents.core.audio import Codec
from voice_agents.core.sound import to_linear
from voice_agents.media import audiosocket_port
from voice_agents.media.audiosocket_port import AudioSocketPort
from voice_agents.media.leg import Yard
from voice_agents.media.watchdog import Watchdog
from voice_agents.wire.audiosocket import PacketReader, Sound, sound_packet, uuid_of

pytestmark = pytest.mark.contract

ULAW = Codec.ULAW
FRAME = b"\x11" * 160


class World:
    def __init__(self, port: AudioSocketPort, address: tuple[str, int]) -> None:
        self.port, self.address = port, address

    async def connects(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def talks(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, RecordingEar]:
        ear, token = RecordingEar(), new_token()
        self.port.expect(token, ULAW, ear, 60.0)
        reader, writer = await self.connects()
        writer.write(b"\x01\x00\x10" + uuid_of(token))
        await ear.until(lambda told: told.leg is not None, "the leg")
        return reader, writer, ear


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    port = AudioSocketPort(yard=Yard(watchdog=Watchdog(stall_s=60.0)))
    try:
        yield World(port, await port.start("127.0.0.1", 0))
    finally:
        await port.close()


async def ended(reader: asyncio.StreamReader) -> None:
    """Until the socket is closed, in order or not."""
    try:
        while await asyncio.wait_for(reader.read(4096), 30.0):
            pass
    except ConnectionResetError:
        pass


async def test_silence_comes_at_once_and_in_whole_packets(world: World) -> None:
    reader, writer, _ = await world.talks()
    first = await asyncio.wait_for(reader.readexactly(323), 30.0)
    assert PacketReader().feed(first) == [Sound(0x10, to_linear(ULAW, ULAW.silence))]
    writer.close()


async def test_a_packet_may_come_octet_by_octet(world: World) -> None:
    _, writer, ear = await world.talks()
    for octet in sound_packet(0x10, to_linear(ULAW, FRAME)) + b"\x03\x00\x01#":
        writer.write(bytes((octet,)))
        await writer.drain()
    await ear.until(lambda told: told.digits == "#", "the key")
    assert ear.frames == [FRAME]
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [
        sound_packet(0x12, bytes(640)),
        b"\x01\x00\x10" + bytes(16),
        b"\x42\x00\x00",
        b"\xff\x00\x01\x02",
        b"\x10\xff\xff",
    ],
    ids=["another rate", "named twice", "no known kind", "an error", "too long"],
)
async def test_what_must_not_come_ends_the_channel_alone(world: World, octets: bytes) -> None:
    _, other, fine = await world.talks()
    reader, writer, ear = await world.talks()
    writer.write(octets)
    await ear.until(lambda told: told.why == "protocol", "the end")
    await ended(reader)
    other.write(sound_packet(0x10, to_linear(ULAW, FRAME)))
    await fine.until(lambda told: told.frames == [FRAME], "the other call")
    assert world.port.counts.broken == 1
    writer.close()
    other.close()


async def test_an_unknown_name_is_refused(world: World) -> None:
    reader, writer = await world.connects()
    writer.write(b"\x01\x00\x10" + bytes(16))
    await ended(reader)
    assert world.port.counts.refused == 1
    writer.close()


@pytest.mark.parametrize("octets", [b"", b"\x10\x00\x02ab", b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_does_not_name_a_call_is_not_waited_for(
    world: World, octets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiosocket_port, "_NAME_S", 0.1)
    reader, writer = await world.connects()
    writer.write(octets)
    await ended(reader)
    writer.close()


async def test_the_socket_that_breaks_off_is_a_hang_up(world: World) -> None:
    _, writer, ear = await world.talks()
    writer.transport.abort()
    await ear.until(lambda told: told.why == "hangup", "the end")


async def test_a_switch_that_reads_nothing_any_more_loses_the_channel(world: World) -> None:
    _, writer, ear = await world.talks()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(200_000):
        if ear.why:
            break
        ear.leg._wire.frame(FRAME)  # type: ignore[union-attr]
    assert ear.why == "stalled"
    assert world.port.counts.stalled == 1
    writer.close()
