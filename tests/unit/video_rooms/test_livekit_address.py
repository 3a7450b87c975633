"""What browsers are told to connect to, and what our own legs use."""

from __future__ import annotations

import pytest

from gateway.clocks import SystemClock
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "public", "told", "near"),
    [
        ("ws://a:7880", "", "ws://a:7880", "ws://a:7880"),
        ("http://a:7880", "", "ws://a:7880", "ws://a:7880"),
        ("https://a", "", "wss://a", "wss://a"),
        ("ws://a:7880", "wss://public.example", "wss://public.example", "ws://a:7880"),
    ],
)
def test_addresses(url: str, public: str, told: str, near: str) -> None:
    rooms = LiveKitRooms(LiveKitAddress(url, "key", "hidden-word", public), SystemClock())
    assert (rooms.url, rooms.near_url) == (told, near)
    assert "hidden-word" not in repr(rooms) + repr(LiveKitAddress(url, "key", "hidden-word", public))
