"""What Twilio's routes refuse is told in Twilio's shape, whoever refuses."""

from pathlib import Path

import pytest

from tests.unit.http.agent_sessions import with_agent
from tests.unit.http.rig import Rig, open_rig
from tests.unit.http.twilio_asked import ACCOUNT, ask, refusal

pytestmark = pytest.mark.unit


async def test_other_methods_are_told(rig: Rig):
    call_id = await rig.answered()
    answer = await ask(rig, "DELETE", call_id)
    refusal(answer, 405, 20004)
    assert answer.headers["allow"] == "GET, POST"


async def test_unknown_addresses_are_told(rig: Rig):
    accounts = f"/Accounts/{ACCOUNT}"
    calls = ["/Calls.json", "/Calls/a b", f"/Calls/CA{'0' * 32}/Recordings.json"]
    for path in ("", "/", "/../v1/voice/calls", f"{accounts}.json", *(accounts + call for call in calls)):
        for method in ("GET", "POST"):
            refusal(await ask(rig, method, "call_" + "0" * 26, path="/2010-04-01" + path), 404, 20404)


async def test_what_only_looks_like_twilios_address_is_told_as_elsewhere(rig: Rig):
    for path in ("/2010-04-011", "/2010-04", "/v1/2010-04-01/Accounts"):
        assert (await rig.client.get(path)).code == "NOT_FOUND"


async def test_a_body_too_large_is_told(rig: Rig):
    call_id = await with_agent(rig)
    answer = await ask(rig, "POST", call_id, {"Twiml": "x" * 16 * 1024})
    refusal(answer, 413, 20001)
    assert answer.headers["connection"] == "close"


async def test_a_query_too_long_is_told(rig: Rig):
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/CA{'0' * 32}.json?{'a' * 65_537}"
    refusal(await ask(rig, "GET", "call_" + "0" * 26, path=path), 400, 20001)


async def test_too_many_requests_of_a_key_are_told(tmp_path: Path):
    async with open_rig(tmp_path, environment={"PATCHBAY_API_RATE_PER_MINUTE": "1"}) as rig:
        absent = "call_" + "0" * 26
        refusal(await ask(rig, "GET", absent), 404, 20404)
        answer = await ask(rig, "GET", absent)
        refusal(answer, 429, 20429)
        assert int(answer.headers["retry-after"]) > 0


async def test_a_defect_is_told_bare(rig: Rig):
    async def break_(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inner secret")

    call_id = await rig.answered()
    rig.face.books.calls.get = break_
    answer = await ask(rig, "GET", call_id)
    refusal(answer, 500, 20500)
    assert b"secret" not in answer.body
