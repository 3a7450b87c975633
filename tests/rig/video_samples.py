"""The video page's requests in curl's spelling, and what each answer is documented to be made of.

They are replayed in one story, in which each step may need what an earlier one gave (``{room}``): against the
face alone, and against a running gateway.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

BASE = "/api/v1/video"
Check = Callable[[Any], bool]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Curl:
    """One request as curl would send it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


def read_curl(text: str) -> Curl:
    """A curl command of the flags -X, -H, -d and -s, comments left out. ``$API`` is taken off its address."""
    words = iter(shlex.split(text.replace("\\\n", " "), comments=True))
    assert next(words) == "curl"
    method, path, headers, body = "", "", dict[str, str](), None
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case "-s":
                pass
            case _:
                path = word.removeprefix("$API")
    return Curl(method or ("GET" if body is None else "POST"), path, headers, body)


def text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def any_text(value: Any) -> bool:
    return isinstance(value, str)


def moment(value: Any) -> bool:
    return text(value) and datetime.fromisoformat(value).tzinfo is not None


def uuid(value: Any) -> bool:
    return text(value) and _UUID.fullmatch(value) is not None


def sid(value: Any) -> bool:
    return text(value) and value.startswith("RM_")


def socket(value: Any) -> bool:
    return text(value) and urlsplit(value).scheme in ("ws", "wss")


def number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def pairs(value: Any) -> bool:
    return isinstance(value, dict)


def nothing(value: Any) -> bool:
    return value is None


def or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def exactly(wanted: object) -> Check:
    return lambda value: value == wanted and type(value) is type(wanted)


@dataclass(frozen=True, slots=True)
class Members:
    """What an object is made of: every one of ``documented``, and at most ``more`` besides."""

    documented: Mapping[str, Any]
    more: frozenset[str] = frozenset()

    def judge(self, where: str, value: Any) -> None:
        assert isinstance(value, dict), where
        assert set(self.documented) <= set(value), (where, set(self.documented) - set(value))
        assert set(value) <= set(self.documented) | self.more, (where, set(value) - set(self.documented))
        for name, rule in self.documented.items():
            judge(f"{where}.{name}", value[name], rule)


