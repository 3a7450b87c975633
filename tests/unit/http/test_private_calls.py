"""A private call at the API: its real number is for keys that may see numbers; others cannot guess it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core.call import Direction
from tests.contract.storage.made_calls import T0, event, started
from tests.unit.http.rig import CALLS, FROM, OURS, Rig

pytestmark = pytest.mark.unit

REAL = "+14155550142"


async def stored(rig: Rig) -> str:
    call = started(1, tenant=OURS, to=FROM, from_=REAL)
    terms = replace(call.terms, session_id="ses_1", private=True, direction=Direction.INBOUND)
    call = replace(call, terms=terms)
    await rig.face.books.calls.append(call, [event(call, "call.initiated", T0)], None)
    return call.id


@pytest.mark.parametrize(("role", "seen"), [("owner", REAL), ("viewer", "+141••••••42")])
async def test_the_real_number_is_whole_for_keys_that_may_see_it(rig: Rig, role: str, seen: str):
    call_id = await stored(rig)
    client = rig.as_role(role)
    one = (await client.get(f"{CALLS}/{call_id}")).data
    (listed,) = (await client.get(CALLS)).data
    for call in (one, listed):
        assert (call["from"], call["session_id"]) == (seen, "ses_1")


async def test_who_may_not_see_it_cannot_find_it_out_by_asking(rig: Rig):
    await stored(rig)
    asked = f"{CALLS}?from=%2B{REAL[1:]}"
    assert len((await rig.as_role("owner").get(asked)).data) == 1
    assert (await rig.as_role("viewer").get(asked)).data == []
