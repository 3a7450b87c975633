"""Hostile numbers and names in SIP: whatever a caller sends, no line of an event is his.

What the switch says to the events user is kept byte by byte. A caller who could break a line there could
end other people's calls on paper, so every line must be one the switch made itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
import pytest_asyncio

from gateway.runtime.switch import SwitchAddress
from gateway.trial.sip_behaviour import Behaviour, by_last_digits
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import Timers
from gateway.trial.watch import Watch
from tests.rig.product import CARRIER_IP, OWN, Json, Product, running_product

pytestmark = pytest.mark.switch

FORGED = "\r\nEvent: Hangup\r\nUniqueid: victim\r\nX-Forged: 1\r\n\r\n"
EVENT = quote(FORGED, safe="")
QUICK = Timers(t1=0.2, t2=0.4, give_up=1.5)
ALICE = Credentials("alice", "alice-on-loopback")
PLAN = """
[[trunk]]
name = "carrier"
host = "127.0.0.2"
port = {port}
identify = ["127.0.0.2"]

[[phone]]
name = "alice"
password = "alice-on-loopback"
"""
USERS = {
    "line-breaks": f"+14155550177{EVENT}",
    "line-breaks-alone": EVENT,
    "raw-colons": "+14155550177%0D%0AX-Forged:1",
    "lone-lf": quote("+14155550177\nX-Forged: 1", safe="+"),
    "lone-cr": quote("+14155550177\rX-Forged: 1", safe="+"),
    "twice-coded": f"+14155550177{EVENT.replace('%', '%25')}",
    "nul": quote("+1415\0X-Forged: 1", safe="+"),
    "huge": "1" * 1_500,
    "huge-coded": quote("\r\nX-Forged: 1" * 60, safe=""),
    "quotes": quote('"\\"><sip:forged"', safe=""),
    "variables": quote("${SHELL(id)}${GLOBAL(x)}", safe=""),
    "commas": "1,2,3%2C4,5",
    "unicode": quote("\u2028X-Forged: 1\u0085😀", safe=""),
    "bad-utf8": "%FF%FE%0D%0AX-Forged%3A%201",
}
DISPLAYS = {
    "coded": EVENT,
    "escaped": 'Ann\\"\\\r X-Forged: 1',
    "foreign": "Zoë Łukasz 王 😀",
    "unicode": "Zoë \u2028X-Forged: 1\u0085😀",
    "huge": "Ann " * 400,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    folder = tmp_path_factory.mktemp("forged")
    async with running_product(folder, trunks=lambda port: PLAN.format(port=port)) as running:
        numbers = await running.api.ok("GET", "/api/v1/numbers")
        route = {"type": "number", "number": "+14155558000"}
        await running.api.ok("PATCH", f"/api/v1/numbers/{numbers[0]['id']}", {"route": route})
        yield running


class Heard:
    """All that the switch said to the events user, as it stood on the wire."""

    def __init__(self) -> None:
        self.raw = b""
        self._watch = Watch()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(1 << 16):
            self.raw += chunk
            self._watch.changed()

    async def until(self, text: bytes) -> None:
        await self._watch.until(
            lambda: text in self.raw, within_s=30, what=repr(text), seen=lambda: self.raw[-500:]
        )

    def blocks(self) -> list[list[str]]:
        """Each message's lines, after the banner."""
        text = self.raw.split(b"\r\n", 1)[1].decode()
        return [block.split("\r\n") for block in text.split("\r\n\r\n") if block]


@asynccontextmanager
async def listening(address: SwitchAddress) -> AsyncIterator[Heard]:
    reader, writer = await asyncio.open_connection(address.ami_host, address.ami_port)
    login = address.logins.events
    words = ("Action: Login", f"Username: {login.user}", f"Secret: {login.secret.reveal()}", "", "")
    writer.write("\r\n".join(words).encode())
    heard = Heard()
    task = asyncio.create_task(heard.listen(reader))
    try:
        await heard.until(b"Fully Booted")
        yield heard
    finally:
        task.cancel()
        writer.close()
        await asyncio.gather(task, writer.wait_closed(), return_exceptions=True)


