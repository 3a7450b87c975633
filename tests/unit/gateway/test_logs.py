"""Log lines: whole JSON, with a moment and a level, and no telephone number in clear."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import structlog

from gateway.logs import render

pytestmark = pytest.mark.unit


def line(method: str = "info", **event: Any) -> dict[str, Any]:
    told = orjson.loads(render(None, method, dict(event)))
    assert isinstance(told, dict)
    return told


def test_a_line_tells_what_when_and_how_grave() -> None:
    told = line(event="call.ringing", call_id="call_01", termination=None)
    age = datetime.now(UTC) - datetime.fromisoformat(told.pop("timestamp"))
    assert 0 <= age.total_seconds() < 60
    assert told == {"event": "call.ringing", "call_id": "call_01", "termination": None, "level": "info"}


@pytest.mark.parametrize(
    ("method", "level"), [("warn", "warning"), ("exception", "error"), ("debug", "debug")]
)
def test_the_level_has_its_full_name(method: str, level: str) -> None:
    assert line(method, event="x")["level"] == level


def test_numbers_are_masked_wherever_they_stand_but_not_in_ids() -> None:
    told = line(
        event="x", to="+12025550100", note="from 2025550111 to 2025550122", channel="pb-1795225543.27"
    )
    assert "2025550" not in told["to"] + told["note"]
    assert told["channel"] == "pb-1795225543.27"


def test_a_number_in_a_text_of_another_type_is_masked_too() -> None:
    class Word(str):
        """Some library's own text."""

    assert "2025550" not in line(event="x", to=Word("+12025550100"))["to"]


def test_an_exception_is_told_with_its_traceback_and_no_number() -> None:
    try:
        raise LookupError("nobody has +12025550100")
    except LookupError as error:
        told = line("exception", event="x", exc_info=error)
    assert "LookupError" in told["exception"]
    assert "2025550" not in told["exception"]
    assert "exc_info" not in told


def test_what_json_does_not_know_is_told_in_words() -> None:
    assert line(event="x", where=object)["where"] == "<class 'object'>"


def test_a_logger_writes_one_line_with_what_is_bound_around_it() -> None:
    out = io.BytesIO()
    logger = structlog.wrap_logger(
        structlog.BytesLogger(out),
        processors=[structlog.contextvars.merge_contextvars, render],
        wrapper_class=structlog.make_filtering_bound_logger(20),
    )
    with structlog.contextvars.bound_contextvars(request_id="req_01"):
        logger.info("asked", path="/v1")
        logger.debug("nothing")
    (written,) = out.getvalue().splitlines()
    told = orjson.loads(written)
    assert (told["event"], told["request_id"], told["path"]) == ("asked", "req_01", "/v1")
