"""The stream: the same messages however the bytes are cut, in linear time, within a limit."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.ami.wire import AmiAction, Kind, Message, MessageStream, MissingHeader, WireViolation, encode
from telephony.errors import UnsafeValue

pytestmark = pytest.mark.unit

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
STREAM = (
    BANNER
    + "Response: Success\r\nActionID: ctl/1\r\nMessage: Authentication accepted\r\n\r\n"
    "Event: Newchannel\r\nCallerIDName: Zoë 北 🎈\r\nUniqueid: a.1\r\n\r\n"
    "\r\n\r\nstray\r\nEvent: Hangup\r\nCause: 16\r\nCause-txt: Normal Clearing\r\nEmpty: \r\n\r\n"
    "nothing we know\r\n\r\n"
    "Event: VarSet\r\nVariable: A\r\nVariable: B\r\n\r\n\r\n\r\n\r\n".encode()
)


def read(*chunks: bytes) -> tuple[list[Message], MessageStream]:
    stream = MessageStream()
    return [message for chunk in chunks for message in stream.feed(chunk)], stream


def test_a_whole_stream() -> None:
    messages, stream = read(STREAM)
    assert [(m.kind.value, m.name) for m in messages] == [
        ("response", "Success"),
        ("event", "Newchannel"),
        ("event", "Hangup"),
        ("event", "VarSet"),
    ]
    assert stream.banner == "Asterisk Call Manager/11.0.0"
    assert stream.junk == 2


def test_cut_in_two_at_every_byte() -> None:
    """Stock: bytes are decoded read by read, so a character cut in two disappears."""
    whole, _ = read(STREAM)
    for cut in range(len(STREAM) + 1):
        messages, stream = read(STREAM[:cut], STREAM[cut:])
        assert messages == whole, cut
        assert stream.junk == 2


def test_byte_by_byte() -> None:
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM))))[0] == read(STREAM)[0]


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    assert read(*chunks)[0] == read(STREAM)[0]


HEADER = st.from_regex(r"[A-Z][A-Za-z-]{0,15}", fullmatch=True).filter(
    lambda h: h not in ("Event", "Response")
)
VALUE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30)


@given(
    name=st.from_regex(r"[A-Z][A-Za-z]{0,20}", fullmatch=True),
    headers=st.lists(st.tuples(HEADER, VALUE), max_size=8),
    size=st.integers(1, 50),
)
def test_what_is_written_is_read(name: str, headers: list[tuple[str, str]], size: int) -> None:
    wire = "".join(f"{h}: {v}\r\n" for h, v in [("Event", name), *headers]).encode() + b"\r\n"
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    (message,) = read(BANNER, *chunks)[0]
    assert (message.kind, message.name) == (Kind.EVENT, name)
    assert message.headers() == (("Event", name), *headers)
    for header, _ in headers:
        values = tuple(v for h, v in headers if h == header)
        assert (message[header], message.get_all(header)) == (values[0], values)


@given(secret=st.text(max_size=60))
def test_an_encoded_action_is_read_back_as_it_was(secret: str) -> None:
    try:
        action = AmiAction("Login", (("Username", "gw"), ("Secret", secret)))
    except UnsafeValue:
        return
    (message,) = read(BANNER, b"Event: Echo\r\n" + encode(action, "ctl/1"))[0]
    assert message.headers()[1:] == (("Action", "Login"), ("ActionID", "ctl/1"), *action.fields)


@given(noise=st.lists(st.binary(max_size=40), max_size=12))
def test_noise_raises_nothing_and_the_next_message_is_read(noise: list[bytes]) -> None:
    messages, _ = read(BANNER, *noise, b"\r\n\r\nEvent: Hangup\r\nCause: 16\r\n\r\n")
    assert messages[-1]["Cause"] == "16"


def test_headers_are_found_by_name() -> None:
    (message,) = read(b"Event: Hangup\r\nXCause: 1\r\nCause: 16\r\nNote: Cause: 99\r\nEmpty: \r\n\r\n")[0]
    assert message["Event"] == "Hangup"
    assert message["Cause"] == "16"
    assert message["Note"] == "Cause: 99"
    assert (message["Empty"], message.get("Empty", "default")) == ("", "")
    assert (message.get("TechCause"), message.get("TechCause", "none")) == ("", "none")
    assert "Cause" in message
    assert "TechCause" not in message


def test_a_bare_line_feed_in_a_value_starts_no_header() -> None:
    (message,) = read(b"Event: UserEvent\r\nText: a\nCause: 1\r\nCause: 16\r\n\r\n")[0]
    assert message["Cause"] == "16"
    assert message["Text"] == "a\nCause: 1"


def test_a_missing_header_is_a_typed_error_without_values() -> None:
    (message,) = read(b"Event: Hangup\r\nCallerIDNum: +14155550123\r\n\r\n")[0]
    with pytest.raises(MissingHeader, match="event Hangup has no header Uniqueid"):
        message["Uniqueid"]
    assert "4155550123" not in repr(message)


def test_duplicates_are_kept_in_order() -> None:
    """Stock: a duplicate header turns the value into a list, and code that expects text breaks."""
    (message,) = read(b"Event: A\r\nEvent: B\r\nMessage: 1\r\nMessage: 2\r\n\r\n")[0]
    assert message.name == "A"
    assert message.get_all("Event") == ("A", "B")
    assert message.get_all("Message") == ("1", "2")
    assert message["Message"] == "1"


def test_a_message_is_frozen_and_comparable() -> None:
    (message,) = read(b"Event: A\r\n\r\n")[0]
    assert message == Message(Kind.EVENT, "A", "Event: A")
    with pytest.raises(AttributeError):
        message.name = "B"  # type: ignore[misc]


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    (message,) = read(b"Event: A\r\nName: \xff\xfe!\r\n\r\n")[0]
    assert message["Name"] == "\ufffd\ufffd!"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", b"x" * 300, b"SSH-2.0\r\n"])
def test_a_peer_without_the_banner_is_known(start: bytes) -> None:
    _, stream = read(*(start[at : at + 1] for at in range(len(start))))
    assert stream.banner == ""


def test_half_a_banner_is_not_yet_decided() -> None:
    assert read(BANNER[:-1])[1].banner is None


def test_an_endless_banner_is_no_banner() -> None:
    assert read(b"Asterisk Call Manager/" + b"1" * 300)[1].banner == ""


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_a_message_over_the_limit_is_a_typed_error(size: int) -> None:
    stream = MessageStream(limit=1000)
    wire = BANNER + b"Event: A\r\nX: " + b"x" * 2000 + b"\r\n\r\n"
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    with pytest.raises(WireViolation, match="longer than 1000 bytes"):
        list(map(stream.feed, chunks))


def test_many_small_messages_pass_a_small_limit() -> None:
    stream = MessageStream(limit=100)
    assert len(stream.feed(BANNER + b"Event: A\r\n\r\n" * 1000)) == 1000


def test_a_big_reply_costs_time_in_proportion_to_its_size() -> None:
    """Stock: what has come so far is joined and split anew at each read: 16 times the work for 4 times
    the bytes. Small reads make the difference plain; the least of several runs keeps others' noise out."""

    def seconds(size: int) -> float:
        wire = b"Response: Success\r\nOutput: " + b"x" * size + b"\r\n\r\n"
        chunks = [BANNER, *(wire[at : at + 512] for at in range(0, len(wire), 512))]
        runs = []
        for _ in range(5):
            started = time.process_time()
            messages, _stream = read(*chunks)
            runs.append(time.process_time() - started)
            assert len(messages) == 1
        return min(runs)

    assert seconds(4 * 2**20) < 9 * seconds(2**20)


def test_endless_empty_lines_cost_little() -> None:
    messages, _ = read(BANNER, b"\r\n" * 500_000, b"Event: A\r\n\r\n")
    assert [m.name for m in messages] == ["A"]
