"""Registered receivers over the API."""

import pytest

from tests.unit.http.rig import Rig

pytestmark = pytest.mark.unit

PATH = "/api/v1/webhooks"
GOOD = {"url": "https://example.com/hooks", "events": ["call.completed", "call.busy"]}


async def _made(rig: Rig, **fields: object) -> dict[str, object]:
    return dict((await rig.client.post(PATH, {**GOOD, **fields})).data)


async def test_a_receiver_is_made_with_its_secret_shown_once(rig: Rig):
    answer = await rig.client.post(PATH, {**GOOD, "description": "CRM"})
    assert answer.status == 201
    hook = answer.data
    assert hook["id"].startswith("wh_")
    assert hook["signing_secret"].startswith("whsec_")
    assert (hook["active"], hook["events"], hook["description"]) == (True, GOOD["events"], "CRM")
    assert (await rig.client.get(f"{PATH}/{hook['id']}")).data == {**hook, "signing_secret": None}
    assert (await rig.client.get(PATH)).data == [{**hook, "signing_secret": None}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "https://100.64.0.1/"}, "url"),
        ({"url": ""}, "url"),
        ({"events": []}, "events"),
        ({"events": ["call.imagined"]}, "events"),
        ({"events": "*"}, "events"),
        ({"secret": "short"}, "secret"),
        ({"description": "a\rb"}, "description"),
        ({"headers": {}}, "headers"),
    ],
)
async def test_what_breaks_a_rule_is_named(rig: Rig, change: dict[str, object], field: str):
    answer = await rig.client.post(PATH, {**GOOD, **change})
    assert (answer.status, answer.field) == (422, field)
    assert b"short" not in answer.body or field != "secret"


async def test_replacing_and_changing(rig: Rig):
    hook = await _made(rig)
    path = f"{PATH}/{hook['id']}"
    put = await rig.client.ask("PUT", path, {"url": "https://b.example/", "events": ["*"]})
    assert (put.data["url"], put.data["events"], put.data["description"]) == ("https://b.example/", ["*"], "")
    patch = await rig.client.ask("PATCH", path, {"active": False})
    assert (patch.data["url"], patch.data["active"]) == ("https://b.example/", False)
    assert patch.data["disabled_reason"]


async def test_removing(rig: Rig):
    hook = await _made(rig)
    gone = await rig.client.ask("DELETE", f"{PATH}/{hook['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await rig.client.get(f"{PATH}/{hook['id']}")).status == 404


async def test_a_test_event_and_what_was_sent(rig: Rig):
    hook = await _made(rig)
    sent = await rig.client.post(f"{PATH}/{hook['id']}/test")
    assert sent.status == 202
    assert rig.woken == [hook["id"]]
    for path in (f"{PATH}/{hook['id']}/deliveries", f"{PATH}/deliveries?status=pending"):
        answer = await rig.client.get(path)
        [delivery] = answer.data
        assert delivery["id"] == sent.data["delivery_id"]
        assert (delivery["event_type"], delivery["status"], delivery["attempts"]) == (
            "webhook.test",
            "pending",
            0,
        )
        assert delivery["webhook_id"] == hook["id"]
    assert (await rig.client.get(f"{PATH}/deliveries?status=dead")).data == []
    again = await rig.client.post(f"{PATH}/deliveries/{sent.data['delivery_id']}/replay")
    assert again.status == 202
    replayed = await rig.client.post(f"{PATH}/{hook['id']}/replay-failed", {"since": "2026-03-08T00:00:00Z"})
    assert replayed.data == {"replayed": 0}


async def test_rotating_shows_the_new_secret_once(rig: Rig):
    hook = await _made(rig)
    rotated = (await rig.client.post(f"{PATH}/{hook['id']}/rotate-secret")).data
    assert rotated["signing_secret"] not in (None, hook["signing_secret"])
    assert (await rig.client.get(f"{PATH}/{hook['id']}")).data["signing_secret"] is None


async def test_the_tenants_own_secret_is_shown_once_and_can_be_rotated(rig: Rig):
    first = (await rig.client.get(f"{PATH}/signing-secret")).data
    assert first["signing_secret"].startswith("whsec_")
    assert (await rig.client.get(f"{PATH}/signing-secret")).data["signing_secret"] is None
    rotated = (await rig.client.post(f"{PATH}/signing-secret/rotate")).data
    assert rotated["signing_secret"] not in (None, first["signing_secret"])
    assert rotated["previous_valid_until"] == "2026-03-09T12:00:00.000Z"
