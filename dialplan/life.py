"""One live call: its inbox, its one judge, its deadline.

Facts from AMI, the API, timers and the routing question queue here; one task folds them in order, stores
what was decided, then carries the orders out. So "cancel versus answer" has one winner, and no locks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from dialplan.core import facts, machine, orders, record
from dialplan.core.call import Call, Role
from dialplan.core.waits import next_deadline
from dialplan.ports import Archive, CallStore, Switch
from telephony.errors import (
    OutcomeUnknown,
    PatchbayError,
    StorageUnavailable,
    SwitchRefused,
    SwitchUnavailable,
    UnsafeValue,
)

_log = structlog.get_logger("dialplan.call")
_STORE_RETRY_S = 1.0
_LINK_RECHECK_S = 1.0
_BROKEN_PAUSE_S = 1.0

_Queued = tuple[facts.Fact, float | None]
"""A fact, and when it happened (epoch seconds) where a record tells."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every call of one director shares. ``now`` gives epoch seconds that never go back."""

    switch: Switch
    store: CallStore
    archive: Archive
    now: Callable[[], float]
    reply: Callable[[Call, orders.Reply], None]
    """Hands the answer to the routing question that is waiting for this call."""
    watch: Callable[[Call, Call], None] = lambda before, call: None
    """Hears of every change as soon as it is known, before it is stored: (before, call)."""


