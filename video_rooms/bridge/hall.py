"""One room as all telephones of this process share it.

They hear one another here, without the way round by the media server. What others publish is fetched for all
of them together, by two of them where there are two: one is listened to, and when it goes the other has the
sound already. (A track that is fetched costs about 1 % of a core; ten telephones that each fetched those of
the nine others, more than all else together.)
"""

from __future__ import annotations

from video_rooms.core.feed import Feed
from video_rooms.ports_media import RoomStay

EARS = 2


class _Fetched:
    """A track of somebody outside of this process: those who fetch it, the first of whom is listened to."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.by: list[RoomStay] = []


class Hall:
    """``voices``: what is to be heard in it, by the name of each voice; a telephone's own is its identity,
    with ``own_voice`` as its name."""

    def __init__(self) -> None:
        self.voices: dict[str, Feed] = {}
        self._stays: list[RoomStay] = []
        self._fetched: dict[str, _Fetched] = {}

    @property
    def empty(self) -> bool:
        return not self._stays

    def enter(self, stay: RoomStay) -> Feed:
        """A telephone is in the room; where to push its sound."""
        self._stays.append(stay)
        feed = self.voices[own_voice(stay)] = Feed()
        self.look()
        return feed

    def leave(self, stay: RoomStay) -> None:
        if stay not in self._stays:
            return
        self._stays.remove(stay)
        if not any(own_voice(other) == own_voice(stay) for other in self._stays):
            self.voices.pop(own_voice(stay), None)
        self.look()

    def look(self) -> None:
        """Fetch what is to be fetched, by whom it should be; and nothing else."""
        able = [stay for stay in self._stays if stay.may_hear]
        ears = sorted(able, key=lambda stay: not stay.connected)[:EARS]
        ours = {stay.identity for stay in self._stays}
        wanted: dict[str, str] = {}
        for ear in ears:
            wanted |= {track: who for track, who in ear.published.items() if who not in ours}
        for track in [known for known in self._fetched if known not in wanted]:
            self._drop(track)
        for track in wanted:
            self._fetch(track, [ear for ear in ears if track in ear.published])

    def _fetch(self, track: str, ears: list[RoomStay]) -> None:
        fetched = self._fetched.get(track)
        if fetched is None:
            fetched = self._fetched[track] = _Fetched()
            self.voices[track] = fetched.feed
        before, fetched.by = fetched.by, ears
        for stay in before:
            if stay not in ears:
                stay.drop(track)
        for stay in ears:
            if stay not in before:
                stay.fetch(track)
        if ears[:1] != before[:1]:
            if before and before[0] in ears:
                before[0].hear(track, None)
            ears[0].hear(track, fetched.feed.push)

    def _drop(self, track: str) -> None:
        for stay in self._fetched.pop(track).by:
            stay.drop(track)
        self.voices.pop(track, None)


def own_voice(stay: RoomStay) -> str:
    """The name of a telephone's own voice; no track is named so."""
    return f"leg:{stay.identity}"


class Halls:
    """All rooms in which there are telephones of this process."""

    def __init__(self) -> None:
        self._halls: dict[str, Hall] = {}

    def __len__(self) -> int:
        return len(self._halls)

    def of(self, stay: RoomStay) -> Hall:
        return self._halls.setdefault(stay.room, Hall())

    def leave(self, stay: RoomStay) -> None:
        hall = self._halls.get(stay.room)
        if hall is not None:
            hall.leave(stay)
            if hall.empty:
                del self._halls[stay.room]
