"""Rooms' recordings over HTTP: listed, shown, fetched by a signed address, deleted."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.unit.http.rig import Rig
from tests.unit.http.rooms_behind import KEPT, VIDEO, room_paths
from video_rooms.core.reel import SpeakerTrack, timeline

pytestmark = pytest.mark.unit

FILM = bytes(range(256)) * 40


async def recorded(rig: Rig) -> tuple[str, str]:
    """A room with a recording, whose files are there."""
    paths = await room_paths(rig.client)
    tape = paths["recordingId"]
    folder = rig.face.settings.recordings_dir / "rooms" / tape
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "composite.mp4").write_bytes(FILM)
    (folder / "speaker-1.ogg").write_bytes(b"OggS")
    track = SpeakerTrack("user_42", "Jane Doe", "speaker-1.ogg", 250, 8_000)
    (folder / "timeline.json").write_bytes(timeline(61_000, [track]))
    return paths["id"], tape


async def fetch(rig: Rig, url: str, **headers: str):
    parts = urlsplit(url)
    return await rig.client.having(None).ask("GET", f"{parts.path}?{parts.query}", headers=headers or None)


async def test_a_recording_is_listed_shown_and_fetched_without_a_key(rig: Rig):
    room, tape = await recorded(rig)
    [listed] = (await rig.client.get(f"{KEPT}/{room}/recordings")).data
    assert (listed["id"], listed["status"], listed["duration_ms"], listed["speakers"]) == (
        tape,
        "ready",
        61_000,
        [],
    )
    shown = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data
    [speaker] = shown["speakers"]
    assert (speaker["identity"], speaker["name"], speaker["started_ms"]) == ("user_42", "Jane Doe", 250)
    film = await fetch(rig, shown["url"])
    assert (film.status, film.body, film.headers["content-type"]) == (200, FILM, "video/mp4")
    assert (await fetch(rig, speaker["url"])).headers["content-type"] == "audio/ogg"
    assert (await fetch(rig, shown["timeline_url"])).headers["content-type"] == "application/json"


async def test_a_recording_that_broke_off_plays_and_says_so(rig: Rig):
    _, tape = await recorded(rig)
    whole = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data
    assert (whole["status"], whole["incomplete"], whole["failure"]) == ("ready", False, None)
    rig.rooms.broken_off[tape] = "crashed"
    shown = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data
    assert (shown["status"], shown["incomplete"], shown["failure"]) == ("ready", True, "crashed")
    assert (await fetch(rig, shown["url"])).body == FILM


async def test_part_of_a_film_is_fetched(rig: Rig):
    _, tape = await recorded(rig)
    url = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data["url"]
    part = await fetch(rig, url, range="bytes=10-19")
    assert (part.status, part.body) == (206, FILM[10:20])


async def test_an_address_opens_its_own_file_alone_and_not_for_ever(rig: Rig):
    _, tape = await recorded(rig)
    url = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data["url"]
    for changed in (
        url.replace("composite.mp4", "speaker-1.ogg"),
        url.replace("expires=", "expires=9"),
        url.replace(tape, "EG_00000000000000"),
    ):
        refused = await fetch(rig, changed)
        assert (refused.status, refused.code) == (403, "INVALID_SIGNATURE"), changed
    rig.clock.advance(rig.face.settings.recording_url_ttl_s + 1)
    late = await fetch(rig, url)
    assert (late.status, late.code) == (403, "LINK_EXPIRED")


@pytest.mark.parametrize(
    "file", ["../../secrets/x", "result.json", "composite.mp4%00", "speaker-0.ogg", "x.ogg"]
)
async def test_only_files_of_recordings_have_addresses(rig: Rig, file: str):
    _, tape = await recorded(rig)
    answer = await rig.client.get(f"{VIDEO}/recordings/{tape}/files/{file}?expires=1&signature={'0' * 64}")
    assert answer.status in (400, 404)


async def test_a_rooms_recording_url_holds_whenever_it_is_asked_for(rig: Rig):
    room, tape = await recorded(rig)
    old = (await rig.client.get(f"{VIDEO}/recordings/{tape}")).data["url"]
    kept = rig.rooms.kept[room]
    rig.rooms.kept[room] = replace(kept, recording_url=old)
    rig.clock.advance(rig.face.settings.recording_url_ttl_s + 1)
    [listed] = [one for one in (await rig.client.get(KEPT)).data if one["id"] == room]
    assert listed["recording_url"] != old
    assert (await fetch(rig, listed["recording_url"])).body == FILM


async def test_a_recording_is_deleted_with_its_files(rig: Rig):
    _, tape = await recorded(rig)
    assert (await rig.client.ask("DELETE", f"{VIDEO}/recordings/{tape}")).status == 204
    assert not (rig.face.settings.recordings_dir / "rooms" / tape).exists()
    assert (await rig.client.get(f"{VIDEO}/recordings/{tape}")).status == 404
