"""Events over the link: all of them, in order, whatever the bytes do and however the listener behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from dialplan.ami.client import AmiLink, DownReason, LinkDown, LinkState, LinkUp
from dialplan.ami.wire import AmiAction, Message
from tests.rig.ami_heard import SETTINGS, Heard
from tests.rig.fake_ami import FakeAmi

pytestmark = pytest.mark.contract

HANGUP = AmiAction("Hangup", (("Channel", "pb-leg-1"),))
NewLink = Callable[..., AmiLink]


def storm(count: int, first: int = 0) -> bytes:
    return b"".join(
        b"Event: Newstate\r\nPrivilege: call,all\r\nUniqueid: u.%d\r\nChannelState: 5\r\n\r\n" % n
        for n in range(first, first + count)
    )


def numbers(heard: Heard) -> list[int]:
    return [int(m["Uniqueid"].partition(".")[2]) for m in heard.messages if m.name == "Newstate"]


async def test_events_arrive_in_order(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    """Stock: coroutine callbacks become free tasks, in no order."""
    ami.last.raw(storm(5_000))
    await heard.until(lambda h: len(h.events) == 5_001)
    assert numbers(heard) == list(range(5_000))


async def test_utf8_written_byte_by_byte_is_kept(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    """Stock: a character that is split over two reads disappears."""
    ami.last.one_byte_writes = True
    ami.last.event("Newchannel", ("CallerIDName", "Zoë Ñandú 北京 🎈"), ("Uniqueid", "u.1"))
    await heard.until(lambda h: len(h.events) == 2)
    assert heard.messages[1]["CallerIDName"] == "Zoë Ñandú 北京 🎈"


async def test_a_character_cut_between_two_reads_is_kept(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    wire = "Event: Newchannel\r\nCallerIDName: Zoë\r\n\r\n".encode()
    cut = wire.index("ë".encode()) + 1
    ami.last.raw(storm(1) + wire[:cut])
    await heard.until(lambda h: numbers(h) == [0])
    ami.last.raw(wire[cut:])
    await heard.until(lambda h: len(h.events) == 3)
    assert heard.messages[2]["CallerIDName"] == "Zoë"


async def test_a_duplicated_event_header_survives(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    """Stock: a duplicate becomes a list, string code meets it, and the link is lost."""
    ami.last.message(("Event", "Odd"), ("Event", "Odder"), ("Message", "a"), ("Message", "b"))
    ami.last.event("Hangup", ("Uniqueid", "u.1"))
    await heard.until(lambda h: "Hangup" in h.events)
    odd = heard.messages[1]
    assert (odd.name, odd.get_all("Event"), odd.get_all("Message")) == ("Odd", ("Odd", "Odder"), ("a", "b"))
    assert link.metrics().connection_epoch == 1


async def test_garbage_between_messages_is_counted_and_passed_over(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.last.raw(b"\r\n\r\n\x00\xff\xfe garbage\r\n\r\nno header here\r\n")
    ami.last.event("Hangup", ("Uniqueid", "u.1"))
    await heard.until(lambda h: "Hangup" in h.events)
    assert heard.messages[-1]["Uniqueid"] == "u.1"
    assert link.metrics().junk == 2
    assert link.state is LinkState.UP


async def test_a_listener_that_raises_does_not_harm_the_link(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: an exception in a plain callback tears the connection down and loses the rest of the read."""

    def fail(message: Message) -> None:
        raise ZeroDivisionError(message.name)

    heard.on_event_does = fail
    ami.last.raw(storm(10))
    await heard.until(lambda h: len(h.events) == 11)
    heard.on_event_does = None
    await link.act(HANGUP, deadline_s=30)
    assert numbers(heard) == list(range(10))
    assert link.metrics().callback_errors == 10
    assert heard.downs == []


