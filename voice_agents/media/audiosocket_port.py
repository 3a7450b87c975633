"""The second media port: Asterisk dials out to us by AudioSocket (``Dial(AudioSocket/…)``).

The switch keeps no queue of a channel, so pacing is ours alone, a flush has nothing to flush there, and a
frame is heard as soon as it is sent. It cannot delay the answer: the channel is up once it is connected.
Sound travels linear; an agent that wants µ-law or A-law gets it made here.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from telephony.errors import UnsafeValue
from voice_agents.core.audio import Codec
from voice_agents.core.playout import Limits
from voice_agents.core.sound import from_linear, to_linear
from voice_agents.media.doorkeeper import DoorCounts, Doorkeeper, Expected
from voice_agents.media.leg import Leg, Yard
from voice_agents.media.ticker import Lateness
from voice_agents.ports import MediaEar
from voice_agents.wire import audiosocket
from voice_agents.wire.audiosocket import Broken, HungUp, Key, Named, Packet, PacketReader, Sound

_log = structlog.get_logger("voice_agents.media")
_NAME_S = 2.0
"""Asterisk says whose connection it is with its first octets."""


class AudioSocketPort:
    """Fits ``voice_agents.ports.MediaPort``."""

    abilities = audiosocket.ABILITIES

    def __init__(self, *, limits: Limits | None = None, yard: Yard | None = None) -> None:
        self._yard = yard or Yard(limits or Limits())
        self._door = Doorkeeper()
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None
        self._nameless: set[_Socket] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address, with the port that was free where 0 was asked for. Raises
        ``OSError``."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._socket, host, port)
        self._address = self._server.sockets[0].getsockname()[:2]
        assert self._address is not None
        return self._address

    async def close(self) -> None:
        """End all channels; nobody is let in any more."""
        if self._server is not None:
            self._server.close()
        self._door.close()
        self._yard.close()
        for socket in tuple(self._nameless):
            socket.drop()
        if self._server is not None:
            with contextlib.suppress(TimeoutError):  # a socket in its last breath is not worth a wait
                await asyncio.wait_for(self._server.wait_closed(), _NAME_S)

    def dial_string(self, token: str, codec: Codec) -> str:
        """``AudioSocket/…``. Raises ``UnsafeValue`` for a token that is not letters and digits."""
        if self._address is None:
            raise UnsafeValue("the port does not listen yet: there is no address to dial")
        return audiosocket.dial_string(token, codec, self._address)

    def expect(self, token: str, codec: Codec, ear: MediaEar, within_s: float) -> None:
        self._door.expect(audiosocket.uuid_of(token), codec, ear, within_s)

    def forget(self, token: str) -> None:
        self._door.forget(audiosocket.uuid_of(token))

    @property
    def counts(self) -> DoorCounts:
        return self._door.counts

    @property
    def lateness(self) -> Lateness:
        return self._yard.ticker.lateness

    @property
    def open_legs(self) -> int:
        return len(self._yard.legs)

    def _socket(self) -> _Socket:
        return _Socket(self._door, self._yard, self._nameless)


class _Socket(asyncio.Protocol):
    """One channel's connection; fits ``LegWire``."""

    def __init__(self, door: Doorkeeper, yard: Yard, nameless: set[_Socket]) -> None:
        self._door, self._yard, self._nameless = door, yard, nameless
        self._reader = PacketReader()
        self._transport: asyncio.Transport | None = None
        self._leg: Leg | None = None
        self._codec = Codec.SLIN
        self._kind = 0
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ from the switch

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._nameless.add(self)
        self._timer = asyncio.get_running_loop().call_later(_NAME_S, self.drop)

    def data_received(self, data: bytes) -> None:
        for packet in self._reader.feed(data):
            self._packet(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self._named()
        if self._leg is not None:
            self._leg.close("hangup")

    def pause_writing(self) -> None:
        """The switch has not read for many seconds: it will not play this call any more."""
        if self._leg is not None:
            self._door.counts.stalled += 1
            self._leg.close("stalled")

    def _packet(self, packet: Packet) -> None:
        leg = self._leg
        match packet:
            case Sound(kind, pcm) if leg is not None and kind == self._kind:
                leg.sound(from_linear(self._codec, pcm))
            case Named(uuid) if leg is None:
                self._arrived(self._door.admit(uuid))
            case Key(digit) if leg is not None:
                leg.pressed(digit)
            case HungUp() if leg is not None:
                leg.close("hangup")
            case Broken(why):
                self._break(why)
            case _:
                self._break("a packet out of place, or sound at another rate")

    def _arrived(self, expected: Expected | None) -> None:
        self._named()
        if expected is None or self._transport is None:
            _log.warning("media_refused", why="unknown or used token")
            self.drop()
            return
        self._codec, self._kind = expected.codec, audiosocket.kind_of(expected.codec)
        self._leg = Leg(expected.codec, expected.ear, self, self._yard, direct=True)
        self._leg.opened(self._transport.get_extra_info("socket").fileno())

    def _named(self) -> None:
        self._nameless.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def _break(self, why: str) -> None:
        _log.warning("media_protocol", why=why)
        self._door.counts.broken += 1
        if self._leg is not None:
            self._leg.close("protocol")
        else:
            self.drop()

    # ------------------------------------------------------------ to the switch

    def frame(self, sound: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(audiosocket.sound_packet(self._kind, to_linear(self._codec, sound)))

    def probe(self, number: int) -> None:
        """There is no queue of which anything could be told."""

    def freeze(self) -> None:
        """There is no queue."""

    def answer(self) -> None:
        """The channel is up."""

    def hang_up(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(audiosocket.HANG_UP)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
