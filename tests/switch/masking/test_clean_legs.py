"""Nothing of one party of a masked call reaches the other by SIP: not in an INVITE, not in any later message.

Both sides name themselves in every header and every line of SDP that has room for a name. Then all that
the other side received is searched for that number, in any notation.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.trial.sip_behaviour import Behaviour
from gateway.trial.sip_call import CallState, Dialog, SimulatedCall
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_message import Headers, Request, cseq_of, parse
from gateway.trial.sip_outgoing import OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import Timers
from gateway.trial.watch import WITHIN_S
from telephony.numbers import E164
from tests.rig.leaks import find_leaks
from tests.rig.masked import DIALS_A, DIALS_B, QUICK, A, B, Masked, naming_headers, to_b

pytestmark = [pytest.mark.switch, pytest.mark.usefixtures("named_media")]

NAMED = Behaviour(ring_after_ms=20, answer_after_ms=80, reply_headers=naming_headers(B))


def nothing_leaked(world: Masked) -> None:
    """Neither side received the other's number; both did receive something, and named themselves."""
    to_a, to_b = world.a.received_bytes(), world.b.received_bytes()
    assert find_leaks(A, to_b) == []
    assert find_leaks(B, to_a) == []
    assert b"INVITE" in to_b
    assert b"SIP/2.0" in to_a
    assert find_leaks(A, b"\n".join(t.raw for t in world.a.transport.trace if t.sent))
    assert find_leaks(B, b"\n".join(t.raw for t in world.b.transport.trace if t.sent))


async def talking(world: Masked, **how: object) -> tuple[OutgoingCall, IncomingCall]:
    """A has called B, who answered."""
    world.b.decide = lambda _: NAMED
    before = len(world.b.incoming)
    call = world.a_calls(**how)  # type: ignore[arg-type]
    await call.reaches(CallState.ANSWERED)
    there = world.b.incoming[before]
    await there.until(lambda: there.confirmed, WITHIN_S, "ACK")
    return call, there


async def ask(
    phone: SipPhone, world: Masked, call: SimulatedCall, request: Request, timers: Timers | None = None
) -> int:
    """Send a request inside a call's dialog, naming ourselves once more; the final answer's status."""
    number = A if phone is world.a else B
    assert call.dialog is not None
    lines = tuple(
        (name, f'"{number}" {value}' if name == "From" and not value.startswith('"') else value)
        for name, value in request.headers.lines
    )
    named = Headers(lines).plus(*naming_headers(number))
    transaction = phone.transport.request(replace(request, headers=named), world.sip, timers=timers)
    final = await transaction.final_response()
    if request.method == "INVITE" and final.status < 300:
        ack = call.dialog.request("ACK", cseq_of(request)[0], contact(phone))
        transaction.ack = phone.transport.acknowledge(ack, world.sip)
    return final.status


def contact(phone: SipPhone) -> str:
    return f"<sip:{phone.name}@{phone.transport.contact_host}>"


def fresh(
    phone: SipPhone, dialog: Dialog | None, method: str, *more: tuple[str, str], body: bytes = b""
) -> Request:
    assert dialog is not None
    request = dialog.next_request(method, contact(phone))
    return replace(request, headers=request.headers.plus(*more), body=body)


def held(sdp_sent: bytes) -> bytes:
    return sdp_sent.replace(b"a=sendrecv", b"a=sendonly")


def last_offer(phone: SipPhone) -> bytes:
    """The session description that this far end sent last."""
    bodies = [parse(t.raw).body for t in phone.transport.trace if t.sent]
    return next(body for body in reversed(bodies) if body)


def newer(body: bytes) -> bytes:
    """The same description with its version raised."""
    first, origin, rest = body.split(b"\r\n", 2)
    words = origin.split(b" ")
    words[2] = str(int(words[2]) + 1).encode()
    return b"\r\n".join((first, b" ".join(words), rest))


