"""The director: every live call, who is who in the switch, and the one routing question.

It holds no rules of its own: facts go to the call they belong to, the call's machine decides.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from dialplan import beginnings, reconcile
from dialplan.control import CallControl, trunk_is_full
from dialplan.core import facts, orders
from dialplan.core.call import Call, Connect, Ender, Role
from dialplan.core.evolve import replace
from dialplan.core.heard import Heard, What, as_fact
from dialplan.core.machine import begin_inbound, begin_outbound
from dialplan.core.routing import Offered
from dialplan.life import Life, Surroundings, story
from dialplan.lines import Lines
from dialplan.ports import PlaceCall
from dialplan.ports import Ports as Ports
from dialplan.session_calls import SessionCalls
from dialplan.tally import Tally
from telephony.causes import Cause
from telephony.errors import SwitchUnavailable
from telephony.ids import CallId, ChannelId, TenantId

_log = structlog.get_logger("dialplan.director")
_EARLY_LIMIT = 4096
_ENDED_LIMIT = 20_000
_EVIDENCE_S = 0.1
"""How long a question waits to hear why the far end did not answer; its whole answer may take a second."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a channel belongs."""

    life: Life
    role: Role


class Director:
    """Fits ``dialplan.ports.CallDesk`` and answers the routing question."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._around = Surroundings(
            ports.switch, ports.store, ports.archive, ports.now, self._reply, self._watch
        )
        self._makers = beginnings.Makers(ports.new_id, ports.now, ports.trunk_for)
        self.lines = Lines(ports.trunk_limits)
        self._lives: dict[CallId, Life] = {}
        self.control = CallControl(self._lives, self.lines, ports.switch, ports.trunk_for)
        self._listeners: list[Callable[[Call, Call], None]] = []
        self._places: dict[ChannelId, _Place] = {}
        self._channels: dict[CallId, list[ChannelId]] = {}
        self._early: OrderedDict[ChannelId, list[Heard]] = OrderedDict()
        self._ended: OrderedDict[ChannelId, CallId] = OrderedDict()
        self._questions: dict[CallId, asyncio.Future[orders.Reply]] = {}
        self._open: Counter[TenantId] = Counter()
        self._of_session = SessionCalls()
        self._background: set[asyncio.Task[None]] = set()
        self.tally = Tally()

    # ------------------------------------------------------------ what an API face may do

    async def place(self, wanted: PlaceCall) -> Call:
        """Store a new outbound call, then ring it. Raises before anything is made when it cannot be."""
        if not self._ports.switch.ready:
            raise SwitchUnavailable
        call, endpoint = beginnings.outbound(wanted, self._makers)
        full = trunk_is_full(self.lines, call)
        if full is not None:
            raise full
        call, out = begin_outbound(call, endpoint, wanted.cli)
        self.tally.placed += 1
        await self._open_call(call, out, [order for order in out if not isinstance(order, orders.Publish)])
        return call

    async def hang_up(self, call_id: CallId, *, patience_s: float = 5.0) -> None:
        """Order the end and wait until it is on record; a call that is closed or unknown is left alone."""
        life = self._lives.get(call_id)
        if life is None:
            return
        if not life.call.closed:
            if not self._ports.switch.ready:
                raise SwitchUnavailable
            life.post(facts.HangupAsked(Ender.API, "hangup"))
        await life.until(lambda call: call.closed, patience_s)

    def calls_of_session(self, session_id: str) -> list[CallId]:
        """The open calls of a masking session, the oldest first."""
        return self._of_session.calls(session_id)

    def end_calls(self, call_ids: Iterable[CallId], why: str, after_s: float = 0.0) -> None:
        """The gateway ends these calls, for the reason that their termination shall name, now or
        ``after_s`` seconds from now. Those that are closed or unknown here are left alone. Never waits."""
        for call_id in call_ids:
            life = self._lives.get(call_id)
            if life is not None:
                life.post(facts.HangupAsked(Ender.GATEWAY, why, after_s))

    async def turn_tape(self, call_id: CallId, verb: str, *, patience_s: float = 5.0) -> Call:
        """Start, stop, pause or resume a recording; returns when the switch has confirmed."""
        return await self.control.turn_tape(call_id, verb, patience_s)

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str:
        """Take the caller from its callee to another; what came of it, in the words of ``Move.outcome``."""
        return await self.control.reroute(call_id, route, ring_timeout_s, why)

    async def send_digits(self, call_id: CallId, digits: str) -> None:
        """Play digits to the party on the caller's leg; back when they have been played."""
        await self.control.send_digits(call_id, digits)

    def on_change(self, listener: Callable[[Call, Call], None]) -> None:
        """From now on ``listener(before, call)`` is told of every change of a call, at once: before it is
        stored. One that could not be stored at all is over. It must return at once and may order nothing;
        what it raises is logged and goes no further."""
        self._listeners.append(listener)

    def _watch(self, before: Call, call: Call) -> None:
        for listener in self._listeners:
            try:
                listener(before, call)
            except Exception:  # noqa: BLE001  # why: a listener that breaks must not break the call's judge
                _log.exception("listener.broken", call_id=call.id)

    def live_calls(self, tenant: TenantId) -> int:
        """How many calls of this tenant are open."""
        return self._open[tenant]

    def live_of_key(self, tenant: TenantId, key_id: str) -> int:
        """How many open calls were placed with this API key."""
        terms = (life.call.terms for life in self._lives.values())
        return sum(t.tenant == tenant and t.api_key_id == key_id for t in terms)

    def live(self, call_id: CallId) -> Call | None:
        """The call as it stands, while it is open here."""
        life = self._lives.get(call_id)
        return None if life is None else life.call

    # ------------------------------------------------------------ the routing question

    async def answer(self, offered: Offered, digits: str = "") -> orders.Reply | int:
        """Where to take this channel: the Reply order, or the Q.850 cause to turn it away with.

        ``digits`` are those that a caller typed who was asked for them. When it raises, or is cancelled
        because its budget is over, ``answer_lost`` must be told.
        """
        place = self._places.get(offered.channel)
        if place is not None:
            return await self._answer_known(place, digits)
        known = await self._ports.book.facts_for(offered)
        if offered.channel in self._places:
            return Cause.NORMAL_CLEARING  # asked twice, and answered meanwhile
        if known.tenant is None or known.route is None:
            self.tally.turned_away += 1
            return beginnings.cause_for_nobodys(offered)
        call = beginnings.inbound(offered, known, known.tenant, known.route, self._makers)
        return await self._begin(self._within_lines(call))

    def _within_lines(self, call: Call) -> Call:
        return call if self.lines.full_for(call) is None else beginnings.refused_for_want_of_lines(call)

    async def _begin(self, call: Call) -> orders.Reply:
        self.tally.offered += 1
        call, out = begin_inbound(call, call.created_at)
        reply = next(order for order in out if isinstance(order, orders.Reply))
        await self._open_call(call, out)
        return reply

    async def _answer_known(self, place: _Place, digits: str) -> orders.Reply | int:
        """A channel of ours asks: a call we placed has been answered, or a caller has been moved, or is back
        from a detour or a far end that did not answer."""
        life = place.life
        asked = life.call.connected_at is not None and not life.call.returned
        if place.role is not Role.CALLER or asked or life.call.id in self._questions:
            return Cause.NORMAL_CLEARING
        waiting: asyncio.Future[orders.Reply] = asyncio.get_running_loop().create_future()
        self._questions[life.call.id] = waiting
        try:
            life.post(await self._asked(life, digits))
            return await waiting
        finally:
            self._questions.pop(life.call.id, None)

    async def _asked(self, life: Life, digits: str) -> facts.Fact:
        if life.call.moving or (life.call.outbound and not life.call.returned and not life.call.on_detour):
            return facts.Asked()
        if life.call.returned:
            await life.until(lambda call: not call.callee.live, _EVIDENCE_S)
        call = life.call
        known = await self._ports.book.go_on(beginnings.offered_again(call), call, digits)
        call = self._within_lines(beginnings.going_on(call, known))
        assert call.route is not None, "the book's silence is a refusal"
        return facts.Routed(call.route, call.terms)

    def answer_lost(self, channel: ChannelId) -> None:
        """The answer for this channel came too late: the dialplan's fallback speaks to the caller."""
        place = self._places.get(channel)
        if place is not None and place.role is Role.CALLER:
            place.life.post(facts.AnswerLost())

    def _reply(self, call: Call, reply: orders.Reply) -> None:
        waiting = self._questions.get(call.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    # ------------------------------------------------------------ what the switch says

    def hear(self, heard: Heard) -> None:
        """Take one thing the switch said to the call it belongs to. Never waits, never raises."""
        place = self._places.get(heard.channel)
        if place is None and heard.what is What.DIALED and heard.by is not None:
            place = self._callee_of(heard.by, heard.channel)
        if place is not None:
            place.life.post(as_fact(heard, place.role))
            self._post_early(heard.channel, place)
            return
        if heard.channel in self._ended:
            if heard.what is What.DIALED:
                self.hang_up_orphan(heard.channel)
            return
        self._early.setdefault(heard.channel, []).append(heard)
        while len(self._early) > _EARLY_LIMIT:
            self._early.popitem(last=False)

    def _callee_of(self, caller: ChannelId, channel: ChannelId) -> _Place | None:
        """DialBegin names both channels: the dialled one is the callee of the caller's call."""
        place = self._places.get(caller)
        if place is not None and place.role is Role.CALLER:
            return self._put(channel, place.life, Role.CALLEE)
        if caller in self._ended:
            self._ended[channel] = self._ended[caller]
        return None

    def _bind(self, channel: ChannelId, life: Life, role: Role) -> None:
        self._post_early(channel, self._put(channel, life, role))

    def _put(self, channel: ChannelId, life: Life, role: Role) -> _Place:
        place = self._places[channel] = _Place(life, role)
        self._channels[life.call.id].append(channel)
        return place

    def _post_early(self, channel: ChannelId, place: _Place) -> None:
        """What was heard of the channel before anyone knew whose it is."""
        for heard in self._early.pop(channel, ()):
            place.life.post(as_fact(heard, place.role))

    def hang_up_orphan(self, channel: ChannelId) -> None:
        """End a channel that belongs to no live call."""
        self.tally.orphans += 1
        _log.warning("channel.orphan", channel=channel)
        order = orders.Hangup(Role.CALLER, channel, Cause.NORMAL_CLEARING)
        self._keep(asyncio.create_task(reconcile.end_orphan(self._ports.switch, order)))

    # ------------------------------------------------------------ beginnings and ends

    async def adopt(self) -> int:
        """At start: take up every call that is not settled. How many there were."""
        calls = await self._ports.store.open_calls()
        for call in calls:
            life = self._enter(call)
            unfiled = [orders.FileTape(t.id) for t in call.tapes if t.state == "stopped"]
            life.start(unfiled)
        return len(calls)

    async def take_up(self, call: Call) -> Life:
        """The life of an inbound call that the switch joined by itself; stored, where it is new."""
        channel = call.caller.channel
        assert channel is not None, "it was a channel that was joined"
        if channel not in self._places:
            await self._open_call(*begin_inbound(call, self._ports.now()))
        return self._places[channel].life

    async def look(self, *, restarted: bool) -> None:
        """Compare the open calls with the switch's live channels, after the event link was away.

        ``restarted``: the switch is another process than before, so no channel can have survived.
        On return the calls are stored as they were found, unless the database is slow.
        """
        self.tally.reconciled += 1
        lives = list(self._lives.values())
        unknown = await reconcile.look(self._ports, lives, self.bind_callee, restarted=restarted)
        for channel in unknown:
            if self._is_ours(channel) and not self._lives_on(channel):
                self.hang_up_orphan(channel)
        await reconcile.caught_up(lives)

    async def patrol(self) -> None:
        """Now and then: nothing of ours may live on in the switch without a call that knows it."""
        for channel in await reconcile.patrol(self._ports, self._whose, self._is_ours):
            if not self._lives_on(channel):
                self.hang_up_orphan(channel)

    def _whose(self, channel: ChannelId) -> tuple[Life, Role] | None:
        place = self._places.get(channel)
        return None if place is None else (place.life, place.role)

    def _is_ours(self, channel: ChannelId) -> bool:
        return channel in self._ended or channel.startswith("leg_")

    def _lives_on(self, channel: ChannelId) -> bool:
        """Whether the channel is a live leg, e.g. of a call that was placed while we looked."""
        place = self._places.get(channel)
        return place is not None and place.life.call.leg_at(channel, place.role).live

    def bind_callee(self, channel: ChannelId, life: Life) -> None:
        """This channel, which nobody heard being dialled, is the callee of the call."""
        self._bind(channel, life, Role.CALLEE)

    def give_up(self, why: str) -> None:
        """The switch has been away too long: every open call ends, and says so."""
        for life in self._lives.values():
            for role in Role:
                life.post(facts.Vanished(role, why))

    async def stop(self) -> None:
        """Stop judging; calls go on in the switch and are taken up at the next start."""
        await asyncio.gather(*(life.stop() for life in list(self._lives.values())))
        for task in list(self._background):
            task.cancel()

    async def _open_call(
        self, call: Call, out: Sequence[orders.Order], first: Sequence[orders.Order] = ()
    ) -> None:
        """Store a new call, then judge it and carry out ``first``. Raises when it could not be stored.

        Whoever asked may give up meanwhile: what may have been stored must have its judge.
        """
        life = self._enter(call)

        async def work() -> None:
            try:
                await self._ports.store.append(call, *story(call, out))
            except BaseException:  # why: cancelled too, what is not stored is no call
                self._leave(life)
                self._watch(call, replace(call, ended_at=self._ports.now()))
                raise
            life.start(first)

        await asyncio.shield(self._keep(asyncio.create_task(work())))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _enter(self, call: Call) -> Life:
        life = Life(call, self._around, self._changed)
        self._lives[call.id] = life
        self.lines.note(call)
        self._of_session.note(call)
        self._channels[call.id] = []
        self._open[call.terms.tenant] += 1
        for leg in call.legs:
            if leg.channel is not None:
                self._bind(leg.channel, life, leg.role)
        return life

    def _leave(self, life: Life) -> None:
        call = life.call
        if self._lives.pop(call.id, None) is None:
            return
        self.lines.forget(call.id)
        self._of_session.forget(call)
        self._open[call.terms.tenant] -= 1
        for channel in self._channels.pop(call.id):
            self._places.pop(channel, None)
            self._ended[channel] = call.id
        while len(self._ended) > _ENDED_LIMIT:
            self._ended.popitem(last=False)

    def _changed(self, life: Life, before: Call, call: Call) -> None:
        self.lines.note(call)
        if call.terms is not before.terms:
            self._of_session.forget(before)
            self._of_session.note(call)
        if call.status is not before.status:
            _log.info(
                f"call.{call.status}",
                call_id=call.id,
                tenant=call.terms.tenant,
                termination=None if call.termination is None else str(call.termination),
            )
        if call.closed and not before.closed:
            assert call.termination is not None, "a closed call has a termination"
            ended = (call.terms.direction, call.status, str(call.termination))
            self.tally.ended[ended] += 1
            self.tally.late_facts += call.late_facts
        if call.settled:
            self._leave(life)
