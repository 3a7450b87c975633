"""Rooms' recordings: list, show with the addresses of their files, download, delete."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from gateway.http.answers import Answer, FileSlice, Plain
from gateway.http.exchange import stamp
from gateway.http.files import slice_of
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.recordings import SignedLink
from gateway.http.orbit.video_desk import place_of, rooms_of
from gateway.http.orbit.video_views import View
from gateway.http.ports_rooms import RoomTapes
from gateway.http.schema import Shown, Strict
from gateway.http.signing import ROOM_FILE, ROOM_RECORDING, RoomLinks
from telephony.errors import Conflict, NotFound, RoomsUnavailable
from video_rooms.core.reel import COMPOSITE, TIMELINE
from video_rooms.core.tape import RoomTape, TapeState

_MISSING: Final = "there is no such recording"
_TYPES: Final = {".mp4": b"video/mp4", ".json": b"application/json", ".ogg": b"audio/ogg"}


class TapePath(Strict):
    """Which recording."""

    recordingId: Annotated[str, Field(pattern=f"^{ROOM_RECORDING}$")]


class TapeFilePath(TapePath):
    """Which of its files."""

    file: Annotated[str, Field(pattern=f"^({ROOM_FILE})$")]


class SpeakerShown(Shown):
    """What one person said, in a file of its own, which begins `started_ms` into the recording."""

    identity: str
    name: str
    url: str
    started_ms: int
    duration_ms: int


class TapeShown(Shown):
    """A recording of a room. `url` is there once it is ready, signed and for a limited time. One that broke
    off is `ready` and `incomplete`: it plays, more happened than is in it, and `failure` says why."""

    id: str
    room_id: str
    status: str
    started_at: str
    ended_at: str | None
    duration_ms: int
    size: int
    failure: str | None
    incomplete: bool
    url: str | None
    url_expires_at: str | None
    timeline_url: str | None
    speakers: list[SpeakerShown] = Field(description="Empty in lists.")


def room_links(ask: Ask) -> RoomLinks:
    """The maker of this installation's addresses of rooms' recordings."""
    settings = ask.face.settings
    base = f"{settings.public_url}/api/v1/video"
    return RoomLinks(ask.face.signing_secret, base, settings.recording_url_ttl_s)


async def list_of_room(ask: Ask) -> Answer:
    """All recordings of a room, oldest first."""
    tenant, room_id = place_of(ask)
    await rooms_of(ask.face).scheduled.detail(tenant, room_id)
    found = await _tapes(ask).of_room(tenant, room_id)
    return Answer([_view(ask, tape) for tape in found])


async def get(ask: Ask) -> Answer:
    tape = await _known(ask)
    shown = _view(ask, tape)
    if shown["timeline_url"] is not None:
        told = await asyncio.to_thread(_read_timeline, _folder(ask, tape.id) / TIMELINE)
        now = ask.exchange.at.timestamp()
        shown["speakers"] = [
            {
                "identity": one["identity"],
                "name": one["name"],
                "url": room_links(ask).link(tape.id, one["file"], now)[0],
                "started_ms": one["started_ms"],
                "duration_ms": one["duration_ms"],
            }
            for one in told
        ]
    return Answer(shown)


async def download(ask: Ask) -> FileSlice:
    """The file behind a signed address; no key is asked for."""
    query: SignedLink = ask.query
    recording_id, file = ask.path["recordingId"], ask.path["file"]
    room_links(ask).check(recording_id, file, query.expires, query.signature, ask.exchange.at.timestamp())
    path = _folder(ask, recording_id) / Path(file).name
    size = await asyncio.to_thread(_size, path)
    if size is None:
        raise NotFound(_MISSING)
    return slice_of(path, size, ask.exchange.headers.get(b"range"), _TYPES[path.suffix])


async def delete(ask: Ask) -> Plain:
    """Remove a finished recording for good: the files first, so that nothing can be seen any more."""
    tape = await _known(ask)
    if not tape.state.final:
        raise Conflict("the recording is still being made", code="RECORDING_IN_PROGRESS")
    await asyncio.to_thread(shutil.rmtree, _folder(ask, tape.id), ignore_errors=True)
    await _tapes(ask).forget(ask.caller.tenant, tape.id)
    await note(ask, "room.recording.deleted", tape.id, {"room_id": tape.room_id})
    return Plain(b"", b"")


def _view(ask: Ask, tape: RoomTape) -> View:
    ours = tape.state is TapeState.READY and not tape.location
    now = ask.exchange.at.timestamp()
    url, expires = room_links(ask).link(tape.id, COMPOSITE, now) if ours else (tape.location or None, None)
    return {
        "id": tape.id,
        "room_id": tape.room_id,
        "status": tape.state.value,
        "started_at": stamp(tape.started_at),
        "ended_at": None if tape.ended_at is None else stamp(tape.ended_at),
        "duration_ms": tape.duration_ms,
        "size": tape.size,
        "failure": tape.why or None,
        "incomplete": tape.incomplete,
        "url": url if tape.state is TapeState.READY else None,
        "url_expires_at": None if expires is None else _moment(expires),
        "timeline_url": room_links(ask).link(tape.id, TIMELINE, now)[0] if ours else None,
        "speakers": [],
    }


def _moment(epoch: float) -> str:
    return stamp(datetime.fromtimestamp(epoch, UTC))


async def _known(ask: Ask) -> RoomTape:
    tape = await _tapes(ask).get(ask.caller.tenant, ask.path["recordingId"])
    if tape is None:
        raise NotFound(_MISSING)
    return tape


def _tapes(ask: Ask) -> RoomTapes:
    tapes = rooms_of(ask.face).tapes
    if tapes is None:
        raise RoomsUnavailable("rooms are not recorded here")
    return tapes


def _folder(ask: Ask, recording_id: str) -> Path:
    """A recording's own folder; its id is one of ours, never a path."""
    return ask.face.settings.recordings_dir / "rooms" / Path(recording_id).name


def _read_timeline(path: Path) -> list[dict[str, str]]:
    try:
        told = json.loads(path.read_bytes())
        return list(told["speakers"])
    except (OSError, ValueError, KeyError):
        return []


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
