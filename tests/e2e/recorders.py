"""Recorders of a running product: found, killed, and what they leave looked at from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from gateway.trial.audio import tone_seconds
from gateway.trial.listener import WebhookListener
from tests.rig.films import sound_of
from tests.rig.product import Product
from video_rooms.core.salvage import MIXED
from video_rooms.recording.sound import RATE

FIRST = "speaker-1.part.pcm"


def recorder_of(house: Product) -> int:
    """The recorder's process, a child of the gateway's."""
    assert house.stack.gateway is not None
    mother = house.stack.gateway.state.pid
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == mother and b"gateway.room_recorder" in command:
            return int(entry.name)
    raise AssertionError("no recorder runs")


async def for_a_while(house: Product, recording: str, hz: float) -> None:
    """Until a second of this tone is on disk, of its first speaker and in what all said."""
    folder = house.stack.settings.recordings_dir / "rooms" / recording
    async with asyncio.timeout(60):
        for part in (folder / FIRST, folder / MIXED):
            # why polled: another process writes it
            while not part.exists() or tone_seconds(part.read_bytes(), hz, rate=RATE) < 1.0:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def told_of(told: WebhookListener, room_id: str, what: str, *, not_yet: set[str]) -> dict[str, Any]:
    """The event of this room about a recording that is not among these."""

    def this(one: Any) -> bool:
        about = one.event["data"]
        mine = about.get("room_id") == room_id and one.event["type"] == f"room.recording.{what}"
        return mine and about.get("recording_id") not in not_yet

    heard = await told.waits_for(this, 90.0, f"a recording that is {what}")
    assert heard is not None
    return dict(heard.event["data"])


async def plays(house: Product, recording: str, why: str | None, hz: float, into: Path) -> None:
    """It can be fetched without a key, this tone is in it, and it says of itself what it is."""
    shown = await house.api.ok("GET", f"/api/v1/video/recordings/{recording}")
    assert (shown["status"], shown["incomplete"], shown["failure"]) == ("ready", why is not None, why)
    assert [speaker["duration_ms"] > 0 for speaker in shown["speakers"]] == [True]
    async with aiohttp.ClientSession() as http, http.get(shown["url"]) as response:
        assert response.status == 200
        octets = await response.read()
    film = into / f"{recording}.mp4"
    await asyncio.to_thread(film.write_bytes, octets)
    assert tone_seconds(await sound_of(film), hz) >= 0.5
