"""Two far ends on two trunks, joined by the product's own dialplan as a masked call is: A dials one proxy
number, B sees another. Nobody but a small FastAGI server stands for the gateway; it may be away.

Both far ends name themselves by their own numbers wherever SIP and SDP have room for a name, so whatever
reaches the other side can be searched for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from dialplan.agi.answer import encode_reply
from dialplan.agi.server import AgiLimits, AgiServer
from dialplan.agi.wire import Question
from dialplan.core.call import Connect, Phone, Route, Trunk
from dialplan.core.orders import Reply
from gateway.runtime.plan import Phone as PlannedPhone
from gateway.runtime.plan import SipPlan, SwitchPlan
from gateway.runtime.plan import Trunk as PlannedTrunk
from gateway.runtime.ports import free_port
from gateway.runtime.switch import EmbeddedSwitch
from gateway.runtime.switch_config import SwitchLimits
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import Timers
from telephony.ids import CallId
from telephony.numbers import E164
from tests.rig.switch import PHONE_PASSWORDS, running_switch

A, B = "+14155550177", "+442079460123"
DIALS_A, DIALS_B = "+12025550100", "+12025550101"
"""The proxy number that A dials (and sees), and the one that B does."""
QUICK = Timers(give_up=1.5)
"""For what may stay without an answer: a switch gives none to requests inside a call for which it has no
module (REFER, MESSAGE), nor to what is no SIP."""
PATIENT = SwitchLimits(route_budget_ms=5_000)
_NATIONAL = {A: "(415) 555-0177", B: "020 7946 0123"}


def naming_headers(number: str) -> tuple[tuple[str, str], ...]:
    """Every header in which a far end can name itself, with this number in many notations."""
    digits, encoded, spoken = number.lstrip("+"), quote(number, safe=""), _NATIONAL.get(number, number)
    tel = f"<tel:{number}>"
    sip = f'"{spoken}" <sip:{encoded}@carrier.example;user=phone>'
    return (
        ("P-Asserted-Identity", f'"{number}" <sip:{number}@carrier.example>'),
        ("P-Asserted-Identity", tel),
        ("P-Preferred-Identity", sip),
        (
            "Remote-Party-ID",
            f'"{spoken}" <sip:{digits}@carrier.example>;party=calling;privacy=off;screen=yes',
        ),
        ("Diversion", f'"{number}" <sip:{number}@carrier.example>;reason=unconditional;counter=1'),
        ("Diversion", f"<sip:00{digits}@carrier.example>;reason=no-answer"),
        ("History-Info", f"<sip:{number}@carrier.example?Reason=SIP%3Bcause%3D302>;index=1"),
        ("Referred-By", sip),
        ("Reply-To", sip),
        ("Privacy", "id"),
        (
            "Identity",
            f"eyJhbGciOiJFUzI1NiJ9.{digits}.c2ln;info=<https://carrier.example/{digits}.pem>;alg=ES256",
        ),
        ("Call-Info", f"<https://carrier.example/{digits}.jpg>;purpose=icon"),
        ("Alert-Info", f"<https://carrier.example/{digits}.wav>"),
        ("Subject", f"call from {spoken}"),
        ("Organization", f"{number} Ltd"),
        ("User-Agent", f"phone of {number}"),
        ("Server", f"phone of {number}"),
        ("Warning", f'399 carrier.example "{number} is calling"'),
        ("User-to-User", f"{digits}00;encoding=hex"),
        ("Geolocation", f"<cid:{digits}@carrier.example>"),
        ("P-Charging-Vector", f"icid-value={digits};orig-ioi={digits}"),
        ("P-Charge-Info", f"<sip:{digits}@carrier.example>"),
        ("P-Called-Party-ID", tel),
        ("P-Access-Network-Info", f"3GPP-GERAN; cgi-3gpp={digits}"),
        ("Contribution-ID", digits),
        ("Session-ID", f"{digits:0>32}"),
        ("X-Caller", number),
        ("X-Original-ANI", spoken),
    )


def naming_sdp(number: str, body: bytes) -> bytes:
    """A session description in which its owner names himself in every line that has room for it."""
    digits = number.lstrip("+")
    version, owner, _, rest = body.split(b"\r\n", 3)
    words = owner.split(b" ", 1)[1]
    session = (
        f"s=call of {number}\r\ni=from {number}\r\nu=https://carrier.example/{digits}\r\n"
        f"e={digits}@carrier.example ({number})\r\np={number}\r\n"
    ).encode()
    media = f"a=tool:{digits}\r\na=label:{digits}\r\na=x-caller:{number}\r\na=ssrc:1 cname:{digits}\r\n"
    named = b"\r\n".join((version, b"o=" + digits.encode() + b" " + words))
    return named + b"\r\n" + session + rest + media.encode()


@dataclass(slots=True)
class Masked:
    """The world: ``routes`` says where a dialled number leads, ``asked`` what the gateway was asked."""

    switch: EmbeddedSwitch
    a: SipPhone
    b: SipPhone
    agi: AgiServer
    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[Question] = field(default_factory=list)

    @property
    def sip(self) -> tuple[str, int]:
        return self.switch.address.sip_host, self.switch.address.sip_port

    def a_calls(self, number: str = DIALS_A, **how: object) -> OutgoingCall:
        """A dials; by default its proxy number, naming itself everywhere."""
        fields: dict[str, object] = {
            "caller": A, "display": f"{A} {_NATIONAL[A]}", "headers": naming_headers(A), **how,
        }  # fmt: skip
        return self.a.call(Dial(number, self.sip, **fields))  # type: ignore[arg-type]


def two_trunks(a_port: int, b_port: int, *, texts: bool = False) -> SwitchPlan:
    """Trunk ``alpha`` is A's carrier at 127.0.0.2, ``beta`` B's at 127.0.0.3; phones are alice and bob."""
    return SwitchPlan(
        trunks=(
            PlannedTrunk("alpha", "127.0.0.2", a_port, identify=("127.0.0.2",)),
            PlannedTrunk("beta", "127.0.0.3", b_port, identify=("127.0.0.3",)),
        ),
        phones=tuple(PlannedPhone(name, password) for name, password in PHONE_PASSWORDS.items()),
        sip=SipPlan(texts=texts),
    )


def to_b(cli: str = DIALS_B) -> Connect:
    return Connect(Trunk(E164(B), "beta"), E164(cli))


def to_phone(name: str, cli: str = DIALS_B) -> Connect:
    return Connect(Phone(name), E164(cli))


@asynccontextmanager
async def masked_world(
    folder: Path, routes: Mapping[str, Route] | None = None, *, texts: bool = False, **changes: object
) -> AsyncIterator[Masked]:
    """Everything up, with SIP MESSAGE where ``texts``. ``changes`` are fields of the switch's spec.

    The gateway has all the time it may be given: no test here is of its haste.
    """
    world: Masked

    async def answer(question: Question) -> str:
        world.asked.append(question)
        route = world.routes[question.dialled]
        return encode_reply(Reply(CallId("call_masked"), route, 30, 60))

    agi = AgiServer(
        answer, limits=AgiLimits(header_s=5.0, budget_s=PATIENT.route_budget_ms / 1000, reply_s=5.0)
    )
    port = await agi.start("127.0.0.1", 0)
    a_port, b_port = free_port(), free_port()
    async with (
        await SipPhone.open("127.0.0.2", a_port, name=A) as a,
        await SipPhone.open("127.0.0.3", b_port, name=B) as b,
        running_switch(
            folder, two_trunks(a_port, b_port, texts=texts), agi_port=port, **{"limits": PATIENT, **changes}
        ) as switch,
    ):
        world = Masked(switch, a, b, agi, dict(routes or {DIALS_A: to_b()}))
        yield world
    await agi.stop(0)
