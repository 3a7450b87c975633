"""What every ``dialplan.ports.Switch`` promises: orders taken, refused, unsendable or of unknown outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from dialplan.core.call import HoldMusic, Phone, Role, Trunk
from dialplan.core.orders import Hangup, Originate, Redirect, TurnTape
from dialplan.ports import LiveChannel, Switch
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable, UnsafeValue
from telephony.ids import ChannelId
from telephony.numbers import E164
from tests.contract.dialplan.conftest import AmiBench, Bench

pytestmark = pytest.mark.contract

A = ChannelId("leg_01ARZ3NDEKTSV4RRFFQ69G5FAV")
CLI = E164("+12025550100")
TAPE = "call_01ARZ3NDEKTSV4RRFFQ69G5FAV-1"
ORIGINATE = Originate(A, Trunk(E164("+14155550101"), "carrier"), CLI, 65)
HANGUP = Hangup(Role.CALLER, A, 16)
VERBS = ["start", "stop", "pause", "resume"]


def order(verb: str) -> Callable[[Switch], Awaitable[object]]:
    orders: dict[str, Callable[[Switch], Awaitable[object]]] = {
        "originate": lambda switch: switch.originate(ORIGINATE),
        "hang_up": lambda switch: switch.hang_up(HANGUP),
        "redirect": lambda switch: switch.redirect(Redirect(A)),
        "play_digit": lambda switch: switch.play_digit(A, "5"),
        "turn_tape": lambda switch: switch.turn_tape(TurnTape("start", A, TAPE)),
        "live_channels": lambda switch: switch.live_channels(),
    }
    return orders[verb]


TO_A = ["hang_up", "redirect", "play_digit", "turn_tape"]
EVERY = pytest.mark.parametrize("verb", ["originate", *TO_A, "live_channels"])


@EVERY
async def test_an_order_is_taken(bench: Bench, verb: str) -> None:
    bench.channels((A, True))
    assert bench.switch.ready
    await order(verb)(bench.switch)


async def test_a_phone_is_rung_like_a_trunk(bench: Bench) -> None:
    await bench.switch.originate(Originate(A, Phone("alice"), CLI, 65))


@pytest.mark.parametrize("verb", VERBS)
async def test_a_recording_is_turned(bench: Bench, verb: str) -> None:
    bench.channels((A, True))
    await bench.switch.turn_tape(TurnTape(verb, A, TAPE))


@pytest.mark.parametrize("verb", TO_A)
async def test_an_order_to_a_channel_that_is_not_there_is_refused(bench: Bench, verb: str) -> None:
    with pytest.raises(SwitchRefused):
        await order(verb)(bench.switch)


@EVERY
async def test_nothing_is_sent_to_a_switch_out_of_reach(bench: Bench, verb: str) -> None:
    bench.channels((A, True))
    await bench.vanish()
    assert not bench.switch.ready
    with pytest.raises(SwitchUnavailable):
        await order(verb)(bench.switch)


@pytest.mark.parametrize("verb", ["originate", *TO_A])
async def test_an_answer_that_is_lost_leaves_the_outcome_unknown(bench: Bench, verb: str) -> None:
    bench.channels((A, True))
    bench.mute(verb)
    with pytest.raises(OutcomeUnknown):
        await order(verb)(bench.switch)


async def test_the_live_channels_are_listed(bench: Bench) -> None:
    assert list(await bench.switch.live_channels()) == []
    bench.channels((A, True), ("pb-1.2", False))
    rows = {row.channel: row for row in await bench.switch.live_channels()}
    assert rows == {
        A: LiveChannel(A, A, True, "Dial"),
        ChannelId("pb-1.2"): LiveChannel(ChannelId("pb-1.2"), ChannelId("pb-1.2"), False, "Dial"),
    }


# ---------------------------------------------------------------- what AMI is told


async def test_an_originate_is_asynchronous_with_our_channel_and_our_context(ami: AmiBench) -> None:
    await ami.switch.originate(ORIGINATE)
    (asked,) = await ami.ami.saw("Originate")
    told = dict(asked.pairs)
    assert told["Channel"] == "PJSIP/+14155550101@carrier@_"
    assert (told["ChannelId"], told["CallerID"]) == (A, "<+12025550100>")
    assert (told["Context"], told["Exten"], told["Priority"]) == ("patchbay", "outbound", "1")
    assert (told["Async"], told["Timeout"]) == ("true", "65000")


async def test_a_redirected_channel_goes_to_the_question(ami: AmiBench) -> None:
    ami.channels((A, True))
    await ami.switch.redirect(Redirect(A))
    (asked,) = await ami.ami.saw("Redirect")
    assert [asked[name] for name in ("Channel", "Context", "Exten", "Priority")] == [
        A,
        "patchbay",
        "moved",
        "1",
    ]


async def test_a_digit_does_not_hold_up_the_orders_behind_it(ami: AmiBench) -> None:
    ami.channels((A, True))
    await ami.switch.play_digit(A, "#")
    (asked,) = await ami.ami.saw("PlayDTMF")
    assert (asked.connection, asked["Channel"], asked["Digit"], asked["Duration"]) == (2, A, "#", "120")


async def test_music_cannot_be_rung(ami: AmiBench) -> None:
    with pytest.raises(UnsafeValue):
        await ami.switch.originate(Originate(A, HoldMusic(), CLI, 65))
    assert ami.ami.names() == []


async def test_recordings_go_over_their_own_connection_and_carry_no_command(ami: AmiBench) -> None:
    ami.channels((A, True))
    for verb in VERBS:
        await ami.switch.turn_tape(TurnTape(verb, A, TAPE))
    asked = [one for one in ami.ami.asked if one.name in ("MixMonitor", "StopMixMonitor", "MixMonitorMute")]
    assert [one.name for one in asked] == ["MixMonitor", "StopMixMonitor", "MixMonitorMute", "MixMonitorMute"]
    assert {one.connection for one in asked} == {2}
    assert [one["State"] for one in asked[2:]] == ["1", "0"]
    assert asked[0]["File"] == f"/recordings/{TAPE}.raw"
    assert (asked[0]["Options"], asked[0]["Command"]) == ("D", "")


async def test_rows_that_are_no_channels_are_left_out(ami: AmiBench) -> None:
    ami.channels(("bad id", True), (A, True))
    assert [row.channel for row in await ami.switch.live_channels()] == [A]
