"""What video rooms have beyond the page: plans, calendar files, a lobby."""

import pytest

from tests.unit.http.rig import Rig
from tests.unit.http.rooms_behind import FIRST, KEPT, room_paths

pytestmark = pytest.mark.unit


async def test_a_plan_is_changed(rig: Rig):
    paths = await room_paths(rig.client)
    path = f"{KEPT}/{paths['id']}"
    changed = (await rig.client.ask("PATCH", path, {"duration_minutes": 15})).data
    assert (changed["duration_minutes"], changed["scheduled_at"]) == (15, "2026-05-10T14:00:00.000Z")
    weekly = {"rule": "FREQ=WEEKLY;COUNT=2", "timezone": "UTC"}
    start = "2026-06-01T09:00:00Z"
    changed = (await rig.client.ask("PATCH", path, {"scheduled_at": start, "recurrence": weekly})).data
    assert (changed["next_start"], changed["recurrence"]["rule"]) == (
        "2026-06-01T09:00:00.000Z",
        weekly["rule"],
    )
    once = (await rig.client.ask("PATCH", path, {"recurrence": None, "name": "Last"})).data
    assert (once["recurrence"], once["name"]) == (None, "Last")
    assert once["scheduled_at"] == "2026-06-01T09:00:00.000Z"
    lobby = {"waiting_room": True, "recording_enabled": True}
    assert lobby.items() <= (await rig.client.ask("PATCH", path, lobby)).data.items()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"duration_minutes": None}, None),
        ({"name": None, "waiting_room": None}, None),
        ({"duration_minutes": 0}, "duration_minutes"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"max_participants": 0}, "max_participants"),
        ({"max_participants": 501}, "max_participants"),
        ({"waiting_room": "yes"}, "waiting_room"),
        ({"recording_enabled": 1}, "recording_enabled"),
        ({"dial_in": True}, "dial_in"),
        ({"settings": {}}, "settings"),
    ],
)
async def test_a_change_keeps_the_rules_of_planning(rig: Rig, body: dict[str, object], field: str | None):
    paths = await room_paths(rig.client)
    answer = await rig.client.ask("PATCH", f"{KEPT}/{paths['id']}", body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert field is None or answer.field == field


async def test_how_many_may_come_is_409_while_people_are_in_the_room(rig: Rig):
    room_id = (await rig.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    path = f"{KEPT}/{room_id}"
    assert (await rig.client.ask("PATCH", path, {"max_participants": 3})).data["max_participants"] == 3
    await rig.client.post(f"{path}/join", {"identity": "jo"})
    answer = await rig.client.ask("PATCH", path, {"max_participants": 2})
    assert (answer.status, answer.code) == (409, "CONFLICT")
    assert (await rig.as_role("viewer").ask("PATCH", path, {"name": "x"})).status == 403


async def test_one_occurrence_is_skipped_and_one_is_moved(rig: Rig):
    paths = await room_paths(rig.client)
    path = f"{KEPT}/{paths['id']}"
    skipped = await rig.client.post(f"{path}/occurrences/2026-05-11T16:00:00+02:00/skip")
    assert skipped.data["recurrence"]["skipped"] == ["2026-05-11T14:00:00.000Z"]
    moved = await rig.client.post(
        f"{path}/occurrences/20260512T140000Z/move", {"to": "2026-05-12T17:30:00+02:00"}
    )
    assert moved.data["recurrence"]["moved"] == [
        {"from": "2026-05-12T14:00:00.000Z", "to": "2026-05-12T15:30:00.000Z"}
    ]
    text = (await rig.client.get(f"{path}/calendar.ics")).body.decode()
    assert "EXDATE" in text
    assert "RECURRENCE-ID" in text
    assert (await rig.client.post(f"{path}/occurrences/20260513T140000Z/move", {})).field == "to"


async def test_occurrences_are_listed_under_the_names_that_addresses_take(rig: Rig):
    paths = await room_paths(rig.client)
    path = f"{KEPT}/{paths['id']}/occurrences"
    first = (await rig.client.get(f"{path}?limit=2")).data
    assert first == [
        {
            "occurrence": f"202605{day}T140000Z",
            "starts_at": f"2026-05-{day}T14:00:00.000Z",
            "ends_at": f"2026-05-{day}T15:00:00.000Z",
            "moved": False,
        }
        for day in (10, 11)
    ]
    await rig.client.post(f"{path}/{first[0]['occurrence']}/skip")
    await rig.client.post(f"{path}/{first[1]['occurrence']}/move", {"to": "2026-05-20T10:00:00Z"})
    listed = (await rig.client.get(path)).data
    assert len(listed) == 8
    assert (listed[-1]["occurrence"], listed[-1]["moved"]) == (first[1]["occurrence"], True)
    assert listed[-1]["starts_at"] == "2026-05-20T10:00:00.000Z"
    after = (await rig.client.get(f"{path}?after=2026-05-18T17:00:00+02:00")).data
    assert [one["occurrence"] for one in after] == [first[1]["occurrence"]]
    for query in ("after=monday", "limit=0", "limit=101"):
        assert (await rig.client.get(f"{path}?{query}")).status == 400
    single = (await rig.client.post(KEPT, {"name": "Open"})).data["room_id"]
    assert (await rig.client.get(f"{KEPT}/{single}/occurrences")).data == []


async def test_occurrences_are_turned_over_page_by_page_to_the_last(rig: Rig):
    series = {"rule": "FREQ=DAILY;COUNT=730", "timezone": "Europe/Berlin"}
    body = {"name": "Talk", "scheduled_at": FIRST, "recurrence": series}
    path = f"{KEPT}/{(await rig.client.post(KEPT, body)).data['room_id']}/occurrences"
    found: list[str] = []
    cursor = ""
    for number in range(8):
        answer = await rig.client.get(f"{path}?after=2026-05-01T00:00:00Z&limit=100{cursor}")
        place = answer.json["meta"]["pagination"]
        assert (place["total"], place["has_more"]) == (730, number < 7)
        found += [one["occurrence"] for one in answer.data]
        cursor = f"&cursor={place['cursor']}"
    assert place["cursor"] is None
    assert found == sorted(set(found))
    assert len(found) == 730
    for wrong in ("x", "-1", "1.5", "9" * 18, ""):
        assert (await rig.client.get(f"{path}?cursor={wrong}")).code == "INVALID_CURSOR"
    beyond = await rig.client.get(f"{path}?cursor={'9' * 17}")
    assert (beyond.data, beyond.json["meta"]["pagination"]["cursor"]) == ([], None)


async def test_a_room_tells_its_own_people_how_telephones_come_in(rig: Rig):
    rig.rooms.lines[rig.face_tenant] = ("+442071838750", "+4930901820")
    with_pin = (await rig.client.post(KEPT, {"name": "Talk"})).data
    without = (await rig.client.post(KEPT, {"name": "Talk", "dial_in": False})).data
    for role in ("owner", "viewer"):
        shown = (await rig.as_role(role).get(f"{KEPT}/{with_pin['room_id']}")).data["room"]
        assert shown["dial_in_numbers"] == ["+442071838750", "+4930901820"]
        assert shown["pin"] == with_pin["pin"]
        closed = (await rig.as_role(role).get(f"{KEPT}/{without['room_id']}")).data["room"]
        assert (closed["dial_in_numbers"], closed["pin"]) == ([], None)
    listed = (await rig.client.get(KEPT)).data
    assert not [one for one in listed if {"pin", "dial_in_numbers"} & one.keys()]
    invite = (await rig.client.post(f"{KEPT}/{with_pin['room_id']}/invites", {})).data
    guest = await rig.client.having(None).post(
        f"/api/v1/video/invites/{invite['invite_token']}/redeem", {"display_name": "Jo"}
    )
    assert guest.status == 200
    assert with_pin["pin"].encode() not in guest.body
    assert b"+44" not in guest.body
    await rig.client.post(f"{KEPT}/{with_pin['room_id']}/end")
    ended = (await rig.client.get(f"{KEPT}/{with_pin['room_id']}")).data["room"]
    assert ended["dial_in_numbers"] == []


async def test_a_calendar_file_is_one_to_be_saved(rig: Rig):
    room_id = (await rig.client.post(KEPT, {"name": "Talk", "scheduled_at": FIRST})).data["room_id"]
    answer = await rig.as_role("billing").get(f"{KEPT}/{room_id}/calendar.ics")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{room_id}.ics"'
    assert answer.body.startswith(b"BEGIN:VCALENDAR\r\n")


async def test_a_lobby_is_shown_only_where_there_is_one(rig: Rig):
    made = (await rig.client.post(KEPT, {"name": "Talk", "waiting_room": True})).data
    path = f"{KEPT}/{made['room_id']}"
    joined = (await rig.client.post(f"{path}/join", {"identity": "jo"})).data
    assert joined["waiting"] is True
    assert (await rig.client.post(f"{path}/join", {"identity": "h", "role": "host"})).data["waiting"] is False
    first = (await rig.client.get(path)).data["participants"][0]
    assert (first["identity"], first["status"], first["joined_at"]) == ("jo", "waiting", None)
    admitted = (await rig.client.post(f"{path}/participants/jo/admit")).data
    assert (admitted["status"], admitted["identity"]) == ("joined", "jo")
    assert (await rig.client.post(f"{path}/participants/jo/admit")).status == 404
    await rig.client.post(f"{path}/join", {"identity": "al"})
    denied = (await rig.client.post(f"{path}/participants/al/deny")).data
    assert denied == {"room_id": made["room_id"], "identity": "al", "denied": True}
    assert (await rig.client.post(f"{path}/participants/al/deny")).status == 404
