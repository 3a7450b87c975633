"""A call as JSON and back: whatever became of it, nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.core import facts
from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Call,
    Connect,
    Ender,
    Gather,
    HoldMusic,
    Later,
    Phone,
    Reject,
    Route,
    Trunk,
    VideoRoom,
)
from dialplan.core.machine import step
from dialplan.core.snapshot import VERSION, decode, encode
from dialplan.core.waits import next_deadline
from telephony.ids import ChannelId
from telephony.numbers import E164
from tests.unit.dialplan.made_calls import CALLEE, CALLER, CLI, NOW, B, inbound, outbound, run, talking

pytestmark = pytest.mark.unit

ROUTES: list[Route] = [
    Connect(Trunk(E164("+14155550102"), "carrier"), CLI),
    Connect(Trunk(E164("+14155550102"), "carrier")),
    Connect(Phone("alice"), CLI),
    Connect(Announcement("var/hello", "Hello, you: “ü”")),
    Connect(HoldMusic()),
    Connect(Phone("alice"), CLI, "prompts/said", "prompts/told", 30, 20),
    Connect(AgentSocket("WebSocket/patchbay/c(ulaw)nf(json)/0123456789abcdef", "agt_1"), CLI),
    Connect(VideoRoom("WebSocket/room0/c(slin16)nf(json)/0123456789abcdef", language="de")),
    Connect(VideoRoom("WebSocket/room7/c(slin16)nf(json)/0123456789abcdef", "a-room", "en", True)),
    Reject(17, "line_busy"),
    Gather("prompts/pin", 6, 5),
    Later(2),
]
ROLES = st.sampled_from([CALLER, CALLEE])
CAUSES = st.sampled_from([None, 0, 16, 17, 34])
FACTS: st.SearchStrategy[facts.Fact] = st.one_of(
    st.builds(facts.Dialed, ROLES, st.sampled_from([None, B])),
    st.builds(facts.Rang, ROLES),
    st.builds(facts.Answered, ROLES),
    st.builds(facts.EndRequested, ROLES),
    st.builds(facts.HungUp, ROLES, CAUSES, st.sampled_from([None, 486])),
    st.builds(facts.OriginateFailed, st.just("originate_failed_0")),
    st.builds(facts.OrderFailed, ROLES, st.just("switch_refused")),
    st.builds(facts.Vanished, ROLES, st.just("switch_lost"), CAUSES, st.booleans()),
    st.builds(facts.SeenLive, ROLES, st.booleans()),
    st.just(facts.Asked()),
    st.builds(facts.HangupAsked, st.sampled_from(Ender), st.just("hangup"), st.sampled_from([0.0, 5.0])),
    st.builds(
        facts.Routed,
        st.sampled_from(ROUTES),
        st.builds(
            replace,
            st.just(inbound().terms),
            session_id=st.sampled_from([None, "ses_1"]),
            seat=st.integers(-1, 3),
            private=st.booleans(),
        ),
    ),
    st.just(facts.AnswerLost()),
    st.just(facts.RoomEntered("a-room")),
    st.builds(
        facts.Reroute, st.sampled_from([r for r in ROUTES if isinstance(r, Connect)]), st.just("transferred")
    ),
    st.just(facts.Unmoved("switch_refused")),
    st.builds(facts.TapeAsked, st.sampled_from(["start", "stop", "pause", "resume"])),
    st.builds(facts.TapeTurned, st.sampled_from(["started", "stopped", "paused", "resumed", "failed"])),
    st.builds(facts.TapeFiled, st.just("call_00000000000000000000000001-1"), st.booleans()),
    st.just(facts.TimerFired()),
)


@st.composite
def lived_calls(draw: st.DrawFn) -> Call:
    """A call that any facts have happened to, in any order."""
    begin = draw(st.sampled_from([outbound, inbound]))
    routes = [route for route in ROUTES if begin is inbound or isinstance(route, Connect)]
    call = begin(draw(st.sampled_from(routes)), record=draw(st.booleans()))
    if draw(st.booleans()):
        metadata = tuple(draw(st.dictionaries(st.text(), st.text(), max_size=3)).items())
        terms = replace(
            call.terms,
            metadata=metadata,
            webhook_url="https://example.com/x",
            agent_id="agt_1",
            agent_version=3,
        )
        call = replace(call, terms=terms)
    now = NOW
    for fact in draw(st.lists(FACTS, max_size=15)):
        due = next_deadline(call)
        now += draw(st.floats(0, 20))
        call, _ = step(call, fact, max(now, due or now) if isinstance(fact, facts.TimerFired) else now)
    return call


@given(lived_calls())
def test_what_is_encoded_is_decoded(call: Call) -> None:
    assert decode(json.loads(json.dumps(encode(call)))) == call


@given(lived_calls())
def test_a_decoded_call_goes_on_as_the_call_would_have(call: Call) -> None:
    again = decode(json.loads(json.dumps(encode(call))))
    assert next_deadline(again) == next_deadline(call)
    for fact in (facts.TimerFired(), facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16)):
        assert step(again, fact, NOW + 10_000) == step(call, fact, NOW + 10_000)


def test_another_version_is_not_guessed_at() -> None:
    for version in (None, 0, VERSION + 1, str(VERSION)):
        with pytest.raises(ValueError, match="version"):
            decode({**encode(talking()), "version": version})


def test_a_snapshot_of_the_first_release_is_read() -> None:
    call, snapshot = talking(), encode(talking())
    for name in ("detours", "detour_at", "lost_at", "end_at", "end_why", "former", "move"):
        del snapshot[name]
    for name in ("session_id", "seat", "to_seat", "private", "agent_version"):
        del snapshot["terms"][name]
    for name in ("caller_prompt", "callee_prompt", "warn_s", "ring_s"):
        del snapshot["route"][name]
    assert decode(json.loads(json.dumps(snapshot))) == call


@pytest.mark.parametrize("kind", ["fax", ""])
def test_a_route_of_another_release_is_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"'{kind}'"):
        decode({**encode(inbound()), "route": {"kind": kind}})


def test_an_endpoint_of_another_release_is_named() -> None:
    snapshot = encode(inbound())
    snapshot["route"]["endpoint"] = {"kind": "fax"}
    with pytest.raises(ValueError, match="fax"):
        decode(snapshot)


def test_a_call_in_the_middle_of_a_move_is_found_again() -> None:
    for until in range(1, 4):
        told = (
            facts.Reroute(ROUTES[2], "transferred"),  # type: ignore[arg-type]
            facts.Asked(),
            facts.Dialed(CALLEE, ChannelId("b-2")),
        )
        call, _ = run(talking(), *told[:until])
        assert call.former
        assert decode(json.loads(json.dumps(encode(call)))) == call


def test_a_move_from_nowhere_is_not_guessed_at() -> None:
    moving, _ = run(talking(), facts.Reroute(ROUTES[2], "transferred"))  # type: ignore[arg-type]
    snapshot = encode(moving)
    snapshot["move"]["left"] = {"kind": "later", "wait_s": 1}
    with pytest.raises(ValueError, match="move"):
        decode(snapshot)
