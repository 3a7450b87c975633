"""AMI messages to what was heard: every kind of event, and values nobody should send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.ami.message import Kind, Message, MessageStream
from dialplan.ami.translate import translate
from dialplan.core import facts
from dialplan.core.call import Role
from dialplan.core.heard import Heard, What, as_fact
from telephony.ids import ChannelId

pytestmark = pytest.mark.unit

A, B = ChannelId("leg_01ARZ3NDEKTSV4RRFFQ69G5FAV"), ChannelId("patchbay-1795223584.11")


def event(name: str, *headers: tuple[str, str]) -> Message:
    lines = "\r\n".join(f"{header}: {value}" for header, value in (("Event", name), *headers))
    return Message(Kind.EVENT, name, lines)


MEANT: list[tuple[Message, Heard | None]] = [
    (event("DialBegin", ("DestUniqueid", A)), Heard(What.DIALED, A)),
    (event("DialBegin", ("Uniqueid", A), ("DestUniqueid", B)), Heard(What.DIALED, B, by=A)),
    (event("DialState", ("DestUniqueid", B), ("DialStatus", "RINGING")), Heard(What.RANG, B)),
    (event("DialState", ("DestUniqueid", B), ("DialStatus", "PROGRESS")), Heard(What.RANG, B)),
    (event("DialState", ("DestUniqueid", B), ("DialStatus", "PROCEEDING")), None),
    (event("DialState", ("DestUniqueid", B)), None),
    (event("Newstate", ("Uniqueid", A), ("ChannelState", "6")), Heard(What.ANSWERED, A)),
    (event("Newstate", ("Uniqueid", A), ("ChannelState", "5")), None),
    (event("Newstate", ("Uniqueid", A), ("ChannelState", "66")), None),
    (event("HangupRequest", ("Uniqueid", A), ("Cause", "16")), Heard(What.END_REQUESTED, A, cause=16)),
    (event("Hangup", ("Uniqueid", A), ("Cause", "16")), Heard(What.HUNG_UP, A, cause=16)),
    (
        event("Hangup", ("Uniqueid", A), ("Cause", "17"), ("TechCause", "486")),
        Heard(What.HUNG_UP, A, cause=17, sip=486),
    ),
    (
        event("Hangup", ("Uniqueid", A), ("Cause", "17"), ("TechCause", "SIP 486 Busy Here")),
        Heard(What.HUNG_UP, A, cause=17, sip=486),
    ),
    (event("Hangup", ("Uniqueid", A), ("Cause", "0")), Heard(What.HUNG_UP, A, cause=0)),
    (event("Hangup", ("Uniqueid", A)), Heard(What.HUNG_UP, A)),
    (
        event("OriginateResponse", ("Response", "Failure"), ("Uniqueid", A), ("Reason", "3")),
        Heard(What.ORIGINATE_FAILED, A, detail="originate_failed_3"),
    ),
    (
        event("OriginateResponse", ("Response", "Failure"), ("Uniqueid", A), ("Reason", "")),
        Heard(What.ORIGINATE_FAILED, A, detail="originate_failed_0"),
    ),
    (event("OriginateResponse", ("Response", "Success"), ("Uniqueid", A), ("Reason", "4")), None),
    (event("OriginateResponse", ("Response", "Failure"), ("Uniqueid", "<null>")), None),
    (event("MixMonitorStart", ("Uniqueid", A)), Heard(What.TAPE, A, detail="started")),
    (event("MixMonitorStop", ("Uniqueid", A)), Heard(What.TAPE, A, detail="stopped")),
    (event("MixMonitorMute", ("Uniqueid", A), ("State", "1")), Heard(What.TAPE, A, detail="paused")),
    (event("MixMonitorMute", ("Uniqueid", A), ("State", "0")), Heard(What.TAPE, A, detail="resumed")),
    (event("BridgeEnter", ("Uniqueid", A)), None),
    (event("Newchannel", ("Uniqueid", A)), None),
    (event("", ("Uniqueid", A)), None),
]


@pytest.mark.parametrize(("message", "heard"), MEANT)
def test_what_an_event_means(message: Message, heard: Heard | None) -> None:
    assert translate(message) == heard


NAMES = sorted({message.name for message, heard in MEANT if heard is not None})
BAD_CHANNELS = ["", " ", "a b", "x" * 150, "a/b", "../x", "a;b", "a,b", "ü-1", "a\x00", "a\n", "/.*/", "a\tb"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channel", BAD_CHANNELS)
def test_a_channel_that_is_no_channel_id_is_not_heard(name: str, channel: str) -> None:
    also = ("ChannelState", "6"), ("DialStatus", "RINGING"), ("Response", "Failure"), ("State", "1")
    assert translate(event(name, ("Uniqueid", channel), ("DestUniqueid", channel), *also)) is None
    assert translate(event(name, *also)) is None


@pytest.mark.parametrize("cause", ["", "-1", "1e3", "0x10", "16 ", "x", "1" * 6, "½", "²"])
def test_a_cause_that_is_no_number_is_no_cause(cause: str) -> None:
    heard = translate(event("Hangup", ("Uniqueid", A), ("Cause", cause)))
    assert heard == Heard(What.HUNG_UP, A)


@pytest.mark.parametrize("tech", ["", "0", "200", "299", "700", "48", "486486", "abc", "²³", "-", "1" * 5000])
def test_a_final_out_of_range_is_no_final(tech: str) -> None:
    heard = translate(event("Hangup", ("Uniqueid", A), ("Cause", "16"), ("TechCause", tech)))
    assert heard == Heard(What.HUNG_UP, A, cause=16)


def test_the_first_of_two_equal_headers_counts() -> None:
    twice = event("Hangup", ("Uniqueid", A), ("Uniqueid", B), ("Cause", "16"), ("Cause", "17"))
    assert translate(twice) == Heard(What.HUNG_UP, A, cause=16)


def test_a_header_named_in_a_value_is_not_that_header() -> None:
    named = event("Newstate", ("CallerIDName", f"Uniqueid: {B}"), ("ChannelState", "6"), ("Uniqueid", A))
    assert translate(named) == Heard(What.ANSWERED, A)


HEADERS = [
    "Uniqueid",
    "DestUniqueid",
    "Cause",
    "TechCause",
    "ChannelState",
    "DialStatus",
    "Response",
    "State",
]
VALUES = st.one_of(
    st.text(max_size=20), st.sampled_from([A, B, "6", "16", "486", "RINGING", "Failure", "1", "/x/"])
)


@given(st.sampled_from(NAMES), st.lists(st.tuples(st.sampled_from(HEADERS), VALUES), max_size=10))
def test_no_value_breaks_it(name: str, headers: list[tuple[str, str]]) -> None:
    wire = "".join(f"{h}: {v}\r\n" for h, v in [("Event", name), *headers]).encode("utf-8", "replace")
    for message in MessageStream().feed(b"Asterisk Call Manager/11.0.0\r\n" + wire + b"\r\n"):
        heard = translate(message)
        if heard is not None:
            assert heard.sip is None or 300 <= heard.sip <= 699
            assert heard.cause is None or 0 <= heard.cause < 100_000
            assert isinstance(as_fact(heard, Role.CALLER), facts.Fact)


@pytest.mark.parametrize(
    ("heard", "fact"),
    [
        (Heard(What.DIALED, B, by=A), facts.Dialed(Role.CALLEE, B)),
        (Heard(What.RANG, B), facts.Rang(Role.CALLEE)),
        (Heard(What.ANSWERED, B), facts.Answered(Role.CALLEE)),
        (Heard(What.END_REQUESTED, B, cause=16), facts.EndRequested(Role.CALLEE, 16)),
        (Heard(What.HUNG_UP, B, cause=17, sip=486), facts.HungUp(Role.CALLEE, 17, 486)),
        (Heard(What.ORIGINATE_FAILED, B, detail="x"), facts.OriginateFailed("x")),
        (Heard(What.TAPE, B, detail="started"), facts.TapeTurned("started")),
    ],
)
def test_what_was_heard_becomes_a_fact_about_a_leg(heard: Heard, fact: facts.Fact) -> None:
    assert as_fact(heard, Role.CALLEE) == fact


def test_every_kind_of_hearing_has_a_fact() -> None:
    for what in What:
        assert as_fact(Heard(what, A), Role.CALLER) is not None
