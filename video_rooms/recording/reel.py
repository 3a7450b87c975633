"""One recording on disk: everybody's sound and the picture, a step at a time. The clock is the caller's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path

from video_rooms.core.reel import COMPOSITE, TIMELINE, SpeakerTrack, timeline
from video_rooms.core.salvage import MIXED, NOTES, PICTURE, SpeakerNote, note_line, ogg_of
from video_rooms.recording.canvas import Canvas, Face, Picture
from video_rooms.recording.claim import claim
from video_rooms.recording.encoder import PictureFile, join, speech
from video_rooms.recording.sound import RATE, Voice, mixed


@dataclass
class Microphone:
    """One person's sound as long as they have a microphone, in a file of its own."""

    identity: str
    name: str
    path: Path
    started_ms: int
    file: BufferedWriter
    voice: Voice = field(default_factory=Voice)
    samples: int = 0


@dataclass
class Visitor:
    """Somebody in the room. ``picture`` is the latest frame of their screen, else their camera."""

    identity: str
    name: str
    picture: Picture | None = None


class Reel:
    """``folder`` is ours alone, and claimed until we end. Blocking writes are small and go to the page cache:
    what was written is there when we are killed. Raises OSError."""

    def __init__(self, folder: Path, ffmpeg: str, width: int, height: int, frames: int) -> None:
        self._folder, self._ffmpeg, self._frames = folder, ffmpeg, frames
        self._canvas = Canvas(width, height)
        held = claim(folder)
        self._claimed = () if held is None else (held,)
        self._picture = PictureFile(ffmpeg, folder / PICTURE, width, height, frames, self._claimed)
        self._mixed: BufferedWriter | None = None
        self._steps = 0
        self._last_frame = b""
        self._owed = 0
        self._next_file = 1
        self.visitors: dict[str, Visitor] = {}
        self._open: dict[str, Microphone] = {}
        self._closed: list[Microphone] = []

    @property
    def elapsed_ms(self) -> int:
        return self._steps * 1000 // self._frames

    async def start(self) -> None:
        """Raises EncoderFailed, OSError."""
        self._mixed = (self._folder / MIXED).open("wb")
        await self._picture.start()

    def microphone(self, track_sid: str, identity: str, name: str) -> Voice:
        """Somebody's sound begins now."""
        path = self._folder / f"speaker-{self._next_file}.part.pcm"
        self._next_file += 1
        opened = Microphone(identity, name, path, self.elapsed_ms, path.open("wb"))
        with (self._folder / NOTES).open("ab") as notes:
            notes.write(note_line(SpeakerNote(identity, name, path.name, opened.started_ms)))
        self._open[track_sid] = opened
        return opened.voice

    def silence(self, track_sid: str) -> None:
        """Somebody's sound is no more."""
        closed = self._open.pop(track_sid, None)
        if closed is not None:
            closed.file.close()
            self._closed.append(closed)

    def step(self, *, draw: bool = True) -> None:
        """One frame, and as much sound as belongs to it. Without ``draw`` the last picture stands on. Raises
        EncoderFailed, OSError."""
        count = RATE * (self._steps + 1) // self._frames - RATE * self._steps // self._frames
        self._steps += 1
        pieces = []
        for one in self._open.values():
            piece = one.voice.take(count)
            one.file.write(piece.tobytes())
            one.samples += count
            pieces.append(piece)
        assert self._mixed is not None
        self._mixed.write(mixed(pieces, count).tobytes())
        if draw or not self._last_frame:
            speaking = {one.identity for one in self._open.values() if one.voice.speaking}
            faces = [
                Face(who.identity, who.picture, who.identity in speaking) for who in self.visitors.values()
            ]
            self._last_frame = self._canvas.draw(faces)
        self._owed += 1
        while self._owed and self._picture.put(self._last_frame):
            self._owed -= 1

    async def finish(self) -> tuple[int, int, int]:
        """Close and join everything: milliseconds, octets, speakers' files. Raises EncoderFailed, OSError."""
        for sid in list(self._open):
            self.silence(sid)
        assert self._mixed is not None
        self._mixed.close()
        await self._picture.close()
        folder = self._folder
        composite = folder / COMPOSITE
        made = folder / "composite.part.mp4"
        await join(self._ffmpeg, folder / PICTURE, folder / MIXED, made, self._claimed)
        tracks = [await self._spoken(one) for one in self._closed if one.samples]
        (folder / TIMELINE).write_bytes(timeline(self.elapsed_ms, tracks))
        made.replace(composite)
        for part in folder.glob("*.part.*"):
            part.unlink()
        return self.elapsed_ms, composite.stat().st_size, len(tracks)

    async def abandon(self) -> None:
        """Let go of everything; what is on disk stays."""
        for one in self._open.values():
            one.file.close()
        if self._mixed is not None:
            self._mixed.close()
        await self._picture.abandon()
        for held in self._claimed:
            os.close(held)
        self._claimed = ()

    async def _spoken(self, one: Microphone) -> SpeakerTrack:
        into = one.path.with_name(ogg_of(one.path.name))
        await speech(self._ffmpeg, one.path, into, self._claimed)
        return SpeakerTrack(one.identity, one.name, into.name, one.started_ms, one.samples * 1000 // RATE)
