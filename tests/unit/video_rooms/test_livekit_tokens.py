"""What a token opens: every right written out, the role where clients and we read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from video_rooms.core.live import PASS, ROLE, Grant
from video_rooms.core.room import Role
from video_rooms.livekit.tokens import press, with_role

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, 0, 400_000, tzinfo=UTC)
SECRET = "s" * 40


def claims(role: Role, *, host_is_admin: bool = True, **fields: Any) -> dict[str, Any]:
    grant = Grant(
        room="r-1",
        identity="ada",
        name="Ada",
        role=role,
        pass_id="01J00000000000000000000001",
        expires_at=NOW + timedelta(minutes=10),
        **fields,
    )
    token = press(grant, "key", SECRET, NOW, host_is_admin=host_is_admin)
    options: Any = {"verify_exp": False, "verify_nbf": False}
    return dict(jwt.decode(token, SECRET, algorithms=["HS256"], issuer="key", options=options))


@pytest.mark.parametrize(
    ("role", "waiting", "publish", "subscribe", "packets", "admin", "own", "hidden", "kind"),
    [
        (Role.HOST, False, True, True, True, True, False, False, "standard"),
        (Role.HOST, True, False, False, False, False, False, False, "standard"),
        (Role.PARTICIPANT, False, True, True, True, False, False, False, "standard"),
        (Role.PARTICIPANT, True, False, False, False, False, False, False, "standard"),
        (Role.PHONE, False, True, True, True, True, True, False, "standard"),
        (Role.AGENT, False, True, True, True, True, True, False, "agent"),
        (Role.RECORDER, False, False, True, False, False, False, True, "egress"),
    ],
)
def test_every_right_is_written(
    role: Role, waiting: bool, publish: bool, subscribe: bool, packets: bool, admin: bool, own: bool,
    hidden: bool, kind: str,
) -> None:  # fmt: skip
    found = claims(role, waiting=waiting)
    assert found["video"] == {
        "roomJoin": True,
        "room": "r-1",
        "roomAdmin": admin,
        "canPublish": publish,
        "canSubscribe": subscribe,
        "canPublishData": packets,
        "canUpdateOwnMetadata": own,
        "hidden": hidden,
        "recorder": hidden,
    }
    assert found["kind"] == kind


def test_a_host_is_no_admin_where_that_is_off() -> None:
    assert claims(Role.HOST, host_is_admin=False)["video"]["roomAdmin"] is False


def test_it_holds_from_now_until_it_ends_and_says_whose_it_is() -> None:
    found = claims(Role.PARTICIPANT)
    assert (found["nbf"], found["exp"] - found["nbf"]) == (int(NOW.timestamp()), 600)
    assert (found["sub"], found["name"], found["iss"]) == ("ada", "Ada", "key")
    assert found["jti"] == "01J00000000000000000000001"


def test_pass_and_role_in_the_attributes_are_ours() -> None:
    found = claims(Role.PHONE, attributes={PASS: "forged", ROLE: "host", "display": "Guest"})
    assert found["attributes"] == {PASS: "01J00000000000000000000001", ROLE: "phone", "display": "Guest"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", '{"role": "host"}'),
        ('{"a": "é"}', '{"a": "é", "role": "host"}'),
        ('{"role": "mine"}', '{"role": "mine"}'),
        ("[1]", "[1]"),
        ("not json", "not json"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_role_joins_the_callers_metadata_and_overwrites_nothing(given: str, told: str) -> None:
    assert with_role(given, Role.HOST) == told


def test_metadata_stay_json() -> None:
    assert json.loads(claims(Role.HOST, metadata='{"a":1}')["metadata"]) == {"a": 1, "role": "host"}
