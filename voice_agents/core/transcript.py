"""The transcript: who said what, how much of it was heard, and when on the call's audio clock. Pure.

Times are milliseconds since the first frame the caller sent. Turns are ordered by that clock, not by the
moment they became known: what a caller said is often understood only after the agent began to answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict

Role = Literal["agent", "caller", "gateway", "tool", "digits"]
"""Whose turn: ``gateway`` is a prompt of ours, ``tool`` a tool the agent used, ``digits`` keys pressed or
played."""

MASK = "•"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that was called within a turn. Arguments and result stay with the tool's own log."""

    id: str
    name: str
    ok: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """``said`` is all that was meant to be said, ``heard`` the part that reached the other side: for the
    agent what was played, for the caller the same as ``said``. ``source`` is who knows the words:
    ``agent``, ``provider`` or ``gateway``."""

    role: Role
    said: str
    heard: str
    start_ms: int
    end_ms: int
    interrupted: bool = False
    source: str = "agent"
    confidence: float = 1.0
    tools: tuple[ToolUse, ...] = ()


class TurnView(TypedDict):
    """A turn as JSON."""

    role: str
    said: str
    heard: str
    start_ms: int
    end_ms: int
    interrupted: bool
    source: str
    confidence: float
    tools: list[dict[str, str | bool]]


def in_order(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """By the audio clock; of two that begin together, the one that ends first."""
    return tuple(sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms)))


def as_views(turns: Iterable[Turn]) -> list[TurnView]:
    """The turns as plain values for JSON."""
    return [
        TurnView(
            role=turn.role,
            said=turn.said,
            heard=turn.heard,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            interrupted=turn.interrupted,
            source=turn.source,
            confidence=round(turn.confidence, 3),
            tools=[{"id": u.id, "name": u.name, "ok": u.ok, "error": u.error} for u in turn.tools],
        )
        for turn in turns
    ]


def as_text(turns: Iterable[Turn]) -> str:
    """One line a turn: what was heard, with its time; ``—`` where the agent was cut short."""
    return "".join(f"[{_clock(turn.start_ms)}] {turn.role}: {_line(turn)}\n" for turn in turns)


def as_webvtt(turns: Iterable[Turn]) -> str:
    """WebVTT (W3C), one cue a turn, the speaker in a voice span. Turns without words make no cue."""
    return "WEBVTT\n" + "".join(f"\n{cue}\n" for cue in _cues(turns))


def _cues(turns: Iterable[Turn]) -> Iterator[str]:
    for turn in turns:
        line = _line(turn)
        if line:
            # A cue must end after it begins, or players drop it.
            until_ms = max(turn.end_ms, turn.start_ms + 1)
            times = f"{_stamp(turn.start_ms)} --> {_stamp(until_ms)}"
            yield f"{times}\n<v {turn.role}>{_escaped(line)}"


def _line(turn: Turn) -> str:
    heard = " ".join(turn.heard.split())
    return f"{heard} —".lstrip() if turn.interrupted else heard


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(ms: int) -> str:
    return f"{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms // 100 % 10}"


def _stamp(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