async def the_end(world: Masked, call: OutgoingCall) -> None:
    await call.hang_up(headers=(("Reason", f'Q.850;cause=16;text="{A} hung up"'), *naming_headers(A)))
    await world.b.quiet()


async def test_a_plain_call_whose_parties_name_themselves_everywhere(world: Masked) -> None:
    call, there = await talking(world)
    assert (there.facts.user, there.facts.from_user, there.facts.from_display) == (B, DIALS_B, "")
    await the_end(world, call)
    nothing_leaked(world)


async def test_the_called_party_hangs_up_and_says_who(world: Masked) -> None:
    call, there = await talking(world)
    await there.hang_up(headers=(("Reason", f'Q.850;cause=16;text="{B} hung up"'), *naming_headers(B)))
    await call.reaches(CallState.ENDED)
    nothing_leaked(world)


@pytest.mark.parametrize("privacy", ["none", "id", "header", "user;id;critical"])
async def test_a_caller_who_asks_for_privacy_is_shown_as_the_proxy_number(
    world: Masked, privacy: str
) -> None:
    call, there = await talking(world, headers=(*naming_headers(A), ("Privacy", privacy)))
    assert there.facts.from_user == DIALS_B
    await the_end(world, call)
    nothing_leaked(world)


async def test_an_anonymous_caller_is_shown_as_the_proxy_number(world: Masked) -> None:
    call, there = await talking(world, caller="anonymous", display="Anonymous")
    assert (there.facts.from_user, there.facts.from_display) == (DIALS_B, "")
    await the_end(world, call)
    nothing_leaked(world)


@pytest.mark.parametrize("side", ["a", "b"])
async def test_hold_and_resume_of_either_side(world: Masked, side: str) -> None:
    call, there = await talking(world)
    phone, mine = (world.a, call) if side == "a" else (world.b, there)
    body = last_offer(phone)
    for offer in (held(newer(body)), newer(newer(body))):
        request = fresh(phone, mine.dialog, "INVITE", ("Content-Type", "application/sdp"), body=offer)
        assert await ask(phone, world, mine, request) == 200
    await the_end(world, call)
    nothing_leaked(world)


@pytest.mark.parametrize("side", ["a", "b"])
async def test_a_reinvite_without_an_offer(world: Masked, side: str) -> None:
    call, there = await talking(world)
    phone, mine = (world.a, call) if side == "a" else (world.b, there)
    assert await ask(phone, world, mine, fresh(phone, mine.dialog, "INVITE")) == 200
    await the_end(world, call)
    nothing_leaked(world)


@pytest.mark.parametrize("side", ["a", "b"])
async def test_an_update_with_and_without_an_offer(world: Masked, side: str) -> None:
    call, there = await talking(world)
    phone, mine = (world.a, call) if side == "a" else (world.b, there)
    assert await ask(phone, world, mine, fresh(phone, mine.dialog, "UPDATE")) == 200
    offer = newer(last_offer(phone))
    request = fresh(phone, mine.dialog, "UPDATE", ("Content-Type", "application/sdp"), body=offer)
    assert await ask(phone, world, mine, request) == 200
    await the_end(world, call)
    nothing_leaked(world)


@pytest.mark.parametrize("side", ["a", "b"])
async def test_a_transfer_is_refused_and_tells_nothing(world: Masked, side: str) -> None:
    call, there = await talking(world)
    phone, mine, number = (world.a, call, A) if side == "a" else (world.b, there, B)
    targets = (f"<sip:{number}@127.0.0.9>", f"<sip:+19005550199@127.0.0.1?X-From={number}>")
    referrals = [fresh(phone, mine.dialog, "REFER", ("Refer-To", target)) for target in targets]
    answers = await asyncio.gather(*(ask(phone, world, mine, request, QUICK) for request in referrals))
    assert all(status >= 400 for status in answers), answers
    assert call.state is CallState.ANSWERED
    await the_end(world, call)
    nothing_leaked(world)


