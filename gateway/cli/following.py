"""Following calls by asking the API again and again: which events are new, and when to stop asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import quote

from gateway.cli.lines import event_line
from telephony.errors import TooMany, Unavailable

Json = dict[str, Any]
Say = Callable[[str], None]
FINAL: Final = frozenset({"completed", "failed", "busy", "no_answer", "cancelled"})
LIVE: Final = ("initiating", "ringing", "in_progress")
_REQUESTS_PER_S: Final = 5.0
_EVERY_S: Final = 0.5
_PATIENCE_S: Final = (1.0, 2.0, 4.0, 8.0)
_REMEMBERED: Final = 10_000
_OVERLAP: Final = timedelta(seconds=5)
_LATE_ROUNDS: Final = 120


class Source(Protocol):
    """What following needs of the API."""

    async def call(self, call_id: str) -> Json: ...

    async def events(self, call_id: str, after: int = 0) -> list[Json]: ...

    async def calls(self, query: str, at_most: int) -> list[Json]: ...


@dataclass(slots=True)
class Followed:
    """One call: how far its timeline was read, and what is still to come."""

    call: Json
    after: int = 0
    tapes: set[str] = field(default_factory=set)
    ended: bool = False
    late_rounds: int = 0

    @property
    def over(self) -> bool:
        """It ended and its recordings are finished, or nothing was heard of them for too long."""
        return self.ended and (not self.tapes or self.late_rounds >= _LATE_ROUNDS)

    def take(self, events: list[Json]) -> None:
        """Read on in the timeline."""
        self.late_rounds = 0 if events else self.late_rounds + self.ended
        for event in events:
            self.after = max(self.after, int(event["sequence"]))
            tape = str(event["detail"].get("recording_id", ""))
            if event["type"] == "recording.started":
                self.tapes.add(tape)
            elif event["type"] in ("recording.ready", "recording.failed"):
                self.tapes.discard(tape)
            if str(event["type"]).removeprefix("call.") in FINAL:
                self.ended = True


def since(newest: str) -> str:
    """The filter for calls that may be new: a call is stored a moment after its time of creation, so the
    last seconds are looked at again.

    >>> since("2026-03-08T12:00:07.000Z")
    '&created_after=2026-03-08T12%3A00%3A02Z'
    """
    if not newest:
        return ""
    start = datetime.fromisoformat(newest) - _OVERLAP
    return "&created_after=" + quote(start.isoformat().replace("+00:00", "Z"), safe="")


def pause_s(requests: int) -> float:
    """How long to rest after a round of so many requests: no more than 5 of them a second."""
    return max(_EVERY_S, requests / _REQUESTS_PER_S)


async def read_on(source: Source, followed: Followed, say: Say, *, reveal: bool, named: bool) -> int:
    """Tell what is new of one call; how many requests it took."""
    fresh = await source.events(followed.call["id"], followed.after)
    was = followed.ended
    followed.take(fresh)
    turned = followed.ended and not was
    if turned:
        followed.call = await source.call(followed.call["id"])
    for event in fresh:
        say(event_line(followed.call, event, reveal=reveal, named=named))
    return 1 + turned


async def follow_call(source: Source, call: Json, say: Say, *, reveal: bool = True) -> Json:
    """Tell one call's events until it is over; the call as it ended."""
    followed = Followed(call)
    while True:
        requests = await read_on(source, followed, say, reveal=reveal, named=False)
        if followed.over:
            return await source.call(call["id"])
        await asyncio.sleep(pause_s(requests))


class Tail:
    """Every call's events as they happen. Calls that live at the start are told from then on."""

    def __init__(self, source: Source, say: Say, *, reveal: bool) -> None:
        self._source = source
        self._say = say
        self._reveal = reveal
        self._open: dict[str, Followed] = {}
        self._seen: dict[str, None] = {}
        self._newest = ""

    async def begin(self) -> int:
        """Take up what is live now; how many calls that is."""
        for call in reversed(await self._source.calls("", _REMEMBERED // 100)):
            self._note(call)
        for status in LIVE:
            for call in await self._source.calls(f"&status={status}", _REMEMBERED):
                followed = Followed(call)
                followed.take(await self._source.events(call["id"]))
                self._note(call)
                if not followed.over:
                    self._open[call["id"]] = followed
        return len(self._open)

    async def round(self) -> int:
        """Look once for new calls and new events; how many requests it took."""
        requests = 1
        for call in reversed(await self._source.calls(since(self._newest), _REMEMBERED)):
            if self._note(call):
                self._open[call["id"]] = Followed(call)
        for call_id, followed in list(self._open.items()):
            requests += await read_on(self._source, followed, self._say, reveal=self._reveal, named=True)
            if followed.over:
                del self._open[call_id]
        return requests

    def _note(self, call: Json) -> bool:
        """Remember a call; whether it was seen for the first time."""
        self._newest = max(self._newest, str(call["created_at"]))
        if call["id"] in self._seen:
            return False
        self._seen[str(call["id"])] = None
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True


async def follow_all(tail: Tail, warn: Say) -> None:
    """Tell events for ever. A gateway that goes away is waited for, and both are said once."""
    away = 0
    while True:
        try:
            rest = pause_s(await tail.round())
            if away:
                warn("the gateway answers again")
            away = 0
        except TooMany as limit:
            rest = float(limit.retry_after_s)
        except Unavailable as failure:
            if not away:
                warn(f"{failure.message} (trying again)")
            rest = _PATIENCE_S[min(away, len(_PATIENCE_S) - 1)]
            away += 1
        await asyncio.sleep(rest)
