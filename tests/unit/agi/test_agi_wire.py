from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.agi.wire import (
    HungUp,
    Question,
    QuestionParser,
    Rejection,
    RejectionReason,
    Reply,
    ReplyParser,
    WireLimits,
    encode_set_variable,
)
from telephony.errors import UnsafeValue

pytestmark = pytest.mark.unit

FROM_ASTERISK = (
    b"agi_network: yes\n"
    b"agi_network_script: route?kind=inbound\n"
    b"agi_request: agi://127.0.0.1:4573/route?kind=inbound\n"
    b"agi_channel: PJSIP/carrier-0000002a\n"
    b"agi_language: en\n"
    b"agi_type: PJSIP\n"
    b"agi_uniqueid: 1752000000.42\n"
    b"agi_version: 22.10.1\n"
    b"agi_callerid: +14155552671\n"
    b"agi_calleridname: Zo\xc3\xab \x07Example\n"
    b"agi_callingpres: 0\n"
    b"agi_callingani2: 0\n"
    b"agi_callington: 0\n"
    b"agi_callingtns: 0\n"
    b"agi_dnid: +442079460000\n"
    b"agi_rdnis: unknown\n"
    b"agi_context: inbound\n"
    b"agi_extension: +442079460000\n"
    b"agi_priority: 1\n"
    b"agi_enhanced: 0.0\n"
    b"agi_accountcode: \n"
    b"agi_threadid: 139872\n"
    b"agi_arg_1: trunk-one\n"
    b"agi_arg_2: \n"
    b"\n"
)
ASKED = Question(
    network_script="route?kind=inbound",
    channel="1752000000.42",
    channel_name="PJSIP/carrier-0000002a",
    dialled="+442079460000",
    caller="+14155552671",
    caller_name="Zoë Example",
    context="inbound",
    arguments=("trunk-one", ""),
)
SMALL = WireLimits(total_bytes=300, line_bytes=60, lines=8)


def read(pieces: list[bytes], limits: WireLimits) -> tuple[Question | Rejection | None, bytes]:
    """The verdict, and after a question every byte that followed it."""
    parser = QuestionParser(limits)
    for place, piece in enumerate(pieces):
        verdict = parser.feed(piece)
        if isinstance(verdict, Rejection):
            return verdict, b""
        if verdict is not None:
            return verdict, parser.rest + b"".join(pieces[place + 1 :])
    return None, b""


def reason(block: bytes, limits: WireLimits | None = None) -> RejectionReason:
    verdict, _ = read([block], limits or WireLimits())
    assert isinstance(verdict, Rejection)
    return verdict.reason


def without(name: bytes) -> bytes:
    return b"".join(line for line in FROM_ASTERISK.splitlines(True) if not line.startswith(name + b":"))


def with_value(name: bytes, value: bytes) -> bytes:
    """The same block with another value in that place."""
    lines = FROM_ASTERISK.splitlines(True)
    return b"".join(name + b": " + value + b"\n" if line.startswith(name + b":") else line for line in lines)


def test_reads_the_block_that_asterisk_writes():
    assert read([FROM_ASTERISK], WireLimits()) == (ASKED, b"")


def test_a_cut_at_every_byte_changes_nothing():
    for cut in range(len(FROM_ASTERISK) + 1):
        assert read([FROM_ASTERISK[:cut], FROM_ASTERISK[cut:]], WireLimits()) == (ASKED, b"")
    assert read([bytes([b]) for b in FROM_ASTERISK], WireLimits()) == (ASKED, b"")


def test_no_number_shows_in_the_repr_of_a_question():
    shown = repr(ASKED)
    assert "4155552" not in shown
    assert "2079460" not in shown
    assert "1752000000.42" in shown


def test_a_caller_unknown_to_the_switch_is_empty():
    verdict, _ = read([with_value(b"agi_callerid", b"unknown")], WireLimits())
    assert isinstance(verdict, Question)
    assert verdict.caller == ""


@pytest.mark.parametrize("strange", [b"a b", b"1;rm", b"\xff\xfe", b"9" * 81, b"<sip:x>", b"${EXTEN}"])
def test_a_strange_caller_is_unknown_and_the_call_still_possible(strange: bytes):
    verdict, _ = read([with_value(b"agi_callerid", strange)], WireLimits())
    assert isinstance(verdict, Question)
    assert verdict.caller == ""
    assert verdict.dialled == "+442079460000"


