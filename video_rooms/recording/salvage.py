"""Files made of what a dead recorder left: the same that it would have made, as far as can be read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import structlog

from video_rooms.core.reel import COMPOSITE, TIMELINE, ReelNews, SpeakerTrack, timeline
from video_rooms.core.salvage import NOTES, PICTURE, Found, Plan, SalvageSpec, plan, playable, read_notes
from video_rooms.recording.encoder import EncoderFailed, join, speech
from video_rooms.recording.sound import RATE

_log = structlog.get_logger("rooms.salvage")
_HEADER: Final = 16
_MOST_NOTES: Final = 4 * 1024 * 1024


async def salvage(spec: SalvageSpec, claimed: tuple[int, ...]) -> ReelNews:
    """``claimed``: the claim to the folder. Begun again after an interruption it comes to the same end.
    Raises OSError."""
    folder = Path(spec.folder)
    if (folder / COMPOSITE).exists():
        return _made_before(folder)
    made = plan(_found(folder), RATE)
    if made is None:
        return ReelNews("failed", "empty")
    if made.unnamed:
        _log.warning("salvage.unnamed", parts=made.unnamed)
    film = folder / "composite.part.mp4"
    used = await _film(spec, made, film, claimed)
    if used is None:
        return ReelNews("failed", "unreadable")
    tracks: list[SpeakerTrack] = []
    for part, track in made.speakers:
        try:
            await speech(spec.ffmpeg, folder / part, folder / track.file, claimed)
        except EncoderFailed as error:
            _log.warning("salvage.speaker_lost", part=part, why=error.message)
        else:
            tracks.append(track)
            used = (*used, part)
    (folder / TIMELINE).write_bytes(timeline(made.duration_ms, tracks, spec.why))
    film.replace(folder / COMPOSITE)
    for part in (*used, NOTES):
        (folder / part).unlink(missing_ok=True)
    size = (folder / COMPOSITE).stat().st_size
    return ReelNews("finished", spec.why, made.duration_ms, size, len(tracks))


async def _film(
    spec: SalvageSpec, made: Plan, into: Path, claimed: tuple[int, ...]
) -> tuple[str, ...] | None:
    """The parts that it was made of."""
    folder = into.parent
    for parts in made.films:
        picture = folder / PICTURE if PICTURE in parts else None
        sound = next((folder / part for part in parts if part != PICTURE), None)
        try:
            await join(spec.ffmpeg, picture, sound, into, claimed)
        except EncoderFailed as error:
            _log.warning("salvage.film_lost", parts=parts, why=error.message)
        else:
            return parts
    return None


def _found(folder: Path) -> Found:
    """What lies there; a torn end of the picture is cut off, so that nobody stumbles over it."""
    sizes = {part.name: part.stat().st_size for part in folder.glob("*.part.*")}
    picture = folder / PICTURE
    good = 0
    if size := sizes.get(PICTURE, 0):
        good = playable(_boxes(picture), size)
        if 0 < good < size:
            os.truncate(picture, good)
    notes = b""
    if NOTES in sizes:
        with (folder / NOTES).open("rb") as file:
            notes = file.read(_MOST_NOTES)
    return Found(read_notes(notes), good, sizes)


def _boxes(film: Path) -> list[tuple[bytes, int]]:
    """Type and size of each box, as its header says (ISO/IEC 14496-12, 4.2)."""
    boxes: list[tuple[bytes, int]] = []
    with film.open("rb") as file:
        at = 0
        while len(header := file.read(_HEADER)) >= 8:
            length = int.from_bytes(header[:4])
            if length == 1:
                length = int.from_bytes(header[8:16])
            boxes.append((header[4:8], length))
            if length < 8:
                break
            at += length
            file.seek(at)
    return boxes


def _made_before(folder: Path) -> ReelNews:
    """The film was whole, then whoever made it died: what it would have said is in the timeline, which was
    written first."""
    try:
        told = json.loads((folder / TIMELINE).read_bytes())
        why, duration_ms, speakers = (
            told.get("incomplete", ""),
            int(told["duration_ms"]),
            len(told["speakers"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        why, duration_ms, speakers = "crashed", 0, 0
    for part in folder.glob("*.part.*"):
        part.unlink(missing_ok=True)
    return ReelNews("finished", str(why), duration_ms, (folder / COMPOSITE).stat().st_size, speakers)