async def test_an_on_up_that_raises_does_not_harm_the_link(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    async def fail(_: LinkUp) -> None:
        raise ZeroDivisionError

    heard.on_up_does = fail
    link = new_link()
    await link.start()
    await heard.until(lambda h: h.events == ["FullyBooted"])
    assert link.metrics().callback_errors == 1
    assert link.state is LinkState.UP


async def test_an_on_up_that_never_ends_is_cut_off(new_link: NewLink, ami: FakeAmi, heard: Heard) -> None:
    async def hang(_: LinkUp) -> None:
        await asyncio.Event().wait()

    heard.on_up_does = hang
    link = new_link(replace(SETTINGS, up_s=0.05))
    await link.start()
    await heard.until(lambda h: h.events == ["FullyBooted"])
    assert link.metrics().callback_errors == 1


async def test_events_wait_until_on_up_has_returned(new_link: NewLink, ami: FakeAmi, heard: Heard) -> None:
    """A snapshot taken in on_up comes first, what happened meanwhile comes after it."""
    go_on = asyncio.Event()

    async def snapshot(_: LinkUp) -> None:
        await go_on.wait()

    heard.on_up_does = snapshot
    link = new_link()
    await link.start()
    await heard.until(lambda h: len(h.ups) == 1)
    ami.last.raw(storm(3))
    await link.act(HANGUP, deadline_s=30)
    assert heard.events == []
    assert link.metrics().queued == 4
    go_on.set()
    await heard.until(lambda h: len(h.events) == 4)
    assert link.metrics().queued == 0


async def test_what_was_read_before_a_loss_is_told_before_the_loss(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.last.raw(storm(1_000))
    await ami.last.writer.drain()
    await ami.last.hang_up()
    await heard.until(lambda h: len(h.ups) == 2)
    kinds = [type(told).__name__ for told in heard.all]
    assert kinds[:2] == ["LinkUp", "Message"]
    assert kinds.index("LinkDown") == 1_002
    assert numbers(heard) == list(range(1_000))


async def test_a_storm_of_fifty_thousand_events_arrives_whole(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.last.raw(storm(49_000))
    await heard.until(lambda h: len(h.events) == 49_001, within_s=60)
    assert numbers(heard) == list(range(49_000))
    metrics = link.metrics()
    assert (metrics.dropped, metrics.gap, metrics.queued) == (0, False, 0)


async def test_orders_are_answered_during_a_storm(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.last.raw(storm(49_000))
    assert (await link.act(HANGUP, deadline_s=30)).name == "Success"
    await heard.until(lambda h: len(h.events) == 49_001, within_s=60)


async def test_too_many_events_are_a_gap_that_forces_a_new_snapshot(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    """The reader is never held up, memory is bounded, and the listener knows that it missed something."""
    hold = asyncio.Event()

    async def snapshot(link_up: LinkUp) -> None:
        if not link_up.resync:
            await hold.wait()

    heard.on_up_does = snapshot
    link = new_link(replace(SETTINGS, queue_limit=100))
    await link.start()
    await heard.until(lambda h: len(h.ups) == 1)
    ami.last.raw(storm(500))
    await link.act(HANGUP, deadline_s=30)
    metrics = link.metrics()
    assert (metrics.gap, metrics.gaps, metrics.queued) == (True, 1, 100)
    assert metrics.dropped == 401
    assert metrics.lag_ms > 0
    hold.set()
    await heard.until(lambda h: len(h.ups) == 2)
    assert heard.downs == [LinkDown("ctl", 1, DownReason.GAP, "events were dropped")]
    assert heard.ups[1] == replace(heard.ups[0], resync=True)
    assert numbers(heard) == list(range(99))
    assert len(ami.sessions) == 1
    ami.last.raw(storm(3, first=1_000))
    await heard.until(lambda h: numbers(h)[-3:] == [1_000, 1_001, 1_002])
    assert not link.metrics().gap


async def test_a_loss_during_a_gap_is_one_loss_and_one_new_snapshot(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    hold = asyncio.Event()

    async def snapshot(_: LinkUp) -> None:
        await hold.wait()

    heard.on_up_does = snapshot
    link = new_link(replace(SETTINGS, queue_limit=100))
    await link.start()
    await heard.until(lambda h: len(h.ups) == 1)
    ami.last.raw(storm(500))
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().gap
    ami.last.drop()
    await ami.connected(2)
    await ami.saw("CoreSettings", 2)
    hold.set()
    await heard.until(lambda h: len(h.ups) == 2)
    ami.last.raw(storm(1, first=7_000))
    await heard.until(lambda h: numbers(h)[-1:] == [7_000])
    assert [down.reason for down in heard.downs] == [DownReason.CLOSED]
    assert [up.resync for up in heard.ups] == [False, False]


async def test_the_loop_gets_its_turn_while_a_backlog_is_delivered(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    hold = asyncio.Event()

    async def wait(_: LinkUp) -> None:
        await hold.wait()

    heard.on_up_does = wait
    link = new_link()
    await link.start()
    await heard.until(lambda h: len(h.ups) == 1)
    ami.last.raw(storm(10_000))
    await link.act(HANGUP, deadline_s=30)
    seen: list[int] = []

    async def watch() -> None:
        while len(heard.events) < 10_001:
            seen.append(len(heard.events))
            await asyncio.sleep(0)

    hold.set()
    await asyncio.wait_for(watch(), 30)
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 200


async def test_the_reader_goes_on_while_the_listener_is_behind(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    """The switch drops a session whose reader stops for a tenth of a second."""
    hold = asyncio.Event()

    async def wait(_: LinkUp) -> None:
        await hold.wait()

    heard.on_up_does = wait
    link = new_link()
    await link.start()
    await heard.until(lambda h: len(h.ups) == 1)
    ami.last.raw(storm(40_000))
    await asyncio.wait_for(ami.last.writer.drain(), 30)
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().queued == 40_001
    hold.set()
    await heard.until(lambda h: len(h.events) == 40_001, within_s=60)
