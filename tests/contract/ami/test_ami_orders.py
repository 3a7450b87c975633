"""Orders over the link: done, refused, surely not sent, or unknown; and sent at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from dialplan.ami.client import AmiLink, LinkState
from dialplan.ami.wire import AmiAction
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable, UnsafeValue
from tests.rig import fake_ami
from tests.rig.ami_heard import SETTINGS, Heard
from tests.rig.fake_ami import Asked, FakeAmi, FakeSession

pytestmark = pytest.mark.contract

ORIGINATE = AmiAction(
    "Originate",
    (
        ("Channel", "PJSIP/+14155550123@carrier@_"),
        ("ChannelId", "pb-leg-1"),
        ("Context", "outbound"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
    ),
)
HANGUP = AmiAction("Hangup", (("Channel", "pb-leg-1"), ("Cause", "16")))
CHANNELS = AmiAction("CoreShowChannels")


async def test_an_order_returns_the_switchs_response(link: AmiLink, ami: FakeAmi) -> None:
    response = await link.act(HANGUP, deadline_s=30)
    assert (response.name, response["Message"]) == ("Success", "Hangup done")
    (asked,) = await ami.saw("Hangup")
    assert asked.pairs[2:] == HANGUP.fields


async def test_an_unanswered_order_is_not_sent_again_on_the_next_connection(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: whatever was written and not answered is replayed after a reconnect, so a phone rings twice."""
    ami.script["Originate"] = fake_ami.drop_before_reply
    with pytest.raises(OutcomeUnknown):
        await link.act(ORIGINATE, deadline_s=30)
    await heard.until(lambda h: len(h.ups) == 2)
    await link.act(HANGUP, deadline_s=30)
    assert ami.names() == ["Originate", "Hangup"]