def test_a_long_caller_name_is_shortened():
    verdict, _ = read([with_value(b"agi_calleridname", b"n" * 500)], WireLimits())
    assert isinstance(verdict, Question)
    assert verdict.caller_name == "n" * 80


def test_an_address_without_a_path_gives_an_empty_script():
    verdict, _ = read([without(b"agi_network_script")], WireLimits())
    assert isinstance(verdict, Question)
    assert verdict.network_script == ""


@pytest.mark.parametrize(
    "name", ["agi_uniqueid", "agi_channel", "agi_extension", "agi_context", "agi_rdnis", "agi_accountcode"]
)
def test_a_missing_field_is_named(name: str):
    verdict, _ = read([without(name.encode())], WireLimits())
    assert verdict == Rejection(RejectionReason.MISSING_FIELD, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agi_uniqueid", b"1.2;drop"),
        ("agi_uniqueid", b""),
        ("agi_channel", b"PJSIP/a b"),
        ("agi_extension", b"12&PJSIP/x"),
        ("agi_extension", b"1" * 81),
        ("agi_extension", "１２".encode()),
        ("agi_context", b"in bound"),
        ("agi_network_script", b"ro\x00ute"),
    ],
)
def test_a_value_outside_its_alphabet_is_named(name: str, value: bytes):
    verdict, _ = read([with_value(name.encode(), value)], WireLimits())
    assert verdict == Rejection(RejectionReason.BAD_VALUE, name)


def test_a_line_break_inside_a_callers_number_cannot_replace_a_field():
    forged = FROM_ASTERISK.replace(b"agi_callerid: ", b"agi_callerid: 1\nagi_extension: 999\nagi_x: ")
    assert reason(forged) is RejectionReason.OUT_OF_ORDER


AFTER = {
    b"agi_callerid": b"agi_calleridname: \nagi_callingpres: \nagi_callingani2: \nagi_callington: \n"
    b"agi_callingtns: \nagi_dnid: \nagi_rdnis: \n",
    b"agi_calleridname": b"agi_callingpres: \nagi_callingani2: \nagi_callington: \nagi_callingtns: \n"
    b"agi_dnid: \nagi_rdnis: \n",
    b"agi_dnid": b"agi_rdnis: \n",
    b"agi_rdnis": b"",
    b"agi_extension": None,
}
"""For each value of the outside world, the least that has to be forged before the context."""


TAIL = b"agi_priority: 1\nagi_enhanced: 0.0\nagi_accountcode: \nagi_threadid: 1"
KEPT = 79
"""Octets that Asterisk keeps of a caller's number, a caller's name or a dialled extension."""


@pytest.mark.parametrize("place", AFTER)
def test_a_value_of_the_outside_world_has_no_room_to_close_the_block_early(place: bytes):
    before = AFTER[place]
    if before is None:  # the context is already said; what is left to forge are the arguments
        forgery = b"0\n" + TAIL + b"\nagi_arg_1: \n"
    else:
        forgery = b"\n" + before + b"agi_context: x\nagi_extension: 0\n" + TAIL + b"\n"
    verdict, _ = read([with_value(place, forgery)], WireLimits())
    assert isinstance(verdict, Question)  # it would work, were there room for it
    assert len(forgery) > KEPT
    refused, _ = read([with_value(place, forgery[:KEPT])], WireLimits())
    assert isinstance(refused, Rejection)


def test_an_extension_can_cut_off_the_arguments_and_is_then_followed_by_what_is_out_of_turn():
    verdict, rest = read([with_value(b"agi_extension", b"0\n" + TAIL + b"\n")], WireLimits())
    assert isinstance(verdict, Question)
    assert (verdict.context, verdict.arguments) == ("inbound", ())
    assert rest.startswith(b"agi_priority: ")


def test_a_forged_field_makes_the_true_one_a_repetition():
    for place, field in ((b"agi_rdnis", b"agi_context: from-phone"), (b"agi_dnid", b"agi_rdnis: 1")):
        assert reason(with_value(place, b"0\n" + field)) is RejectionReason.REPEATED_FIELD


def test_what_follows_the_blank_line_is_kept():
    verdict, rest = read([FROM_ASTERISK + b"agi_arg_1: forged\n\n"], WireLimits())
    assert verdict == ASKED
    assert rest == b"agi_arg_1: forged\n\n"


