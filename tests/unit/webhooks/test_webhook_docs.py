"""What the page for receivers promises: its code verifies, its tables are complete."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.webhooks.core.backoff import SCHEDULE_S
from gateway.webhooks.core.events import CATALOGUE
from gateway.webhooks.core.signing import make_secret, signatures
from gateway.webhooks.core.ssrf import Policy

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET, OLD = make_secret(b"s" * 32), make_secret(b"o" * 32)


def snippet(word: str) -> dict[str, Any]:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if word in block]
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_ten_lines_verify_what_we_send_and_nothing_else() -> None:
    is_genuine: Callable[..., bool] = snippet("def is_genuine")["is_genuine"]
    now, body = int(time.time()), b'{"type":"call.completed"}'
    headers = signatures([SECRET, OLD], "evt_1", now, body)
    assert is_genuine(SECRET, headers, body)
    assert is_genuine(OLD, headers, body)
    assert not is_genuine(SECRET, headers, body + b" ")
    assert not is_genuine(make_secret(b"x" * 32), headers, body)
    assert not is_genuine(SECRET, signatures([SECRET], "evt_1", now - 400, body), body)


def test_every_event_is_explained() -> None:
    rooms = "call|recording|session|interaction|message|agent|room|pool|webhook"
    told = set(re.findall(rf"`((?:{rooms})\.[a-z_.]+)`", PAGE))
    assert told >= set(CATALOGUE)


def test_the_schedule_and_ports_are_as_told() -> None:
    words = "5 s, 1 min, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h"
    assert words in " ".join(PAGE.split())
    unit = {"s": 1, "min": 60, "h": 3600}
    told = [int(n) * unit[u] for n, u in re.findall(r"(\d+) (s|min|h)", words)]
    assert (0, *told) == SCHEDULE_S
    assert Policy().ports == {443, 8443, 80}