def nothing_is_forged(heard: Heard, hangups: int | None) -> None:
    """Every message is one the switch made: its first line, its headers once each, no stray break."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", heard.raw)
    ends = 0
    for lines in heard.blocks():
        names = [line.partition(":")[0] for line in lines]
        assert names[0] in ("Event", "Response"), lines
        assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) for name in names), lines
        assert "X-Forged" not in names
        assert sum(name in ("Event", "Response") for name in names) in (1, 2), lines
        assert names.count("Uniqueid") <= 1, lines
        assert not any(line == "Uniqueid: victim" for line in lines)
        ends += lines[0] == "Event: Hangup"
    assert hangups in (None, ends)


def switch_address(product: Product) -> SwitchAddress:
    assert product.stack.switch is not None
    return product.stack.switch.address


async def a_plain_call(product: Product, heard: Heard) -> int:
    """Make one and wait until its end was told: all that came before it has been told too. Its hang-ups."""
    call_id = await product.api.place("+14155550486")
    call = await product.api.ended(call_id)
    assert call["status"] == "busy"
    await heard.until(b"TechCause: 486")
    return 1


async def called(product: Product, **dial: object) -> Json:
    """Call our number so; it leads to the carrier, where it is answered and hung up. The call's record."""
    fields = {"number": OWN, "to": product.sip, "caller": "+14155550177", **dial}
    before = len(product.carrier.incoming)
    async with await SipPhone.open(CARRIER_IP) as caller:
        call = caller.call(Dial(**fields))  # type: ignore[arg-type]
        await call.reaches(CallState.ANSWERED)
        there = product.carrier.incoming[before]
        assert "Forged" not in str(there.facts.headers)
        assert (there.facts.user, there.facts.from_user) == ("+14155558000", OWN)
        await call.hang_up()
    await product.carrier.quiet()
    listed = await product.api.ok("GET", f"/v1/voice/calls?to={quote(OWN)}&limit=1")
    return await product.api.ended(listed[0]["id"])


async def refused(product: Product, phone: SipPhone, number: str) -> None:
    """Dial this: no dialplan takes it. What is no SIP at all gets no answer, which ends here as a 408."""
    call = phone.call(Dial(number, product.sip, phone.name, credentials=ALICE))
    await call.reaches(CallState.ENDED)
    assert call.responses[-1] in (400, 403, 404, 408, 484)


@pytest.mark.parametrize("kind", USERS)
async def test_a_caller_whose_number_is_hostile_is_one_without_a_number(product: Product, kind: str) -> None:
    async with listening(switch_address(product)) as heard:
        assert (await called(product, caller=USERS[kind]))["from"] == ""
        nothing_is_forged(heard, 2 + await a_plain_call(product, heard))


@pytest.mark.parametrize("kind", DISPLAYS)
async def test_a_caller_whose_name_is_hostile_or_foreign_keeps_his_number(
    product: Product, kind: str
) -> None:
    async with listening(switch_address(product)) as heard:
        assert (await called(product, display=DISPLAYS[kind]))["from"] == "+14155550177"
        nothing_is_forged(heard, 2 + await a_plain_call(product, heard))


async def test_a_name_that_is_broken_over_lines_makes_no_call(product: Product) -> None:
    async with listening(switch_address(product)) as heard:
        async with await SipPhone.open(CARRIER_IP, timers=QUICK) as caller:
            folded = "Ann\r\n X-Forged: 1\r\n\tUniqueid: victim"
            call = caller.call(Dial(OWN, product.sip, "+14155550177", folded))
            await call.reaches(CallState.ENDED)
        nothing_is_forged(heard, await a_plain_call(product, heard))


