"""Texts over SIP MESSAGE through the real switch: whole, once, from the right sender, and none lost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from dialplan.ami.client import AmiLink
from gateway.switch_texts import FAMILY, SwitchTexts, TextLines, TrunkAddress, parts_of
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_message import Headers, Request, branch_of, parse, user_in
from gateway.trial.sip_outgoing import authorized
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import WITHIN_S, Watch
from proxy_pool.core.text import InboundText, OutboundText
from telephony.errors import InvalidInput, StorageUnavailable, SwitchRefused
from telephony.numbers import E164
from tests.rig.links import ami_link, database, database_cleared
from tests.rig.masked import DIALS_A, DIALS_B, A, B, Masked

pytestmark = pytest.mark.switch

ALICE = Credentials("alice", "alice-on-loopback")
_numbers = itertools.count(1)


@dataclass(slots=True)
class Desk:
    """What a gateway would do: takes texts, unless it is told to fail."""

    world: Masked
    texts: SwitchTexts
    link: AmiLink
    taken: list[InboundText] = field(default_factory=list)
    broken: bool = False
    watch: Watch = field(default_factory=Watch)

    async def take(self, text: InboundText) -> None:
        if self.broken:
            raise StorageUnavailable("as told")
        self.taken.append(text)
        self.watch.changed()

    async def has(self, count: int) -> list[InboundText]:
        await self.watch.until(
            lambda: len(self.taken) >= count, within_s=20, what=f"{count} texts", seen=lambda: self.taken
        )
        return self.taken

    async def noted(self, holds: Callable[[int], bool]) -> None:
        """Wait until so many texts stand in the switch's database."""
        async with asyncio.timeout(20):
            while True:
                if holds(len(await database(self.link, FAMILY))):
                    return
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(world: Masked) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as exits:
        control = await exits.enter_async_context(ami_link(world.switch.address, "control"))
        link = await exits.enter_async_context(ami_link(world.switch.address, "recording"))
        far = {"alpha": world.a.address, "beta": world.b.address}
        lines = TextLines(
            {name: TrunkAddress(*address) for name, address in far.items()},
            frozenset({"alice"}),
            "patchbay.invalid",
        )
        made: Desk

        async def take(text: InboundText) -> None:
            await made.take(text)

        texts = SwitchTexts(control, link, lines, take, time.time)
        made = Desk(world, texts, link)
        events = await exits.enter_async_context(
            ami_link(world.switch.address, "events", on_event=texts.heard)
        )
        assert events.state.value == "up"
        # what a test has taken it may not have taken away yet when it ends: the next must not meet it
        await database_cleared(link, FAMILY)
        yield made
        await texts.stop()


def message(world: Masked, body: bytes, **how: str) -> Request:
    """A MESSAGE from A to its proxy number."""
    given = {"to": DIALS_A, "sender": f"<sip:{A}@127.0.0.2>;tag=a", "type": "text/plain", **how}
    uri = f"sip:{given['to']}@{world.sip[0]}:{world.sip[1]}"
    lines = (
        ("From", given["sender"]),
        ("To", f"<{uri}>"),
        ("Call-ID", given.get("call_id", f"text-{next(_numbers)}")),
        ("CSeq", "7 MESSAGE"),
        ("Max-Forwards", "70"),
        ("Content-Type", given["type"]),
    )
    return Request("MESSAGE", uri, Headers(lines), body)


async def sends(world: Masked, body: bytes, **how: str) -> int:
    """A sends this; the final answer's status."""
    final = await world.a.transport.request(message(world, body, **how), world.sip).final_response()
    return final.status


HARD = [
    "hello",
    'Zoë \U0001f600 :) ok: ${EPOCH} ${DB(pb/x)} "q" \\n, a=b; (x',
    "line 1\r\nline 2\n\n: x) : y",
    "Event: Hangup\r\nUniqueid: forged\r\n\r\nAction: Originate",
    "))))):0:3",
    ")" * 500 + ":x",
    "(" * 500 + ":",
    "a)b:c(d" * 100,
    "x1d29" * 100,
    ",,,'\"$[1+1]&|<>",
    "0",
    " ",
    "y" * 1023,
    "\u20ac" * 341,
]


