"""The answer to the routing question: some parts, each of its own alphabet, whatever a route holds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.agi.answer import MOST_DIGITS, caller_of, digits_of, encode_reply, refusal
from dialplan.agi.wire import encode_set_variable
from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Connect,
    Gather,
    HoldMusic,
    Later,
    Phone,
    Reject,
    Route,
    Trunk,
    VideoRoom,
)
from dialplan.core.orders import Reply
from telephony.errors import UnsafeValue
from telephony.ids import CallId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

CALL = CallId("call_01ARZ3NDEKTSV4RRFFQ69G5FAV")
CLI = E164("+12025550100")
NUMBER = E164("+14155550101")
DIALPLAN = Path(__file__).resolve().parents[3] / "asterisk-config" / "extensions.conf.j2"


def reply(route: Route, tape: str = "") -> Reply:
    return Reply(CALL, route, 65, 3605, tape)


@pytest.mark.parametrize(
    ("route", "encoded"),
    [
        (
            Connect(Trunk(NUMBER, "carrier"), CLI),
            f"connect,connect,{CALL},PJSIP/+14155550101@carrier,+12025550100,65,3605,",
        ),
        (Connect(Trunk(NUMBER, "carrier")), f"connect,connect,{CALL},PJSIP/+14155550101@carrier,,65,3605,"),
        (Connect(Phone("alice")), f"connect,connect,{CALL},PJSIP/alice,,65,3605,"),
        (Connect(Phone("alice"), CLI), f"connect,connect,{CALL},PJSIP/alice,+12025550100,65,3605,"),
        (Connect(Announcement("var/a-1", "Hi, you")), f"announce,announce,{CALL},var/a-1,,65,3605,"),
        (Connect(HoldMusic()), f"hold,hold,{CALL},,,65,3605,"),
        (Reject(17, "line_busy"), f"reject,reject,{CALL},17,,65,3605,"),
    ],
)
def test_each_route_in_its_own_words(route: Route, encoded: str) -> None:
    assert encode_reply(reply(route)) == encoded


def test_the_callers_number_is_shown_where_the_route_names_none() -> None:
    route = Connect(Phone("alice"))
    shown = encode_reply(Reply(CALL, route, 65, 3605, "", "+14155550102"))
    assert shown == f"connect,connect,{CALL},PJSIP/alice,+14155550102,65,3605,"
    hostile = encode_reply(Reply(CALL, route, 65, 3605, "", "1,Dial(PJSIP/9)"))
    assert hostile == f"connect,connect,{CALL},PJSIP/alice,,65,3605,"


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        ('"Ann" <sip:+14155550102@10.0.0.1>;tag=1', "+14155550102"),
        ("sip:4155550102@carrier.example;tag=1", "4155550102"),
        ('"<sip:+19995550000@x>" <sips:+14155550102@10.0.0.1:5061>', "+14155550102"),
        ("<sip:anonymous@anonymous.invalid>", ""),
        ("<sip:1%0D%0AUniqueid:%20forged@10.0.0.1>", ""),
        ("<sip:+1415;phone-context=x@10.0.0.1>", ""),
        ("<tel:+14155550102>", ""),
        ('<sip:+14155550102@10.0.0.1>;tag=1;x="<sip:+19995550000@x>"', ""),
        ('"<sip:+19995550000@x>" <sip:+14155550102@10.0.0.1>;tag=1;user=phone', "+14155550102"),
        ("sip:+14155550102@10.0.0.1;x=sip:+19995550000@x", "+14155550102"),
        ("sip:+14155550102@10.0.0.1;x=<sip:+19995550000@x>", ""),
        ("<sip:+14155550102:secret@10.0.0.1>", ""),
        ("<sip:+14155550102;x=sip:+19995550000@x>", ""),
        ('e that was cut" <sip:+14155550102@10.0.0.1:5060;user=phone>', "+14155550102"),
        ("<sip:+14155550102@[2001:db8::1]:5060>;tag=1", "+14155550102"),
        ("", ""),
    ],
)
def test_the_caller_is_read_from_the_header_as_it_stands(header: str, caller: str) -> None:
    assert caller_of(header) == caller


TOKEN = "0123456789abcdef"
UUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("dial", "encoded"),
    [
        (f"WebSocket/patchbay/c(ulaw)nf(json)/{TOKEN}", f"socket,socket,{{}},ulaw/n/{TOKEN}"),
        (f"WebSocket/patchbay/c(slin24)nuf(json)/{TOKEN}", f"socket,socket,{{}},slin24/nu/{TOKEN}"),
        (f"AudioSocket/127.0.0.1:9092/{UUID}/c(slin16)", f"stream,stream,{{}},127.0.0.1:9092/{UUID}/slin16"),
    ],
)
def test_an_agents_socket_goes_in_parts(dial: str, encoded: str) -> None:
    route = Connect(AgentSocket(dial, "agt_1"), CLI)
    value = encode_reply(Reply(CALL, route, 65, 3605, again=True))
    assert value == f"{encoded.format(CALL)},+12025550100,65,3605,"
    encode_set_variable("PB_ROUTE", value)


@pytest.mark.parametrize(
    "dial",
    [
        "",
        "PJSIP/alice",
        "WebSocket/elsewhere/c(ulaw)nf(json)/0123456789abcdef",
        "WebSocket/patchbay/c(ulaw)f(json)/0123456789abcdef",
        "WebSocket/patchbay/c(opus)nf(json)/0123456789abcdef",
        "WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef,x=1",
        "WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef&PJSIP/1",
        "WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef\n",
        "WebSocket/patchbay/c(ulaw)nf(json)/0123",
        "WebSocket/INCOMING/c(ulaw)nf(json)/0123456789abcdef",
        f"AudioSocket/10.0.0.1:9092/{UUID}/c(slin)",
        f"AudioSocket/127.0.0.1/{UUID}/c(slin)",
        f"AudioSocket/127.0.0.1:9092/{UUID}/c(ulaw)",
        f"AudioSocket/127.0.0.1:9092/{UUID}",
    ],
)
def test_nothing_else_is_dialled_for_an_agent(dial: str) -> None:
    with pytest.raises(UnsafeValue) as refused:
        encode_reply(reply(Connect(AgentSocket(dial, "agt_1"))))
    assert "0123" not in str(refused.value)


def test_a_rooms_socket_goes_in_parts() -> None:
    for worker, ways in (("0", "n"), ("7", "nu")):
        dial = f"WebSocket/room{worker}/c(slin16){ways}f(json)/{TOKEN}"
        value = encode_reply(reply(Connect(VideoRoom(dial, "a-room"), CLI)))
        assert value == f"room,room,{CALL},{worker}/{ways}/{TOKEN},+12025550100,65,3605,"
        encode_set_variable("PB_ROUTE", value)


@pytest.mark.parametrize(
    "dial",
    [
        "",
        f"WebSocket/room8/c(slin16)nf(json)/{TOKEN}",
        f"WebSocket/room/c(slin16)nf(json)/{TOKEN}",
        f"WebSocket/room01/c(slin16)nf(json)/{TOKEN}",
        f"WebSocket/room0/c(ulaw)nf(json)/{TOKEN}",
        f"WebSocket/room0/c(slin16)f(json)/{TOKEN}",
        f"WebSocket/room0/c(slin16)nf(json)/{TOKEN}&PJSIP/1",
        "WebSocket/room0/c(slin16)nf(json)/0123",
    ],
)
def test_nothing_else_is_dialled_for_a_room(dial: str) -> None:
    with pytest.raises(UnsafeValue) as refused:
        encode_reply(reply(Connect(VideoRoom(dial, "a-room"))))
    assert "0123" not in str(refused.value)


def test_a_rooms_socket_has_no_repr() -> None:
    assert TOKEN not in repr(VideoRoom(f"WebSocket/room0/c(slin16)nf(json)/{TOKEN}", "a-room"))


def test_an_agents_socket_has_no_repr() -> None:
    assert TOKEN not in repr(AgentSocket(f"WebSocket/patchbay/c(ulaw)nf(json)/{TOKEN}", "agt_1"))


def test_a_far_end_whose_silence_is_not_the_end_is_offered() -> None:
    for heard in ("", "told"):
        offered = Reply(CALL, Connect(Phone("bob"), CLI, "", heard), 25, 3605, again=True)
        assert encode_reply(offered).startswith(f"offer,offer,{CALL},PJSIP/bob,")
    assert encode_reply(Reply(CALL, Connect(HoldMusic()), 25, 3605, again=True)).startswith("hold,hold,")


def test_a_recorded_call_goes_by_the_tape_first() -> None:
    encoded = encode_reply(reply(Connect(HoldMusic()), f"{CALL}-1"))
    assert encoded == f"tape,hold,{CALL},,,65,3605,{CALL}-1.raw"


@pytest.mark.parametrize(
    ("route", "encoded"),
    [
        (Connect(Phone("bob"), CLI, "a/hi"), "say,connect,{},PJSIP/bob,+12025550100,65,3605,{},a/hi,,"),
        (Connect(Phone("bob"), CLI, "", "b"), "{go}join,{},PJSIP/bob,+12025550100,65,3605,{},,b,"),
        (
            Connect(Phone("bob"), CLI, "", "", 30),
            "{go}join,{},PJSIP/bob,+12025550100,65,3605,{},,,3605000:35000",
        ),
        (
            Connect(Phone("bob"), CLI, "a", "b", 30),
            "say,join,{},PJSIP/bob,+12025550100,65,3605,{},a,b,3605000:35000",
        ),
    ],
)
@pytest.mark.parametrize("tape", ["", f"{CALL}-1"])
def test_what_the_parties_are_to_hear(route: Connect, encoded: str, tape: str) -> None:
    limits = (3605, 35) if route.warn_s else (0, 0)
    go = "tape," if tape else "join,"
    wanted = encoded.format(CALL, f"{tape}.raw" if tape else "", go=go)
    assert encode_reply(Reply(CALL, route, 65, 3605, tape, "", *limits)) == wanted


def test_detours_in_their_own_words() -> None:
    gather = Reply(CALL, Gather("prompts/pin", 6, 8), 8, 100)
    assert encode_reply(gather) == f"gather,gather,{CALL},6,,8,100,,prompts/pin"
    assert encode_reply(Reply(CALL, Later(2), 2, 12)) == f"later,later,{CALL},,,2,12,"


@pytest.mark.parametrize("digits", [-1, 0, MOST_DIGITS + 1])
def test_only_so_many_digits_can_be_asked_for(digits: int) -> None:
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Gather("prompts/pin", digits)))


@pytest.mark.parametrize(
    ("argument", "digits"),
    [
        ("4711", "4711"),
        ("*12#", "*12#"),
        ("", ""),
        ("9" * MOST_DIGITS, "9" * MOST_DIGITS),
        ("9" * (MOST_DIGITS + 1), ""),
        ("47A1", ""),
        ("4711\n", ""),
        ("٤٧", ""),
        ("4711,1", ""),
    ],
)
def test_what_was_typed_is_digits_or_nothing(argument: str, digits: str) -> None:
    assert digits_of(argument) == digits


def test_nobodys_call_is_refused_within_twenty_seconds() -> None:
    assert refusal(1) == "reject,reject,,1,,0,20,"


def test_the_dialplan_takes_apart_what_is_put_together() -> None:
    text = DIALPLAN.read_text()
    (names,) = re.findall(r"ARRAY\(([A-Z_,]+)\)=\$\{PB_ROUTE\}", text)
    assert len(encode_reply(reply(Connect(HoldMusic()))).split(",")) == 8
    everything = Connect(Phone("alice"), CLI, "said", "told", 30)
    whole = Reply(CALL, everything, 65, 3605, f"{CALL}-1", limit_s=3605, warn_s=35)
    assert len(names.split(",")) == len(encode_reply(whole).split(",")) == 11
    extensions = set(re.findall(r"^exten => (\w+),1,", text, re.MULTILINE))
    routes: list[Route] = [
        Connect(Phone("alice")),
        Connect(Phone("alice"), CLI),
        Connect(Announcement("x")),
        Connect(HoldMusic()),
        Reject(17, "x"),
        everything,
        replace(everything, caller_prompt=""),
        Gather("prompts/pin", 6),
        Later(2),
    ]
    for route in routes:
        for tape in ("", f"{CALL}-1"):
            entry, action = encode_reply(reply(route, tape)).split(",")[:2]
            assert {entry, action} <= extensions


HOSTILE = [
    "a,b",
    "a b",
    "a)b",
    "${SHELL(id)}",
    "a&PJSIP/b",
    "a|b",
    "a\nb",
    "a\r\nb",
    "a\x00b",
    'a"b',
    "a;b",
    "a\\b",
    "a^b",
    "ünï",
    "",
    "x" * 200,
]


@pytest.mark.parametrize("text", [*HOSTILE, "+14155550199@carrier", "alice/sip", "a.b", "../alice"])
def test_a_phones_name_is_a_name_and_nothing_more(text: str) -> None:
    for cli in (None, CLI):
        with pytest.raises(UnsafeValue):
            encode_reply(reply(Connect(Phone(text), cli)))


@pytest.mark.parametrize("text", [*HOSTILE, "carrier/x", "carrier@other", "a.b"])
def test_a_trunks_name_is_a_name_and_nothing_more(text: str) -> None:
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Connect(Trunk(NUMBER, text), CLI)))


@pytest.mark.parametrize(
    "text",
    [*HOSTILE, "../secret", "var/../../secret", "/etc/hosts", "var//x", "var/", ".hidden", "a@b", "a+b"],
)
def test_a_prompt_stays_below_its_folder(text: str) -> None:
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Connect(Announcement(text))))
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Gather(text, 4)))
    if text:
        for prompts in ((text, ""), ("", text)):
            with pytest.raises(UnsafeValue):
                encode_reply(reply(Connect(Phone("bob"), CLI, *prompts)))


@pytest.mark.parametrize("tape", ["../x", "a,D", "a b", "x/y", "a.wav;rm", "a\n"])
def test_a_recordings_name_is_a_name_and_nothing_more(tape: str) -> None:
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Connect(HoldMusic()), tape))


@pytest.mark.parametrize("cause", [-1, 0, 128, 999])
def test_a_cause_outside_q850_is_refused(cause: int) -> None:
    with pytest.raises(UnsafeValue):
        encode_reply(reply(Reject(cause, "x")))


@given(st.text(max_size=40))
def test_no_text_gets_out_of_its_part(text: str) -> None:
    for route in (Connect(Phone(text)), Connect(Announcement(text)), Connect(Trunk(NUMBER, text), CLI)):
        try:
            encoded = encode_reply(reply(route))
        except UnsafeValue:
            continue
        parts = encoded.split(",")
        assert len(parts) == 8
        assert parts[2] == CALL
        assert re.fullmatch(r"[A-Za-z0-9+@._/,-]*", encoded)
        assert ".." not in encoded
