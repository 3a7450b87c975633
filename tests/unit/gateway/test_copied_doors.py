"""Which doors the switch may open by itself, and how they are written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.ami.wire import AmiAction
from gateway.copied_doors import Outside, copied_doors
from proxy_pool.core.party import AgentParty, PhoneParty
from proxy_pool.core.session import (
    Channel,
    Flow,
    Model,
    OnExpiry,
    Participant,
    PinMode,
    Session,
    SessionId,
    Status,
    Terms,
)
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
A, B, C = E164("+14155550177"), E164("+442079460123"), E164("+4930901820123")
X, Y = E164("+12025550100"), E164("+12025550101")
OUTSIDE = Outside(lambda number: "beta" if number == B else "alpha")
TO_B = "14155550177"
DOOR_A, DOOR_B, ANY = "12025550100/14155550177", "12025550101/442079460123", "12025550100/*"


def session(model: Model = Model.PAIR, *people: Participant, **terms: object) -> Session:
    end = NOW + 600
    return Session(
        SessionId("ses_1"),
        TenantId("tnt_1"),
        model,
        Terms(expires_at=end, **terms),  # type: ignore[arg-type]
        people or (Participant(0, A, X), Participant(1, B, Y)),
        NOW - 60,
        end,
    )


def test_a_pair_has_a_door_for_each() -> None:
    assert copied_doors(session(), NOW, OUTSIDE) == {
        DOOR_A: "1800000600,tnt_1,ses_1,0,1,PJSIP/+442079460123@beta,+12025550101,30,3600,0",
        DOOR_B: "1800000600,tnt_1,ses_1,1,0,PJSIP/+14155550177@alpha,+12025550100,30,3600,0",
    }


def test_anyone_has_a_door_for_everybody_and_the_one_his_own() -> None:
    people = (Participant(0, A, X), Participant(1, B, X))
    doors = copied_doors(session(Model.ANYONE, *people), NOW, OUTSIDE)
    assert doors == {
        DOOR_A: "1800000600,tnt_1,ses_1,0,1,PJSIP/+442079460123@beta,+12025550100,30,3600,0",
        ANY: "1800000600,tnt_1,ses_1,-1,0,PJSIP/+14155550177@alpha,+12025550100,30,3600,0",
    }


def test_a_group_calls_back_who_was_heard_last() -> None:
    people = (Participant(0, A, X), Participant(1, B, Y), Participant(2, C, Y))
    doors = copied_doors(replace(session(Model.GROUP, *people), last_seat=2), NOW, OUTSIDE)
    assert {key: (value or "").split(",")[3:6] for key, value in doors.items()} == {
        DOOR_A: ["0", "2", "PJSIP/+4930901820123@alpha"],
        DOOR_B: ["1", "0", "PJSIP/+14155550177@alpha"],
        "12025550101/4930901820123": ["2", "0", "PJSIP/+14155550177@alpha"],
    }


def test_a_phone_is_known_and_called_by_its_name() -> None:
    doors = copied_doors(
        session(Model.PAIR, Participant(0, PhoneParty("alice"), X), Participant(1, B, Y)), NOW, OUTSIDE
    )
    assert set(doors) == {"12025550100/@alice", DOOR_B}
    assert ",PJSIP/alice,+12025550100," in (doors[DOOR_B] or "")


@pytest.mark.parametrize(
    "closed",
    [
        replace(session(), status=Status.CLOSED),
        replace(session(), ends_at=NOW),
        session(channels=frozenset({Channel.SMS})),
        session(pin_mode=PinMode.ALWAYS),
        session(quarantine_s=0),
        replace(session(), tenant=TenantId("tnt,1")),
        replace(session(), id=SessionId("ses_1,2")),
    ],
)
def test_what_the_switch_must_not_open_is_taken_away(closed: Session) -> None:
    assert copied_doors(closed, NOW, OUTSIDE) == {DOOR_A: None, DOOR_B: None}


def test_a_direction_that_is_not_allowed_has_no_door() -> None:
    doors = copied_doors(session(flow=Flow.A_TO_B), NOW, OUTSIDE)
    assert doors[DOOR_A] is not None
    assert doors[DOOR_B] is None


def test_doors_behind_pins_and_extensions_are_not_copied() -> None:
    people = (Participant(0, A, X, pin="480213"), Participant(1, B, Y))
    assert set(copied_doors(session(Model.PAIR, *people, pin_mode=PinMode.UNKNOWN), NOW, OUTSIDE)) == {
        DOOR_A,
        DOOR_B,
    }
    extension = replace(session(Model.EXTENSION, Participant(0, A, X)), extension="204")
    assert copied_doors(extension, NOW, OUTSIDE) == {}


def test_emergency_and_own_numbers_are_never_called() -> None:
    for outside in (
        replace(OUTSIDE, emergency=lambda number: number == B),
        replace(OUTSIDE, ours=lambda number: number == B),
        Outside(lambda number: ""),
        Outside(lambda number: "beta,30,i)"),
    ):
        assert copied_doors(session(), NOW, outside)[DOOR_A] is None


def test_an_entry_that_nobody_takes_away_ends_before_its_numbers_are_free() -> None:
    value = copied_doors(session(quarantine_s=60), NOW, OUTSIDE)[DOOR_A]
    assert value is not None
    assert value.startswith("1800000060,")


def test_talks_are_cut_when_the_session_cuts_them() -> None:
    for how, cut in (
        (OnExpiry.FINISH, 0),
        (OnExpiry.END_NOW, 1800000600),
        (OnExpiry.WARN_THEN_END, 1800000630),
    ):
        value = copied_doors(session(on_expiry=how), NOW, OUTSIDE)[DOOR_A]
        assert value is not None
        assert value.split(",")[-1] == str(cut)


@given(
    st.builds(
        Terms,
        channels=st.sets(st.sampled_from(Channel)).map(frozenset),
        flow=st.sampled_from(Flow),
        on_expiry=st.sampled_from(OnExpiry),
        pin_mode=st.sampled_from(PinMode),
        quarantine_s=st.integers(0, 10**7),
        call_limit_s=st.integers(0, 10**7),
        ring_timeout_s=st.integers(0, 600),
        expires_at=st.floats(NOW - 100, NOW + 10**7),
    ),
    st.sampled_from((Model.PAIR, Model.ANYONE, Model.GROUP)),
    st.text(max_size=20),
)
def test_every_entry_is_one_that_the_switch_can_be_told(terms: Terms, model: Model, trunk: str) -> None:
    """It fits AMI's alphabets, has ten parts, and ends neither after its session nor in the past."""
    people = (Participant(0, A, X), Participant(1, B, X if model is Model.ANYONE else Y))
    one = replace(session(model, *people), terms=terms, ends_at=terms.expires_at)
    for key, value in copied_doors(one, NOW, Outside(lambda number: trunk)).items():
        AmiAction("DBDel", (("Family", "pb"), ("Key", key)))
        if value is not None:
            AmiAction("DBPut", (("Family", "pb"), ("Key", key), ("Val", value)))
            parts = value.split(",")
            assert len(parts) == 10
            assert NOW < int(parts[0]) <= min(one.ends_at, NOW + terms.quarantine_s)
            assert int(parts[7]) > 0
            assert int(parts[8]) > 0


def test_a_door_that_leads_to_an_agent_needs_the_gateway() -> None:
    people = (Participant(0, A, X), Participant(1, AgentParty("agt_1"), X))
    assert copied_doors(session(Model.PAIR, *people), NOW, OUTSIDE) == {DOOR_A: None}