def test_arguments_must_be_whole():
    assert reason(without(b"agi_arg_1")) is RejectionReason.OUT_OF_ORDER
    early = FROM_ASTERISK.replace(b"agi_threadid", b"agi_arg_1: forged\nagi_threadid")
    assert reason(early) is RejectionReason.OUT_OF_ORDER
    assert reason(with_value(b"agi_arg_2", b"\x1b[0m")) is RejectionReason.BAD_VALUE


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00",
        b"agi_network yes\n",
        b"agi_: x\n",
        b"agi_A: x\n",
        b" \n",
    ],
)
def test_garbage_is_rejected_as_soon_as_it_shows(garbage: bytes):
    assert reason(garbage) is RejectionReason.BAD_LINE


def test_a_megabyte_without_an_end_is_rejected_at_the_first_limit():
    assert reason(b"agi_x: " + b"y" * 1_000_000) is RejectionReason.LINE_TOO_LONG
    assert (
        reason(b"".join(b"agi_x%d: %s\n" % (n, b"y" * 900) for n in range(1100))) is RejectionReason.TOO_LARGE
    )
    assert reason(b"".join(b"agi_x%d: y\n" % n for n in range(65))) is RejectionReason.TOO_MANY_LINES


def test_a_blank_line_alone_asks_nothing():
    assert reason(b"\n") is RejectionReason.MISSING_FIELD


pieces_of_blocks = st.lists(
    st.one_of(
        st.sampled_from(FROM_ASTERISK.splitlines(True)),
        st.binary(max_size=80),
        st.sampled_from([b"\n", b"agi_", b"agi_x: y\n", b"agi_arg_1: a\n", b": ", b"\r\n"]),
        st.integers(50, 70).map(lambda n: b"agi_y: " + b"z" * (n - 7)),
    ),
    max_size=20,
).map(b"".join)


@given(block=pieces_of_blocks, cuts=st.lists(st.integers(0, 400), max_size=6))
def test_the_verdict_does_not_depend_on_the_cuts(block: bytes, cuts: list[int]):
    edges = sorted({0, len(block), *(cut for cut in cuts if cut < len(block))})
    cut = [block[a:b] for a, b in pairwise(edges)]
    whole = read([block], SMALL)
    assert read(cut, SMALL) == whole
    assert read([bytes([b]) for b in block], SMALL) == whole


@given(st.binary(max_size=2000))
def test_no_bytes_crash_the_parsers(block: bytes):
    read([block], WireLimits())
    ReplyParser(WireLimits()).feed(block)


def test_the_command_that_sets_a_variable():
    command = encode_set_variable("PB_ROUTE", "connect,PJSIP/+14155552671@carrier,30")
    assert command == b'SET VARIABLE PB_ROUTE "connect,PJSIP/+14155552671@carrier,30"\n'
    assert encode_set_variable("__PB_ROUTE", "") == b'SET VARIABLE __PB_ROUTE ""\n'


@pytest.mark.parametrize(
    "value", ["a\nSET", "a\r", "a\0", 'a"b', "a\\", "${X}", "a&b", "a b", "a|b", "a;b", "é", "a" * 513]
)
def test_unsafe_values_never_reach_the_wire(value: str):
    with pytest.raises(UnsafeValue) as raised:
        encode_set_variable("PB_ROUTE", value)
    assert value not in str(raised.value)


@pytest.mark.parametrize("name", ["", "pb_route", "PB ROUTE", "PB_ROUTE\n", "CALLERID(num)", "A" * 80])
def test_unsafe_names_never_reach_the_wire(name: str):
    with pytest.raises(UnsafeValue):
        encode_set_variable(name, "x")


@given(st.text(max_size=600))
def test_a_command_is_one_line_whatever_the_value(value: str):
    try:
        command = encode_set_variable("PB_ROUTE", value)
    except UnsafeValue:
        return
    assert command.count(b"\n") == 1
    assert command.count(b'"') == 2
    assert command.endswith(b'"\n')


def hear(*chunks: bytes, limits: WireLimits | None = None) -> list[Reply | HungUp | Rejection]:
    parser = ReplyParser(limits or WireLimits())
    heard: list[Reply | HungUp | Rejection] = []
    for chunk in chunks:
        heard += parser.feed(chunk)
        if heard and isinstance(heard[-1], Rejection):
            break
    return heard


