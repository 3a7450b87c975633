"""Every field of video's requests: its default, its bounds, and 400 with its name beyond them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.http.rig import Rig, open_rig
from tests.unit.http.rooms_behind import FIRST, KEPT, PASSING, VIDEO, room_paths
from video_rooms.core.room import Recurrence, Role
from video_rooms.core.wishes import AdhocWish, JoinWish, NewRoom

pytestmark = pytest.mark.unit

NAMED = {"name": "Talk"}
WEEKLY = {"rule": "FREQ=WEEKLY;COUNT=3", "timezone": "Europe/Berlin"}
USER = "8e7c9a02-3e94-4f4f-b2a8-91d6b9b3a002"


@pytest.fixture(scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path_factory.mktemp("fields")) as rig:
        yield rig


@pytest.fixture
def rig(opened: Rig) -> Rig:
    """One face for all of these tests, with nothing behind it."""
    opened.rooms.clear()
    opened.clock.advance(120)
    return opened


async def _refused(rig: Rig, method: str, path: str, body: Any, field: str | None) -> None:
    answer = await rig.client.ask(method, path, body)
    assert (answer.status, answer.code, answer.field) == (400, "VALIDATION_ERROR", field), answer.body
    assert answer.error["status"] == 400


async def test_a_room_of_a_name_alone_has_every_default(rig: Rig):
    assert (await rig.client.post(KEPT, NAMED)).status == 201
    assert replace(rig.rooms.asked[0], id=None) == NewRoom(
        name="Talk",
        scheduled_at=None,
        recording_enabled=False,
        max_participants=10,
        settings={},
        host_user_id="key_00000000000000000000000001",
        duration_minutes=60,
        waiting_room=False,
        recurrence=None,
        dial_in=True,
    )


async def test_every_field_of_a_room_is_passed_on(rig: Rig):
    wanted = {
        "name": "x" * 200,
        "scheduled_at": "2026-05-10T16:00:00+02:00",
        "recording_enabled": True,
        "max_participants": 500,
        "settings": {"theme": {"dark": True}, "list": [1, None, 2.5, "ü"]},
        "duration_minutes": 1440,
        "waiting_room": True,
        "recurrence": WEEKLY,
        "dial_in": False,
    }
    made = await rig.client.post(KEPT, wanted)
    assert made.status == 201
    assert (made.data["pin"], made.data["dial_in"]) == (None, False)
    asked = rig.rooms.asked[0]
    assert asked.scheduled_at == datetime(2026, 5, 10, 14, tzinfo=UTC)
    assert asked.recurrence == Recurrence("FREQ=WEEKLY;COUNT=3", "Europe/Berlin")
    shown = (await rig.client.get(f"{KEPT}/{made.data['room_id']}")).data["room"]
    assert shown["settings"] == wanted["settings"]
    assert (shown["duration_minutes"], shown["waiting_room"]) == (1440, True)
    assert shown["recurrence"] == {**WEEKLY, "skipped": [], "moved": []}
    assert shown["next_start"] == shown["scheduled_at"] == "2026-05-10T14:00:00.000Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a\nb"}, "name"),
        ({**NAMED, "scheduled_at": "2026-05-10T14:00:00"}, "scheduled_at"),
        ({**NAMED, "scheduled_at": "tomorrow"}, "scheduled_at"),
        ({**NAMED, "scheduled_at": 1778421600}, "scheduled_at"),
        ({**NAMED, "scheduled_at": "0001-01-01T00:00:00+14:00"}, "scheduled_at"),
        ({**NAMED, "scheduled_at": "2200-01-01T00:00:00Z"}, "scheduled_at"),
        ({**NAMED, "recording_enabled": "yes"}, "recording_enabled"),
        ({**NAMED, "max_participants": 0}, "max_participants"),
        ({**NAMED, "max_participants": 501}, "max_participants"),
        ({**NAMED, "max_participants": True}, "max_participants"),
        ({**NAMED, "max_participants": 2.5}, "max_participants"),
        ({**NAMED, "settings": []}, "settings"),
        ({**NAMED, "duration_minutes": 0}, "duration_minutes"),
        ({**NAMED, "duration_minutes": 1441}, "duration_minutes"),
        ({**NAMED, "waiting_room": 1}, "waiting_room"),
        ({**NAMED, "dial_in": None}, "dial_in"),
        ({**NAMED, "recurrence": WEEKLY}, "recurrence"),
        ({**NAMED, "scheduled_at": FIRST, "recurrence": {"rule": "FREQ=DAILY"}}, "recurrence.timezone"),
        (
            {**NAMED, "scheduled_at": FIRST, "recurrence": {**WEEKLY, "rule": "FREQ=HOURLY"}},
            "recurrence.rule",
        ),
        (
            {**NAMED, "scheduled_at": FIRST, "recurrence": {**WEEKLY, "timezone": "Mars/Base"}},
            "recurrence.timezone",
        ),
        ({**NAMED, "rrule": "FREQ=DAILY"}, "rrule"),
        ([], None),
    ],
)
async def test_a_room_that_breaks_a_rule_is_refused_by_its_field(rig: Rig, body: Any, field: str | None):
    await _refused(rig, "POST", KEPT, body, field)
    assert not rig.rooms.kept


@pytest.mark.parametrize("start", ["2026-05-10T14:00:00Z", None])
async def test_a_start_may_be_past_or_null(rig: Rig, start: str | None):
    assert (await rig.client.post(KEPT, {**NAMED, "scheduled_at": start})).status == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=over", "status"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("page=2", "page"),
    ],
)
async def test_a_list_is_asked_for_within_bounds(rig: Rig, query: str, field: str):
    await _refused(rig, "GET", f"{KEPT}?{query}", None, field)


async def test_the_list_of_rooms_is_filtered_and_cut(rig: Rig):
    made = [(await rig.client.post(KEPT, NAMED)).data["room_id"] for _ in range(3)]
    await rig.client.post(f"{KEPT}/{made[0]}/end")
    assert [room["id"] for room in (await rig.client.get(f"{KEPT}?status=ended")).data] == made[:1]
    assert [room["id"] for room in (await rig.client.get(f"{KEPT}?limit=2")).data] == [made[2], made[1]]
    assert len((await rig.client.get(f"{KEPT}?limit=500")).data) == 3
    assert (await rig.client.get(KEPT)).json.keys() == {"data", "meta"}


async def test_joining_has_its_defaults(rig: Rig):
    path = (await room_paths(rig.client))["id"]
    await rig.client.post(f"{KEPT}/{path}/join", {"identity": "jo"})
    assert rig.rooms.asked[-1] == JoinWish(
        "jo", "jo", Role.PARTICIPANT, ttl_s=None, user_id="key_00000000000000000000000001", contact_id=None
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"identity": "x" * 200, "ttl_seconds": 60},
        {"identity": "a/b c@d:é", "ttl_seconds": 86_400, "display_name": "Jo Smith"},
        {"identity": "1", "user_id": USER.upper(), "contact_id": USER, "display_name": None},
    ],
)
async def test_whoever_joins_may_be_called_so(rig: Rig, fields: dict[str, Any]):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    answer = await rig.client.post(f"{KEPT}/{room_id}/join", fields)
    assert answer.status == 200, answer.body
    wish = rig.rooms.asked[-1]
    assert (wish.identity, wish.ttl_s) == (fields["identity"], fields.get("ttl_seconds"))
    assert wish.contact_id == fields.get("contact_id")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "identity"),
        ({"identity": ""}, "identity"),
        ({"identity": "x" * 201}, "identity"),
        ({"identity": "a\tb"}, "identity"),
        ({"identity": "a", "display_name": ""}, "display_name"),
        ({"identity": "a", "role": "moderator"}, "role"),
        ({"identity": "a", "role": None}, "role"),
        ({"identity": "a", "user_id": "user_2"}, "user_id"),
        ({"identity": "a", "contact_id": "x"}, "contact_id"),
        ({"identity": "a", "ttl_seconds": 59}, "ttl_seconds"),
        ({"identity": "a", "ttl_seconds": 86_401}, "ttl_seconds"),
        ({"identity": "a", "ttl_seconds": "60"}, "ttl_seconds"),
    ],
)
async def test_joining_otherwise_is_refused(rig: Rig, fields: dict[str, Any], field: str):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    await _refused(rig, "POST", f"{KEPT}/{room_id}/join", fields, field)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"participant_name": ""}, "participant_name"),
        ({"participant_name": "x" * 121}, "participant_name"),
        ({"expires_in_hours": 0}, "expires_in_hours"),
        ({"expires_in_hours": 169}, "expires_in_hours"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": 501}, "max_uses"),
        ({"uses": 1}, "uses"),
    ],
)
async def test_an_invite_beyond_its_bounds_is_refused(rig: Rig, fields: dict[str, Any], field: str):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    await _refused(rig, "POST", f"{KEPT}/{room_id}/invites", fields, field)
    assert not rig.rooms.given


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {"participant_name": "x" * 120, "expires_in_hours": 168, "max_uses": 500},
        {"participant_name": None, "expires_in_hours": 1, "max_uses": None},
    ],
)
async def test_an_invite_within_its_bounds_is_made(rig: Rig, fields: dict[str, Any] | None):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    made = await rig.client.post(f"{KEPT}/{room_id}/invites", fields)
    assert made.status == 201, made.body
    assert made.data["max_uses"] == (fields or {}).get("max_uses")


@pytest.mark.parametrize("query", ["include_expired=maybe", "limit=0", "limit=501"])
async def test_invites_are_listed_within_bounds(rig: Rig, query: str):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    await _refused(rig, "GET", f"{KEPT}/{room_id}/invites?{query}", None, query.split("=")[0])


async def test_expired_invites_are_shown_when_asked_for(rig: Rig):
    room_id = (await rig.client.post(KEPT, NAMED)).data["room_id"]
    path = f"{KEPT}/{room_id}/invites"
    await rig.client.post(path, {"expires_in_hours": 1})
    await rig.client.post(path, {"expires_in_hours": 3})
    rig.clock.advance(2 * 3600)
    assert len((await rig.client.get(path)).data) == 1
    assert len((await rig.client.get(f"{path}?include_expired=true")).data) == 2
    assert len((await rig.client.get(f"{path}?include_expired=true&limit=1")).data) == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "display_name"),
        ({"display_name": ""}, "display_name"),
        ({"display_name": "x" * 121}, "display_name"),
        ({"display_name": "Jo", "identity": ""}, "identity"),
        ({"display_name": "Jo", "identity": "x" * 121}, "identity"),
        ({"display_name": "Jo", "identity": "jo smith"}, "identity"),
    ],
)
async def test_a_guest_beyond_the_bounds_is_refused_and_uses_nothing(
    rig: Rig, fields: dict[str, Any], field: str
):
    paths = await room_paths(rig.client)
    await _refused(rig, "POST", f"{VIDEO}/invites/{paths['inviteToken']}/redeem", fields, field)
    assert rig.rooms.given[paths["inviteId"]].uses_count == 0


async def test_a_guest_may_choose_an_identity(rig: Rig):
    paths = await room_paths(rig.client)
    fields = {"display_name": "x" * 120, "identity": "a_Z:0-" * 20}
    redeemed = await rig.client.having(None).post(f"{VIDEO}/invites/{paths['inviteToken']}/redeem", fields)
    assert redeemed.data["identity"] == fields["identity"]


@pytest.mark.parametrize("token", ["x" * 23, "x" * 65, "x" * 23 + ".", "x" * 23 + "%20"])
async def test_a_token_of_another_form_is_refused(rig: Rig, token: str):
    await _refused(rig, "POST", f"{VIDEO}/invites/{token}/redeem", {"display_name": "Jo"}, "inviteToken")


async def test_mute_takes_sound_unless_told_otherwise(rig: Rig):
    paths = await room_paths(rig.client)
    path = f"{KEPT}/{paths['id']}/participants/{paths['identity']}/mute"
    for body, kind in ((None, "audio"), ({}, "audio"), ({"kind": "video"}, "video")):
        assert (await rig.client.post(path, body)).data["kind"] == rig.rooms.asked[-1] == kind
    await _refused(rig, "POST", path, {"kind": "screen"}, "kind")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "name"),
        ({"name": "ab"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a b c"}, "name"),
        ({"name": "café"}, "name"),
        ({"name": "abc\n"}, "name"),
        ({"name": "abc", "max_participants": 1}, "max_participants"),
        ({"name": "abc", "max_participants": 101}, "max_participants"),
        ({"name": "abc", "metadata": "text"}, "metadata"),
        ({"name": "abc", "metadata": {"long": "x" * 16_384}}, "metadata"),
    ],
)
async def test_an_adhoc_room_beyond_its_bounds_is_refused(rig: Rig, fields: dict[str, Any], field: str):
    await _refused(rig, "POST", PASSING, fields, field)


async def test_an_adhoc_room_takes_an_object_and_shows_a_text(rig: Rig):
    fields = {"name": "x" * 200, "max_participants": 100, "metadata": {"topic": "pay"}}
    assert (await rig.client.post(PASSING, fields)).status == 201
    assert rig.rooms.asked[-1] == AdhocWish(
        "x" * 200, 100, {"topic": "pay"}, "key_00000000000000000000000001"
    )
    shown = (await rig.client.get(f"{PASSING}/{'x' * 200}")).data
    assert shown["metadata"] == '{"topic": "pay"}'
    wire = shown["name"]
    assert (await rig.client.get(f"{PASSING}/{wire}")).data == shown
    assert (await rig.client.post(f"{PASSING}/{wire}/token", {"participant_name": "Jo"})).status == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "participant_name"),
        ({"participant_name": ""}, "participant_name"),
        ({"participant_name": "x" * 201}, "participant_name"),
        ({"participant_name": "Jo", "metadata": []}, "metadata"),
        ({"participant_name": "Jo", "metadata": {"long": "x" * 16_384}}, "metadata"),
    ],
)
async def test_a_token_for_an_adhoc_room_is_asked_for_within_bounds(
    rig: Rig, fields: dict[str, Any], field: str
):
    await rig.client.post(PASSING, {"name": "abc"})
    await _refused(rig, "POST", f"{PASSING}/abc/token", fields, field)
    await _refused(rig, "POST", f"{PASSING}/a b/token", {"participant_name": "Jo"}, "name")


async def test_metadata_of_a_participant_is_passed_on_as_text(rig: Rig):
    await rig.client.post(PASSING, {"name": "abc"})
    wanted = {"participant_name": "Jo", "metadata": {"a": [1]}}
    assert (await rig.client.post(f"{PASSING}/abc/token", wanted)).status == 200
    assert rig.rooms.asked[-1] == ("Jo", '{"a":[1]}')


async def test_adhoc_rooms_are_paged_by_name(rig: Rig):
    for name in ("ccc", "aaa", "bbb"):
        await rig.client.post(PASSING, {"name": name})
    first = (await rig.client.get(f"{PASSING}?limit=2")).json
    assert [room["display_name"] for room in first["data"]] == ["aaa", "bbb"]
    assert (first["pagination"]["has_more"], first["pagination"]["total"]) == (True, 3)
    assert "pagination" not in first["meta"]
    cursor = first["pagination"]["next_cursor"]
    rest = (await rig.client.get(f"{PASSING}?cursor={cursor}")).json
    assert [room["display_name"] for room in rest["data"]] == ["ccc"]
    assert rest["pagination"] == {"next_cursor": None, "has_more": False, "total": 3}


@pytest.mark.parametrize("cursor", ["", "a%20b", "x" * 301, "never-seen"])
async def test_a_cursor_that_is_none_is_told_as_such(rig: Rig, cursor: str):
    answer = await rig.client.get(f"{PASSING}?cursor={cursor}")
    assert (answer.status, answer.code, answer.field) == (400, "INVALID_CURSOR", "cursor")


@pytest.mark.parametrize("query", ["limit=0", "limit=101"])
async def test_adhoc_rooms_are_listed_within_bounds(rig: Rig, query: str):
    await _refused(rig, "GET", f"{PASSING}?{query}", None, "limit")
