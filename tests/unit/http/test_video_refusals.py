"""What goes wrong with video rooms, and how each of it is told."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from gateway.http.app import create_app
from gateway.http.operation import OPEN, Operation
from gateway.http.orbit.routes_video import VIDEO as OPERATIONS
from tests.unit.http.asgi import Client
from tests.unit.http.rig import Rig, open_rig
from tests.unit.http.rooms_behind import KEPT, PASSING, VIDEO, room_paths
from tests.unit.http.video_operations import BODIES, EVERY, FAILURES, KEPT_HERE, ON_DISK
from video_rooms.core.room import Role

pytestmark = pytest.mark.unit

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture(scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path_factory.mktemp("refusals")) as rig:
        yield rig


@pytest.fixture
def rig(opened: Rig) -> Rig:
    """One face for all of these tests, with nothing behind it, in a minute of its own."""
    opened.rooms.clear()
    opened.clock.advance(120)
    return opened


async def _send(rig: Rig, op: Operation, paths: dict[str, str], client: Client | None = None) -> Any:
    asker = client or (rig.client.having(None) if op.access == OPEN else rig.client)
    return await asker.ask(op.method, VIDEO + op.path.format(**paths), BODIES.get(op.name))


def test_every_operation_has_its_code():
    assert {op.name: op.failure for op in EVERY} == FAILURES


async def test_a_defect_is_told_by_the_operations_code_and_logged_whole(rig: Rig):
    paths = await room_paths(rig.client)
    rig.rooms.broken = True
    for op in (op for op in EVERY if op.name not in ON_DISK):
        with structlog.testing.capture_logs() as lines:
            answer = await _send(rig, op, paths)
        assert (answer.status, answer.code) == (500, FAILURES[op.name]), op.name
        assert b"nobody must read" not in answer.body
        cause = next(line["exc_info"] for line in lines if line["event"] == "http.defect").__cause__
        assert isinstance(cause, ZeroDivisionError), op.name


async def test_without_the_media_server_everything_is_unavailable(rig: Rig):
    paths = await room_paths(rig.client)
    rig.rooms.away = True
    for op in (op for op in EVERY if op.name not in ON_DISK | KEPT_HERE):
        answer = await _send(rig, op, paths)
        assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE"), op.name
        assert answer.headers["retry-after"] == "5"
    rig.rooms.away = False
    assert (await rig.client.get(f"{KEPT}/{paths['id']}")).status == 200


async def test_without_rooms_everything_is_unavailable_whatever_is_asked(rig: Rig):
    app = create_app(replace(rig.face, rooms=None, registry=CollectorRegistry()))
    keyed, stranger = Client(app, rig.keys["owner"]), Client(app)
    paths = {"id": "no-uuid", "inviteId": "-", "inviteToken": "-", "identity": "i", "occurrence": "x"}
    paths |= {"name": "n", "recordingId": "r", "file": "f"}
    for op in OPERATIONS.operations:
        answer = await (stranger if op.access == OPEN else keyed).ask(
            op.method, VIDEO + op.path.format(**paths), None if op.method == "GET" else {"not": "read"}
        )
        assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE"), op.name
        if op.access != OPEN:
            assert (await stranger.ask(op.method, VIDEO + op.path.format(**paths))).status in (401, 429)
    assert (await keyed.get("/api/v1/voice/calls")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "{no}", "id"),
        ("PATCH", "{no}", "id"),
        ("POST", "{no}/join", "id"),
        ("POST", "{no}/end", "id"),
        ("POST", "{no}/recording/start", "id"),
        ("POST", "{no}/recording/stop", "id"),
        ("GET", "{no}/calendar.ics", "id"),
        ("POST", "{no}/invites", "id"),
        ("GET", "{no}/invites", "id"),
        ("DELETE", "{no}/invites/" + NOWHERE, "id"),
        ("DELETE", NOWHERE + "/invites/{no}", "inviteId"),
        ("POST", "{no}/participants/jo/kick", "id"),
        ("POST", "{no}/participants/jo/mute", "id"),
        ("POST", "{no}/participants/jo/admit", "id"),
        ("POST", "{no}/participants/jo/deny", "id"),
        ("POST", NOWHERE + "/participants/" + "x" * 201 + "/kick", "identity"),
        ("POST", "{no}/occurrences/20260511T140000Z/skip", "id"),
        ("POST", NOWHERE + "/occurrences/monday/skip", "occurrence"),
        ("POST", NOWHERE + "/occurrences/2026-05-11T14:00:00/skip", "occurrence"),
    ],
)
async def test_an_id_that_is_no_uuid_is_refused(rig: Rig, method: str, path: str, field: str):
    body = {"duration_minutes": 5} if method == "PATCH" else None
    for no in ("room_1", NOWHERE[:-1], NOWHERE + "0", "g" + NOWHERE[1:]):
        answer = await rig.client.ask(method, f"{KEPT}/{path.replace('{no}', no)}", body)
        assert (answer.status, answer.code, answer.field) == (400, "VALIDATION_ERROR", field), no


async def test_a_uuid_is_read_in_either_case(rig: Rig):
    paths = await room_paths(rig.client)
    assert (await rig.client.get(f"{KEPT}/{paths['id'].upper()}")).data["room"]["id"] == paths["id"]


async def test_what_is_not_there_is_not_found(rig: Rig):
    paths = await room_paths(rig.client)
    elsewhere = {
        **paths,
        "recordingId": "EG_nowhere",
        "id": NOWHERE,
        "name": "never-made",
        "inviteToken": "x" * 32,
    }
    for op in EVERY:
        if "{" in op.path and op.name not in ON_DISK | {"deleteAdhocRoom"}:
            answer = await _send(rig, op, elsewhere)
            assert (answer.status, answer.code) == (404, "NOT_FOUND"), op.name
    for missing in ({"identity": "nobody"}, {"inviteId": NOWHERE}, {"occurrence": "20260511T150000Z"}):
        for op in EVERY:
            if f"{{{next(iter(missing))}}}" in op.path:
                answer = await _send(rig, op, {**paths, **missing})
                assert (answer.status, answer.code) == (404, "NOT_FOUND"), op.name


async def test_a_name_that_no_adhoc_room_can_have_is_not_found(rig: Rig):
    for method in ("GET", "DELETE"):
        answer = await rig.client.ask(method, f"{PASSING}/a.b")
        assert (answer.status, answer.code) == (404, "NOT_FOUND")


async def test_closing_an_adhoc_room_that_is_not_there_is_done_already(rig: Rig):
    assert (await rig.client.ask("DELETE", f"{PASSING}/gone")).data == {"name": "gone", "deleted": True}


async def test_an_ended_room_lets_nobody_in(rig: Rig):
    paths = await room_paths(rig.client)
    ended = (await rig.client.post(f"{KEPT}/{paths['id']}/end")).data
    assert (ended["room_id"], ended["status"]) == (paths["id"], "ended")
    assert (await rig.client.post(f"{KEPT}/{paths['id']}/end")).data == ended
    answer = await rig.client.post(f"{KEPT}/{paths['id']}/join", {"identity": "late"})
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    answer = await rig.client.ask("PATCH", f"{KEPT}/{paths['id']}", {"duration_minutes": 5})
    assert (answer.status, answer.code) == (409, "CONFLICT")


@pytest.mark.parametrize("role", ["owner", "admin", "developer", "viewer", "billing"])
async def test_a_host_is_made_by_those_who_may_and_others_get_a_participants_token(rig: Rig, role: str):
    paths = await room_paths(rig.client)
    answer = await rig.as_role(role).post(
        f"{KEPT}/{paths['id']}/join", {"identity": "who", "role": "host", "display_name": "Who"}
    )
    assert answer.status == 200
    made = rig.rooms.asked[-1].role
    assert made is (Role.PARTICIPANT if role in ("viewer", "billing") else Role.HOST)
    assert answer.data.keys() == {"token", "ws_url", "room_sid"}


async def test_a_key_without_the_scope_makes_no_host_whatever_its_role(rig: Rig):
    paths = await room_paths(rig.client)
    reader = rig.client.having(await rig.key("owner", scopes=("video:read",)))
    assert (await reader.post(f"{KEPT}/{paths['id']}/join", {"identity": "a", "role": "host"})).status == 200
    assert rig.rooms.asked[-1].role is Role.PARTICIPANT
    assert (await reader.post(KEPT, {"name": "x"})).code == "INSUFFICIENT_PERMISSIONS"


async def test_guests_are_held_to_thirty_a_minute_and_address(rig: Rig):
    paths = await room_paths(rig.client)
    guest = rig.client.having(None)
    path = f"{VIDEO}/invites/{paths['inviteToken']}/redeem"
    first = await guest.post(path, {"display_name": "Jo"})
    assert (first.status, first.headers["x-ratelimit-limit"]) == (200, "30")
    assert first.headers["x-ratelimit-remaining"] == "29"
    for _ in range(28):
        assert (await guest.post(f"{VIDEO}/invites/{'x' * 32}/redeem", {"display_name": "Jo"})).status == 404
    assert (await guest.post(f"{VIDEO}/invites/short/redeem", {"display_name": "Jo"})).status == 400
    refused = await guest.post(path, {"display_name": "Jo"})
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.error["details"]["limit"] == 30
    assert rig.rooms.given[paths["inviteId"]].uses_count == 1
    elsewhere = Client(rig.app, None, "192.0.2.99")
    assert (await elsewhere.post(path, {"display_name": "Jo"})).status == 200
    rig.clock.advance(120)
    assert (await guest.post(path, {"display_name": "Jo"})).status == 200


async def test_an_invite_that_is_used_up_expired_or_revoked_is_the_same_404(rig: Rig):
    paths = await room_paths(rig.client)
    made = [
        (await rig.client.post(f"{KEPT}/{paths['id']}/invites", wanted)).data
        for wanted in ({"max_uses": 1}, {"expires_in_hours": 1}, {"max_uses": 9})
    ]
    guest, who = rig.client.having(None), {"display_name": "Jo"}
    assert (await guest.post(f"{VIDEO}/invites/{made[0]['invite_token']}/redeem", who)).status == 200
    assert (await rig.client.ask("DELETE", f"{KEPT}/{paths['id']}/invites/{made[2]['id']}")).data == {
        "id": made[2]["id"],
        "room_id": paths["id"],
        "revoked": True,
    }
    rig.clock.advance(3601)
    told = [
        (await guest.post(f"{VIDEO}/invites/{token}/redeem", who)).error
        for token in (*(invite["invite_token"] for invite in made), "x" * 32)
    ]
    assert told == [told[0]] * 4
    assert (told[0]["status"], told[0]["code"]) == (404, "NOT_FOUND")


async def test_the_address_of_the_media_server_has_three_names(rig: Rig):
    paths = await room_paths(rig.client)
    redeemed = await rig.client.having(None).post(
        f"{VIDEO}/invites/{paths['inviteToken']}/redeem", {"display_name": "Jo"}
    )
    assert redeemed.data["ws_url"] == redeemed.data["media_url"] == redeemed.data["livekit_url"]
    assert redeemed.data["room_id"] == paths["id"]


async def test_pages_of_any_site_may_redeem_and_ask_nothing_else(rig: Rig):
    paths = await room_paths(rig.client)
    path = f"{VIDEO}/invites/{paths['inviteToken']}/redeem"
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    before = await rig.client.having(None).ask("OPTIONS", path, headers=asked)
    assert (before.status, before.body) == (204, b"")
    assert before.headers["access-control-allow-origin"] == "*"
    assert before.headers["access-control-allow-methods"] == "POST"
    assert before.headers["access-control-allow-headers"] == "Content-Type"
    for body in ({"display_name": "Jo"}, {}):
        answer = await rig.client.having(None).ask("POST", path, body, {"Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "*", answer.status
    for method, keyed in (("OPTIONS", KEPT), ("OPTIONS", f"{VIDEO}/webhook"), ("GET", KEPT)):
        answer = await rig.client.ask(method, keyed, headers=asked)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
@pytest.mark.parametrize(
    "verb", ["end", "recording/start", "recording/stop", "participants/user_42/kick", "invites"]
)
async def test_a_post_without_a_body_may_be_declared_as_json(rig: Rig, verb: str, headers: dict[str, str]):
    paths = await room_paths(rig.client)
    answer = await rig.client.ask("POST", f"{KEPT}/{paths['id']}/{verb}", b"", headers)
    assert answer.status in (200, 201), answer.body
    assert set(answer.json) == {"data", "meta"}


async def test_the_same_key_makes_one_room(rig: Rig):
    once = {"Idempotency-Key": "one"}
    first = await rig.client.post(KEPT, {"name": "Talk"}, once)
    again = await rig.client.post(KEPT, {"name": "Talk"}, once)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.body == first.body  # the token too: whoever lost the answer gets in all the same
    assert len(rig.rooms.kept) == 1
    other = await rig.client.post(KEPT, {"name": "Other"}, once)
    assert (other.status, other.code) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize("what", ["room", "invite"])
async def test_what_an_attempt_made_before_it_was_cut_off_is_found_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, what: str
):
    room_id = (await rig.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    path, body = (
        (KEPT, {"name": "Once"}) if what == "room" else (f"{KEPT}/{room_id}/invites", {"max_uses": 2})
    )
    once = {"Idempotency-Key": f"once-{what}"}

    async def cut_off(_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched, structlog.testing.capture_logs():
        patched.setattr(rig.face.books.audit, "append", cut_off)
        assert (await rig.client.post(path, body, once)).status == 500
    assert (await rig.client.post(path, body, once)).code == "IDEMPOTENCY_IN_PROGRESS"
    rig.clock.advance(120)
    again = await rig.client.post(path, body, once)
    assert again.status == 201, again.body
    made = rig.rooms.kept if what == "room" else rig.rooms.given
    assert list(made)[-1] == again.data["room_id" if what == "room" else "id"]
    assert len(made) == (2 if what == "room" else 1)
    assert (await rig.client.post(path, body, once)).body == again.body


async def test_a_refusal_is_kept_and_a_server_that_is_away_is_not(rig: Rig):
    paths = await room_paths(rig.client)
    rig.rooms.away = True
    path = f"{KEPT}/{paths['id']}/join"
    assert (await rig.client.post(path, {"identity": "a"}, {"Idempotency-Key": "k"})).status == 503
    rig.rooms.away = False
    assert (await rig.client.post(path, {"identity": "a"}, {"Idempotency-Key": "k"})).status == 200
    late = f"{KEPT}/{paths['id']}/occurrences/20260511T150000Z/skip"
    refused = [await rig.client.post(late, None, {"Idempotency-Key": "l"}) for _ in range(2)]
    assert [answer.status for answer in refused] == [404, 404]
    assert refused[0].body == refused[1].body


async def test_what_a_service_finds_wrong_is_400_also_when_it_is_told_again(rig: Rig):
    room_id = (await rig.client.post(KEPT, {"name": "Talk"})).data["room_id"]
    body = {"recurrence": {"rule": "FREQ=DAILY", "timezone": "UTC"}}
    answer = await rig.client.ask("PATCH", f"{KEPT}/{room_id}", body)
    assert (answer.status, answer.code, answer.field) == (400, "VALIDATION_ERROR", "scheduled_at")
    assert (await rig.client.get(f"{KEPT}/{room_id}/calendar.ics")).status == 400


async def test_an_identity_may_hold_whatever_a_path_can_carry(rig: Rig):
    paths = await room_paths(rig.client)
    for identity in ("a/b", "jo smith", "é:@!", "x/kick"):
        await rig.client.post(f"{KEPT}/{paths['id']}/join", {"identity": identity})
        path = f"{KEPT}/{paths['id']}/participants/{identity}"
        assert (await rig.client.post(f"{path}/mute")).data["identity"] == identity
        assert (await rig.client.post(f"{path}/kick")).data["kicked"] is True


async def test_an_identity_that_is_a_number_is_whole_for_those_who_may_see_numbers(rig: Rig):
    paths = await room_paths(rig.client)
    await rig.client.post(f"{KEPT}/{paths['id']}/join", {"identity": "+447700900123", "display_name": "Jo"})
    await rig.client.post(f"{PASSING}/quick-sync/token", {"participant_name": "+447700900123"})
    for path in (f"{KEPT}/{paths['id']}", f"{PASSING}/quick-sync"):
        for role, whole in (("developer", True), ("viewer", False), ("billing", False)):
            shown = (await rig.as_role(role).get(path)).data["participants"]
            assert ("+447700900123" in {one["identity"] for one in shown}) is whole, (path, role)


async def test_what_changed_is_in_the_audit_log(rig: Rig):
    paths = await room_paths(rig.client)
    await rig.client.post(f"{KEPT}/{paths['id']}/join", {"identity": "+447700900123"})
    assert (await rig.client.post(f"{KEPT}/{paths['id']}/participants/+447700900123/kick")).status == 200
    await rig.client.post(PASSING, {"name": "call-14155552671"})
    await rig.client.post(f"{KEPT}/{paths['id']}/end")
    entries = await rig.face.books.audit.entries(rig.face_tenant)
    assert not [entry for entry in entries if "7700900123" in str(entry) or "4155552671" in str(entry)]
    told = {entry.action for entry in entries}
    assert {"room.scheduled", "room.invite_created", "room.participant_kicked", "room.ended"} <= told


async def test_a_kick_that_waits_for_the_media_server_is_in_the_audit_log(rig: Rig):
    paths = await room_paths(rig.client)
    rig.rooms.away = True
    answer = await rig.client.post(f"{KEPT}/{paths['id']}/participants/{paths['identity']}/kick")
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    entries = await rig.face.books.audit.entries(rig.face_tenant, limit=10_000)
    told = [(entry.action, entry.details) for entry in entries if entry.subject == paths["id"]]
    assert ("room.participant_kicked", {"identity": paths["identity"], "media_server": "away"}) in told
