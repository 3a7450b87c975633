"""The quick ``replace`` means what the slow one means."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from dialplan.core import evolve, facts, orders
from dialplan.core.call import Call, Connect, Direction, HoldMusic, Leg, Rank, Role, Tape, TapeState, Terms
from dialplan.core.record import record
from telephony.ids import CallId, ChannelId, LegId, TenantId

pytestmark = pytest.mark.unit

TERMS = Terms(TenantId("ten_1"), Direction.INBOUND, "+12025550100", "+12025550111")
LEG = Leg(LegId("leg_1"), Role.CALLER, Rank.UP, ChannelId("a.1"), answered_at=2.0)
TAPE = Tape("rec_1", TapeState.RECORDING, 3.0)
CALL = Call(CallId("call_1"), TERMS, 1.0, LEG, Leg(LegId("leg_2"), Role.CALLEE), tapes=(TAPE,))
VALUES = (
    TERMS,
    LEG,
    TAPE,
    CALL,
    record(CALL),
    Connect(HoldMusic()),
    facts.HungUp(Role.CALLER, 16, None),
    facts.Asked(),
    orders.Publish(1, "call.ringing", 2.0),
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A class that has something to say about its values."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


@dataclass(frozen=True)
class Unslotted:
    left: int
    right: int


def names(value: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(value)]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_field_can_be_replaced_and_the_others_stay(value: Any) -> None:
    for name in names(value):
        marker = object()
        copy = evolve.replace(value, **{name: marker})
        assert type(copy) is type(value)
        assert getattr(copy, name) is marker
        assert all(getattr(copy, other) is getattr(value, other) for other in names(value) if other != name)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_copy_is_equal_has_the_same_hash_and_stays_frozen(value: Any) -> None:
    copy = evolve.replace(value)
    assert copy is not value
    assert copy == value == dataclasses.replace(value)
    assert hash(copy) == hash(value)
    for name in names(value):
        with pytest.raises(FrozenInstanceError):
            setattr(copy, name, None)


@pytest.mark.parametrize(
    "value", [CALL, Checked(1, 2), Unslotted(1, 2)], ids=["quick", "checked", "unslotted"]
)
def test_a_field_that_is_not_there_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, AttributeError), match="nowhere"):
        evolve.replace(value, nowhere=1)


def test_the_original_stays_as_it_was() -> None:
    before = repr(LEG)
    evolve.replace(LEG, rank=Rank.ENDED, cause=16)
    assert repr(LEG) == before


def test_what_a_class_checks_is_checked_all_the_same() -> None:
    assert evolve.replace(Checked(1, 2), high=3) == Checked(1, 3)
    with pytest.raises(ValueError, match="above"):
        evolve.replace(Checked(1, 2), low=3)


def test_a_class_without_slots_is_copied_too() -> None:
    assert evolve.replace(Unslotted(1, 2), right=3) == Unslotted(1, 3)
