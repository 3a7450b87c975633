"""What one telephone hears: the voices of its room, music while it waits, prompts over everything. Pure.

One frame is asked for every 20 ms. Silence is None: whoever sends it on has silence of his own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from video_rooms.core.feed import Cursor, Feed
from video_rooms.core.sound import mixed, softer

_UNDER_PROMPT = 0.25
"""How loud everything else is while a prompt is heard: -12 dB."""


class Mix:
    """``place``: whose own voice is left out."""

    def __init__(self) -> None:
        self._feeds: Mapping[str, Feed] = {}
        self._own = ""
        self._cursors: dict[str, tuple[Feed, Cursor]] = {}
        self._music: Sequence[bytes] = ()
        self._music_at = 0
        self._prompt: list[bytes] = []
        self._prompt_at = 0
        self._prompt_id: str | None = None

    # ------------------------------------------------------------ what may be heard

    def enter(self, feeds: Mapping[str, Feed], own: str) -> None:
        """Listen to these voices but ``own``; whoever comes to them is heard, too. Those that are listened to
        already go on."""
        if feeds is not self._feeds:
            self._cursors.clear()
        self._feeds, self._own = feeds, own

    def leave(self) -> None:
        self.enter({}, "")

    def music(self, frames: Sequence[bytes]) -> None:
        """Play this round and round, from its begin; nothing: no music."""
        self._music, self._music_at = frames, 0

    def prompt(self, id_: str, frames: Sequence[bytes]) -> None:
        """Play this once, instead of what is being played."""
        self._prompt, self._prompt_at, self._prompt_id = list(frames), 0, id_

    def cut(self) -> None:
        """No prompt any more."""
        self._prompt, self._prompt_id = [], None

    # ------------------------------------------------------------ every 20 ms

    def frame(self) -> tuple[bytes | None, str | None]:
        """The next frame, and the prompt that ends with it."""
        under = self._music_frame()
        for voice, feed in tuple(self._feeds.items()):
            if voice != self._own and (heard := self._cursor(voice, feed).take()) is not None:
                under = heard if under is None else mixed(under, heard)
        if len(self._cursors) > len(self._feeds):
            self._cursors = {voice: kept for voice, kept in self._cursors.items() if voice in self._feeds}
        if self._prompt_id is None:
            return under, None
        return self._prompted(under)

    def _prompted(self, under: bytes | None) -> tuple[bytes | None, str | None]:
        if self._prompt_at < len(self._prompt):
            frame = self._prompt[self._prompt_at]
            under = frame if under is None else mixed(frame, softer(under, _UNDER_PROMPT))
            self._prompt_at += 1
        if self._prompt_at < len(self._prompt):
            return under, None
        ended, self._prompt_id = self._prompt_id, None
        return under, ended

    def _music_frame(self) -> bytes | None:
        if not self._music:
            return None
        frame = self._music[self._music_at]
        self._music_at = (self._music_at + 1) % len(self._music)
        return frame

    def _cursor(self, voice: str, feed: Feed) -> Cursor:
        known = self._cursors.get(voice)
        if known is None or known[0] is not feed:
            known = self._cursors[voice] = (feed, Cursor(feed))
        return known[1]
