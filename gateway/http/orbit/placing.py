"""From a request to place a call to an order for the desk: gather the facts, let the rules judge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from dialplan.core.call import (
    ROOM,
    Announcement,
    Call,
    Direction,
    Endpoint,
    HoldMusic,
    Phone,
    Trunk,
    VideoRoom,
)
from dialplan.ports import PlaceCall
from gateway.http.holding import Holding, holding_of
from gateway.http.operation import Ask
from gateway.http.orbit.agents import as_kept, usable_agent
from gateway.http.orbit.call_schemas import CreateCall
from gateway.http.orbit.fields import PHONE, Spoken
from gateway.http.ports import Prompts
from gateway.http.throttle import pace_of
from gateway.policy.attempt import Attempt, Pace, ShownNumber, Target
from gateway.policy.destination import Destination, describe
from gateway.policy.rules import enforce
from gateway.storage.agents import Agent
from gateway.storage.records import OwnedNumber
from telephony.errors import InvalidInput, Unavailable, UnknownReference
from telephony.ids import CallId, TenantId
from telephony.numbers import E164
from voice_agents.core.record import AgentCall
from voice_agents.core.registry import spec_of

VOICE: Final = "voice"
FAREWELL_S: Final = 60
"""How much longer than asked for a call with an agent may last in the switch: its session ends it in time,
and what is being said is said to its end."""
MEDIA_S: Final = 30
"""What the switch may take to bring the sound, beyond the ringing."""


async def gather(ask: Ask, wanted: CreateCall, *, counted: bool) -> Attempt:
    """Every fact the rules ask for but the calls under way, which ``with_live`` adds at the last moment.

    ``counted``: the request itself went through the rate limit already.
    """
    face, caller = ask.face, ask.caller
    limits = await face.limits.of(caller.tenant)
    ends = (("to", wanted.to), ("connect_to", wanted.connect_to))
    dialled = [(field, end) for field, end in ends if end is not None and not end.startswith((PHONE, ROOM))]
    targets = [await _target(ask, field, end) for field, end in dialled]
    now = ask.exchange.at
    today = now.date()
    seconds = await face.recent.seconds.of(
        (caller.tenant, today), lambda: face.books.usage.seconds_on(caller.tenant, today)
    )
    pace = Pace(True, limits.calls_per_minute, 1) if counted else await pace_of(face, limits, caller.key_id)
    return Attempt(
        test_key=caller.test,
        shown=await _shown(ask, wanted.from_),
        targets=tuple(targets),
        limits=limits,
        live=0,
        live_of_key=0,
        seconds_today=seconds,
        day_left_s=_day_left_s(now),
        pace=pace,
    )


def with_live(ask: Ask, attempt: Attempt) -> Attempt:
    """The attempt with the calls that are under way this very moment.

    A key's calls are among its tenant's: they are counted only where the tenant's would be too many.
    """
    tenant, limit = ask.caller.tenant, attempt.limits.concurrent_per_key
    live = ask.face.desk.live_calls(tenant)
    of_key = live if live < limit else ask.face.live_of_key(tenant, ask.caller.key_id)
    return replace(attempt, live=live, live_of_key=of_key)


async def place(ask: Ask, wanted: CreateCall, agent: Agent | None) -> Call:
    """Gather, prepare what will be heard, judge, order the call.

    Nothing is awaited between the judgement and the order: two requests cannot take one place. Speech and
    agents cost, so a text is spoken, and an agent called, only for a call that would have passed before.
    """
    attempt = await gather(ask, wanted, counted=True)
    cli, far_end = attempt.cli, None
    if wanted.announcement is not None:
        enforce(with_live(ask, attempt))
        far_end = await announcement(ask.face.prompts, ask.caller.tenant, wanted.announcement, "announcement")
    if agent is None:
        return await _order(ask, wanted, attempt, far_end, agent)
    enforce(with_live(ask, attempt))
    calls = ask.face.agent_calls
    if calls is None or cli is None:
        raise Unavailable("agents are not set up here")
    prepared = await calls.prepare(_agent_call(ask, wanted, agent, cli))
    try:
        return await _order(ask, wanted, attempt, prepared, agent)
    except BaseException:  # why: whatever it was, there is no call that the agent could take
        calls.forget(CallId(ask.resource_id))
        raise


@dataclass(frozen=True, slots=True, repr=False)
class InSession:
    """Who is called is a participant of this masking session, at this seat: the call is private."""

    session_id: str
    seat: int
    webhook_url: str | None = None

    def __repr__(self) -> str:
        return f"InSession({self.session_id}, {self.seat})"


async def place_to(
    ask: Ask,
    wanted: CreateCall,
    reach: Callable[[], Awaitable[Endpoint]],
    forget: Callable[[], Awaitable[None]],
    masked: InSession | None = None,
) -> Call:
    """The same, to a far end that is made ready for this call alone, once the call would have passed; and
    forgotten where there is no call after all."""
    attempt = await gather(ask, wanted, counted=True)
    enforce(with_live(ask, attempt))
    far_end = await reach()
    try:
        return await _order(ask, wanted, attempt, far_end, None, masked=masked)
    except BaseException:  # why: whatever it was, there is no call that the far end could take
        await forget()
        raise


async def place_in_room(
    ask: Ask,
    wanted: CreateCall,
    agent: Agent,
    reach: Callable[[], Awaitable[VideoRoom]],
    forget: Callable[[], Awaitable[None]],
) -> Call:
    """The same, of an agent that is brought into a room: the room is rung first, and answers at once."""
    attempt = await gather(ask, wanted, counted=True)
    enforce(with_live(ask, attempt))
    calls, cli = ask.face.agent_calls, attempt.cli
    if calls is None or cli is None:
        raise Unavailable("agents are not set up here")
    room = await reach()
    try:
        prepared = await calls.prepare(_agent_call(ask, wanted, agent, cli))
        try:
            return await _order(ask, wanted, attempt, prepared, agent, room)
        except BaseException:  # why: whatever it was, there is no call that the agent could take
            calls.forget(CallId(ask.resource_id))
            raise
    except BaseException:  # why: the same of the room
        await forget()
        raise


async def _order(
    ask: Ask,
    wanted: CreateCall,
    attempt: Attempt,
    far_end: Endpoint | None,
    agent: Agent | None,
    first: VideoRoom | None = None,
    masked: InSession | None = None,
) -> Call:
    enforce(with_live(ask, attempt))
    cli = attempt.cli
    assert cli is not None
    seconds = _longest_s(ask, wanted)
    order = PlaceCall(
        tenant=ask.caller.tenant,
        api_key_id=ask.caller.key_id,
        to=first or _first_leg(ask, wanted.to),
        cli=cli,
        far_end=far_end or _far_end(ask, wanted.connect_to),
        record=wanted.record or (agent is not None and spec_of(as_kept(agent)).record),
        ring_timeout_s=_ring_timeout_s(ask, wanted),
        max_duration_s=seconds if agent is None else seconds + FAREWELL_S,
        agent_id=None if agent is None else agent.id,
        agent_version=None if agent is None else agent.version,
        webhook_url=_webhook_url(ask, wanted.webhook_url if masked is None else masked.webhook_url),
        metadata=tuple(wanted.metadata.items()),
        call_id=CallId(ask.resource_id),
        session_id=None if masked is None else masked.session_id,
        to_seat=-1 if masked is None else masked.seat,
    )
    return await ask.face.desk.place(order)


def _agent_call(ask: Ask, wanted: CreateCall, agent: Agent, cli: E164) -> AgentCall:
    ring_s = _ring_timeout_s(ask, wanted)
    return AgentCall(
        call_id=ask.resource_id,
        tenant=agent.tenant,
        agent_id=agent.id,
        direction=Direction.OUTBOUND,
        caller=cli.reveal(),
        called=wanted.to,
        agent_version=agent.version,
        metadata=tuple(wanted.metadata.items()),
        max_duration_s=wanted.max_duration or 0,
        longest_s=_longest_s(ask, wanted),
        media_within_s=float(ring_s + MEDIA_S),
    )


def _longest_s(ask: Ask, wanted: CreateCall) -> int:
    return wanted.max_duration or ask.face.settings.max_call_s


def _ring_timeout_s(ask: Ask, wanted: CreateCall) -> int:
    return wanted.ring_timeout or ask.face.settings.ring_timeout_default_s


async def check_words(ask: Ask, wanted: CreateCall) -> Agent | None:
    """What is wrong with the request whatever the numbers: an agent, a phone or an address nobody knows.
    The agent that shall speak, in the version that the call is pinned to."""
    for field, end in (("to", wanted.to), ("connect_to", wanted.connect_to)):
        if end is not None and end.startswith(PHONE):
            _known_phone(ask, field, end)
    _webhook_url(ask, wanted.webhook_url)
    return None if wanted.agent_id is None else await usable_agent(ask, wanted.agent_id, "agent_id")


def _webhook_url(ask: Ask, url: str | None) -> str | None:
    return None if url is None else ask.face.webhooks.check_url(url, "webhook_url")


def _first_leg(ask: Ask, to: str) -> E164 | Phone:
    return _known_phone(ask, "to", to) if to.startswith(PHONE) else E164(to)


def _known_phone(ask: Ask, field: str, far_end: str) -> Phone:
    name = far_end.removeprefix(PHONE)
    if not ask.face.phones.knows(ask.caller.tenant, name):
        raise UnknownReference(
            f"{field} names no phone",
            field=field,
            value=far_end,
            expected="phone: and a phone's name",
        )
    return Phone(name)


def _far_end(ask: Ask, connect_to: str | None) -> Endpoint:
    """Whom the answered party is joined with; music where nobody is named."""
    if connect_to is None:
        return HoldMusic()
    if connect_to.startswith(PHONE):
        return _known_phone(ask, "connect_to", connect_to)
    return Trunk(E164(connect_to), "")


async def announcement(prompts: Prompts, tenant: TenantId, wanted: Spoken, field: str) -> Announcement:
    """The prompt of a text, made now, or one that is stored. Errors name ``field``."""
    if wanted.prompt is not None:
        sound = await prompts.stored(tenant, wanted.prompt)
        if sound is None:
            raise UnknownReference(
                f"{field} names no stored prompt",
                field=f"{field}.prompt",
                value=wanted.prompt,
                expected="the name of a stored prompt",
            )
        return Announcement(sound)
    text = wanted.text or ""
    try:
        return Announcement(await prompts.spoken(text, wanted.voice), text)
    except InvalidInput as error:
        inner = error.field if error.field in ("text", "voice") else "text"
        raise InvalidInput(error.message, field=f"{field}.{inner}", expected=error.expected) from None


async def _target(ask: Ask, field: str, text: str) -> Target:
    destination = describe(text)
    own = destination.number is not None and await _owned(ask, destination.number) is not None
    return Target(field, destination, own)


async def _holding(ask: Ask) -> Holding:
    tenant, numbers = ask.caller.tenant, ask.face.books.numbers
    return await ask.face.recent.numbers.of(tenant, lambda: holding_of(numbers, tenant))


async def _owned(ask: Ask, number: E164) -> OwnedNumber | None:
    known = (await _holding(ask)).known
    if known is not None:
        return known.get(number)
    return await ask.face.books.numbers.find_owned(ask.caller.tenant, number)


async def _shown(ask: Ask, given: str | None) -> ShownNumber | None:
    if given is None:
        number = (await _holding(ask)).default
        return None if number is None else _as_shown(describe(number.number.reveal()), number)
    destination = describe(given)
    owned = None if destination.number is None else await _owned(ask, destination.number)
    return _as_shown(destination, owned)


def _as_shown(destination: Destination, owned: OwnedNumber | None) -> ShownNumber:
    return ShownNumber(destination, owned is not None, owned is not None and VOICE in owned.capabilities)


def _day_left_s(now: datetime) -> int:
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return int((tomorrow - now).total_seconds())
