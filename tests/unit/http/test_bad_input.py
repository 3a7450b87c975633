"""What breaks a rule is refused with the field and the rule, and nothing happens."""

import json

import pytest

from tests.unit.http.rig import CALLS, FROM, OURS, TO, Rig

pytestmark = pytest.mark.unit

GOOD = {"to": TO, "from": FROM}
LONG = "x" * 1001


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"to": None}, "VALIDATION_ERROR", "to"),
        ({"to": 14155552671}, "VALIDATION_ERROR", "to"),
        ({"to": ""}, "VALIDATION_ERROR", "to"),
        ({"to": "14155552671"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": "+1415555267100000"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": "+" + "1" * 64}, "VALIDATION_ERROR", "to"),
        ({"to": "+11111111111"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": "+1415555267\u0661"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": TO + "\r\nX-Evil: 1"}, "VALIDATION_ERROR", "to"),
        ({"to": TO + "\x00"}, "VALIDATION_ERROR", "to"),
        ({"to": TO + "\u2028"}, "VALIDATION_ERROR", "to"),
        ({"to": "sip:eve@example.com"}, "INVALID_PHONE_NUMBER", "to"),
        ({"to": "911"}, "EMERGENCY_NUMBER", "to"),
        ({"to": "112"}, "EMERGENCY_NUMBER", "to"),
        ({"to": "+44999"}, "EMERGENCY_NUMBER", "to"),
        ({"to": "+19005551234"}, "PREMIUM_NUMBER", "to"),
        ({"to": "+448431234567"}, "PREMIUM_NUMBER", "to"),
        ({"to": "+881612345678"}, "PREMIUM_NUMBER", "to"),
        ({"to": "+18765551234"}, "COUNTRY_NOT_ALLOWED", "to"),
        ({"to": "+4930123456"}, "COUNTRY_NOT_ALLOWED", "to"),
        ({"to": FROM}, "CALL_LOOP", "to"),
        ({"from": "+14155550199"}, "NUMBER_NOT_OWNED", "from"),
        ({"from": "nonsense"}, "INVALID_PHONE_NUMBER", "from"),
        ({"connect_to": "+18765551234"}, "COUNTRY_NOT_ALLOWED", "connect_to"),
        ({"connect_to": "911"}, "EMERGENCY_NUMBER", "connect_to"),
        ({"connect_to": FROM}, "CALL_LOOP", "connect_to"),
        ({"connect_to": "phone:carol"}, "VALIDATION_ERROR", "connect_to"),
        ({"connect_to": "phone:al ice"}, "VALIDATION_ERROR", "connect_to"),
        ({"connect_to": "phone:alice&SIP/evil"}, "VALIDATION_ERROR", "connect_to"),
        ({"announcement": ""}, "VALIDATION_ERROR", "announcement.text"),
        ({"announcement": LONG}, "VALIDATION_ERROR", "announcement.text"),
        ({"announcement": "a\nb"}, "VALIDATION_ERROR", "announcement.text"),
        ({"announcement": 7}, "VALIDATION_ERROR", "announcement"),
        ({"announcement": {}}, "VALIDATION_ERROR", "announcement"),
        ({"announcement": {"text": "a", "prompt": "b"}}, "VALIDATION_ERROR", "announcement"),
        ({"announcement": {"prompt": "welcome", "voice": "en-US"}}, "VALIDATION_ERROR", "announcement.voice"),
        ({"announcement": {"text": "a", "voice": "xx-XX"}}, "VALIDATION_ERROR", "announcement.voice"),
        ({"announcement": {"prompt": "nope"}}, "VALIDATION_ERROR", "announcement.prompt"),
        ({"announcement": {"text": "a", "rate": 2}}, "VALIDATION_ERROR", "announcement.rate"),
        ({"connect_to": "phone:alice", "announcement": "a"}, "VALIDATION_ERROR", "announcement"),
        ({"agent_id": "agt_1", "connect_to": "phone:alice"}, "VALIDATION_ERROR", "connect_to"),
        ({"max_duration": 29}, "VALIDATION_ERROR", "max_duration"),
        ({"max_duration": 14401}, "VALIDATION_ERROR", "max_duration"),
        ({"max_duration": 10**30}, "VALIDATION_ERROR", "max_duration"),
        ({"max_duration": "60"}, "VALIDATION_ERROR", "max_duration"),
        ({"max_duration": 60.5}, "VALIDATION_ERROR", "max_duration"),
        ({"max_duration": True}, "VALIDATION_ERROR", "max_duration"),
        ({"ring_timeout": 4}, "VALIDATION_ERROR", "ring_timeout"),
        ({"ring_timeout": 301}, "VALIDATION_ERROR", "ring_timeout"),
        ({"record": "yes"}, "VALIDATION_ERROR", "record"),
        ({"record": 1}, "VALIDATION_ERROR", "record"),
        ({"webhook_url": "http://example.com/"}, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"webhook_url": "https://127.0.0.1/"}, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"webhook_url": "https://[::ffff:10.0.0.1]/"}, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"webhook_url": "https://169.254.169.254/latest"}, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"webhook_url": "https://a.example/\r\nHost: b"}, "INVALID_WEBHOOK_URL", "webhook_url"),
        ({"metadata": {"a": 1}}, "VALIDATION_ERROR", "metadata.a"),
        ({"metadata": {"a": "x" * 501}}, "VALIDATION_ERROR", "metadata.a"),
        ({"metadata": {"a": "b\x00"}}, "VALIDATION_ERROR", "metadata.a"),
        ({"metadata": {str(n): "v" for n in range(51)}}, "VALIDATION_ERROR", "metadata"),
        ({"metadata": ["a"]}, "VALIDATION_ERROR", "metadata"),
        ({"direction": "inbound"}, "VALIDATION_ERROR", "direction"),
        ({"amd": True}, "VALIDATION_ERROR", "amd"),
        ({"campaignId": "c1"}, "VALIDATION_ERROR", "campaignId"),
        ({"__proto__": {}}, "VALIDATION_ERROR", "__proto__"),
    ],
)
async def test_a_broken_rule_names_the_field(rig: Rig, change: dict[str, object], code: str, field: str):
    answer = await rig.client.post(CALLS, {**GOOD, **change})
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    assert answer.error["details"]["expected"]
    assert answer.error["message"]
    assert rig.director.live_calls(OURS) == 0