async def test_a_text_arrives_as_it_was_written(desk: Desk) -> None:
    desk.texts.start()
    for body in HARD:
        assert await sends(desk.world, body.encode()) == 202
    await desk.has(len(HARD))
    assert sorted(text.body for text in desk.taken) == sorted(HARD)
    assert {(text.sender, text.to.reveal(), text.carrier) for text in desk.taken} == {(A, DIALS_A, "sip")}
    assert all(abs((text.sent_at or 0) - time.time()) < 60 for text in desk.taken)
    assert len({text.message_id for text in desk.taken}) == len(HARD)
    await desk.noted(lambda count: count == 0)


async def test_a_repeated_text_has_the_same_id(desk: Desk) -> None:
    desk.texts.start()
    for _ in range(2):
        assert await sends(desk.world, b"again", call_id="the-same") == 202
        await desk.has(1)
        await desk.noted(lambda count: count == 0)
    assert len({text.message_id for text in desk.taken}) == 1


@pytest.mark.parametrize(
    ("sender", "read"),
    [
        (f'"sip:{B}@x" <sip:{A}@127.0.0.2>;tag=a', A),
        (f'"<sip:{B}@x>" <sip:{A}@127.0.0.2>;tag=a', A),
        (f'<sip:{A}@127.0.0.2>;tag=a;x="<sip:{B}@x>"', A),
        (f"<sip:00{A.lstrip('+')}@127.0.0.2>;tag=a", A),
        ("<sip:Shop@127.0.0.2>;tag=a", "Shop"),
        ("<sip:12345@127.0.0.2>;tag=a", "12345"),
        ("<sip:anonymous@anonymous.invalid>;tag=a", "anonymous"),
        (f"<sip:%0D%0A{A}@127.0.0.2>;tag=a", ""),
        (f"<sip:{A})(@127.0.0.2>;tag=a", f"{A})("),
    ],
)
async def test_the_sender_is_who_the_address_says(desk: Desk, sender: str, read: str) -> None:
    desk.texts.start()
    assert await sends(desk.world, b"who am I", sender=sender) == 202
    assert [text.sender for text in await desk.has(1)] == [read]


async def test_texts_wait_in_the_switch_until_the_gateway_has_them(desk: Desk) -> None:
    for count in range(3):
        assert await sends(desk.world, f"number {count}".encode()) == 202
    await desk.noted(lambda count: count == 3)
    desk.broken = True
    desk.texts.start()
    await asyncio.sleep(0.3)
    await desk.noted(lambda count: count == 3)
    desk.broken = False
    assert sorted(text.body for text in await desk.has(3)) == ["number 0", "number 1", "number 2"]
    await desk.noted(lambda count: count == 0)


async def test_a_text_that_is_too_long_for_the_switch_is_counted_as_lost(desk: Desk) -> None:
    desk.texts.start()
    assert await sends(desk.world, b"z" * 1024) == 202
    assert await sends(desk.world, b"short") == 202
    assert [text.body for text in await desk.has(1)] == ["short"]
    await desk.noted(lambda count: count == 0)
    assert desk.texts.metrics().too_long == 1


@pytest.mark.parametrize("to", ["abc", "1%0A2", "s", "*", "+1", "text", "1.2"])
async def test_a_text_to_what_is_no_number_is_refused(desk: Desk, to: str) -> None:
    assert await sends(desk.world, b"hello", to=to) == 404
    await desk.noted(lambda count: count == 0)


@pytest.mark.parametrize("content", ["text/html", "application/json", "message/cpim", "image/png"])
async def test_only_plain_text_is_taken(desk: Desk, content: str) -> None:
    assert await sends(desk.world, b"<b>hello</b>", type=content) == 415


