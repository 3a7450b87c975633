"""The media WebSocket's control messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.core import agent_dial
from telephony.errors import UnsafeValue
from voice_agents.core.audio import Codec
from voice_agents.wire import asterisk
from voice_agents.wire.asterisk import (
    CALL_MARK,
    Flow,
    Garbled,
    Marked,
    MediaAbilities,
    Other,
    Pressed,
    Refused,
    Started,
    Status,
    abilities_of,
    dial_string,
    read_event,
)

pytestmark = pytest.mark.unit

TOKEN = "A" * 40 + "_-09"
COMMANDS = (
    asterisk.ANSWER,
    asterisk.HANGUP,
    asterisk.PAUSE,
    asterisk.CONTINUE,
    asterisk.FLUSH,
    asterisk.GET_STATUS,
    asterisk.mark("1"),
    asterisk.mark("9" * asterisk.LONGEST_ID),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_fits_what_the_switch_reads(command: str) -> None:
    assert len(command.encode()) <= asterisk.LONGEST_COMMAND
    assert isinstance(json.loads(command)["command"], str)


def test_the_names_of_commands_are_the_switchs() -> None:
    names = [json.loads(command)["command"] for command in COMMANDS]
    assert names[:6] == ["ANSWER", "HANGUP", "PAUSE_MEDIA", "CONTINUE_MEDIA", "FLUSH_MEDIA", "GET_STATUS"]
    assert json.loads(COMMANDS[6]) == {"command": "MARK_MEDIA", "correlation_id": "1"}


def test_a_flush_is_followed_by_going_on() -> None:
    order = [json.loads(command)["command"] for command in asterisk.FREEZE]
    assert order == ["PAUSE_MEDIA", "GET_STATUS", "FLUSH_MEDIA", "CONTINUE_MEDIA"]


@pytest.mark.parametrize("id_", ["", "9" * 17, 'a"', "a b", "ä", "1\n"])
def test_a_marks_id_is_short_and_plain(id_: str) -> None:
    with pytest.raises(UnsafeValue):
        asterisk.mark(id_)


def test_the_dial_string_is_constant_but_for_token_and_codec() -> None:
    shown = dial_string(TOKEN, Codec.SLIN16, abilities_of((22, 10, 1)))
    assert shown == f"WebSocket/patchbay/c(slin16)nf(json)/{TOKEN}"


def test_each_process_that_carries_sound_has_a_connection_of_its_own() -> None:
    shown = dial_string(TOKEN, Codec.SLIN16, abilities_of((22, 10, 1)), "room3")
    assert shown == f"WebSocket/room3/c(slin16)nf(json)/{TOKEN}"
    for name in ("room", "room10", "INCOMING", "room1/n", ""):
        with pytest.raises(UnsafeValue):
            dial_string(TOKEN, Codec.SLIN16, MediaAbilities(), name)


@pytest.mark.parametrize(
    "token", ["", "short", "A" * 65, "a" * 20 + ")", "a" * 20 + ",b=c", "a" * 20 + "/x", "a" * 20 + "\n"]
)
def test_nothing_else_gets_into_a_dial_string(token: str) -> None:
    with pytest.raises(UnsafeValue) as caught:
        dial_string(token, Codec.ULAW, MediaAbilities())
    assert token not in str(caught.value) or not token


@pytest.mark.parametrize(
    ("version", "unbuffered"),
    [((22, 8, 0), False), ((22, 10, 1), False), ((22, 11, 0), False), ((22, 12, 0), True), ((23, 0), True)],
)
def test_abilities_follow_the_version(version: tuple[int, ...], unbuffered: bool) -> None:
    abilities = abilities_of(version)
    assert abilities == MediaAbilities(delays_answer=True, asks_unbuffered=unbuffered, confirms=True)
    assert ("nuf(json)" in dial_string(TOKEN, Codec.ULAW, abilities)) is unbuffered


@pytest.mark.parametrize("version", [(22, 7, 9), (20, 17, 0), (18,)])
def test_too_old_a_switch_is_refused(version: tuple[int, ...]) -> None:
    with pytest.raises(UnsafeValue, match=r"22\.8\.0"):
        abilities_of(version)


@pytest.mark.parametrize(
    ("variables", "token"),
    [
        ({"PB_SOCKET": TOKEN, "PB_LEG": "x"}, TOKEN),
        ({"PB_SOCKET": TOKEN + "!"}, ""),
        ({"PB_SOCKET": 7}, ""),
        ({"_PB_SOCKET": TOKEN}, ""),
        ([TOKEN], ""),
        (None, ""),
    ],
)
def test_which_call_it_is(variables: object, token: str) -> None:
    told = {"event": "MEDIA_START", "channel_id": "1", "format": "ulaw", "optimal_frame_size": 160}
    started = read_event(json.dumps(told | {"channel_variables": variables}))
    assert started == Started("1", "ulaw", 160, token=token)
    assert TOKEN not in repr(started)


def test_both_sides_mean_the_same_variable() -> None:
    assert CALL_MARK == agent_dial.CALL_MARK


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (
            '{"event":"MEDIA_START","connection_id":"patchbay","channel":"WebSocket/patchbay/0x7f","channel_id":'
            '"1763.2","format":"ulaw","optimal_frame_size":160,"ptime":20,"channel_variables":{}}',
            Started("1763.2", "ulaw", 160),
        ),
        (
            '{"event":"MEDIA_START","channel_id":"1","format":"slin16","optimal_frame_size":640,"unbuffered":true}',
            Started("1", "slin16", 640, unbuffered=True),
        ),
        ('{"event":"MEDIA_MARK_PROCESSED","channel_id":"1","correlation_id":"17"}', Marked("17")),
        ('{"event":"DTMF_END","channel_id":"1","digit":"#"}', Pressed("#")),
        ('{"event":"DTMF_END","channel_id":"1","digit":"d"}', Pressed("D")),
        ('{"event":"DTMF_END","channel_id":"1","digit":"12"}', Other("DTMF_END")),
        (
            '{"event":"STATUS","channel_id":"1","queue_length":3,"xon_level":800,"xoff_level":900,'
            '"queue_full":false,"bulk_media":false,"media_paused":true}',
            Status(3, paused=True),
        ),
        ('{"event":"MEDIA_XOFF","channel_id":"1"}', Flow(open=False)),
        ('{"event":"MEDIA_XON","channel_id":"1"}', Flow(open=True)),
        ('{"event":"ERROR","channel_id":"1","error_text":"Unable to parse"}', Refused("Unable to parse")),
        ('{"event":"QUEUE_DRAINED","channel_id":"1"}', Other("QUEUE_DRAINED")),
        ("MEDIA_START connection_id:x", Garbled("not JSON")),
        ("[1]", Garbled("no event")),
        ('{"event":7}', Garbled("no event")),
        ('{"event":"STATUS","queue_length":-1}', Garbled("a field is missing or of the wrong kind")),
        ('{"event":"STATUS","queue_length":true}', Garbled("a field is missing or of the wrong kind")),
        ('{"event":"MEDIA_MARK_PROCESSED"}', Garbled("a field is missing or of the wrong kind")),
    ],
)  # fmt: skip
def test_events_as_they_are(text: str, event: object) -> None:
    assert read_event(text) == event


@given(st.one_of(st.text(), st.binary()))
def test_nothing_that_comes_makes_it_raise(text: str | bytes) -> None:
    read_event(text)


EVENTS = st.sampled_from(["DTMF_END", "STATUS", "MEDIA_START", "ERROR", "MEDIA_MARK_PROCESSED"])
KEYS = st.sampled_from(["event", "digit", "queue_length", "format", "correlation_id"])


@given(st.dictionaries(KEYS, st.one_of(EVENTS, st.integers(), st.none(), st.lists(st.text()))))
def test_no_shape_makes_it_raise(message: dict[str, object]) -> None:
    read_event(json.dumps(message))


def test_depth_does_not_make_it_raise() -> None:
    assert isinstance(read_event("[" * 200_000), Garbled)