@dataclass(slots=True, eq=False)
class _Waiter:
    holds: Callable[[Call], bool]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Life:
    """The task of one call. ``on_settled`` is called once, when nothing is left to wait for."""

    def __init__(
        self, call: Call, around: Surroundings, on_change: Callable[[Life, Call, Call], None]
    ) -> None:
        self.call = call
        self._around = around
        self._on_change = on_change
        self._inbox: deque[_Queued] = deque()
        self._news: asyncio.Future[None] | None = None
        self._unstored: list[orders.Order] = []
        self._stored_intent = call.intent
        self._told = call
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._waiters: list[_Waiter] = []
        self._filing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()

    def start(self, first: Sequence[orders.Order] = ()) -> None:
        """Begin to judge; ``first`` are orders that are stored already and wait to be carried out."""
        self._task = asyncio.create_task(self._run(first), name=f"call-{self.call.id}")

    def post(self, fact: facts.Fact, *, at: float | None = None) -> None:
        """Queue a fact; ``at`` where a record tells when it happened (epoch seconds). Never waits."""
        self._inbox.append((fact, at))
        self._idle.clear()
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def until(self, holds: Callable[[Call], bool], patience_s: float) -> bool:
        """Wait until the call is so, and stored; False when it was not within ``patience_s`` seconds."""
        if holds(self._told):
            return True
        waiter = _Waiter(holds)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(patience_s):
                await waiter.done
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(waiter)
        return True

    async def caught_up(self, patience_s: float) -> bool:
        """Wait until all that was posted is judged and stored; False when not within ``patience_s`` s."""
        task = self._task
        if task is None or task.done():
            return True
        idle = asyncio.create_task(self._idle.wait())
        done, _ = await asyncio.wait((idle, task), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        return bool(done)

    async def stop(self) -> None:
        """Stop judging. The call goes on in the switch and in the store; nothing is lost."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._filing, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ the loop

    async def _run(self, first: Sequence[orders.Order]) -> None:
        try:
            await self._carry_out(first)
            while self._unstored or not self.call.settled:
                self._arm()
                await self._go_on_safely()
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _go_on_safely(self) -> None:
        try:
            self._fold(await self._next())
            await self._act()
        except Exception:  # noqa: BLE001  # why: edge of the call's loop; its deadlines must go on ending it
            _log.exception("call.broken", call_id=self.call.id)
            await asyncio.sleep(_BROKEN_PAUSE_S)

    async def _next(self) -> _Queued | None:
        """The next fact, or None when it is time to try again to store what could not be stored."""
        if self._inbox:
            return self._inbox.popleft()
        self._news = asyncio.get_running_loop().create_future()
        if not self._unstored:
            self._idle.set()
            await self._news
            return self._inbox.popleft()
        try:
            async with asyncio.timeout(_STORE_RETRY_S):
                await self._news
        except TimeoutError:
            return None
        return self._inbox.popleft()

    def _fold(self, queued: _Queued | None) -> None:
        """Fold this fact and all that queue behind it; what they order waits to be stored."""
        before = self.call
        while queued is not None:
            fact, at = queued
            self.call, out = machine.step(self.call, fact, self._around.now() if at is None else at)
            self._unstored.extend(out)
            queued = self._inbox.popleft() if self._inbox else None
        if self.call is not before:
            self._around.watch(before, self.call)

    async def _act(self) -> None:
        """Intent before effect; only ending a leg does not wait for a database that is away."""
        call, out = self.call, self._unstored
        safe = [order for order in out if isinstance(order, orders.Hangup)]
        rest: list[orders.Order] = [order for order in out if not isinstance(order, orders.Hangup)]
        intent = call.intent
        stored = not (rest or intent != self._stored_intent) or await self._try_store(call, rest)
        if stored:
            self._stored_intent = intent
        self._unstored = [] if stored else rest
        await self._carry_out([*safe, *rest] if stored else safe)
        if stored:
            self._tell(call)

    async def _try_store(self, call: Call, out: Sequence[orders.Order]) -> bool:
        patient = not self._waiters and not any(_has_effect(order) for order in out)
        try:
            await self._around.store.append(call, *story(call, out), patient=patient)
        except StorageUnavailable as error:
            _log.warning("call.store_away", call_id=call.id, reason=error.message)
            return False
        except Exception:  # noqa: BLE001  # why: what happened must be told, however often storing it breaks
            _log.exception("call.store_broken", call_id=call.id)
            return False
        return True

    def _tell(self, call: Call) -> None:
        before, self._told = self._told, call
        if call is not before and call != before:
            self._on_change(self, before, call)
        for waiter in list(self._waiters):
            if not waiter.done.done() and waiter.holds(call):
                waiter.done.set_result(None)

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        at = next_deadline(self.call)
        if self._timer is not None:
            if at is not None and at >= self._rings_at:
                return  # most deadlines move on: it rings for the old one, and is set again then
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._rings_at = at
            wait_s = max(0.0, at - self._around.now())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        """The deadline is here. While the switch is out of reach it decides nothing: we could not act,
        and to call a leg ended that may be talking would be a lie. The director bounds that wait."""
        self._timer = None
        at = next_deadline(self.call)
        if at is None or at > self._around.now():
            self._arm()
        elif self._around.switch.ready:
            self.post(facts.TimerFired())
        else:
            self._timer = asyncio.get_running_loop().call_later(_LINK_RECHECK_S, self._ring)

    # ------------------------------------------------------------ orders

    async def _carry_out(self, out: Sequence[orders.Order]) -> None:
        for order in out:
            try:
                await self._do(order)
            except Exception:  # noqa: BLE001  # why: an order that breaks must not take the others with it
                _log.exception("order.broken", call_id=self.call.id, order=type(order).__name__)

    async def _do(self, order: orders.Order) -> None:
        match order:
            case orders.Originate():
                await self._originate(order)
            case orders.Hangup():
                await self._hang_up(order)
            case orders.Reply():
                self._around.reply(self.call, order)
            case orders.Redirect():
                await self._redirect(order)
            case orders.TurnTape():
                await self._turn_tape(order)
            case orders.FileTape(tape_id=tape_id):
                task = asyncio.create_task(self._file(tape_id))
                self._filing.add(task)
                task.add_done_callback(self._filing.discard)
            case orders.Publish() | orders.CloseCall():
                pass

    async def _originate(self, order: orders.Originate) -> None:
        try:
            await self._around.switch.originate(order)
        except SwitchUnavailable:
            self.post(facts.OrderFailed(Role.CALLER, "switch_unavailable"))
        except SwitchRefused:
            self.post(facts.OrderFailed(Role.CALLER, "switch_refused"))
        except UnsafeValue:
            self.post(facts.OrderFailed(Role.CALLER, "unsafe_value"))
        except OutcomeUnknown:
            _log.warning("call.originate_unknown", call_id=self.call.id)

    async def _hang_up(self, order: orders.Hangup) -> None:
        # Refused means that the channel is gone and its Hangup event is on the way; away or unknown is
        # settled by the next look at the switch. The watchdog bounds all three.
        with suppress(SwitchRefused, SwitchUnavailable, OutcomeUnknown):
            await self._around.switch.hang_up(order)

    async def _redirect(self, order: orders.Redirect) -> None:
        if not self.call.moving:
            return  # it waited for the database until its time was over
        try:
            await self._around.switch.redirect(order)
        except (SwitchUnavailable, SwitchRefused) as error:
            self.post(facts.Unmoved(error.code.lower()))
        except OutcomeUnknown:  # the switch's question, or the move's deadline, tells
            _log.warning("call.redirect_unknown", call_id=self.call.id)

    async def _turn_tape(self, order: orders.TurnTape) -> None:
        try:
            await self._around.switch.turn_tape(order)
        except PatchbayError as error:
            _log.warning("recording.refused", call_id=self.call.id, verb=order.verb, code=error.code)
            if order.verb == "start" and not isinstance(error, OutcomeUnknown):
                self.post(facts.TapeTurned("failed"))

    async def _file(self, tape_id: str) -> None:
        ok = False
        detail: tuple[tuple[str, str], ...] = (("reason", "archive_failed"),)
        try:
            ok, detail = await self._around.archive.file(self.call, tape_id)
        except PatchbayError as error:
            detail = (("reason", error.code.lower()),)
        except Exception:  # noqa: BLE001  # why: edge of a task; a recording never filed would never be told
            _log.exception("recording.broken", call_id=self.call.id, recording_id=tape_id)
        self.post(facts.TapeFiled(tape_id, ok, detail))


def _has_effect(order: orders.Order) -> bool:
    """Whether something outside waits to be done; else the order is carried out by being stored."""
    return not isinstance(order, orders.Publish | orders.CloseCall)


def story(call: Call, out: Sequence[orders.Order]) -> tuple[list[record.CallEvent], record.Cdr | None]:
    """What these orders tell the world: events for timeline and webhooks, and the CDR at the end."""
    known = record.record(call)
    tenant = call.terms.tenant
    events = [
        record.CallEvent(call.id, tenant, o.sequence, o.type, o.at, o.detail, known)
        for o in out
        if isinstance(o, orders.Publish)
    ]
    closes = any(isinstance(o, orders.CloseCall) for o in out)
    return events, record.cdr(call, known) if closes else None