async def test_hostile_identities_in_other_headers(product: Product) -> None:
    evil = f'"{EVENT}" <sip:+14155550177{EVENT}@127.0.0.2>'
    names = ("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "P-Preferred-Identity", "History-Info")
    async with listening(switch_address(product)) as heard:
        assert (await called(product, headers=tuple((name, evil) for name in names)))[
            "from"
        ] == "+14155550177"
        nothing_is_forged(heard, 2 + await a_plain_call(product, heard))


@pytest.mark.parametrize("kind", USERS)
async def test_a_hostile_number_is_no_number_of_the_dialplan(product: Product, kind: str) -> None:
    async with listening(switch_address(product)) as heard:
        async with await SipPhone.open(CARRIER_IP, timers=QUICK) as caller:
            await refused(product, caller, USERS[kind])
        async with await SipPhone.open(timers=QUICK, name="alice") as alice:
            await refused(product, alice, USERS[kind])
        ends = await a_plain_call(product, heard)
        # the switch reads a number up to a NUL, and refuses what is left as it does any number nobody owns
        nothing_is_forged(heard, None if kind == "nul" else ends)


ANSWERS = {
    "reason": Behaviour(reject=486, reply_headers=(("Reason", f'Q.850;cause=17;text="{EVENT}"'),)),
    "warning": Behaviour(reject=486, reply_headers=(("Warning", f'399 far "{EVENT}"'),)),
    "diversion": Behaviour(reject=486, reply_headers=(("Diversion", f"<sip:{EVENT}@127.0.0.2>"),)),
    "name": Behaviour(
        ring_after_ms=10,
        answer_after_ms=50,
        hang_up_after_ms=50,
        reply_headers=(("P-Asserted-Identity", f'"{EVENT}" <sip:{EVENT}@127.0.0.2>'),),
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_far_end_whose_answer_is_hostile(product: Product, kind: str) -> None:
    usual = by_last_digits()
    product.carrier.decide = lambda facts: ANSWERS[kind] if facts.user.endswith("9991") else usual(facts)
    async with listening(switch_address(product)) as heard:
        call = await product.api.ended(await product.api.place("+14155559991"))
        assert call["termination"]["reason"] == ("hangup_by_caller" if kind == "name" else "busy")
        nothing_is_forged(heard, 1 + await a_plain_call(product, heard))


ELSEWHERE = {
    "line-breaks": f"<sip:{EVENT}@127.0.0.2>",
    "another-number": "<sip:+19005550199@127.0.0.2:{port}>",
    "another-address": "<sip:+19005550199@127.0.0.9:{other}>",
    "a-dial-string": "<sip:PJSIP%2F%2B19005550199%40carrier@127.0.0.2>",
    "a-phone": "<sip:PJSIP%2Falice@127.0.0.2>",
    "a-dial-string-with-line-breaks": f"<sip:PJSIP%2F%2B19005550199%40carrier{EVENT}@127.0.0.2>",
    "an-extension": "<sip:outbound%40patchbay@127.0.0.2>",
    "parameters-with-line-breaks": f"<sip:x@127.0.0.2;x={EVENT}?X={EVENT}>",
    "several": "<sip:PJSIP%2Falice@127.0.0.2>, <sip:+19005550199@127.0.0.2:{port}>",
    "a-telephone": "<tel:+19005550199>",
}


@pytest.mark.parametrize("way", ["placed", "bridged"])
@pytest.mark.parametrize("kind", ELSEWHERE)
async def test_a_far_end_that_sends_us_elsewhere_sends_us_nowhere(
    product: Product, kind: str, way: str
) -> None:
    async with (
        await SipPhone.open("127.0.0.9") as other,
        await SipPhone.open(name="alice") as alice,
        listening(switch_address(product)) as heard,
    ):
        await alice.register(product.sip, ALICE)
        to = ELSEWHERE[kind].format(port=product.carrier.address[1], other=other.address[1])
        usual, script = by_last_digits(), Behaviour(reject=302, reply_headers=(("Contact", to),))
        product.carrier.decide = lambda facts: script if facts.user.endswith("9992") else usual(facts)
        before = len(product.carrier.incoming)
        first = "+14155559992" if way == "placed" else "+14155558000"
        joined = {} if way == "placed" else {"connect_to": "+14155559992"}
        call = await product.api.ended(await product.api.place(first, **joined))
        assert call["termination"]["reason"] == ("redirected" if way == "placed" else "connect_failed")
        rung = [incoming.facts.user for incoming in product.carrier.incoming[before:]]
        assert rung == [first, *joined.values()]
        await a_plain_call(product, heard)
        nothing_is_forged(heard, None)
        assert not other.transport.trace
        assert not alice.incoming
        await alice.register(product.sip, ALICE, expires_s=0)


@pytest.mark.parametrize(
    "to", ["<sip:PJSIP%2F%2B19005550199%40carrier@127.0.0.1>", "<sip:+1900@127.0.0.2:{port}>"]
)
async def test_a_phone_of_ours_that_sends_us_elsewhere_sends_us_nowhere(product: Product, to: str) -> None:
    contact = (("Contact", to.format(port=product.carrier.address[1])),)
    script = Behaviour(reject=302, reply_headers=contact)
    async with await SipPhone.open(decide=lambda _: script, name="alice") as alice:
        await alice.register(product.sip, ALICE)
        before = len(product.carrier.incoming)
        call = await product.api.ended(await product.api.place("phone:alice"))
        assert call["termination"]["reason"] == "redirected"
        assert (len(alice.incoming), len(product.carrier.incoming)) == (1, before)
        await alice.register(product.sip, ALICE, expires_s=0)


@pytest.mark.parametrize("name", ["alice%40_", "carrier%40_", "carrier", "_", "alice@_"])
async def test_nobody_calls_in_by_the_name_of_an_endpoint(product: Product, name: str) -> None:
    async with await SipPhone.open("127.0.0.9", timers=QUICK) as stranger:
        call = stranger.call(Dial(OWN, product.sip, name))
        await call.reaches(CallState.ENDED)
        assert call.responses in ([401], [408])