async def test_an_order_given_while_disconnected_is_refused_and_never_fires(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: actions given while there is no connection wait, and a stale call goes out after the outage."""
    await ami.close()
    await heard.until(lambda h: len(h.downs) == 1)
    with pytest.raises(SwitchUnavailable):
        await link.act(ORIGINATE, deadline_s=30)
    await ami.listen()
    await heard.until(lambda h: len(h.ups) == 2)
    await link.act(HANGUP, deadline_s=30)
    assert ami.names() == ["Hangup"]


async def test_before_the_first_connection_an_order_is_surely_not_sent(
    new_link: Callable[..., AmiLink], ami: FakeAmi
) -> None:
    link = new_link()
    with pytest.raises(SwitchUnavailable):
        await link.act(ORIGINATE, deadline_s=30)
    assert ami.asked == []


async def test_a_reply_then_a_cut_is_an_answer(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.script["Originate"] = fake_ami.drop_after_reply
    assert (await link.act(ORIGINATE, deadline_s=30)).name == "Success"
    await heard.until(lambda h: len(h.ups) == 2)
    assert ami.names() == ["Originate"]


async def test_silence_becomes_unknown_at_the_deadline(link: AmiLink, ami: FakeAmi) -> None:
    """Stock: no future has a deadline; a caller waits for ever."""
    ami.script["Originate"] = fake_ami.silent
    with pytest.raises(OutcomeUnknown, match=r"no answer to Originate within 0\.05 s"):
        await link.act(ORIGINATE, deadline_s=0.05)
    assert link.metrics().pending == 0
    assert link.metrics().actions["unknown"] == 1


async def test_an_answer_after_the_deadline_is_counted_and_ignored(link: AmiLink, ami: FakeAmi) -> None:
    withheld: list[tuple[FakeSession, Asked]] = []

    async def withhold(session: FakeSession, asked: Asked) -> None:
        withheld.append((session, asked))

    ami.script["Originate"] = withhold
    with pytest.raises(OutcomeUnknown):
        await link.act(ORIGINATE, deadline_s=0.05)
    await ami.saw("Originate")
    await fake_ami.obey(*withheld[0])
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().late_replies == 1


async def test_a_second_reply_is_counted_and_ignored(link: AmiLink, ami: FakeAmi) -> None:
    ami.script["Hangup"] = fake_ami.reply_twice
    await link.act(HANGUP, deadline_s=30)
    await link.act(CHANNELS, deadline_s=30)
    assert link.metrics().late_replies == 1


async def test_a_reply_to_nobody_is_counted(link: AmiLink, ami: FakeAmi) -> None:
    ami.last.message(("Response", "Success"), ("ActionID", "somebody/else/1"))
    ami.last.message(("Response", "Success"))
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().unknown_replies == 2


async def test_a_refusal_is_an_error_with_the_numbers_hidden(link: AmiLink, ami: FakeAmi) -> None:
    async def refuse(session: FakeSession, asked: Asked) -> None:
        session.reply(asked, "Error", ("Message", "No such channel +14155550123"))

    ami.script["Hangup"] = refuse
    with pytest.raises(SwitchRefused) as refused:
        await link.act(HANGUP, deadline_s=30)
    assert "No such channel" in refused.value.message
    assert "4155550123" not in refused.value.message


async def test_an_asynchronous_originate_is_answered_when_it_is_queued(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: the future waits for the far end to answer or fail, and hangs if the link dies meanwhile."""
    response = await link.act(ORIGINATE, deadline_s=30)
    assert response["Message"] == "Originate successfully queued"
    assert heard.events == ["FullyBooted"]


@pytest.mark.parametrize("order", [("OriginateResponse", "Hangup"), ("Hangup", "OriginateResponse")])
async def test_originate_response_reaches_the_listener_in_the_order_it_came(
    link: AmiLink, ami: FakeAmi, heard: Heard, order: tuple[str, str]
) -> None:
    """Stock: any event with a pending ActionID is eaten by the future and no callback sees it."""
    await link.act(ORIGINATE, deadline_s=30)
    (asked,) = await ami.saw("Originate")
    for name in order:
        ami.last.event(name, ("ActionID", asked["ActionID"]), ("Uniqueid", "pb-leg-1"))
    await heard.until(lambda h: len(h.events) == 3)
    assert tuple(heard.events[1:]) == order


async def test_originate_response_before_the_acknowledgement_is_still_an_event(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    async def response_first(session: FakeSession, asked: Asked) -> None:
        session.event("OriginateResponse", ("ActionID", asked["ActionID"]), ("Response", "Failure"))
        await fake_ami.obey(session, asked)

    ami.script["Originate"] = response_first
    assert (await link.act(ORIGINATE, deadline_s=30)).name == "Success"
    await heard.until(lambda h: "OriginateResponse" in h.events)


async def test_originate_response_is_an_event_also_while_a_list_is_read(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.script["CoreShowChannels"] = fake_ami.silent
    ami.script["Originate"] = fake_ami.silent
    listing = asyncio.create_task(link.listing(CHANNELS, deadline_s=60))
    order = asyncio.create_task(link.act(ORIGINATE, deadline_s=60))
    (asked,) = await ami.saw("Originate")
    (wanted,) = await ami.saw("CoreShowChannels")
    ami.last.event("OriginateResponse", ("ActionID", asked["ActionID"]), ("Response", "Failure"))
    await fake_ami.obey(ami.last, asked)
    fake_ami.list_channels(ami.last, wanted)
    assert (await order).name == "Success"
    assert await listing == []
    await heard.until(lambda h: "OriginateResponse" in h.events)


async def test_a_text_that_ends_in_successfully_queued_is_only_a_text(link: AmiLink, ami: FakeAmi) -> None:
    """Stock: such a reply to an action without an Async header raises KeyError and the link is torn down."""
    ami.script["PlayDTMF"] = fake_ami.queued_without_async
    digit = AmiAction("PlayDTMF", (("Channel", "pb-leg-1"), ("Digit", "5")))
    assert (await link.act(digit, deadline_s=30))["Message"] == "DTMF successfully queued"
    assert link.state is LinkState.UP
    assert link.metrics().connection_epoch == 1


@pytest.mark.parametrize(
    "text", ["Added interface to queue", "Channels will follow", "DTMF successfully queued"]
)
async def test_no_wording_of_a_reply_makes_an_order_wait_for_more(
    link: AmiLink, ami: FakeAmi, text: str
) -> None:
    """Stock: whether more messages follow is guessed from the reply's wording."""

    async def worded(session: FakeSession, asked: Asked) -> None:
        session.reply(asked, "Success", ("Message", text))

    ami.script["Setvar"] = worded
    setvar = AmiAction("Setvar", (("Channel", "pb-leg-1"), ("Variable", "PB"), ("Value", "1")))
    assert (await link.act(setvar, deadline_s=30))["Message"] == text


async def test_a_list_returns_its_rows_and_keeps_them_from_the_listener(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.channels = ((("Uniqueid", "a.1"),), (("Uniqueid", "b.2"),))
    rows = await link.listing(CHANNELS, deadline_s=30)
    assert [row["Uniqueid"] for row in rows] == ["a.1", "b.2"]
    assert heard.events == ["FullyBooted"]


async def test_events_between_the_rows_of_a_list_reach_the_listener(
    link: AmiLink, ami: FakeAmi, heard: Heard
) -> None:
    async def interleaved(session: FakeSession, asked: Asked) -> None:
        session.event("Hangup", ("Uniqueid", "z.9"))
        fake_ami.list_channels(session, asked)

    ami.channels = ((("Uniqueid", "a.1"),),)
    ami.script["CoreShowChannels"] = interleaved
    rows = await link.listing(CHANNELS, deadline_s=30, complete="CoreShowChannelsComplete")
    await heard.until(lambda h: "Hangup" in h.events)
    assert [row["Uniqueid"] for row in rows] == ["a.1"]


async def test_a_refused_list_is_refused(link: AmiLink, ami: FakeAmi) -> None:
    """Stock: a list that is answered with an Error never resolves."""
    ami.script["CoreShowChannels"] = fake_ami.deny
    with pytest.raises(SwitchRefused, match="Permission denied"):
        await link.listing(CHANNELS, deadline_s=30)
    assert link.metrics().pending == 0


async def test_a_list_cut_in_the_middle_is_unknown(link: AmiLink, ami: FakeAmi) -> None:
    """Stock: a partly answered action is dropped at disconnect without its future ever ending."""

    async def half(session: FakeSession, asked: Asked) -> None:
        session.reply(asked, "Success", ("EventList", "start"))
        session.message(("Event", "CoreShowChannel"), ("ActionID", asked["ActionID"]), ("Uniqueid", "a.1"))
        await session.writer.drain()
        await session.hang_up()

    ami.script["CoreShowChannels"] = half
    with pytest.raises(OutcomeUnknown):
        await link.listing(CHANNELS, deadline_s=30)


async def test_a_list_of_four_mebibytes_in_one_reply_arrives_whole(link: AmiLink, ami: FakeAmi) -> None:
    ami.script["CoreStatus"] = fake_ami.huge_reply(4 * 2**20)
    response = await link.act(AmiAction("CoreStatus"), deadline_s=30)
    assert len(response.get_all("Output")) == 4 * 2**20 // 1000


async def test_a_cancelled_caller_leaves_nothing_behind(link: AmiLink, ami: FakeAmi) -> None:
    ami.script["Originate"] = fake_ami.silent
    caller = asyncio.create_task(link.act(ORIGINATE, deadline_s=60))
    await ami.saw("Originate")
    caller.cancel()
    await asyncio.wait({caller})
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().pending == 0


async def test_many_orders_at_once_each_get_their_own_answer(link: AmiLink, ami: FakeAmi) -> None:
    async def echo(session: FakeSession, asked: Asked) -> None:
        session.reply(asked, "Success", ("Value", asked["Variable"]))

    ami.script["Getvar"] = echo
    names = [f"VAR{n}" for n in range(200)]
    orders = [AmiAction("Getvar", (("Channel", "pb-leg-1"), ("Variable", name))) for name in names]
    answers = await asyncio.gather(*(link.act(order, deadline_s=30) for order in orders))
    assert [answer["Value"] for answer in answers] == names
    assert link.metrics().actions["done"] == 200


async def test_when_the_switch_stops_reading_orders_are_surely_not_sent(
    new_link: Callable[..., AmiLink], ami: FakeAmi
) -> None:
    """A full send buffer. What was refused is not written, and what is left in it dies with the link."""
    link = new_link(replace(SETTINGS, ping_every_s=600.0))  # why: a ping without a pong would be counted too
    await link.start()
    await link.wait_up(30)
    ami.script["DBPut"] = fake_ami.go_deaf
    long = AmiAction("DBPut", (("Family", "pb"), ("Key", "k"), ("Val", "v" * 900)))
    sent: list[asyncio.Task[object]] = []
    refused = 0
    while refused < 50:
        order: asyncio.Task[object] = asyncio.create_task(link.act(long, deadline_s=600))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if order.done():
            assert isinstance(order.exception(), SwitchUnavailable)
            refused += 1
        else:
            sent.append(order)
            refused = 0
    assert link.metrics().pending == len(sent)
    await link.stop()
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {OutcomeUnknown}
    unread = b""
    with suppress(ConnectionError):
        unread = await ami.last.reader.read(-1)
    assert unread.count(b"Action: DBPut") + 1 < len(sent)


async def test_a_line_break_in_a_value_never_reaches_the_wire(link: AmiLink, ami: FakeAmi) -> None:
    """Stock: a Setvar with a line break in its value arrived as two actions, the second a Command."""
    with pytest.raises(UnsafeValue):
        AmiAction(
            "Setvar",
            (
                ("Channel", "pb-leg-1"),
                ("Variable", "PB"),
                ("Value", "1\r\n\r\nAction: Command\r\nCommand: core stop now"),
            ),
        )
    await link.act(HANGUP, deadline_s=30)
    assert ami.names() == ["Hangup"]
