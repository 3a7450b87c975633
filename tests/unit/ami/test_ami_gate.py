"""The gate: nothing unknown, nothing dangerous and nothing too long becomes bytes for the switch."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialplan.ami import wire
from dialplan.ami.wire import AmiAction, caller_id, dial_endpoint, dial_through, encode, variable
from telephony.errors import UnsafeValue

pytestmark = pytest.mark.unit

ORIGINATE = (
    ("Channel", "PJSIP/+14155550123@carrier@_"),
    ("ChannelId", "pb-leg-1"),
    ("Context", "outbound"),
    ("Exten", "s"),
    ("Priority", "1"),
    ("Async", "true"),
)
DANGEROUS = ["\r", "\n", "\0", "\r\n", "\x1b", "\x7f", "\x85", "\u2028"]


def originate(*more: tuple[str, str], channel: str = ORIGINATE[0][1]) -> AmiAction:
    return AmiAction("Originate", (("Channel", channel), *ORIGINATE[1:], *more))


def test_an_action_is_one_line_per_header_and_an_empty_line() -> None:
    action = AmiAction("Hangup", (("Channel", "pb-leg-1"), ("Cause", "16")))
    assert encode(action, "ctl/1") == (
        b"Action: Hangup\r\nActionID: ctl/1\r\nChannel: pb-leg-1\r\nCause: 16\r\n\r\n"
    )


def test_text_is_written_as_utf8() -> None:
    assert "Zoë".encode() in encode(originate(("CallerID", caller_id("+14155550123", "Zoë"))), "1")


@pytest.mark.parametrize("bad", DANGEROUS)
@pytest.mark.parametrize(
    ("name", "header", "fields"),
    [
        ("Setvar", "Value", (("Channel", "a.1"), ("Variable", "PB"))),
        ("Originate", "CallerID", ORIGINATE),
        ("Originate", "Variable", ORIGINATE),
        ("Hangup", "Channel", ()),
        ("Login", "Secret", (("Username", "gw"),)),
        ("Filter", "Filter", (("Operation", "Add"),)),
        ("DBPut", "Val", (("Family", "pb"), ("Key", "k"))),
    ],
)
def test_no_control_character_passes_in_any_place(
    name: str, header: str, fields: tuple[tuple[str, str], ...], bad: str
) -> None:
    """Stock: a line break in a value becomes a second action on the wire."""
    for value in (f"A=a{bad}", f"{bad}a", f"a{bad}b"):
        with pytest.raises(UnsafeValue):
            AmiAction(name, (*fields, (header, value)))


def test_the_error_names_the_header_and_hides_the_value() -> None:
    with pytest.raises(UnsafeValue, match="Channel") as refused:
        AmiAction("Hangup", (("Channel", "+14155550123\r\n"),))
    assert "4155550123" not in refused.value.message


@pytest.mark.parametrize("name", ["Command", "AGI", "QueueAdd", "originate", "Ping\r\nAction: Command", ""])
def test_an_unknown_action_is_refused(name: str) -> None:
    """Stock: a Command is kept under two keys and sent twice after a reconnect. There is none here."""
    with pytest.raises(UnsafeValue):
        AmiAction(name)


@pytest.mark.parametrize(
    "header", ["Command", "Application", "Data", "PreDialGoSub", "ActionID", "X: y\r\nZ"]
)
def test_an_unknown_header_is_refused(header: str) -> None:
    with pytest.raises(UnsafeValue):
        originate((header, "x"))


@pytest.mark.parametrize("missing", [header for header, _ in ORIGINATE])
def test_an_originate_without_an_id_a_place_or_async_is_refused(missing: str) -> None:
    """A synchronous originate blocks the connection; one without an id of ours cannot be looked for."""
    with pytest.raises(UnsafeValue, match=missing):
        AmiAction("Originate", tuple(pair for pair in ORIGINATE if pair[0] != missing))


def test_an_originate_is_never_synchronous() -> None:
    with pytest.raises(UnsafeValue, match="Async"):
        AmiAction("Originate", (*ORIGINATE[:-1], ("Async", "false")))


def test_a_header_comes_once() -> None:
    with pytest.raises(UnsafeValue, match="twice: Channel"):
        AmiAction("Hangup", (("Channel", "a.1"), ("Channel", "b.2")))


@pytest.mark.parametrize(
    "channel", ["/.*/", "/PJSIP/", "PJSIP/carrier-00000001", "", "a b", "a,b", "x" * 150]
)
def test_a_hangup_takes_an_exact_id_only(channel: str) -> None:
    with pytest.raises(UnsafeValue):
        AmiAction("Hangup", (("Channel", channel),))


def redirect(context: str, exten: str) -> AmiAction:
    where = (("Context", context), ("Exten", exten), ("Priority", "1"))
    return AmiAction("Redirect", (("Channel", "pb-1.1"), *where))


def test_a_redirect_leads_to_the_question_and_nowhere_else() -> None:
    assert redirect("patchbay", "moved").name == "Redirect"
    for context, exten in (("patchbay", "connect"), ("from-phone", "moved"), ("patchbay", "moved,1")):
        with pytest.raises(UnsafeValue):
            redirect(context, exten)


@pytest.mark.parametrize("digit", ["", "12", "w", "e", "#\r\nAction: Logoff"])
def test_one_digit_is_one_digit(digit: str) -> None:
    with pytest.raises(UnsafeValue):
        AmiAction("PlayDTMF", (("Channel", "pb-1.1"), ("Digit", digit)))


def test_the_longest_channel_id_passes() -> None:
    assert AmiAction("Hangup", (("Channel", "x" * 149),)).fields == (("Channel", "x" * 149),)


@pytest.mark.parametrize(
    "channel",
    ["PJSIP/+14155550123@carrier@_", "PJSIP/@phone-7@_", "Local/s@agents/n"],
)
def test_known_ways_to_dial(channel: str) -> None:
    originate(channel=channel)


@pytest.mark.parametrize(
    "channel",
    [
        "WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef",
        "AudioSocket/127.0.0.1:9092/01234567-89ab-cdef-0123-456789abcdef/c(slin)",
        "PJSIP/1&PJSIP/2",
        "PJSIP/1@carrier,30",
        "PJSIP/carrier/sip:1@evil.example",
        "PJSIP/${EXTEN}@carrier",
        "SIP/1@carrier",
        "PJSIP/@carrier",
        "PJSIP/1@carrier",
        "PJSIP/phone-7",
        "PJSIP/@phone-7@_/sip:1@evil.example",
        "Local/s@agents/nj",
        "",
    ],
)
def test_other_ways_to_dial_are_refused(channel: str) -> None:
    with pytest.raises(UnsafeValue):
        originate(channel=channel)


def test_channel_strings_are_made_from_checked_parts() -> None:
    assert dial_through("+14155550123", "carrier") == "PJSIP/+14155550123@carrier@_"
    assert dial_endpoint("phone-7") == "PJSIP/@phone-7@_"
    for user, trunk in [("1@evil", "carrier"), ("1", "carrier&x"), ("", "carrier"), ("1", ""), ("1/2", "t")]:
        with pytest.raises(UnsafeValue):
            dial_through(user, trunk)
    with pytest.raises(UnsafeValue):
        dial_endpoint("a@b")


def test_each_variable_has_its_own_header() -> None:
    action = originate(variable("PB_CALL", "call_01"), variable("__PB_LEG", "leg_02"))
    assert encode(action, "1").count(b"\r\nVariable: ") == 2


@pytest.mark.parametrize(
    "value", ["a,b=c", 'a"b', "a'b", "f(x)", "${SHELL(ls)}", "a;b", "a&b", "a\\b", "a b", "^{X}"]
)
def test_a_variables_value_cannot_start_anything(value: str) -> None:
    with pytest.raises(UnsafeValue):
        variable("PB", value)
    with pytest.raises(UnsafeValue):
        originate(("Variable", f"PB={value}"))


@pytest.mark.parametrize("name", ["CALLERID(num)", "SHELL(ls)", "", "1A", "___A", "A=B", "A B", "x" * 90])
def test_a_variables_name_is_a_name(name: str) -> None:
    with pytest.raises(UnsafeValue):
        variable(name, "1")
    with pytest.raises(UnsafeValue):
        AmiAction("Setvar", (("Channel", "a.1"), ("Variable", name), ("Value", "1")))


def test_what_variables_must_carry_passes() -> None:
    for value in ("+14155550123", "aGVsbG8_-w==", "https://h.example:1/x?".rstrip("?"), "", "a%20b|c*#"):
        originate(variable("PB", value))


def test_getvar_may_read_a_channels_own_items() -> None:
    AmiAction("Getvar", (("Channel", "a.1"), ("Variable", "CHANNEL(rtp,dest)")))
    with pytest.raises(UnsafeValue):
        AmiAction("Getvar", (("Channel", "a.1"), ("Variable", "SHELL(ls)")))


@pytest.mark.parametrize("file", ["call_01.wav", "/var/lib/pb/rec/2026-01/call_01.wav", "rec/a b/c.wav"])
def test_a_recording_goes_to_a_plain_file(file: str) -> None:
    AmiAction("MixMonitor", (("Channel", "a.1"), ("File", file), ("Options", "r(in.wav)t(out.wav)bS")))


@pytest.mark.parametrize(
    "file",
    [
        "a.wav,b,rm -rf x",
        "a.wav|b",
        "../a.wav",
        "x/../a.wav",
        "./a.wav",
        "//a.wav",
        "a.sh",
        ".wav",
        "$(x).wav",
        "",
    ],
)
def test_a_recordings_file_cannot_smuggle_options_or_leave_its_place(file: str) -> None:
    """The switch joins file, options and a shell command with commas."""
    with pytest.raises(UnsafeValue):
        AmiAction("MixMonitor", (("Channel", "a.1"), ("File", file)))


@pytest.mark.parametrize("options", ["b,touch x", "r(a.wav,b)", "r(../a.wav)", "Z", "i(A B)", "b c"])
def test_a_recordings_options_are_known_ones(options: str) -> None:
    with pytest.raises(UnsafeValue):
        AmiAction("MixMonitor", (("Channel", "a.1"), ("File", "a.wav"), ("Options", options)))


def test_a_recording_runs_no_command() -> None:
    with pytest.raises(UnsafeValue):
        AmiAction("MixMonitor", (("Channel", "a.1"), ("File", "a.wav"), ("Command", "touch")))


def test_a_line_has_at_most_a_thousand_bytes() -> None:
    fits = 1000 - len("Val: \r\n")
    AmiAction("DBPut", (("Family", "pb"), ("Key", "k"), ("Val", "v" * fits)))
    with pytest.raises(UnsafeValue, match="1000 bytes"):
        AmiAction("DBPut", (("Family", "pb"), ("Key", "k"), ("Val", "v" * (fits + 1))))


def test_bytes_are_counted_not_characters() -> None:
    with pytest.raises(UnsafeValue, match="1000 bytes"):
        AmiAction("Login", (("Username", "gw"), ("Secret", "ë" * 500)))


def test_sixty_four_variables_and_no_more() -> None:
    many = [variable(f"V{n}", "1") for n in range(65)]
    assert len(encode(originate(*many[:64]), "1").splitlines()) < 128
    with pytest.raises(UnsafeValue, match="64 variables"):
        originate(*many)


def test_text_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(UnsafeValue):
        AmiAction("Login", (("Username", "gw"), ("Secret", "\ud800")))


@pytest.mark.parametrize("action_id", ["", "a\r\nb", "a b", "x" * 150])
def test_the_action_id_has_an_alphabet_too(action_id: str) -> None:
    with pytest.raises(UnsafeValue):
        encode(AmiAction("Ping"), action_id)


def test_a_caller_id_cannot_break_out_of_its_quotes() -> None:
    assert caller_id("+14155550123") == "<+14155550123>"
    assert caller_id("", "Anonymous") == '"Anonymous" <>'
    for number, name in [("1", 'a" <2>'), ("1", "a\\"), ("1>", "a"), ("1", "a<b")]:
        with pytest.raises(UnsafeValue):
            caller_id(number, name)


def test_a_repr_shows_names_only() -> None:
    assert repr(originate()) == "AmiAction(Originate, Channel, ChannelId, Context, Exten, Priority, Async)"


@st.composite
def actions(draw: st.DrawFn) -> AmiAction:
    """Any action whose values come from its headers' own alphabets."""
    name = draw(st.sampled_from(sorted(wire._ACTIONS)))
    shape = wire._ACTIONS[name]
    more = draw(st.lists(st.sampled_from(shape.may), unique=True)) if shape.may else []
    fields = [
        (header, draw(st.from_regex(shape.alphabets.get(header) or wire._ALPHABETS[header], fullmatch=True)))
        for header in (*shape.must, *more)
    ]
    assume(all(len(value.encode()) < 900 for _, value in fields))
    return AmiAction(name, tuple(fields))


