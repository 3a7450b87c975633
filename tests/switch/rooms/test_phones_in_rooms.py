"""Telephones in rooms on the real switch and a real LiveKit server: numbers, the lobby, keys, kicks, ends."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from dialplan.core.call import AgentSocket
from dialplan.ports import PlaceCall
from gateway.clocks import new_id
from gateway.trial.audio import has_tone, tone, ulaw_decode, ulaw_encode
from gateway.trial.sip_behaviour import rejects, rings
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import OutgoingCall
from telephony.ids import CallId
from telephony.numbers import E164
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.media import Port, RecordingEar, make_port
from tests.rig.room_calls import RoomCalls, hz_of, running_room_calls
from tests.rig.visitors import Visitor, share_of, visitor
from tests.rig.voice import CALLEE_HZ, CALLER_HZ, DIALLED, OURS, TALKS
from video_rooms.core.room import Person, Presence, Role, Status
from video_rooms.core.words_spoken import Words
from voice_agents.core.audio import Codec

pytestmark = pytest.mark.switch

HOST_HZ, AGENT_HZ = 700.0, 600.0
CALLER = "+14155550101"
AT_ONCE_S = 10.0
"""Without a word of ours the media server finds out after 21 s that somebody is gone."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agents() -> AsyncIterator[tuple[Port, tuple[str, int]]]:
    """Where agents' sound arrives."""
    port, address = await make_port("websocket")
    yield port, address
    await port.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(
    livekit: LiveKitRig,
    agents: tuple[Port, tuple[str, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RoomCalls]:
    async with running_room_calls(tmp_path_factory.mktemp("rooms"), livekit, agents[1]) as calls:
        yield calls


@pytest.fixture
def calls(running: RoomCalls) -> RoomCalls:
    running.voice.carrier.incoming.clear()
    running.voice.far_end = TALKS
    running.tries.left = 1000
    return running


async def hears(caller: OutgoingCall, words: Words, within_s: float = 30.0) -> None:
    """The telephone is told this, from now on or before."""
    await caller.hears(lambda pcm: has_tone(pcm, hz_of(words), seconds=0.25), within_s, words.value)


async def heard_by(host: Visitor, identity: str, hz: float = CALLER_HZ) -> None:
    host.forget()
    await host.until(lambda: share_of(host.heard(identity, 0.4), hz) > 0.8, 30, f"the tone of {identity}")


def left(line: Person) -> bool:
    return line.presence is Presence.LEFT


async def test_a_telephone_and_a_browser_hear_one_another(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        await host.speak(HOST_HZ)
        caller, call_id, identity = await calls.comes_in(room)
        await heard_by(host, identity)
        await hears(caller, Words.NUMBER)
        await caller.hears(lambda pcm: has_tone(pcm, HOST_HZ, seconds=0.5), 20.0, "the host")
        seen = host.others[identity]
        assert seen.name == "+1 •••• 0101"
        assert CALLER.lstrip("+") not in f"{seen.attributes}{seen.metadata}{seen.name}{identity}"
        await caller.hang_up()
        line = await calls.line(room, call_id, left)
        assert line.why_left == "left"
        await host.until(lambda: identity not in host.others, AT_ONCE_S, "the telephone's leaving")
    call = await calls.ended(call_id)
    assert str(call.termination) == "success/hangup_by_caller"
    assert call.room_id == room.id
    assert calls.voice.store.cdrs[call_id].callee == f"room:{room.id}"
    assert "call.room_entered" in calls.voice.types(call)


async def test_wrong_and_early_numbers_are_answered_alike_and_the_right_one_leads_in(
    calls: RoomCalls,
) -> None:
    early = await calls.room(scheduled_at=datetime.now(UTC) + timedelta(hours=3))
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)):
        caller, call_id = await calls.dials_in("111111#")
        await hears(caller, Words.REFUSED)
        caller.stream.packets.clear()
        caller.stream.press(early.pin)
        await hears(caller, Words.REFUSED)
        caller.stream.press(room.pin)
        await calls.line(room, call_id, lambda line: line.presence is Presence.JOINED)
        assert calls.tries.left == 998
        await caller.hang_up()
    await calls.ended(call_id)


async def test_three_wrong_numbers_end_the_call(calls: RoomCalls) -> None:
    caller, call_id = await calls.dials_in("111111#")
    for _ in range(2):
        await hears(caller, Words.ASK_AGAIN)
        caller.stream.packets.clear()
        caller.stream.press("222222#")
    await hears(caller, Words.GOODBYE)
    await caller.reaches(CallState.ENDED, 20.0)
    call = await calls.ended(call_id)
    assert (str(call.termination), call.room_id) == ("client_error/room_pin_wrong", None)
    assert calls.voice.store.cdrs[call_id].callee == "room"


async def test_the_lobby_has_music_and_the_host_lets_in(calls: RoomCalls) -> None:
    room = await calls.room(waiting_room=True)
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        caller, call_id = await calls.dials_in(room.pin)
        line = await calls.line(room, call_id, lambda line: line.presence is Presence.WAITING)
        await hears(caller, Words.WAIT)
        assert line.identity not in host.others
        await calls.services.scheduled.admit(OURS, room.id, line.identity)
        await heard_by(host, line.identity)
        denied, denied_id = await calls.dials_in(room.pin)
        waiting = await calls.line(room, denied_id, lambda line: line.presence is Presence.WAITING)
        await calls.services.scheduled.deny(OURS, room.id, waiting.identity)
        await hears(denied, Words.DENIED)
        await denied.reaches(CallState.ENDED, 20.0)
        assert str((await calls.ended(denied_id)).termination) == "far_end/room_denied"
        await caller.hang_up()
    await calls.ended(call_id)


async def test_who_comes_before_the_host_comes_in_with_the_host(calls: RoomCalls) -> None:
    room = await calls.room()
    caller, call_id = await calls.dials_in(room.pin)
    await calls.line(room, call_id, lambda line: line.presence is Presence.WAITING)
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        line = await calls.line(room, call_id, lambda line: line.presence is Presence.JOINED)
        await heard_by(host, line.identity)
        await caller.hang_up()
    await calls.ended(call_id)


async def test_keys_mute_and_raise_the_hand_and_a_host_mutes(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        caller, call_id, identity = await calls.comes_in(room)
        await heard_by(host, identity)
        caller.stream.press("*6")
        await hears(caller, Words.MUTED)
        await host.until(lambda: host.others[identity].attributes.get("muted") == "true", what="muted")
        await host.hears_nothing(identity, last_s=0.5)
        caller.stream.press("*6")
        await hears(caller, Words.UNMUTED)
        await heard_by(host, identity)
        await calls.services.scheduled.mute(OURS, room.id, identity, "audio")
        await hears(caller, Words.HOST_MUTED)
        caller.stream.press("*6")
        await heard_by(host, identity)
        caller.stream.press("*2")
        await hears(caller, Words.HAND_UP)
        await host.until(
            lambda: host.others[identity].attributes.get("hand_raised") == "true", what="the hand"
        )
        caller.stream.press("*1")
        await hears(caller, Words.COUNT)
        await caller.hang_up()
    await calls.ended(call_id)


async def test_a_kick_is_told_and_bye_follows(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        caller, call_id, identity = await calls.comes_in(room)
        await heard_by(host, identity)
        await calls.services.scheduled.kick(OURS, room.id, identity)
        await caller.reaches(CallState.ENDED, 20.0)
        line = await calls.line(room, call_id, left)
        assert line.why_left == "kicked"
    assert has_tone(caller.stream.heard(), hz_of(Words.REMOVED), seconds=0.25)
    assert str((await calls.ended(call_id)).termination) == "success/removed_from_room"


async def test_two_callers_with_one_number_are_in_one_room(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        first, first_id, one = await calls.comes_in(room)
        second, second_id, other = await calls.comes_in(room)
        assert one != other
        await heard_by(host, one)
        await heard_by(host, other)
        await first.hang_up()
        await calls.ended(first_id)
        await heard_by(host, other)
        await second.hang_up()
    await calls.ended(second_id)


async def test_the_end_of_the_room_is_told(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)):
        caller, call_id, _ = await calls.comes_in(room)
        await calls.services.scheduled.end(OURS, room.id)
        await hears(caller, Words.ENDED)
        await caller.reaches(CallState.ENDED, 20.0)
    line = await calls.line(room, call_id, left)
    assert line.why_left == "room_ended"
    assert str((await calls.ended(call_id)).termination) == "success/room_ended"
    assert (await calls.services.scheduled.detail(OURS, room.id)).room.status is Status.ENDED


# ---------------------------------------------------------------- called out


async def test_a_telephone_is_called_and_joins_by_a_key(calls: RoomCalls) -> None:
    room = await calls.room()
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        await host.speak(HOST_HZ)
        call_id, line = await calls.calls_out(room)
        assert line.presence is Presence.PENDING
        person = await calls.answers()
        await person.hears(lambda pcm: has_tone(pcm, hz_of(Words.ASK_CONSENT)), 20.0, "the question")
        assert line.identity not in host.others
        person.stream.press("1")
        await heard_by(host, line.identity, CALLEE_HZ)
        await person.hears(lambda pcm: has_tone(pcm, HOST_HZ, seconds=0.5), 20.0, "the host")
        await person.hang_up()
        await calls.line(room, call_id, left)
    call = await calls.ended(call_id)
    assert (str(call.termination), call.room_id) == ("success/hangup_by_caller", room.id)


async def test_a_busy_telephone_leaves_the_roster_and_is_told(calls: RoomCalls) -> None:
    room = await calls.room()
    calls.voice.far_end = rejects(486)
    call_id, _ = await calls.calls_out(room)
    line = await calls.line(room, call_id, left)
    assert line.why_left == "busy"
    assert calls.told.last("room.phone.failed")["reason"] == "busy"
    assert (await calls.ended(call_id)).status.value == "busy"


async def test_a_telephone_that_rings_is_cancelled_by_a_kick(calls: RoomCalls) -> None:
    room = await calls.room()
    calls.voice.far_end = rings()
    call_id, line = await calls.calls_out(room)
    await calls.line(room, call_id, lambda line: line.presence is Presence.RINGING)
    await calls.services.scheduled.kick(OURS, room.id, line.identity)
    call = await calls.ended(call_id)
    assert str(call.termination) == "cancelled/removed_from_room"
    assert (await calls.line(room, call_id, left)).why_left == "kicked"


# ---------------------------------------------------------------- agents


async def test_an_agent_is_brought_into_a_room_and_put_out_of_it(
    calls: RoomCalls, agents: tuple[Port, tuple[str, int]]
) -> None:
    room, ear, token = await calls.room(), RecordingEar(), secrets.token_hex(16)
    agents[0].expect(token, Codec.ULAW, ear, 30.0)
    async with visitor(calls.livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)) as host:
        await host.speak(HOST_HZ)
        call_id = CallId(new_id("call"))
        first, line = await calls.on_calls.prepare_agent(OURS, room.id, "Desk", call_id)
        far_end = AgentSocket(agents[0].dial_string(token, Codec.ULAW), "agt_1")
        place = PlaceCall(
            OURS, "key_1", first, E164(DIALLED), far_end, agent_id="agt_1", agent_version=1, call_id=call_id
        )
        await calls.voice.engine.director.place(place)
        leg = await ear.talks()
        seen = await calls.line(room, call_id, lambda line: line.presence is Presence.JOINED)
        assert (seen.role, seen.display_name) == (Role.AGENT, "Desk")
        await ear.until(lambda ear: hears_tone(ear, HOST_HZ), "the host")
        sound = ulaw_encode(tone(AGENT_HZ, 8.0))
        for at in range(0, len(sound) - 159, 160):
            leg.play(sound[at : at + 160])
        await heard_by(host, line.identity, AGENT_HZ)
        await calls.services.scheduled.kick(OURS, room.id, line.identity)
        await ear.until(lambda ear: bool(ear.why), "the end")
    call = await calls.ended(call_id)
    assert (str(call.termination), call.room_id) == ("success/removed_from_room", room.id)
    assert calls.voice.store.cdrs[call_id].callee == "agent:agt_1"
    assert call.terms.to_number == f"room:{room.id}"


def hears_tone(ear: RecordingEar, hz: float) -> bool:
    return has_tone(ulaw_decode(b"".join(ear.frames[-50:])), hz, seconds=0.5)


# ---------------------------------------------------------------- what is lost


async def test_without_anybody_to_carry_the_sound_the_caller_is_refused(calls: RoomCalls) -> None:
    calls.bridge._closed = True
    try:
        caller = calls.voice.dial()
        await caller.until(lambda: caller.state is CallState.ENDED, 20.0, "the refusal")
    finally:
        calls.bridge._closed = False
    assert caller.responses[-1] >= 500
    call = await calls.ended(await calls.voice.call_id())
    assert str(call.termination) == "upstream_error/room_unavailable"


async def test_a_media_server_that_dies_is_told_and_the_call_ends(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("dying")
    async with (
        running_livekit(folder, restart=False) as livekit,
        running_room_calls(folder, livekit) as calls,
    ):
        room = await calls.room()
        caller, call_id = await calls.dials_in(room.pin)
        async with visitor(livekit.url, await calls.pass_for(room, "usr_host", Role.HOST)):
            await calls.line(room, call_id, lambda line: line.presence is Presence.JOINED)
            livekit.server.kill()
            await caller.reaches(CallState.ENDED, 60.0)
        line = await calls.line(room, call_id, left)
        assert line.why_left == "lost"
        assert str((await calls.ended(call_id)).termination) == "upstream_error/room_lost"
