"""Numbers: what can be set, what is spoken at once, what is refused."""

import pytest

from dialplan.core.call import Announcement, Connect, HoldMusic, Phone, Reject, Trunk, VideoRoom
from dialplan.core.routing import Offered
from gateway.route_book import NumberRoutes, RouteDefaults
from telephony.ids import ChannelId
from tests.unit.http.rig import FROM, OURS, Rig

pytestmark = pytest.mark.unit

PATH = "/api/v1/numbers"
NEW = "+12025550155"


async def _added(rig: Rig, **fields: object) -> dict[str, object]:
    return dict((await rig.client.post(PATH, {"e164": NEW, **fields})).data)


async def test_a_number_is_added_with_everything(rig: Rig):
    data = await _added(
        rig,
        friendly_name="Front desk",
        capabilities=["voice", "sms"],
        route={"type": "phone", "phone": "alice"},
        record=True,
        webhook_url="https://example.com/in",
        is_default=True,
    )
    assert str(data.pop("id")).startswith("num_")
    assert data == {
        "e164": NEW,
        "friendly_name": "Front desk",
        "capabilities": ["voice", "sms"],
        "route": {"type": "phone", "phone": "alice"},
        "record": True,
        "webhook_url": "https://example.com/in",
        "is_default": True,
        "country": "US",
        "created_at": "2026-03-08T12:00:00.000Z",
    }
    assert rig.number_changes


ROUTES = [
    ({"type": "phone", "phone": "alice"}, Connect(Phone("alice"))),
    ({"type": "number", "number": "+14155552671"}, None),
    ({"type": "announcement", "text": "Hello."}, Connect(Announcement("tts/1", "Hello."))),
    ({"type": "hold"}, Connect(HoldMusic())),
    ({"type": "rooms", "language": "en"}, Connect(VideoRoom(""))),
    ({"type": "reject", "cause": "busy"}, Reject(17, "rejected_by_route")),
    ({"type": "reject", "cause": 28}, Reject(28, "rejected_by_route")),
]


@pytest.mark.parametrize(("route", "leads_to"), ROUTES)
async def test_the_route_book_reads_what_the_api_wrote(rig: Rig, route: dict[str, object], leads_to: object):
    shown = await _added(rig, route=route, record=True, webhook_url="https://example.com/in")
    assert {k: v for k, v in shown["route"].items() if v is not None} == route
    book = NumberRoutes(RouteDefaults(trunk_for=lambda _: "carrier"))
    book.replace((await rig.face.books.numbers.page(OURS, limit=10)).items)
    facts = await book.facts_for(Offered(ChannelId("c"), NEW.lstrip("+"), "", "from-trunk", "carrier"))
    assert facts.tenant == OURS
    assert (facts.record, facts.webhook_url) == (True, "https://example.com/in")
    if leads_to is None:
        assert isinstance(facts.route, Connect)
        assert isinstance(facts.route.endpoint, Trunk)
        assert facts.route.endpoint.number.reveal() == "+14155552671"
    else:
        assert facts.route == leads_to


async def test_the_text_of_a_route_is_spoken_when_it_is_set(rig: Rig):
    await _added(rig, route={"type": "announcement", "text": "We are closed.", "voice": "en-US"})
    assert rig.prompts.said == [("We are closed.", "en-US")]
    rig.prompts.away = True
    number = (await rig.client.get(PATH)).data[0]["id"]
    answer = await rig.client.ask(
        "PATCH", f"{PATH}/{number}", {"route": {"type": "announcement", "text": "x"}}
    )
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"e164": "12025550155"}, 422, "INVALID_PHONE_NUMBER", "e164"),
        ({"e164": "911"}, 422, "INVALID_PHONE_NUMBER", "e164"),
        ({"e164": FROM}, 409, "NUMBER_TAKEN", None),
        ({"capabilities": []}, 422, "VALIDATION_ERROR", "capabilities"),
        ({"capabilities": ["fax"]}, 422, "VALIDATION_ERROR", "capabilities.0"),
        ({"friendly_name": "a\r\nb"}, 422, "VALIDATION_ERROR", "friendly_name"),
        ({"route": {"type": "fax"}}, 422, "VALIDATION_ERROR", "route"),
        ({"route": {}}, 422, "VALIDATION_ERROR", "route"),
        ({"route": {"type": "phone"}}, 422, "MISSING_REQUIRED_FIELD", "route.phone"),
        ({"route": {"type": "phone", "phone": "carol"}}, 422, "VALIDATION_ERROR", "route.phone"),
        ({"route": {"type": "hold", "music": "x"}}, 422, "VALIDATION_ERROR", "route.music"),
        ({"route": {"type": "rooms", "language": "xx"}}, 422, "VALIDATION_ERROR", "route.language"),
        ({"route": {"type": "number", "number": "911"}}, 422, "EMERGENCY_NUMBER", "route.number"),
        ({"route": {"type": "number", "number": "+19005551234"}}, 422, "PREMIUM_NUMBER", "route.number"),
        ({"route": {"type": "number", "number": "+18765551234"}}, 422, "COUNTRY_NOT_ALLOWED", "route.number"),
        ({"route": {"type": "number", "number": NEW}}, 422, "CALL_LOOP", "route.number"),
        ({"route": {"type": "number", "number": FROM}}, 422, "CALL_LOOP", "route.number"),
        ({"route": {"type": "announcement", "text": ""}}, 422, "VALIDATION_ERROR", "route.text"),
        ({"route": {"type": "reject", "cause": 0}}, 422, "VALIDATION_ERROR", "route.cause"),
        ({"route": {"type": "reject", "cause": "rude"}}, 422, "VALIDATION_ERROR", "route.cause"),
        ({"webhook_url": "https://10.0.0.1/"}, 422, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"owner": "me"}, 422, "VALIDATION_ERROR", "owner"),
    ],
)
async def test_what_breaks_a_rule_adds_nothing(
    rig: Rig, fields: dict[str, object], status: int, code: str, field: str | None
):
    answer = await rig.client.post(PATH, {"e164": NEW, **fields})
    assert (answer.status, answer.code) == (status, code), answer.body
    if field is not None:
        assert answer.field == field
    assert len((await rig.client.get(PATH)).data) == 1


