"""What is made of a recording whose recorder died: decided from what it left on disk. Pure.

The picture is MP4 in fragments (ISO/IEC 14496-12: ``moov``, then pairs of ``moof`` and ``mdat``), of which
the last may be torn; sound is plain samples, which can be torn nowhere; notes are lines of JSON, of which the
last may be torn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from telephony.errors import InvalidInput
from video_rooms.core.reel import SpeakerTrack

NOTES: Final = "notes.part.jsonl"
"""Who speaks into which file, written down as it happens."""
PICTURE: Final = "picture.part.mp4"
MIXED: Final = "mixed.part.pcm"
LOCK: Final = "recorder.lock"
"""Held by whoever works on a recording's files, and by their encoders."""
BUSY: Final = "busy"
"""Somebody else works on these files."""
LEAST_MS: Final = 500
"""Less sound than this, and no picture, is no recording."""


@dataclass(frozen=True, slots=True)
class SpeakerNote:
    """Somebody's sound begins: from now on it is in ``file``."""

    identity: str
    name: str
    file: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class SalvageSpec:
    """Which folder's parts to make files of, and what to say of why they are incomplete."""

    folder: str
    ffmpeg: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in the folder. ``picture``: how many octets of it play; ``sizes``: octets, by name."""

    notes: tuple[SpeakerNote, ...]
    picture: int
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """``films``: which parts to join, the best first; where one cannot be made, the next is. ``speakers``:
    each with the part that their sound is in. ``unnamed``: parts that no note tells of; they stay there."""

    films: tuple[tuple[str, ...], ...]
    speakers: tuple[tuple[str, SpeakerTrack], ...]
    duration_ms: int
    unnamed: tuple[str, ...]


def note_line(note: SpeakerNote) -> bytes:
    return json.dumps(asdict(note)).encode() + b"\n"


def read_notes(octets: bytes) -> tuple[SpeakerNote, ...]:
    """All that can be read; a line that was not written to its end is passed over."""
    return tuple(note for line in octets.split(b"\n") if (note := _note(line)) is not None)


def spec_line(spec: SalvageSpec) -> bytes:
    return json.dumps(asdict(spec)).encode() + b"\n"


def read_spec(line: bytes) -> SalvageSpec:
    """Raises InvalidInput."""
    try:
        return SalvageSpec(**json.loads(line))
    except (ValueError, TypeError):
        raise InvalidInput("not what the salvager is told") from None


def playable(boxes: Iterable[tuple[bytes, int]], size: int) -> int:
    """How many octets from the beginning of a fragmented MP4 can be played: up to the end of the last whole
    fragment; 0 where there is none. ``boxes``: type and size of each as its header says, from the first on;
    ``size``: of the whole file."""
    begun = fragment = False
    at = good = 0
    for kind, length in boxes:
        at += length
        if length < 8 or at > size:
            break
        begun = begun or kind == b"moov"
        if (kind == b"mdat" and fragment and begun) or (kind != b"moof" and good):
            good = at
        fragment = kind == b"moof"
    return good


def plan(found: Found, rate: int) -> Plan | None:
    """None where nothing was recorded. ``rate``: samples of two octets a second."""

    def lasts_ms(name: str) -> int:
        return found.sizes.get(name, 0) // 2 * 1000 // rate

    heard = lasts_ms(MIXED) >= LEAST_MS
    if not heard and not found.picture:
        return None
    whole = ((PICTURE, MIXED),) if heard and found.picture else ()
    alone = tuple((name,) for name, there in ((MIXED, heard), (PICTURE, found.picture > 0)) if there)
    speakers = tuple(
        (
            note.file,
            SpeakerTrack(note.identity, note.name, ogg_of(note.file), note.started_ms, lasts_ms(note.file)),
        )
        for note in found.notes
        if lasts_ms(note.file)
    )
    named = {MIXED, *(note.file for note in found.notes)}
    unnamed = tuple(sorted(name for name in found.sizes if name.endswith(".part.pcm") and name not in named))
    longest = max((track.started_ms + track.duration_ms for _, track in speakers), default=0)
    return Plan(whole + alone, speakers, lasts_ms(MIXED) if heard else longest, unnamed)


def ogg_of(part: str) -> str:
    """What the file that is made of a speaker's part is called."""
    return part.replace(".part.pcm", ".ogg")


def _note(line: bytes) -> SpeakerNote | None:
    try:
        note = SpeakerNote(**json.loads(line))
    except (ValueError, TypeError):
        return None
    right = isinstance(note.started_ms, int) and all(
        isinstance(word, str) for word in (note.identity, note.name, note.file)
    )
    return note if right and "/" not in note.file and note.file.endswith(".part.pcm") else None
