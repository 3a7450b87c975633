"""Calls of every kind, told by what the two far ends do. Each gives back how it came out, in a word.

The far ends name themselves in every message that they send (``salt``); the stories decide only which
messages there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gateway.trial.sip_call import CallState, SimulatedCall
from gateway.trial.sip_message import Headers, Request
from gateway.trial.watch import NotInTime
from tools.verify_privacy.people import spelled, written
from tools.verify_privacy.story import ENDS_S, RINGS_S, Story, ask, inside
from tools.verify_privacy.world import POOL

_TEXT_S: Final = 40.0
_FINALS: Final = (400, 403, 404, 408, 410, 480, 484, 486, 488, 500, 502, 503, 600, 603, 604, 606, 607, 608)
_REDIRECTIONS: Final = (300, 301, 302, 305, 380)
_BODIES: Final = (
    ("INFO", "text/plain"),
    ("INFO", "application/x-note"),
    ("INFO", "application/dtmf-relay"),
    ("INFO", "application/media_control+xml"),
    ("MESSAGE", "text/plain"),
    ("MESSAGE", "message/cpim"),
    ("NOTIFY", "message/sipfrag;version=2.0"),
    ("NOTIFY", "application/simple-message-summary"),
    ("PUBLISH", "application/pidf+xml"),
    ("SUBSCRIBE", "text/plain"),
    ("OPTIONS", "text/plain"),
)


# ---------------------------------------------------------------- who hangs up, who refuses


async def talked(story: Story) -> str:
    call, there = await story.joined()
    await story.talk()
    await story.over(call, there)
    return "completed"


async def callee_hangs_up(story: Story) -> str:
    call, there = await story.joined()
    await story.talk()
    await there.hang_up(ENDS_S)
    await call.reaches(CallState.ENDED, ENDS_S)
    return "completed"


async def early_media(story: Story) -> str:
    call, there = await story.joined(story.script(early_media=True))
    await story.over(call, there)
    return "completed"


async def heard(story: Story) -> str:
    """Both send audio; nobody types anything."""
    call, there = await story.joined(story.script(mute=False), mute=False)
    await asyncio.sleep(0.3)  # some packets
    await story.over(call, there)
    return "completed"


async def refused(story: Story) -> str:
    return await _rejected(story, story.chance.choice(_FINALS), ())


async def redirected(story: Story) -> str:
    """Elsewhere, says the callee: to themselves, and back to where the caller is."""
    contacts = tuple(
        ("Contact", f"<sip:{story.callee}@{host}>")
        for host in (f"{story.near.address[0]}:{story.near.address[1]}", "carrier.example")
    )
    return await _rejected(story, story.chance.choice(_REDIRECTIONS), contacts)


async def _rejected(story: Story, status: int, headers: tuple[tuple[str, str], ...]) -> str:
    script = story.script(reject=status, reject_after_ms=15, answer_after_ms=None, reply_headers=headers)
    call, _ = await story.rung(script)
    await call.reaches(CallState.ENDED, ENDS_S)
    return "refused"


async def given_up(story: Story) -> str:
    early = story.chance.random() < 0.4
    call, there = await story.rung(story.script(answer_after_ms=None, early_media=early))
    await call.cancel(ENDS_S)
    await call.hang_up(ENDS_S)  # where the caller had been answered to type
    await there.reaches(CallState.ENDED, ENDS_S)
    return "cancelled"


async def nobody_answers(story: Story) -> str:
    call, there = await story.rung(story.script(answer_after_ms=None))
    await call.reaches(CallState.ENDED, ENDS_S)
    await there.reaches(CallState.ENDED, ENDS_S)
    return "no_answer"


# ---------------------------------------------------------------- what is sent inside a call


async def reinvited(story: Story) -> str:
    """Hold, resume, a new offer or none, with other names than before."""
    call, there = await story.joined()
    phone, mine, _ = story.either(call, there)
    for _ in range(story.chance.randrange(1, 3)):
        body = b"" if story.chance.random() < 0.3 else await _newer(story, mine)
        method = story.chance.choice(("INVITE", "INVITE", "UPDATE"))
        await ask(
            story.world, phone, mine, inside(phone, mine, method, "application/sdp" if body else "", body)
        )
    await story.over(call, there)
    return "completed"


async def _newer(story: Story, call: SimulatedCall) -> bytes:
    """The next offer of this far end."""
    body = await call._open_stream()
    held = story.chance.choice((b"a=sendrecv", b"a=sendonly", b"a=inactive", b"a=recvonly"))
    return body.replace(b"a=sendrecv", held)


async def said_inside(story: Story) -> str:
    """Requests with bodies that name the sender. Most are left unanswered: nobody waits for it."""
    call, there = await story.joined()
    phone, mine, number = story.either(call, there)
    for method, content in story.chance.sample(_BODIES, 3):
        body = f"this is {written(number, story.chance)} of {phone.side.word}".encode()
        phone.transport.request(inside(phone, mine, method, content, body), story.world.sip)
    await story.talk()
    await story.over(call, there)
    return "completed"


async def referred(story: Story) -> str:
    """A blind transfer to somebody else, to oneself, to a number of the gateway: silence is a refusal."""
    call, there = await story.joined()
    phone, mine, number = story.either(call, there)
    target = story.chance.choice((f"{number}@127.0.0.9", f"+19005550199@127.0.0.1?X-From={number}", POOL[0]))
    request = inside(phone, mine, "REFER")
    referring = replace(request, headers=request.headers.plus(("Refer-To", f"<sip:{target}>")))
    transaction = phone.transport.request(referring, story.world.sip)
    await story.talk()
    await story.over(call, there)
    taken = transaction.final is not None and transaction.final.status < 300
    return "transferred" if taken else "completed"


async def typed(story: Story) -> str:
    """The caller types the own number: what somebody types is said to the other, as speech is."""
    digits = story.way.caller.lstrip("+")[-4:]
    call, there = await story.joined(mute=False)
    story.far.typed_to.add(there.facts.call_id)
    call.stream.press(digits)
    with suppress(TimeoutError):
        await there.stream.until(lambda: there.digits == digits, within_s=30.0, what="digits")
    came = there.digits
    await story.over(call, there)
    return "typed" if came == digits else "typed in part"


# ---------------------------------------------------------------- sessions that end, people who may not


async def closed_in_mid_call(story: Story) -> str:
    call, there = await story.joined()
    await story.world.reader.ask("DELETE", f"/api/v1/proxy/sessions/{story.meeting.id}")
    story.meeting.closed = True
    if story.meeting.on_expiry == "end_now":
        with suppress(TimeoutError, AssertionError):
            await call.reaches(CallState.ENDED, 3.0)
            await there.reaches(CallState.ENDED, 3.0)
            return "cut"
    await story.over(call, there)
    return "completed"


async def expired_in_mid_call(story: Story) -> str:
    call, there = await story.joined()
    await call.reaches(CallState.ENDED, ENDS_S)
    await there.reaches(CallState.ENDED, ENDS_S)
    return "cut"


async def turned_away(story: Story, caller: str) -> str:
    """Somebody whom the session does not know."""
    call = story.dial(caller)
    if story.away:
        with suppress(TimeoutError, AssertionError):
            await call.reaches(CallState.RINGING, RINGS_S)
    await asyncio.wait({asyncio.ensure_future(_ended(call))}, timeout=1.5)
    await story.dropped(call)
    return "turned away"


async def _ended(call: SimulatedCall) -> None:
    with suppress(TimeoutError, AssertionError):
        await call.reaches(CallState.ENDED, ENDS_S)


async def stranger(story: Story) -> str:
    return await turned_away(story, story.world.stranger(story.way.side, story.chance))


async def withheld(story: Story) -> str:
    return await turned_away(story, story.chance.choice(("anonymous", "unknown", "restricted")))


async def proxy_calls(story: Story) -> str:
    return await turned_away(story, story.chance.choice(POOL))


async def falls_back(story: Story) -> str:
    """A stranger of the other side reaches the service's own number, where somebody always answers."""
    call = story.dial(story.world.stranger(story.way.side, story.chance))
    await call.reaches(CallState.ANSWERED, RINGS_S)
    await story.talk()
    await call.hang_up(ENDS_S)
    return "fallback"