async def test_a_missing_field_has_its_own_code(rig: Rig):
    answer = await rig.client.post(CALLS, {"from": FROM})
    assert (answer.status, answer.code, answer.field) == (422, "MISSING_REQUIRED_FIELD", "to")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b'"text"', 422),
        (b"null", 422),
        (b'{"to": NaN}', 400),
        (b'{"to": "\\ud800"}', 400),
        (b'\xff\xfe{"to": 1}', 400),
        (b'\xef\xbb\xbf{"to": "+14155552671"}', 400),
        (b'{"to": "+14155552671", "to": "+14155552672"}', 400),
        (b'{"to": "+14155552671", "metadata": {"a": "1", "a": "2"}}', 400),
        (b'{"metadata": ' + b'{"a": ' * 20 + b"1" + b"}" * 20 + b"}", 400),
        (b"[" * 2000 + b"]" * 2000, 400),
        (b'{"max_duration": ' + b"9" * 5000 + b"}", 400),
    ],
)
async def test_what_is_no_proper_json_object_is_refused(rig: Rig, body: bytes, status: int):
    answer = await rig.client.ask("POST", CALLS, body)
    assert answer.status == status, answer.body
    assert answer.code in ("VALIDATION_ERROR", "MISSING_REQUIRED_FIELD")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_taken(rig: Rig, headers: dict[str, str]):
    answer = await rig.client.ask("POST", CALLS, json.dumps(GOOD).encode(), headers)
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_json_in_utf_8_may_say_so(rig: Rig):
    headers = {"content-type": 'application/json; charset="UTF-8"'}
    assert (await rig.client.ask("POST", CALLS, json.dumps(GOOD).encode(), headers)).status == 201


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_64_kb_is_refused(rig: Rig, announced: bool):
    body = json.dumps({**GOOD, "metadata": {"a": "x" * 70_000}}).encode()
    headers = [(b"x-api-key", rig.keys["owner"].encode()), (b"content-type", b"application/json")]
    if announced:
        headers.append((b"content-length", str(len(body)).encode()))
    chunks = [body[at : at + 5_000] for at in range(0, len(body), 5_000)]
    answer = await rig.client.raw("POST", CALLS, headers, chunks)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"


