"""What the dialplan notes of a call that it joined, read back; ids that follow from the channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.core.call import Connect, Phone, Trunk
from gateway.masked_fallback import call_id_of, read_joined
from telephony.ids import is_id
from telephony.numbers import E164

pytestmark = pytest.mark.unit

CHANNEL = "patchbay-1795269149.0"
NOTED = (
    "1795269149,tnt_1,ses_1,0,1,+12025550100,14155550177,alpha,PJSIP/+442079460123@beta,+12025550101,30,3600"
)


def test_an_entry_of_our_dialplan_is_a_call() -> None:
    one = read_joined(CHANNEL, NOTED)
    assert one is not None
    assert (one.channel, one.at, one.tenant, one.session_id) == (CHANNEL, 1795269149.0, "tnt_1", "ses_1")
    assert (one.seat, one.to_seat, one.dialled, one.caller) == (0, 1, "+12025550100", "+14155550177")
    assert one.route == Connect(Trunk(E164("+442079460123"), "beta"), E164("+12025550101"))
    assert (one.line, one.ring_s, one.talk_s) == ("alpha", 30, 3600)
    assert "4155550177" not in repr(one)


def test_phones_and_visitors_without_a_number() -> None:
    phone = read_joined(
        CHANNEL, NOTED.replace("14155550177", "@alice").replace("PJSIP/+442079460123@beta", "PJSIP/bob")
    )
    assert phone is not None
    assert (phone.caller, phone.route.endpoint) == ("phone:alice", Phone("bob"))
    withheld = read_joined(CHANNEL, NOTED.replace("14155550177", ""))
    assert withheld is not None
    assert withheld.caller == ""


@pytest.mark.parametrize(
    "value",
    [
        "",
        NOTED + ",more",
        NOTED.rpartition(",")[0],
        NOTED.replace("PJSIP/+442079460123@beta", "Local/1@away"),
        NOTED.replace("PJSIP/+442079460123@beta", "PJSIP/+442079460123@beta&PJSIP/x"),
        NOTED.replace("+12025550101", "12"),
        NOTED.replace("1795269149", "soon"),
        NOTED.replace(",30,", ",,"),
    ],
)
def test_what_is_none_of_ours_is_no_call(value: str) -> None:
    assert read_joined(CHANNEL, value) is None


@given(st.text(), st.text())
def test_reading_never_fails(channel: str, value: str) -> None:
    read_joined(channel, value)


def test_the_id_follows_from_the_channel_and_from_nothing_else() -> None:
    first = call_id_of(CHANNEL, 1795269149.0)
    assert first == call_id_of(CHANNEL, 1795269149.0)
    assert is_id(first, "call")
    assert first != call_id_of("patchbay-1795269149.1", 1795269149.0)
    assert sorted((call_id_of("b", 2.0), call_id_of("a", 1.0))) == [
        call_id_of("a", 1.0),
        call_id_of("b", 2.0),
    ]
