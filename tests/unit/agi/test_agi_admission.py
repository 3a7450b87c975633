import asyncio

import pytest

from dialplan.agi.conversation import AgiLimits, Conversation, Switchboard
from dialplan.agi.metrics import Refused, Tally
from dialplan.agi.wire import Question

pytestmark = pytest.mark.unit


async def nobody(question: Question) -> str:
    return ""


def admitted(peer: str, limits: AgiLimits) -> Refused | None:
    board = Switchboard(nobody, limits=limits, variable="PB_ROUTE", on_gone=None)
    return board.admit(Conversation(board, asyncio.get_running_loop()), peer)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_is_let_in(peer: str):
    assert admitted(peer, AgiLimits()) is None


@pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "1270.0.0.1", ""])
async def test_others_are_let_in_only_on_request(peer: str):
    assert admitted(peer, AgiLimits()) is Refused.FOREIGN
    assert admitted(peer, AgiLimits(loopback_only=False)) is None


def test_quantiles_are_the_upper_bounds_of_their_buckets():
    tally = Tally()
    assert tally.snapshot(0).answer_times.quantile(0.99) == 0.0
    for milliseconds in (0.05, 0.05, 0.05, 3.0):
        tally.time(milliseconds / 1000)
    times = tally.snapshot(0).answer_times
    assert times.count == 4
    assert times.total_s == pytest.approx(0.00315)
    assert times.quantile(0.5) == 0.0001
    assert times.quantile(0.99) == 0.005
    tally.time(9)
    assert tally.snapshot(0).answer_times.quantile(1) == float("inf")