async def test_a_client_that_leaves_before_its_body_is_whole_is_let_go(rig: Rig):
    headers = [(b"x-api-key", rig.keys["owner"].encode()), (b"content-type", b"application/json")]
    assert (await rig.client.raw("POST", CALLS, headers, [])).status == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 400, "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=gone", "status"),
        ("page=2", "page"),
        ("offset=2", "offset"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-03-08T12:00:00", "created_after"),
        ("created_before=2026-13-08T12:00:00Z", "created_before"),
        ("to=", "to"),
    ],
)
async def test_a_bad_parameter_is_named(rig: Rig, query: str, field: str):
    answer = await rig.client.get(f"{CALLS}?{query}")
    assert (answer.status, answer.field) == (422, field)


@pytest.mark.parametrize("query", ["%ff=1", "limit", "a" * 5000])
async def test_a_query_that_cannot_be_read_is_400(rig: Rig, query: str):
    assert (await rig.client.get(f"{CALLS}?{query}")).status in (400, 422)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "a" * 401, "eyJhIjoxfQ=="])
async def test_a_cursor_of_ones_own_making_is_refused(rig: Rig, cursor: str):
    answer = await rig.client.get(f"{CALLS}?cursor={cursor}")
    assert (answer.status, answer.field) in ((400, "cursor"), (422, "cursor"))


async def test_a_cursor_serves_only_the_list_it_came_from(rig: Rig):
    for _ in range(3):
        await rig.place()
    page = (await rig.client.get(f"{CALLS}?limit=1")).json["meta"]["pagination"]
    assert page["has_more"] is True
    cursor = page["cursor"]
    assert (await rig.client.get(f"{CALLS}?limit=1&cursor={cursor}")).status == 200
    for path in (f"{CALLS}?status=busy&cursor={cursor}", f"/api/v1/numbers?cursor={cursor}"):
        answer = await rig.client.get(path)
        assert (answer.status, answer.code) == (400, "INVALID_CURSOR")
    theirs = await rig.client.having(rig.keys["theirs"]).get(f"{CALLS}?cursor={cursor}")
    assert (theirs.status, theirs.code) == (400, "INVALID_CURSOR")
    flipped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    assert (await rig.client.get(f"{CALLS}?cursor={flipped}")).status == 400


@pytest.mark.parametrize(
    "path",
    [
        f"{CALLS}/call_%00",
        f"{CALLS}/..%2f..%2fetc",
        "/api/v1/voice/calls/",
        "/api/v1/nothing",
        "/v1/rooms",
        "/",
        "/api/v1/numbers/num_'or'1'='1",
        "/docs/openapi_parts.py",
    ],
)
async def test_nothing_lives_at_other_addresses(rig: Rig, path: str):
    answer = await rig.client.get(path)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert answer.json["meta"]["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "allow"), [("PUT", "GET, POST"), ("OPTIONS", "GET, POST"), ("TRACE", "GET, POST")]
)
async def test_other_methods_are_told_which_there_are(rig: Rig, method: str, allow: str):
    answer = await rig.client.ask(method, CALLS)
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", allow)