@given(action=actions())
def test_no_action_ever_has_more_lines_than_headers(action: AmiAction) -> None:
    assert_one_line_per_header(action)


@given(action=actions(), bad=st.sampled_from(DANGEROUS), at=st.integers(0, 30), which=st.integers(0, 9))
def test_a_control_character_anywhere_makes_any_action_impossible(
    action: AmiAction, bad: str, at: int, which: int
) -> None:
    assume(action.fields)
    fields = list(action.fields)
    header, value = fields[which % len(fields)]
    fields[which % len(fields)] = (header, value[:at] + bad + value[at:])
    with pytest.raises(UnsafeValue):
        AmiAction(action.name, tuple(fields))


@given(value=st.text(max_size=1200))
def test_free_text_never_makes_a_second_line(value: str) -> None:
    try:
        action = AmiAction("Login", (("Username", "gw"), ("Secret", value)))
    except UnsafeValue:
        return
    assert_one_line_per_header(action)


def assert_one_line_per_header(action: AmiAction) -> None:
    encoded = encode(action, "ctl/1")
    assert encoded.endswith(b"\r\n\r\n")
    lines = encoded[:-4].splitlines()
    assert len(lines) == len(action.fields) + 2
    assert max(map(len, lines)) + 2 <= wire.MAX_LINE
    assert not any(byte < 32 or byte == 127 for line in lines for byte in line)


def test_every_action_has_an_alphabet_for_every_header() -> None:
    for name, shape in wire._ACTIONS.items():
        for header in (*shape.must, *shape.may):
            assert header in shape.alphabets or header in wire._ALPHABETS, (name, header)