async def by_pin(story: Story) -> str:
    """Another phone of a participant, let in by the PIN."""
    assert story.meeting.second_phone is not None
    return await talked(replace(story, way=story.meeting.second_phone))


async def guesses(story: Story) -> str:
    """A stranger is asked for a PIN, and types the own number instead."""
    caller = story.world.stranger(story.way.side, story.chance)
    call = story.dial(caller, mute=False)
    with suppress(TimeoutError, AssertionError):
        await call.reaches(CallState.ANSWERED, 5.0)
        call.stream.press(f"{caller.lstrip('+')[-9:]}#")
        await call.reaches(CallState.ENDED, 3.5)
    await story.dropped(call)
    return "turned away"


# ---------------------------------------------------------------- texts


def body_of(story: Story) -> str:
    """What is written. Numbers stand in texts where the session redacts; else they are the writer's words."""
    if story.meeting.redaction not in ("mask", "block"):
        return story.chance.choice(("On my way.", "Zoë \U0001f600 is at the door", "ok", "See you at 5."))
    number = spelled(story.way.caller, story.chance)
    return story.chance.choice(
        ("call me: {}", "{}", "my number is {}, thanks", "Zoë \U0001f600 {} ok?")
    ).format(number)


async def text(story: Story) -> str:
    """A text, and the time it takes to come out on the other side, if it does."""
    request = message(story, body_of(story))
    before = len(story.far.texts)
    final = await story.near.transport.request(request, story.world.sip).final_response()
    if final.status != 202:
        return f"text {final.status}"
    if story.away or story.meeting.redaction == "block" or story.meeting.model == "extension":
        return "text taken"
    callee = story.callee
    try:
        await story.far.traces(
            lambda: any(callee in one.uri for one in story.far.texts[before:]), _TEXT_S, "a text"
        )
    except NotInTime:
        return "text lost"
    if story.meeting.model == "group" and story.way != story.meeting.ways[-1]:
        story.meeting.last = story.way.caller
    return "text relayed"


