"""Masking sessions, their interactions and the pool as lines for a person. Pure; what comes in is the API's
JSON. Participants' numbers are masked unless they shall be revealed; proxy numbers are one's own, and whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.cli.lines import end
from telephony.numbers import mask

Json = dict[str, Any]
_DAY_S: Final = 86_400
_NO: Final = "–"


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Rows as lines, each column as wide as its widest cell; those in ``right`` are set to the right.

    >>> print(columns([("use", "live"), ("pairs", "7")], frozenset({1})))
    use    live
    pairs     7
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def moment(at: object) -> str:
    """A moment to the second, in UTC; a dash where there is none.

    >>> moment("2026-03-08T12:00:00.123Z")
    '2026-03-08 12:00:00Z'
    """
    text = str(at or "")
    return f"{text[:19].replace('T', ' ')}Z" if text else _NO


def length(seconds: object) -> str:
    """Seconds as people say them.

    >>> length(0), length(90), length(7200), length(604800), length(None)
    ('0 s', '90 s', '2 h', '7 d', '–')
    """
    if not isinstance(seconds, (int, float)):
        return _NO
    for unit, size in (("d", _DAY_S), ("h", 3600)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:.0f} s" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def party(text: object, *, reveal: bool) -> str:
    """One who takes part; nobody where there is none."""
    return end(text, reveal=reveal) if text else _NO


def session_table(sessions: Sequence[Json], *, reveal: bool) -> str:
    """Sessions, one a line."""
    head = ("session", "status", "model", "party a", "dials", "party b", "dials", "used", "ends")
    rows = [head]
    for one in sessions:
        members = one["members"]
        other = f"{len(members)} members" if members else party(one["party_b"], reveal=reveal)
        rows.append(
            (
                str(one["id"]),
                str(one["status"]),
                str(one["model"]),
                party(one["party_a"], reveal=reveal),
                str(one["proxy_number_a"] or _NO),
                other,
                _NO if members else str(one["proxy_number_b"] or _NO),
                str(one["interactions"]),
                moment(one["closed_at"] or one["expires_at"]),
            )
        )
    return columns(rows, frozenset({7}))


def session_story(session: Json, *, reveal: bool) -> str:
    """One session: who dials what, until when, and the terms that are not off."""
    state = str(session["status"])
    if session["close_reason"]:
        state += f" ({session['close_reason']})"
    lines = [f"{session['id']}  {session['model']}  {state}"]
    lines += [f"{who:<12}{said}" for who, said in _people(session, reveal=reveal)]
    told = [
        ("extension", session["extension"]),
        ("name", session["unique_name"]),
        ("channels", ", ".join(session["channels"])),
        ("opened", moment(session["created_at"])),
    ]
    if session["closed_at"]:
        told += [
            ("closed", moment(session["closed_at"])),
            ("rests until", moment(session["quarantine_until"])),
        ]
    else:
        told += [
            ("ends", moment(session["expires_at"])),
            ("last used", moment(session["last_interaction_at"])),
        ]
    told.append(("terms", _terms(session["terms"])))
    told += [(f"  {name}", value) for name, value in session["metadata"].items()]
    return "\n".join([*lines, *(f"{name:<12}{value}" for name, value in told if value)])


def _people(session: Json, *, reveal: bool) -> list[tuple[str, str]]:
    people = [
        (
            "party a",
            session["party_a"],
            session["proxy_number_a"],
            session["has_pin_a"],
            session.get("pin_a"),
        )
    ]
    if session["party_b"]:
        people.append(
            (
                "party b",
                session["party_b"],
                session["proxy_number_b"],
                session["has_pin_b"],
                session.get("pin_b"),
            )
        )
    for one in session["members"]:
        people.append(
            (f"member {one['seat']}", one["party"], one["proxy_number"], one["has_pin"], one.get("pin"))
        )
    told = []
    for who, name, proxy, has_pin, pin in people:
        shown_pin = f"  PIN {pin}" if pin else "  has a PIN" if has_pin else ""
        told.append((who, f"{party(name, reveal=reveal)}  dials {proxy}{shown_pin}"))
    return told


def _terms(terms: Json) -> str:
    said = [f"{terms['numbers']}"]
    if terms["ttl"]:
        said.append(f"ends {length(terms['ttl'])} after the last use")
    said += [f"at most {length(terms['max_lifetime'])}", f"then {terms['on_expiry']}"]
    if terms["direction"] != "both":
        said.append(str(terms["direction"]))
    said += [name for name in ("record",) if terms[name]]
    if terms["pin_mode"] != "off":
        said.append(f"PIN {terms['pin_mode']}")
    if terms["redaction"] != "off":
        said.append(f"texts: {terms['redaction']}")
    said.append(f"quarantine {length(terms['quarantine'])}")
    return ", ".join(said)


def interaction_table(interactions: Sequence[Json]) -> str:
    """Calls and texts, one a line."""
    rows = [("when", "interaction", "kind", "from", "to", "dialled", "status", "outcome", "took")]
    for one in interactions:
        took = one["duration_seconds"]
        rows.append(
            (
                moment(one["created_at"]),
                str(one["id"]),
                str(one["kind"]),
                str(one["from"]),
                str(one["to"]),
                str(one["proxy_number"]),
                str(one["status"]),
                ", ".join([str(one["outcome"]), *one["flags"]]).strip(", ") or _NO,
                _NO if took is None else f"{took} s",
            )
        )
    return columns(rows, frozenset({8}))


def pool_story(pool: Json) -> str:
    """The buckets, then the numbers."""
    if not pool["numbers"]:
        return "there is no number in the pool: patchbay pool add +12025550100"
    buckets: list[tuple[str, ...]] = [
        ("use", "country", "area", "numbers", "usable", "live", "resting", "busiest", "left")
    ]
    for one in pool["buckets"]:
        buckets.append((*_place(one), *(str(one[name]) for name in _BUCKET)))
    numbers: list[tuple[str, ...]] = [("number", "use", "live", "resting", "channels", "carrier", "state")]
    for one in pool["numbers"]:
        number, use, *rest = _cells(one)
        numbers.append((number, use, str(one["live"]), str(one["quarantined"]), *rest))
    return columns(buckets, frozenset(range(3, 9))) + "\n\n" + columns(numbers, frozenset({2, 3}))


_BUCKET: Final = ("numbers", "usable", "live", "quarantined", "busiest", "headroom")


def _cells(number: Json) -> tuple[str, str, str, str, str]:
    state = ", ".join(word for word in ("reserved", "suspended") if number[word]) or "usable"
    channels = ", ".join(number["capabilities"])
    return str(number["e164"]), str(number["use"]), channels, str(number["carrier"] or _NO), state


def number_line(number: Json) -> str:
    """One pool number."""
    return "  ".join(_cells(number))


def forecast_story(forecast: Json) -> str:
    """What each bucket needs, and when it runs out."""
    supposed = forecast["supposed"]
    lines = [
        f"sessions x {supposed['sessions_factor']:g}, open for {length(forecast['mean_lifetime_seconds'])}, "
        f"then {length(forecast['quarantine'])} of quarantine, {supposed['extra_numbers']} numbers more",
        "",
    ]
    rows = [
        ("use", "country", "area", "usable", "new/h", "a side", "shared", "by load", "missing", "full in")
    ]
    for told in forecast["buckets"]:
        bucket = told["bucket"]
        left = told["exhausted_in_seconds"]
        rows.append(
            (
                *_place(bucket),
                str(bucket["usable"]),
                f"{told['arrivals_per_hour']:.1f}",
                str(told["needed_per_side"]),
                str(told["needed_shared"]),
                str(told["needed_by_load"]),
                str(told["shortfall"]),
                "never" if left is None else "now" if left == 0 else length(left),
            )
        )
    return "\n".join([*lines, columns(rows, frozenset(range(3, 10)))])


def _place(bucket: Json) -> tuple[str, str, str]:
    return str(bucket["use"]), str(bucket["country"] or _NO), str(bucket["area"] or _NO)


def hidden(session: Json, *, reveal: bool) -> Json:
    """The session for programs, its people masked unless they shall be revealed."""
    if reveal:
        return session
    shown = {name: party(session[name], reveal=False) for name in ("party_a", "party_b") if session[name]}
    members = [{**one, "party": party(one["party"], reveal=False)} for one in session["members"]]
    return {**session, **shown, "members": members}


def pool_number_of(pool: Json, e164: str) -> Json | None:
    """The pool number with these digits."""
    wanted = e164 if e164.startswith("+") else f"+{e164}"
    return next((dict(one) for one in pool["numbers"] if one["e164"] == wanted), None)


def not_in_pool(e164: str) -> str:
    """What is said of a number that is not there; it may be a person's, mistyped."""
    return f"{mask(e164)} is not in the pool: see patchbay pool show"
