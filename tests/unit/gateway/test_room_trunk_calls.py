"""Calls to LiveKit's SIP service: what the switch is ordered, and what its events mean."""

from __future__ import annotations

import pytest

from dialplan.ami.message import Kind, Message
from dialplan.ami.wire import AmiAction, encode
from dialplan.core.heard import Heard, What
from gateway.room_trunk_calls import SwitchedTrunkCalls, coded
from telephony.errors import OutcomeUnknown, RoomsUnavailable, SwitchRefused, SwitchUnavailable
from telephony.ids import ChannelId
from tests.rig.trunk_calls import Outcome
from video_rooms.ports_trunk import TrunkCall

pytestmark = pytest.mark.unit

OURS, THEIRS = ChannelId("room_1"), ChannelId("1700000000.7")
CALL = TrunkCall(
    OURS,
    "WebSocket/room0/c(slin16)nf(json)/0123456789abcdef",
    "rooms-1",
    "c" * 32,
    "call_1",
    "Zoë",
)


class Control:
    """A connection that keeps what it is given, or fails."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.sent: list[AmiAction] = []
        self._failure = failure

    async def act(self, action: AmiAction, *, deadline_s: float) -> Message:
        self.sent.append(action)
        if self._failure is not None:
            raise self._failure
        return Message(Kind.RESPONSE, "Success", "")


async def placed() -> tuple[SwitchedTrunkCalls, Outcome]:
    calls, outcome = SwitchedTrunkCalls(Control()), Outcome()
    await calls.place(CALL, outcome)
    return calls, outcome


async def test_the_order_is_one_action_that_names_everything() -> None:
    control = Control()
    await SwitchedTrunkCalls(control).place(CALL, Outcome())
    (action,) = control.sent
    sent = encode(action, "1").decode()
    assert "Channel: WebSocket/room0/c(slin16)nf(json)\r\n" in sent
    assert "Variable: PB_SOCKET=0123456789abcdef\r\n" in sent
    assert "ChannelId: room_1\r\n" in sent
    assert "Context: rooms-out\r\n" in sent
    assert f"Variable: PB_FROM={'c' * 32}\r\n" in sent
    assert "Variable: __PB_NAME=Zo%C3%AB\r\n" in sent
    assert "Async: true\r\n" in sent


@pytest.mark.parametrize("failure", [SwitchUnavailable(), SwitchRefused(), OutcomeUnknown()])
async def test_a_call_that_cannot_be_ordered_is_ordered_once(failure: Exception) -> None:
    control = Control(failure)
    calls = SwitchedTrunkCalls(control)
    with pytest.raises(RoomsUnavailable):
        await calls.place(CALL, Outcome())
    assert (len(control.sent), len(calls)) == (1, 0)


async def test_taken_then_over() -> None:
    calls, outcome = await placed()
    calls.hear(Heard(What.ANSWERED, OURS))
    calls.hear(Heard(What.DIALED, THEIRS, by=OURS))
    calls.hear(Heard(What.RANG, THEIRS))
    assert outcome.told == []
    calls.hear(Heard(What.ANSWERED, THEIRS))
    calls.hear(Heard(What.ANSWERED, THEIRS))
    calls.hear(Heard(What.HUNG_UP, THEIRS, cause=21))
    assert outcome.told == ["taken"]
    calls.hear(Heard(What.HUNG_UP, OURS, cause=16))
    calls.hear(Heard(What.HUNG_UP, OURS, cause=16))
    assert outcome.told == ["taken", "over 16"]
    assert len(calls) == 0


@pytest.mark.parametrize("what", [What.HUNG_UP, What.ORIGINATE_FAILED])
async def test_our_own_side_that_does_not_come_is_the_end(what: What) -> None:
    calls, outcome = await placed()
    calls.hear(Heard(what, OURS))
    assert outcome.told == ["over None"]


async def test_what_is_heard_of_other_channels_is_passed_over() -> None:
    calls, outcome = await placed()
    calls.hear(Heard(What.DIALED, THEIRS, by=ChannelId("leg_1")))
    calls.hear(Heard(What.ANSWERED, THEIRS))
    calls.hear(Heard(What.HUNG_UP, ChannelId("leg_1"), cause=16))
    assert (outcome.told, len(calls)) == ([], 1)


async def test_a_call_that_is_forgotten_tells_nothing() -> None:
    calls, outcome = await placed()
    calls.hear(Heard(What.DIALED, THEIRS, by=OURS))
    calls.forget(OURS)
    calls.hear(Heard(What.ANSWERED, THEIRS))
    calls.hear(Heard(What.HUNG_UP, OURS, cause=16))
    calls.forget(OURS)
    assert outcome.told == []


async def test_a_listener_that_breaks_ends_nothing_else() -> None:
    class Broken(Outcome):
        def taken(self) -> None:
            raise RuntimeError("broken")

    calls, broken = SwitchedTrunkCalls(Control()), Broken()
    await calls.place(CALL, broken)
    calls.hear(Heard(What.DIALED, THEIRS, by=OURS))
    calls.hear(Heard(What.ANSWERED, THEIRS))
    calls.hear(Heard(What.HUNG_UP, OURS, cause=16))
    assert broken.told == ["over 16"]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("", ""),
        ("Ann", "Ann"),
        ("a b", "a%20b"),
        ("~,|\"'()", "%7E%2C%7C%22%27%28%29"),
        ("a\r\nX: y", "aX%3A%20y"),
        ("•" * 80, "%E2%80%A2" * 60),
        ("\u202eevil", "evil"),
    ],
)
def test_a_name_travels_in_an_alphabet_that_ends_nothing(name: str, sent: str) -> None:
    assert coded(name) == sent
