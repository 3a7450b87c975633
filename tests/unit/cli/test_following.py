"""Following calls: each event told once, in order, and an end to the asking."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.cli import following
from gateway.cli.following import Followed, Tail, follow_all, follow_call, pause_s
from telephony.errors import TooMany, Unavailable

pytestmark = pytest.mark.unit

Json = dict[str, Any]


class Told:
    """An API whose calls and timelines the test writes."""

    def __init__(self) -> None:
        self.made: list[Json] = []
        self.timelines: dict[str, list[Json]] = {}
        self.failures: list[Exception] = []

    def add(self, call_id: str, created: str = "2026-03-08T12:00:00.000Z", **fields: object) -> Json:
        call = {
            "id": call_id, "from": "+12025550100", "to": "phone:alice", "status": "initiating",
            "created_at": created, "answered_at": None, "ended_at": None, "duration_seconds": None,
            "termination": None, "sip_code": None, "ended_by": None, "recordings": [], **fields,
        }  # fmt: skip
        self.made.insert(0, call)
        self.timelines[call_id] = []
        return call

    def happens(self, call_id: str, *types: str, **detail: str) -> None:
        timeline = self.timelines[call_id]
        for name in types:
            at = "2026-03-08T12:00:01.000Z"
            timeline.append({"sequence": len(timeline) + 1, "type": name, "at": at, "detail": dict(detail)})
            status = name.removeprefix("call.")
            if status in following.FINAL:
                call = next(call for call in self.made if call["id"] == call_id)
                call |= {"status": status, "ended_at": at, "duration_seconds": 0}

    async def call(self, call_id: str) -> Json:
        return dict(next(call for call in self.made if call["id"] == call_id))

    async def events(self, call_id: str, after: int = 0) -> list[Json]:
        return self.timelines[call_id][after:]

    async def calls(self, query: str, at_most: int) -> list[Json]:
        if self.failures:
            raise self.failures.pop(0)
        wanted = unquote(query)
        found = [
            call for call in self.made if f"status={call['status']}" in wanted or "status=" not in wanted
        ]
        after = wanted.partition("created_after=")[2]
        return [dict(call) for call in found if call["created_at"] >= after][:at_most]


def types(lines: list[str]) -> list[str]:
    return [next(word for word in line.split() if word.startswith(("call.", "recording."))) for line in lines]


async def test_new_calls_are_told_from_their_first_event_and_each_event_once():
    source, lines = Told(), list[str]()
    tail = Tail(source, lines.append, reveal=False)
    assert await tail.begin() == 0
    source.add("call_1")
    source.happens("call_1", "call.initiated", "call.ringing")
    await tail.round()
    await tail.round()
    source.happens("call_1", "call.busy")
    await tail.round()
    await tail.round()
    assert types(lines) == ["call.initiated", "call.ringing", "call.busy"]
    assert "+12025550100" not in "".join(lines)


async def test_what_was_before_is_not_told_but_live_calls_go_on():
    source, lines = Told(), list[str]()
    for call_id in ("call_1", "call_2"):
        source.add(call_id)
        source.happens(call_id, "call.initiated")
    source.happens("call_1", "call.completed")
    tail = Tail(source, lines.append, reveal=False)
    assert await tail.begin() == 1
    source.happens("call_2", "call.ringing")
    await tail.round()
    assert types(lines) == ["call.ringing"]


async def test_a_call_that_was_stored_later_than_a_younger_one_is_not_missed():
    source, lines = Told(), list[str]()
    tail = Tail(source, lines.append, reveal=False)
    await tail.begin()
    source.add("call_2", "2026-03-08T12:00:00.900Z")
    await tail.round()
    source.add("call_1", "2026-03-08T12:00:00.100Z")
    source.happens("call_1", "call.initiated")
    await tail.round()
    assert types(lines) == ["call.initiated"]


async def test_an_ended_call_is_followed_until_its_recording_is_finished():
    followed = Followed({"id": "call_1"})
    followed.take([{"sequence": 1, "type": "recording.started", "detail": {"recording_id": "r1"}}])
    followed.take([{"sequence": 2, "type": "call.completed", "detail": {}}])
    assert not followed.over
    followed.take([{"sequence": 3, "type": "recording.ready", "detail": {"recording_id": "r1"}}])
    assert followed.over


async def test_a_recording_that_is_never_told_of_again_does_not_keep_us():
    followed = Followed({"id": "call_1"})
    followed.take([{"sequence": 1, "type": "recording.started", "detail": {"recording_id": "r1"}}])
    followed.take([{"sequence": 2, "type": "call.completed", "detail": {}}])
    rounds = 0
    while not followed.over:
        followed.take([])
        rounds += 1
    assert rounds < 1000


async def test_one_call_is_followed_to_its_end():
    source, lines = Told(), list[str]()
    call = source.add("call_1")
    source.happens("call_1", "call.initiated", "call.no_answer")
    ended = await follow_call(source, call, lines.append)
    assert ended["status"] == "no_answer"
    assert types(lines) == ["call.initiated", "call.no_answer"]


@pytest.mark.parametrize(("requests", "least"), [(1, 0.5), (10, 2.0), (100, 20.0)])
def test_many_calls_are_asked_for_less_often(requests: int, least: float):
    assert pause_s(requests) == least


async def test_a_gateway_that_goes_away_is_waited_for_and_both_are_said_once(monkeypatch: pytest.MonkeyPatch):
    source, lines, warnings, rests = Told(), list[str](), list[str](), list[float]()
    tail = Tail(source, lines.append, reveal=False)
    await tail.begin()
    full = TooMany("too fast", retry_after_s=7, limit=1, window="minute")
    source.failures = [Unavailable("it is away"), Unavailable("it is away"), full]
    source.add("call_1")
    source.happens("call_1", "call.initiated")

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr(following.asyncio, "sleep", rest)
    with pytest.raises(asyncio.CancelledError):
        await follow_all(tail, warnings.append)
    assert rests[:3] == [1.0, 2.0, 7.0]
    assert warnings == ["it is away (trying again)", "the gateway answers again"]
    assert types(lines) == ["call.initiated"]
