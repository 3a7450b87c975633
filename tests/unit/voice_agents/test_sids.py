"""Sids: one for each call, back again, and never another call's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.ids import TenantId, is_id
from voice_agents.core.sids import account_sid, call_of_sid, call_sid

pytestmark = pytest.mark.unit

ULIDS = st.from_regex(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", fullmatch=True)


@given(ULIDS)
def test_a_calls_sid_leads_back_to_it(ulid: str):
    sid = call_sid(f"call_{ulid}")
    assert re.fullmatch("CA[0-9a-f]{32}", sid)
    assert call_of_sid(sid) == f"call_{ulid}"


def test_a_sid_is_the_ulid_in_sixteens():
    assert call_sid("call_00000000000000000000000001") == "CA00000000000000000000000000000001"
    assert call_sid("call_7ZZZZZZZZZZZZZZZZZZZZZZZZZ") == "CA" + "f" * 32


@given(st.from_regex("CA[0-9a-f]{32}", fullmatch=True))
def test_every_sid_is_some_calls(sid: str):
    call_id = call_of_sid(sid)
    assert call_id is not None
    assert is_id(call_id, "call")
    assert call_sid(call_id) == sid


@pytest.mark.parametrize(
    "text",
    ["", "CA", "CA" + "0" * 31, "CA" + "0" * 33, "CA" + "F" * 32, "AC" + "0" * 32, "CA" + "0" * 32 + "\n"],
)
def test_what_is_no_sid_is_no_call(text: str):
    assert call_of_sid(text) is None


@pytest.mark.parametrize("text", ["", "call_1", "ses_" + "0" * 26, "call_8" + "0" * 25, "call_" + "I" * 26])
def test_what_is_no_call_has_no_sid(text: str):
    with pytest.raises(ValueError, match="not the id of a call"):
        call_sid(text)


def test_tenants_have_accounts_of_their_own():
    ours, theirs = account_sid(TenantId("ten_ours")), account_sid(TenantId("ten_theirs"))
    assert ours != theirs
    assert re.fullmatch("AC[0-9a-f]{32}", ours)
    assert ours == account_sid(TenantId("ten_ours"))