async def test_a_phone_writes_with_its_password_and_is_known_by_its_name(desk: Desk) -> None:
    desk.texts.start()
    async with await SipPhone.open(name="alice") as alice:
        request = message(desk.world, b"from alice", sender="<sip:alice@127.0.0.1>;tag=a")
        refusal = await alice.transport.request(request, desk.world.sip).final_response()
        assert refusal.status == 401
        again = authorized(request, refusal, ALICE, "cnonce")
        assert again is not None
        answer = await alice.transport.request(again, desk.world.sip).final_response()
        assert answer.status == 202
    assert [text.sender for text in await desk.has(1)] == ["phone:alice"]


async def test_a_stranger_writes_to_nobody(desk: Desk) -> None:
    async with await SipPhone.open("127.0.0.9") as stranger:
        final = await stranger.transport.request(message(desk.world, b"hi"), desk.world.sip).final_response()
        assert final.status in (401, 403)
    await desk.noted(lambda count: count == 0)


def received(phone: SipPhone) -> list[Request]:
    """Every MESSAGE, once however often it was sent (RFC 3261 section 17.2.3)."""
    messages: dict[str, Request] = {}
    for traced in phone.transport.trace:
        one = None if traced.sent else parse(traced.raw)
        if isinstance(one, Request) and one.method == "MESSAGE":
            messages.setdefault(branch_of(one), one)
    return list(messages.values())


def outbound(body: str, **changes: object) -> OutboundText:
    text = OutboundText("msg_01ARZ3NDEKTSV4RRFFQ69G5FAV", E164(DIALS_B), E164(B), body)
    return replace(text, **changes)  # type: ignore[arg-type]


async def test_a_text_goes_out_over_a_trunk(desk: Desk) -> None:
    body = 'Zoë \U0001f600\r\nline 2 ${EPOCH}, "q"'
    assert await desk.texts.send(outbound(body), "beta") == "msg_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    await desk.world.b.traces(lambda: bool(received(desk.world.b)), WITHIN_S, "a MESSAGE")
    (request,) = received(desk.world.b)
    assert request.uri.startswith(f"sip:{B}@127.0.0.3:")
    assert user_in(request.headers.first("From")) == DIALS_B
    assert user_in(request.headers.first("To")) == B
    assert request.headers.first("Content-Type") == "text/plain"
    assert request.body.decode() == body
    assert not received(desk.world.a)


@pytest.mark.parametrize("body", ["k", "ok", "yes"])
async def test_the_shortest_texts_go_out_too(desk: Desk, body: str) -> None:
    await desk.texts.send(outbound(body), "beta")
    await desk.world.b.traces(lambda: bool(received(desk.world.b)), WITHIN_S, "a MESSAGE")
    assert [request.body.decode() for request in received(desk.world.b)] == [body]


async def test_a_long_text_goes_out_as_several(desk: Desk) -> None:
    body = "word " * 400 + "\u20ac" * 300
    await desk.texts.send(outbound(body), "beta")
    count = len(parts_of(body))
    await desk.world.b.traces(lambda: len(received(desk.world.b)) >= count, WITHIN_S, f"{count} MESSAGEs")
    assert b"".join(request.body for request in received(desk.world.b)).decode() == body


async def test_a_text_goes_out_to_a_registered_phone_and_to_no_other(desk: Desk) -> None:
    with pytest.raises(SwitchRefused):
        await desk.texts.send(outbound("nobody home"), "alice")
    async with await SipPhone.open(name="alice") as alice:
        await alice.register(desk.world.sip, ALICE)
        await desk.texts.send(outbound("hello alice"), "alice")
        await alice.traces(lambda: bool(received(alice)), WITHIN_S, "a MESSAGE")
        (request,) = received(alice)
        assert (request.body, user_in(request.headers.first("From"))) == (b"hello alice", DIALS_B)
        assert B not in request.uri
        await alice.register(desk.world.sip, ALICE, expires_s=0)
    with pytest.raises(InvalidInput):
        await desk.texts.send(outbound("who?"), "carol")