@pytest.mark.parametrize("side", ["a", "b"])
async def test_what_a_party_sends_inside_the_call_stays_on_its_side(world: Masked, side: str) -> None:
    call, there = await talking(world)
    phone, mine, number = (world.a, call, A) if side == "a" else (world.b, there, B)
    text = f"this is {number}".encode()
    bodies = {
        "INFO": ("text/plain", "application/dtmf-relay", "application/x-note"),
        "MESSAGE": ("text/plain", "application/json", "message/cpim"),
        "NOTIFY": ("message/sipfrag;version=2.0", "application/simple-message-summary"),
        "PUBLISH": ("application/pidf+xml",),
        "OPTIONS": ("text/plain",),
    }
    requests = [
        fresh(phone, mine.dialog, method, ("Content-Type", content), ("Event", "refer"), body=text)
        for method, types in bodies.items()
        for content in types
    ]
    await asyncio.gather(*(ask(phone, world, mine, request, QUICK) for request in requests))
    assert call.state is CallState.ANSWERED
    await the_end(world, call)
    nothing_leaked(world)
    others = world.b if side == "a" else world.a
    assert text not in others.received_bytes()


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
async def test_a_redirection_goes_nowhere(world: Masked, status: int) -> None:
    contacts = (("Contact", f'"{B}" <sip:{B}@127.0.0.2:{world.a.address[1]}>'), *naming_headers(B))
    world.b.decide = lambda _: Behaviour(reject=status, reply_headers=contacts)
    call = world.a_calls()
    await call.reaches(CallState.ENDED)
    assert not world.a.incoming
    nothing_leaked(world)


@pytest.mark.parametrize("early", [False, True], ids=["180", "183"])
async def test_ringing_and_early_media_then_an_answer(world: Masked, early: bool) -> None:
    world.b.decide = lambda _: replace(NAMED, early_media=early, answer_after_ms=300)
    call = world.a_calls()
    await call.reaches(CallState.ANSWERED)
    await the_end(world, call)
    nothing_leaked(world)


async def test_the_caller_gives_up_while_it_rings(world: Masked) -> None:
    world.b.decide = lambda _: replace(NAMED, answer_after_ms=None, early_media=True)
    call = world.a_calls()
    await call.reaches(CallState.RINGING)
    await call.cancel(headers=(("Reason", f'SIP;cause=487;text="{A} gave up"'), *naming_headers(A)))
    await world.b.quiet()
    nothing_leaked(world)


@pytest.mark.parametrize("status", [403, 404, 410, 480, 484, 486, 488, 500, 503, 600, 603, 604, 607, 608])
async def test_a_refusal_that_names_the_called_party(world: Masked, status: int) -> None:
    named = (
        ("Warning", f'399 {B} "{B} is not at home"'),
        ("Reason", f'Q.850;cause=17;text="{B} is busy"'),
        ("Reason", f'SIP;cause={status};text="{B}"'),
        ("Error-Info", f"<sip:{B}@carrier.example>"),
        ("Contact", f"<sip:{B}@127.0.0.3>"),
        *naming_headers(B),
    )
    world.b.decide = lambda _: Behaviour(
        ring_after_ms=10, reject=status, reject_after_ms=40, reply_headers=named
    )
    call = world.a_calls()
    await call.reaches(CallState.ENDED)
    assert call.ending is not None
    assert call.ending.status >= 400
    nothing_leaked(world)


async def test_the_search_finds_what_a_careless_switch_would_tell(world: Masked) -> None:
    """Shown the caller's own number, as a plain call is, B does receive it: the tests above can fail."""
    world.routes = {DIALS_A: replace(to_b(), cli=E164(A))}
    call, _ = await talking(world)
    await the_end(world, call)
    with pytest.raises(AssertionError):
        nothing_leaked(world)
