"""Calls and their events as lines for a person. Pure; what comes in is the API's JSON."""

from __future__ import annotations

from typing import Any, Final

from telephony.numbers import mask, mask_text

Json = dict[str, Any]
_NOT_NUMBERS: Final = ("recording_id", "file", "duration_ms", "bytes", "channels")
_DETAIL_LEFT_OUT: Final = ("file", "bytes", "channels")


def end(text: object, *, reveal: bool) -> str:
    """One end of a call: a number (masked unless ``reveal``), a phone's name, or nobody.

    >>> end("+14155552671", reveal=False), end("phone:alice", reveal=False), end("", reveal=False)
    ('+141••••••71', 'phone:alice', 'withheld')
    """
    shown = str(text or "")
    if not shown:
        return "withheld"
    return shown if reveal or shown.startswith("phone:") else mask(shown)


def moment(at: object) -> str:
    """The time of day of an RFC 3339 moment in UTC; a dash where there is none."""
    text = str(at or "")
    return text.partition("T")[2] or "–"


def call_line(call: Json, *, reveal: bool = True) -> str:
    """One call in a list."""
    arrow = "→" if call["direction"] == "outbound" else "⇒"
    ends = f"{end(call['from'], reveal=reveal)} {arrow} {end(call['to'], reveal=reveal)}"
    took = "" if call["duration_seconds"] is None else f"{call['duration_seconds']} s"
    created = str(call["created_at"])[:19].replace("T", " ")
    return f"{created}Z  {call['id']}  {call['status']:<11}  {took:>6}  {ends}"


def event_line(call: Json, event: Json, *, reveal: bool, named: bool = True) -> str:
    """One event as it happens. ``named``: with the call it belongs to and the call's two ends."""
    words = [moment(event["at"])]
    if named:
        ends = f"{end(call['from'], reveal=reveal)} → {end(call['to'], reveal=reveal)}"
        words += [str(call["id"]), ends]
    words.append(str(event["type"]))
    told = dict(event["detail"])
    if event["type"] == f"call.{call['status']}" and call["ended_at"] is not None:
        told = {**ending(call), **told}
    words += [
        f"{name}={value if reveal or name in _NOT_NUMBERS else mask_text(str(value))}"
        for name, value in told.items()
        if name not in _DETAIL_LEFT_OUT
    ]
    return "  ".join(words)


def ending(call: Json) -> dict[str, str]:
    """How a call ended, in few words; nothing while it goes on."""
    if call["ended_at"] is None:
        return {}
    told = {"seconds": str(call["duration_seconds"] or 0)}
    if call["termination"] is not None:
        told["reason"] = f"{call['termination']['result']}/{call['termination']['reason']}"
    if call["sip_code"] is not None:
        told["sip"] = str(call["sip_code"])
    if call["ended_by"] is not None:
        told["by"] = str(call["ended_by"])
    return told


def call_story(call: Json, events: list[Json]) -> str:
    """A call and its timeline, for `call show`."""
    lines = [
        f"{call['id']}  {call['direction']}  {call['status']}",
        f"from        {end(call['from'], reveal=True)}",
        f"to          {end(call['to'], reveal=True)}",
        f"created     {call['created_at']}",
    ]
    lines += [f"{name:<11} {call[f'{name}_at']}" for name in ("answered", "ended") if call[f"{name}_at"]]
    told = ending(call)
    if told:
        lines.append("ending      " + ", ".join(f"{name} {value}" for name, value in told.items()))
    lines += [f"recording   {recording_line(known)}" for known in call.get("recordings", ())]
    lines += [""] + [event_line(call, event, reveal=True, named=False) for event in events]
    return "\n".join(lines)


def recording_line(recording: Json) -> str:
    """One recording: its state, its length, and where it is."""
    words = [str(recording["id"]), str(recording["status"])]
    if recording["duration_seconds"] is not None:
        words.append(f"{recording['duration_seconds']:g} s")
    if recording["failure"]:
        words.append(str(recording["failure"]))
    if recording["url"]:
        words.append(str(recording["url"]))
    return "  ".join(words)