USAGE = (
    b"520-Invalid command syntax.  Proper usage follows:\n"
    b" Usage: SET VARIABLE <variablename> <value>\n"
    b"\tSets a channel variable.\n"
    b"520 End of proper usage.\n"
)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"200 result=1\n", Reply(200, 1)),
        (b"200 result=-1\n", Reply(200, -1)),
        (b"200 result=1 (speech) endpos=99\n", Reply(200, 1)),
        (b"510 Invalid or unknown command\n", Reply(510, None)),
        (b"511 Command Not Permitted on a dead channel or intercept routine\n", Reply(511, None)),
        (b"520 Invalid command syntax.  Proper usage not available.\n", Reply(520, None)),
        (USAGE, Reply(520, None)),
    ],
)
def test_replies(line: bytes, reply: Reply):
    assert hear(line) == [reply]
    assert reply.done is (line == b"200 result=1\n" or b"speech" in line)


def test_a_usage_reply_is_one_reply_and_the_next_is_its_own():
    assert hear(USAGE + b"200 result=1\n") == [Reply(520, None), Reply(200, 1)]


def test_a_hang_up_signal_is_never_taken_for_a_reply():
    assert hear(b"HANGUP\n200 result=1\n") == [HungUp(), Reply(200, 1)]
    assert hear(b"200 result=1\nHANGUP\n") == [Reply(200, 1), HungUp()]
    in_the_middle = USAGE.replace(b"\tSets", b"HANGUP\n\tSets")
    assert hear(in_the_middle) == [HungUp(), Reply(520, None)]


@pytest.mark.parametrize("line", [b"\n", b"hello\n", b"HANGUP \n", b"20 result=1\n", b"200result=1\n"])
def test_what_is_no_reply_is_rejected(line: bytes):
    assert hear(line) == [Rejection(RejectionReason.BAD_LINE)]


def test_endless_replies_are_rejected():
    assert hear(b"2" * 2000) == [Rejection(RejectionReason.LINE_TOO_LONG)]
    assert hear(b"520-x\n" + b"y\n" * 64)[-1] == Rejection(RejectionReason.TOO_MANY_LINES)
    assert hear(b"520-x\n" + (b"y" * 900 + b"\n") * 20)[-1] == Rejection(RejectionReason.TOO_LARGE)


@given(
    block=st.lists(
        st.one_of(
            st.sampled_from([b"200 result=1\n", b"HANGUP\n", USAGE, b"520-x\n", b"\n"]),
            st.binary(max_size=70),
        ),
        max_size=12,
    ).map(b"".join),
    cut=st.integers(0, 400),
)
def test_replies_do_not_depend_on_the_cuts(block: bytes, cut: int):
    whole = hear(block, limits=SMALL)
    assert hear(block[:cut], block[cut:], limits=SMALL) == whole
    assert hear(*(bytes([b]) for b in block), limits=SMALL) == whole


ONE_ARGUMENT = without(b"agi_arg_2")
USUAL = (
    ONE_ARGUMENT,
    ONE_ARGUMENT.replace(b"agi_arg_1: trunk-one\n", b""),
    ONE_ARGUMENT.replace(b"trunk-one", b""),
    ONE_ARGUMENT.replace(b"agi_network_script: route?kind=inbound\n", b""),
)


def test_the_usual_block_in_one_piece_is_read_as_byte_by_byte_with_what_follows():
    for block in USUAL:
        for rest in (b"", b"HANGUP\n", b"\n"):
            at_once = read([block + rest], WireLimits())
            assert isinstance(at_once[0], Question)
            assert at_once == read([bytes([b]) for b in block + rest], WireLimits())


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(ONE_ARGUMENT)),
            st.integers(0, 3),
            st.sampled_from(
                [b"", b"\n", b"\n\n", b"a", b": ", b"\r", b"agi_type: x\n", b"\xff", b"\x00", b'"', b"x" * 50]
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_block_in_one_piece_gets_the_verdict_that_it_gets_byte_by_byte(
    changes: list[tuple[int, int, bytes]],
):
    block = ONE_ARGUMENT
    for at, gone, put in changes:
        block = block[:at] + put + block[at + gone :]
    small = WireLimits(total_bytes=len(block) - 1)
    for limits in (WireLimits(), small, SMALL, WireLimits(lines=23), WireLimits(line_bytes=64)):
        at_once, after = read([block], limits)
        assert (at_once, after) == read([bytes([b]) for b in block], limits)
