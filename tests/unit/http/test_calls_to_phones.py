"""A call may ring a registered phone instead of a number: for installations without a carrier yet."""

import pytest

from dialplan.core.call import Phone
from dialplan.core.orders import Originate
from tests.unit.http.rig import CALLS, FROM, Rig

pytestmark = pytest.mark.unit


async def test_a_phone_of_ours_is_called_as_a_number_is(rig: Rig):
    placed = await rig.place(to="phone:alice")
    assert (placed["to"], placed["from"]) == ("phone:alice", FROM)
    await rig.settle()
    [rung] = [order for order in rig.switch.orders if isinstance(order, Originate)]
    assert rung.endpoint == Phone("alice")
    listed = (await rig.client.get(f"{CALLS}?to=phone:alice")).data
    assert [call["id"] for call in listed] == [placed["id"]]


@pytest.mark.parametrize("path", [CALLS, f"{CALLS}:check"])
@pytest.mark.parametrize("to", ["phone:nobody", "phone:", "phone:a/b", "phone:alice@carrier"])
async def test_what_names_no_phone_is_refused_and_the_field_named(rig: Rig, path: str, to: str):
    answer = await rig.client.post(path, {"to": to, "from": FROM})
    assert (answer.status, answer.field) == (422, "to")


async def test_a_phone_is_rung_for_those_alone_who_have_a_number_to_show(rig: Rig):
    answer = await rig.client.post(CALLS, {"to": "phone:alice", "from": "+12025550199"})
    assert (answer.status, answer.code) == (422, "NUMBER_NOT_OWNED")


async def test_the_number_behind_a_phone_is_still_judged(rig: Rig):
    answer = await rig.client.post(CALLS, {"to": "phone:alice", "from": FROM, "connect_to": "+19005550123"})
    assert (answer.status, answer.field) == (422, "connect_to")


async def test_the_name_of_a_phone_is_no_number_to_mask(rig: Rig):
    call_id = (await rig.place(to="phone:alice"))["id"]
    seen = (await rig.as_role("viewer").get(f"{CALLS}/{call_id}")).data
    assert seen["to"] == "phone:alice"
    assert seen["from"] != FROM
