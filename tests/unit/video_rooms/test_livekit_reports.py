"""A media server's report is taken if one of our keys signed this very body now, and if it makes sense."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from telephony.errors import InvalidInput, NotAuthenticated
from video_rooms.core.live import EgressNews, Happened, Kind, LiveEvent, LiveTrack
from video_rooms.livekit.hook import MAX_BODY, hear

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEYS = {"old": "o" * 40, "new": "n" * 40}
ROOM = {
    "sid": "RM_1",
    "name": "r-1",
    "creationTime": "1772366000",
    "maxParticipants": 9,
    "numParticipants": 2,
}


def text(told: dict[str, Any]) -> bytes:
    return json.dumps({"id": "EV_1", "createdAt": "1772366400", **told}).encode()


def signature(body: bytes, key: str = "new", secret: str | None = None, **claims: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    told = {
        "iss": key,
        "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
        "sha256": digest,
        **claims,
    }
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(told, secret or KEYS[key], algorithm="HS256")


def heard(told: dict[str, Any]) -> LiveEvent:
    body = text(told)
    event = hear(body, signature(body), KEYS, lambda: NOW)
    assert event is not None
    return event


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_each_of_our_keys_is_taken_with_or_without_bearer(key: str, prefix: str) -> None:
    body = text({"event": "room_started", "room": ROOM})
    event = hear(body, prefix + signature(body, key), KEYS, lambda: NOW)
    assert event is not None
    assert (event.id, event.what, event.at) == ("EV_1", Happened.ROOM_STARTED, NOW)
    assert event.room is not None
    assert (event.room.name, event.room.max_people, event.room.people) == ("r-1", 9, 2)


def _none(body: bytes) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    payload = signature(body).split(".")[1]
    return f"{header}.{payload}."


@pytest.mark.parametrize(
    "sign",
    [
        lambda body: "",
        lambda body: "Bearer ",
        lambda body: "no.jwt",
        lambda body: "a" * 5_000,
        lambda body: signature(body, secret="x" * 40),
        lambda body: signature(body, "new", KEYS["old"]),
        lambda body: signature(body, iss="unknown"),
        lambda body: signature(body, iss=None),
        lambda body: signature(body, exp=None),
        lambda body: signature(body, exp=True),
        lambda body: signature(body, exp=int((NOW - timedelta(minutes=2)).timestamp())),
        lambda body: signature(body, nbf=int((NOW + timedelta(minutes=2)).timestamp())),
        lambda body: signature(body, sha256=None),
        lambda body: signature(body, sha256=base64.b64encode(hashlib.sha256(b"other").digest()).decode()),
        _none,
    ],
)
def test_what_is_not_signed_by_us_now_for_this_is_refused(sign: Any) -> None:
    body = text({"event": "room_started", "room": ROOM})
    with pytest.raises(NotAuthenticated):
        hear(body, sign(body), KEYS, lambda: NOW)


def test_a_token_for_a_room_signs_no_report() -> None:
    """Whoever holds one has something that our key signed."""
    body = text({"event": "room_started", "room": ROOM})
    joins = signature(body, sha256=None, sub="ada", video={"roomJoin": True, "room": "r-1"})
    with pytest.raises(NotAuthenticated):
        hear(body, joins, KEYS, lambda: NOW)


def test_clocks_may_differ_by_less_than_a_minute() -> None:
    body = text({"event": "room_started", "room": ROOM})
    token = signature(body)
    assert hear(body, token, KEYS, lambda: NOW - timedelta(seconds=50)) is not None
    assert hear(body, token, KEYS, lambda: NOW + timedelta(seconds=350)) is not None
    with pytest.raises(NotAuthenticated):
        hear(body, token, KEYS, lambda: NOW + timedelta(seconds=361))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{",
        b'{"event": 7}',
        b'{"event": "room_started", "room": {"name": "r"}}',
        b'{"event": "room_started", "id": "EV_1"}',
        b'{"event": "participant_joined", "id": "EV_1", "room": {}}',
        b'{"event": "egress_ended", "id": "EV_1"}',
        b'{"event": "room_started", "id": "EV_1", "room": {"name": "r", "creationTime": "-5"}}',
        b'{"event": "room_started", "id": "EV_1", "createdAt": "99999999999999", "room": {"name": "r"}}',
        b'{"room":' * 5_000,
    ],
)
def test_what_makes_no_sense_is_said_so(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        hear(body, signature(body), KEYS, lambda: NOW)


def test_a_report_too_large_is_not_even_looked_at() -> None:
    body = b" " * (MAX_BODY + 1)
    with pytest.raises(InvalidInput, match="more than"):
        hear(body, "", KEYS, lambda: NOW)


@pytest.mark.parametrize("event", ["ingress_started", "agent_job_started", "something_new"])
def test_other_kinds_are_passed_over(event: str) -> None:
    body = text({"event": event, "unknownField": {"a": 1}})
    assert hear(body, signature(body), KEYS, lambda: NOW) is None


def test_a_person_is_told_whole() -> None:
    who = {
        "sid": "PA_1", "identity": "ada", "name": "Ada", "kind": "SIP", "joinedAt": "1772366399",
        "joinedAtMs": "1772366399250", "isPublisher": True, "attributes": {"role": "phone"},
        "metadata": "m", "permission": {"hidden": True}, "disconnectReason": "DUPLICATE_IDENTITY",
        "tracks": [
            {"sid": "TR_1", "source": "MICROPHONE", "muted": True},
            {"sid": "TR_2", "type": "VIDEO", "source": "SCREEN_SHARE"},
            {"sid": "TR_3", "type": "DATA"},
        ],
    }  # fmt: skip
    event = heard({"event": "participant_left", "room": ROOM, "participant": who})
    person = event.person
    assert person is not None
    assert (person.sid, person.identity, person.name, person.kind) == ("PA_1", "ada", "Ada", Kind.SIP)
    assert person.joined_at == NOW - timedelta(milliseconds=750)
    assert (person.publishing, person.hidden, person.metadata) == (True, True, "m")
    assert person.attributes == {"role": "phone"}
    assert person.tracks == (
        LiveTrack("TR_1", "audio", True, "microphone"),
        LiveTrack("TR_2", "video", False, "screen_share"),
    )
    assert event.why == "duplicate_identity"


def test_kinds_and_sources_of_a_newer_server_are_no_reason_to_fail() -> None:
    track = {"sid": "TR_1", "source": 77}
    who = {"sid": "PA_1", "identity": "ada", "kind": 55, "disconnectReason": 99, "tracks": [track]}
    event = heard({"event": "participant_left", "room": ROOM, "participant": who})
    assert event.person is not None
    assert event.person.kind is Kind.STANDARD
    assert event.person.tracks[0].source == "unknown"
    assert event.why == "unknown_reason"


def test_the_track_of_a_report_is_among_the_persons() -> None:
    track = {"sid": "TR_9", "type": "VIDEO", "source": "CAMERA"}
    told = {"room": {"sid": "RM_1", "name": "r-1"}, "participant": {"sid": "PA_1", "identity": "ada"}}
    for name in ("track_published", "track_unpublished"):
        event = heard({"event": name, **told, "track": track})
        assert event.person is not None
        assert event.person.tracks == (LiveTrack("TR_9", "video", False, "camera"),)


@pytest.mark.parametrize(
    ("status", "told", "news"),
    [
        ("EGRESS_ACTIVE", {}, EgressNews("EG_1", "r-1", done=False)),
        (
            "EGRESS_COMPLETE",
            {"fileResults": [{"location": "/out/x.mp4", "duration": "2500000000", "size": "77"}]},
            EgressNews("EG_1", "r-1", done=True, location="/out/x.mp4", duration_ms=2500, size=77),
        ),
        ("EGRESS_FAILED", {"error": "no disk"}, EgressNews("EG_1", "r-1", done=True, failed="no disk")),
        ("EGRESS_ABORTED", {}, EgressNews("EG_1", "r-1", done=True, failed="the recorder gave it up")),
        (
            "EGRESS_LIMIT_REACHED",
            {"fileResults": [{"location": "/out/x.mp4"}], "error": "limit"},
            EgressNews("EG_1", "r-1", done=True, location="/out/x.mp4"),
        ),
    ],
)
def test_a_recording_is_told_with_its_end(status: str, told: dict[str, Any], news: EgressNews) -> None:
    info = {"egressId": "EG_1", "roomName": "r-1", "status": status, **told}
    event = heard({"event": "egress_ended", "egressInfo": info})
    assert event.egress == news
    assert event.room is None
