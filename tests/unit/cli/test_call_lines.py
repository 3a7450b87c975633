"""What a person reads on the command line about calls."""

from typing import Any

import pytest

from gateway.cli.call import order
from gateway.cli.lines import call_line, call_story, end, ending, event_line, moment

pytestmark = pytest.mark.unit

CALL: dict[str, Any] = {
    "id": "call_1",
    "direction": "outbound",
    "from": "+12025550100",
    "to": "+14155552671",
    "status": "in_progress",
    "created_at": "2026-03-08T12:00:00.000Z",
    "answered_at": "2026-03-08T12:00:02.000Z",
    "ended_at": None,
    "duration_seconds": None,
    "termination": None,
    "sip_code": None,
    "ended_by": None,
    "recordings": [],
}
ENDED: dict[str, Any] = {
    **CALL,
    "status": "busy",
    "answered_at": None,
    "ended_at": "2026-03-08T12:00:03.000Z",
    "duration_seconds": 0,
    "termination": {"result": "far_end", "reason": "busy"},
    "sip_code": 486,
    "ended_by": "callee",
}


def event(type_: str, **detail: str) -> dict[str, Any]:
    return {"sequence": 3, "type": type_, "at": "2026-03-08T12:00:02.123Z", "status": "x", "detail": detail}


def test_numbers_are_masked_unless_asked_for():
    line = event_line(CALL, event("call.ringing"), reveal=False)
    assert line.startswith("12:00:02.123Z  call_1")
    assert "+14155552671" not in line
    assert "+141••••••71" in line
    assert "+14155552671" in event_line(CALL, event("call.ringing"), reveal=True)


def test_numbers_in_details_are_masked_too():
    shown = event_line(CALL, event("call.connected", number="+14155552672"), reveal=False)
    assert "+14155552672" not in shown


def test_ids_and_lengths_in_details_are_left_whole():
    shown = event_line(
        CALL, event("recording.ready", recording_id="call_1-1", duration_ms="12345678"), reveal=False
    )
    assert "recording_id=call_1-1" in shown
    assert "duration_ms=12345678" in shown


@pytest.mark.parametrize(
    ("given", "shown"), [("phone:alice", "phone:alice"), ("", "withheld"), (None, "withheld"), ("911", "•••")]
)
def test_an_end_of_a_call(given: str | None, shown: str):
    assert end(given, reveal=False) == shown


def test_the_last_event_says_how_the_call_ended():
    line = event_line(ENDED, event("call.busy"), reveal=False)
    for word in ("seconds=0", "reason=far_end/busy", "sip=486", "by=callee"):
        assert word in line
    assert "reason" not in event_line(ENDED, event("call.ringing"), reveal=False)


def test_a_call_that_goes_on_has_no_ending():
    assert ending(CALL) == {}


def test_the_list_says_who_called_whom_and_how_long():
    assert call_line(ENDED).split() == [
        "2026-03-08", "12:00:00Z", "call_1", "busy", "0", "s", "+12025550100", "→", "+14155552671",
    ]  # fmt: skip


def test_the_story_of_a_call_has_its_recordings_and_its_timeline():
    recording = {
        "id": "call_1-1",
        "status": "ready",
        "duration_seconds": 3.5,
        "failure": None,
        "url": "http://x/y",
    }
    failed = {
        "id": "call_1-2",
        "status": "failed",
        "duration_seconds": None,
        "failure": "no_audio",
        "url": None,
    }
    story = call_story({**CALL, "recordings": [recording, failed]}, [event("call.answered")])
    assert "call_1-1  ready  3.5 s  http://x/y" in story
    assert "call_1-2  failed  no_audio" in story
    assert story.endswith("12:00:02.123Z  call.answered")


def test_a_moment_that_is_not_there():
    assert moment(None) == "–"


def test_what_is_asked_for_and_nothing_else():
    assert order("+14155552671", None, None, None, False) == {"to": "+14155552671"}
    assert order("phone:alice", "+12025550100", "Hello.", None, True) == {
        "to": "phone:alice",
        "from": "+12025550100",
        "announcement": "Hello.",
        "record": True,
    }
    assert order("phone:alice", None, "prompt:welcome", None, False)["announcement"] == {"prompt": "welcome"}