def message(story: Story, body: str) -> Request:
    """A SIP MESSAGE to the proxy number."""
    phone, (host, port) = story.near, story.world.sip
    uri = f"sip:{story.way.dialled}@{host}:{port}"
    headers = (
        ("From", f"<sip:{story.way.caller}@{phone.side.host}>;tag={phone._token()}"),
        ("To", f"<{uri}>"),
        ("Call-ID", phone._token()),
        ("CSeq", "1 MESSAGE"),
        ("Max-Forwards", "70"),
        ("Content-Type", "text/plain"),
    )
    return Request("MESSAGE", uri, Headers(headers), body.encode())


Tale = Callable[[Story], Awaitable[str]]
USUAL: Final[Mapping[str, tuple[Tale, int]]] = {
    "talked": (talked, 22),
    "callee_hangs_up": (callee_hangs_up, 9),
    "early_media": (early_media, 6),
    "heard": (heard, 2),
    "refused": (refused, 13),
    "redirected": (redirected, 5),
    "given_up": (given_up, 9),
    "reinvited": (reinvited, 10),
    "said_inside": (said_inside, 7),
    "referred": (referred, 4),
    "typed": (typed, 2),
    "stranger": (stranger, 5),
    "withheld": (withheld, 3),
    "proxy_calls": (proxy_calls, 1),
    "text": (text, 14),
}
"""By name, and how often of a hundred."""
