"""A session request read for somebody who is no client of the API: the application, in a hook."""

import pytest

from gateway.http.orbit.proxy_reader import reader_of
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.session import Model
from telephony.errors import InvalidInput
from telephony.numbers import E164
from tests.unit.http.rig import FROM, OTHER, OURS, THEIRS, TO, Rig

pytestmark = pytest.mark.unit


async def test_it_is_read_as_the_request_that_opens_one(rig: Rig):
    read = reader_of(rig.face, rig.masked.masking.settings).read
    new = await read(OURS, {"party_a": TO, "party_b": "phone:alice", "ttl": 600, "direction": "a_to_b"})
    assert (new.a.party, new.others[0].party) == (E164(TO), PhoneParty("alice"))
    assert (new.model, dict(new.terms)) == (Model.PAIR, {"ttl_s": 600, "flow": "a_to_b"})
    assert new.api_key_id is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "MISSING_REQUIRED_FIELD"),
        ({"party_a": TO, "party_b": TO}, "SAME_PARTY"),
        ({"party_a": TO, "party_b": FROM}, "PROXY_NUMBER_AS_PARTY"),
        ({"party_a": TO, "party_b": "911"}, "EMERGENCY_NUMBER"),
        ({"party_a": TO, "party_b": OTHER, "expires_at": "2020-01-01T00:00:00Z"}, "EXPIRY_IN_THE_PAST"),
        ({"party_a": TO, "party_b": OTHER, "webhook_url": "http://10.0.0.1/"}, "INVALID_WEBHOOK_URL"),
    ],
)
async def test_it_is_judged_by_the_same_rules(rig: Rig, given: dict[str, object], code: str):
    read = reader_of(rig.face, rig.masked.masking.settings).read
    with pytest.raises(InvalidInput) as refused:
        await read(OURS, given)
    assert refused.value.code == code


async def test_phones_are_the_tenants_own(rig: Rig):
    read = reader_of(rig.face, rig.masked.masking.settings).read
    with pytest.raises(InvalidInput):
        await read(THEIRS, {"party_a": TO, "party_b": "phone:alice"})
