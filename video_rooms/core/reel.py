"""The words between the gateway and the recorder's own process: one JSON object a line. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

from telephony.errors import InvalidInput

STOP: Final = b"stop\n"
RESULT: Final = "result.json"
"""What the recorder leaves behind last: whoever finds it knows how the recording ended."""
COMPOSITE: Final = "composite.mp4"
TIMELINE: Final = "timeline.json"
LINE_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class ReelSpec:
    """What to record, and where to. Sizes in pixels, even; ``frames`` a second; ``longest_s`` seconds."""

    url: str
    token: str = field(repr=False)
    folder: str
    ffmpeg: str
    width: int = 1280
    height: int = 720
    frames: int = 12
    longest_s: int = 6 * 3600


@dataclass(frozen=True, slots=True)
class ReelNews:
    """What the recorder says. ``what``: ``started``, ``finished`` or ``failed``; ``why`` a word: ``refused``,
    ``unreachable``, ``encoder``, ``disk``, ``crashed``. What is ``finished`` with a ``why`` is incomplete."""

    what: str
    why: str = ""
    duration_ms: int = 0
    size: int = 0
    speakers: int = 0


@dataclass(frozen=True, slots=True)
class SpeakerTrack:
    """One person's sound in a file of its own, which begins ``started_ms`` into the recording. A person who
    comes back has several."""

    identity: str
    name: str
    file: str
    started_ms: int
    duration_ms: int


def spec_line(spec: ReelSpec) -> bytes:
    return json.dumps(asdict(spec)).encode() + b"\n"


def read_spec(line: bytes) -> ReelSpec:
    """Raises InvalidInput."""
    try:
        return ReelSpec(**json.loads(line))
    except (ValueError, TypeError):
        raise InvalidInput("not what the recorder is told") from None


def news_line(news: ReelNews) -> bytes:
    return json.dumps(asdict(news)).encode() + b"\n"


def read_news(line: bytes) -> ReelNews:
    """Raises InvalidInput."""
    try:
        news = ReelNews(**json.loads(line))
    except (ValueError, TypeError):
        raise InvalidInput("not what the recorder says") from None
    if news.what not in ("started", "finished", "failed"):
        raise InvalidInput("not what the recorder says")
    return news


def timeline(duration_ms: int, tracks: list[SpeakerTrack], incomplete: str = "") -> bytes:
    """Who spoke into which file, and when it begins: what a transcript with speakers is made from.
    ``incomplete``: why more happened than is in it."""
    shown: dict[str, object] = {
        "duration_ms": duration_ms,
        "composite": COMPOSITE,
        "speakers": [asdict(one) for one in tracks],
    }
    if incomplete:
        shown["incomplete"] = incomplete
    return json.dumps(shown, ensure_ascii=False, indent=1).encode()
