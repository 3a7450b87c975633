"""Carries telephones into rooms: the bridge, and the media port that the switch brings their sound to."""

from __future__ import annotations

from pathlib import Path

from video_rooms.bridge.carrier import Bridge
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.bridge.sounds import SoundShelf
from video_rooms.ports_media import SwitchEar
from voice_agents.core.audio import Codec
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import MediaAbilities


class RoomPort:
    """Fits ``video_rooms.ports_media.SwitchPort``: a media port of the house, at the rate of rooms."""

    def __init__(self, port: WebSocketPort) -> None:
        self._port = port

    def dial_string(self, token: str) -> str:
        return self._port.dial_string(token, Codec.SLIN16)

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        self._port.expect(token, Codec.SLIN16, ear, within_s)

    def forget(self, token: str) -> None:
        self._port.forget(token)


class Worker:
    """A bridge with its own port, on the running loop."""

    def __init__(self, abilities: MediaAbilities, connection: str, music: Path | None) -> None:
        self.port = WebSocketPort(abilities, connection=connection)
        self.rooms = RtcRooms()
        self.bridge = Bridge(RoomPort(self.port), self.rooms, SoundShelf(music))

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen for the switch; the address. Raises ``OSError``."""
        return await self.port.start(host, port)

    async def close(self) -> None:
        """All legs end, all rooms are left."""
        await self.bridge.close()
        await self.port.close()