def judge(where: str, value: Any, rule: Any) -> None:
    """Whether the value is as the rule says: members, a list of such, or a check."""
    if isinstance(rule, Members):
        rule.judge(where, value)
    elif isinstance(rule, list):
        assert isinstance(value, list), where
        assert value, f"{where} is empty: nothing was looked at"
        for item in value:
            judge(where, item, rule[0])
    else:
        assert rule(value), (where, value)


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and its answer. ``takes``: what later requests use, by where it stands in ``data``."""

    name: str
    curl: str
    status: int
    shape: Any
    takes: Mapping[str, str] = field(default_factory=dict)
    beside: Members | None = None


_KEY = "-H 'X-API-Key: $KEY'"
_JSON = "-H 'Content-Type: application/json'"
_LISTED = {
    "id": uuid,
    "name": exactly("First talk"),
    "room_sid": sid,
    "host_user_id": text,
    "status": exactly("live"),
    "scheduled_at": exactly("2026-05-10T14:00:00.000Z"),
    "started_at": moment,
    "ended_at": nothing,
    "recording_enabled": exactly(True),
    "recording_url": or_null(text),
    "max_participants": exactly(4),
    "settings": pairs,
    "created_at": moment,
    "updated_at": moment,
}
_ROOM_MORE = frozenset(
    {
        "duration_minutes",
        "waiting_room",
        "recurrence",
        "next_start",
        "why_ended",
        "pin",
        "dial_in",
        "dial_in_numbers",
    }
    | {"host_user_id", "recording_url", "settings", "created_at", "updated_at"}
)
_SHORT = ("id", "name", "room_sid", "status", "scheduled_at", "started_at", "ended_at")
_PERSON = Members(
    {
        "identity": text,
        "display_name": text,
        "role": lambda role: role in ("host", "participant"),
        "joined_at": moment,
        "left_at": or_null(moment),
    },
    frozenset({"status", "muted", "hand_raised", "call_id", "why_left"}),
)
_INVITE = {
    "id": uuid,
    "room_id": uuid,
    "invite_token": lambda token: re.fullmatch(r"[A-Za-z0-9_-]{24,64}", token) is not None,
    "participant_name": exactly("A client"),
    "expires_at": moment,
    "revoked_at": nothing,
    "max_uses": exactly(5),
    "created_at": moment,
}
_ADHOC = {
    "name": lambda name: name.startswith("tenant_") and name.endswith("_short-talk"),
    "display_name": exactly("short-talk"),
    "num_participants": number,
    "max_participants": exactly(8),
    "creation_time": moment,
    "metadata": exactly(""),
}
_ANY = Members(
    {},
    frozenset({"room_id", "id", "name", "identity", "kind", "status", "ended_at"})
    | {"deleted", "stopped", "kicked", "muted", "revoked"},
)
"""The page shows no body here."""

SAMPLES: tuple[Sample, ...] = (
    Sample(
        "schedule a room",
        f"""curl -X POST "$API/rooms-scheduled" {_KEY} {_JSON} -d '{{
              "name": "First talk", "scheduled_at": "2026-05-10T14:00:00Z",
              "recording_enabled": true, "max_participants": 4}}'""",
        201,
        Members(
            {"room_id": uuid, "room_sid": sid, "host_token": text, "ws_url": socket},
            frozenset({"pin", "dial_in"}),
        ),
        {"room": "room_id"},
    ),
    Sample(
        "join it",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/join" {_KEY} {_JSON} \\
              -d '{{"identity": "user_42", "display_name": "Jo Smith", "role": "host"}}'""",
        200,
        Members({"token": text, "ws_url": socket, "room_sid": sid}),
        {"arrived": "token"},
    ),
    Sample(
        "list live rooms",
        f"""curl -X GET "$API/rooms-scheduled?status=live&limit=50" {_KEY}""",
        200,
        [Members(_LISTED)],
    ),
    Sample(
        "show a room",
        f"""curl -X GET "$API/rooms-scheduled/{{room}}" {_KEY}""",
        200,
        Members(
            {
                "room": Members(
                    {name: _LISTED[name] for name in (*_SHORT, "recording_enabled", "max_participants")},
                    _ROOM_MORE,
                ),
                "participants": [_PERSON],
            }
        ),
    ),
    Sample(
        "record",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/recording/start" {_KEY}""",
        200,
        Members({"egress_id": text}),
    ),
    Sample(
        "record no more",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/recording/stop" {_KEY}""",
        200,
        _ANY,
    ),
    Sample(
        "invite a guest",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/invites" {_KEY} {_JSON} \\
              -d '{{"participant_name": "A client", "expires_in_hours": 24, "max_uses": 5}}'""",
        201,
        Members({**_INVITE, "uses_count": exactly(0)}),
        {"invite": "id", "token": "invite_token"},
    ),
    Sample(
        "redeem the invite, without a key",
        f"""curl -X POST "$API/invites/{{token}}/redeem" {_JSON} -d '{{ "display_name": "A client" }}'""",
        200,
        Members(
            {
                "token": text,
                "ws_url": socket,
                "media_url": socket,
                "livekit_url": socket,
                "room_sid": sid,
                "room_id": uuid,
                "room_name": exactly("First talk"),
                "identity": lambda who: re.fullmatch(r"[A-Za-z0-9_:-]{1,120}", who) is not None,
                "display_name": exactly("A client"),
                "expires_at": moment,
            }
        ),
        {"guest": "identity", "arrived": "token"},
    ),
    Sample(
        "list invites",
        f"""curl -X GET "$API/rooms-scheduled/{{room}}/invites?include_expired=true" {_KEY}""",
        200,
        [Members({**_INVITE, "uses_count": exactly(1)})],
    ),
    Sample(
        "mute the guest",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/participants/{{guest}}/mute" {_KEY} {_JSON} \\
              -d '{{ "kind": "audio" }}'""",
        200,
        _ANY,
    ),
    Sample(
        "kick the guest",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/participants/{{guest}}/kick" {_KEY}""",
        200,
        _ANY,
    ),
    Sample(
        "revoke the invite",
        f"""curl -X DELETE "$API/rooms-scheduled/{{room}}/invites/{{invite}}" {_KEY}""",
        200,
        _ANY,
    ),
    Sample(
        "end the room",
        f"""curl -X POST "$API/rooms-scheduled/{{room}}/end" {_KEY}""",
        200,
        _ANY,
    ),
    Sample(
        "begin an ad-hoc room",
        f"""curl -X POST "$API/rooms" {_KEY} {_JSON} -d '{{"name": "short-talk", "max_participants": 8}}'""",
        201,
        Members(
            {
                "room_name": _ADHOC["name"],
                "display_name": exactly("short-talk"),
                "token": text,
                "url": socket,
            }
        ),
    ),
    Sample(
        "a token for it",
        f"""curl -X POST "$API/rooms/short-talk/token" {_KEY} {_JSON} \\
              -d '{{ "participant_name": "Jo Smith" }}'""",
        200,
        Members({"token": text, "url": socket}),
        {"arrived": "token"},
    ),
    Sample(
        "list ad-hoc rooms",
        f"""curl -X GET "$API/rooms?limit=20" {_KEY}""",
        200,
        [Members(_ADHOC)],
        beside=Members({"next_cursor": nothing, "has_more": exactly(False), "total": exactly(1)}),
    ),
    Sample(
        "show it",
        f"""curl -X GET "$API/rooms/short-talk" {_KEY}""",
        200,
        Members(
            {
                **_ADHOC,
                "participants": [
                    Members({"identity": text, "name": text, "joined_at": moment, "is_publishing": flag})
                ],
            }
        ),
    ),
    Sample("close it", f"""curl -X DELETE "$API/rooms/short-talk" {_KEY}""", 200, _ANY),
)

Ask = Callable[[Curl], Awaitable[tuple[int, bytes]]]
Arrive = Callable[[Mapping[str, Any]], Awaitable[None]]


async def replay(ask: Ask, arrive: Arrive) -> list[str]:
    """Send every sample in turn and judge each answer; the names of those that were sent.

    ``arrive`` is given an answer that lets somebody in, and returns when they are in the room. ``$KEY`` is
    for ``ask`` to fill.
    """
    known: dict[str, str] = {}
    told: list[str] = []
    for sample in SAMPLES:
        filled = sample.curl
        for name, value in known.items():
            filled = filled.replace(f"{{{name}}}", value)
        curl = read_curl(filled)
        status, body = await ask(Curl(curl.method, BASE + curl.path, curl.headers, curl.body))
        assert status == sample.status, (sample.name, status, body)
        answer = json.loads(body)
        meta = Members({"request_id": text, "timestamp": moment})
        members = {"data": sample.shape, "meta": meta}
        if sample.beside is not None:
            members["pagination"] = sample.beside
        judge(sample.name, answer, Members(members))
        known |= {name: answer["data"][place] for name, place in sample.takes.items()}
        if "arrived" in sample.takes:
            await arrive(answer["data"])
        told.append(sample.name)
    return told