async def test_another_tenants_number_is_taken_and_says_no_more(rig: Rig):
    answer = await rig.client.having(rig.keys["theirs"]).post(PATH, {"e164": FROM})
    assert (answer.status, answer.code) == (409, "NUMBER_TAKEN")
    assert "ten_ours" not in answer.body.decode()


async def test_only_what_is_named_changes(rig: Rig):
    number = await _added(
        rig, friendly_name="a", route={"type": "hold"}, record=True, webhook_url="https://e.example/"
    )
    path = f"{PATH}/{number['id']}"
    changed = (await rig.client.ask("PATCH", path, {"friendly_name": "b"})).data
    assert changed == {**number, "friendly_name": "b"}
    assert (await rig.client.ask("PATCH", path, {})).data == changed
    cleared = (
        await rig.client.ask("PATCH", path, {"route": None, "webhook_url": None, "record": False})
    ).data
    assert cleared == {**changed, "route": None, "webhook_url": None, "record": False}
    assert (await rig.client.get(path)).data == cleared


async def test_one_number_is_the_default(rig: Rig):
    first = await _added(rig, is_default=True)
    second = (await rig.client.post(PATH, {"e164": "+12025550156", "is_default": True})).data
    marked = [number["id"] for number in (await rig.client.get(PATH)).data if number["is_default"]]
    assert marked == [second["id"]]
    await rig.client.ask("PATCH", f"{PATH}/{first['id']}", {"is_default": True})
    marked = [number["id"] for number in (await rig.client.get(PATH)).data if number["is_default"]]
    assert marked == [first["id"]]


async def test_a_removed_number_is_free_again(rig: Rig):
    number = await _added(rig)
    assert (await rig.client.ask("DELETE", f"{PATH}/{number['id']}")).status == 204
    assert (await rig.client.get(f"{PATH}/{number['id']}")).status == 404
    assert (await rig.client.ask("DELETE", f"{PATH}/{number['id']}")).status == 404
    theirs = await rig.client.having(rig.keys["theirs"]).post(PATH, {"e164": NEW})
    assert theirs.status == 201


async def test_numbers_are_listed_in_pages(rig: Rig):
    for last in range(10, 15):
        await rig.own(f"+12025550{last}1")
        rig.clock.advance(1)
    seen, query = [], "?limit=2"
    while True:
        answer = await rig.client.get(PATH + query)
        page = answer.json["meta"]["pagination"]
        assert page["total"] == 6
        seen += [number["e164"] for number in answer.data]
        if not page["has_more"]:
            break
        query = f"?limit=2&cursor={page['cursor']}"
    assert len(seen) == len(set(seen)) == 6


async def test_changes_are_in_the_audit_log_with_numbers_masked(rig: Rig):
    number = await _added(rig)
    await rig.client.ask("DELETE", f"{PATH}/{number['id']}")
    entries = await rig.face.books.audit.entries(OURS)
    assert [entry.action for entry in entries] == ["number.added", "number.removed"]
    assert NEW not in repr(entries)
    assert entries[0].actor.startswith("key_")


async def test_a_number_given_up_can_no_longer_be_shown(rig: Rig):
    from_new = {"to": "+14155552671", "from": NEW}
    number = await _added(rig)
    assert (await rig.client.post("/v1/voice/calls", from_new)).status == 201
    await rig.client.ask("DELETE", f"{PATH}/{number['id']}")
    assert (await rig.client.post("/v1/voice/calls", from_new)).code == "NUMBER_NOT_OWNED"


async def test_a_number_given_up_elsewhere_is_noticed_within_a_second(rig: Rig):
    from_new = {"to": "+14155552671", "from": NEW}
    number = await _added(rig)
    assert (await rig.client.post("/v1/voice/calls", from_new)).status == 201
    await rig.face.books.numbers.remove(OURS, str(number["id"]), rig.clock.wall())
    rig.clock.advance(1)
    assert (await rig.client.post("/v1/voice/calls", from_new)).code == "NUMBER_NOT_OWNED"
