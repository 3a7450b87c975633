"""One session's loop: it owns a leg and a line, makes facts of what they say, and carries orders out.

There is no task and no queue between a fact and its judgement: both sides call on the loop's own thread, so
the machine is run at once, and what it brings about while it runs waits until it has. Sound does not pass
through the machine at all (``sound_path``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from telephony.errors import PatchbayError
from voice_agents.agent_path import AgentPath, text_level
from voice_agents.caller_ears import CallerEars
from voice_agents.core import facts, orders, talk
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import Codec
from voice_agents.core.backlog import Waiting
from voice_agents.core.machine import begin, step
from voice_agents.core.record import ARCHIVED, BUSY, AgentCall, SessionRecord, State
from voice_agents.core.session import Session, Terms
from voice_agents.core.waits import next_deadline
from voice_agents.errands import Errands
from voice_agents.records import record_of
from voice_agents.sound_path import SoundPath
from voice_agents.surroundings import Surroundings

_log = structlog.get_logger("voice_agents.session")
_MOST_FAULTS = 3
_HAVE_A_SUMMARY = (DialectName.NATIVE, DialectName.OPENAI, DialectName.BUILTIN)


def summarises(spec: AgentSpec) -> bool:
    """Whether this agent's dialect has a word for its account of the conversation."""
    return spec.dialect in _HAVE_A_SUMMARY


@dataclass(slots=True, eq=False)
class _Waiter:
    holds: Callable[[Session], bool]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Keeper(Protocol):
    """Who has the session among others."""

    def changed(self, loop: SessionLoop, before: Session) -> None:
        """Called after each step."""
        ...

    def lets(self, loop: SessionLoop, standby: AgentSpec) -> bool:
        """Whether this agent may stand in on the call. If so, its place is taken."""
        ...


class SessionLoop:
    """``passed_over``: as ``Terms.passed_over``."""

    def __init__(
        self,
        session_id: str,
        call: AgentCall,
        spec: AgentSpec,
        codec: Codec,
        around: Surroundings,
        keeper: Keeper,
        passed_over: str = "",
    ) -> None:
        self.id, self.call, self.spec, self.codec = session_id, call, spec, codec
        self.around = around
        self._keeper = keeper
        self.token = ""
        """What the switch is let in with; empty once it has gone."""
        self.transfer_outcome = ""
        """What came of the latest transfer; empty until it is known."""
        self._standby: AgentSpec | None = None
        self._inbox: deque[facts.Fact] = deque()
        self._judging = self._abandoned = False
        self._faults = 0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[_Waiter] = []
        most_s = call.lasts_s(spec.max_duration_s)
        outbound, speaks = call.direction == "outbound", around.voice is not None
        terms = Terms(spec, outbound, most_s, call.media_within_s, speaks, summarises(spec), passed_over)
        self.session, self._first = begin(terms, around.now())
        ears = None
        if around.detectors is not None and not text_level(spec):
            ears = CallerEars(codec, around.detectors.detector(codec, spec.barge_in.min_ms))
        elif around.fronts is not None:
            ears = CallerEars(codec, None)
        self.sound = SoundPath(spec, codec, around.now, self.post, self.tell, ears)
        self.agent = AgentPath(spec, around, self.sound, self.post, self._spawn)
        self.errands = Errands(call.call_id, around, self.sound, self.post, self._spawn, self.record)

    def start(self) -> None:
        """Dial the agent."""
        first, self._first = self._first, ()
        self._carry_out(first)
        self.sound.gates.follow(self.session)
        self._arm()

    # ------------------------------------------------------------ facts in

    def post(self, fact: facts.Fact) -> None:
        """Judge a fact at once, or right after the one that is being judged. Never waits, never raises."""
        if self._abandoned:
            return
        self._inbox.append(fact)
        if self._judging:
            return
        self._judging = True
        try:
            while self._inbox:
                self._judge(self._inbox.popleft())
        finally:
            self._judging = False
        self._arm()

    def _judge(self, fact: facts.Fact) -> None:
        before, gates = self.session, self.sound.gates
        try:
            self.session, out = step(before, fact, self.around.now(), self.around.patience)
        except Exception:  # noqa: BLE001  # why: a fault of ours must not take the call's sound or its end along
            self._broken("session.step_broken", fact=type(fact).__name__)
            self._faults += 1
            if self._faults >= _MOST_FAULTS:
                self._give_up()
            return
        if before.ending is None and self.session.ending is not None:
            self.sound.note_end()
        opened = self.session.gate_open and not gates.plays
        gates.follow(self.session)
        self._carry_out(out)
        if opened:
            self.sound.open_gate()
        if self.session is not before:
            self._keeper.changed(self, before)
            self._wake()

    def _give_up(self) -> None:
        """We cannot judge any more: the call ends, rather than go on without anybody who could end it."""
        before = self.session
        if before.over is not None:
            return
        now = self.around.now()
        self.session = replace(before, over=State.FAILED, over_at=now, failure="broken")
        self.sound.gates.follow(self.session)
        told = orders.Publish("agent.session.failed", (("reason", "broken"),))
        last = (orders.Save(), orders.Finish())
        self._carry_out(
            (orders.HangUpCall("agent_lost"), orders.CloseLine(1011), orders.ReleaseMedia(), told, *last)
        )
        self._keeper.changed(self, before)
        self._wake()

    def _broken(self, event: str, **what: str) -> None:
        _log.exception(event, session=self.id, call_id=self.call.call_id, **what)
        self.around.tally.broken += 1

    def tell(self, told: talk.Told) -> bool:
        """Say this to the agent."""
        return not self._abandoned and self.agent.tell(told)

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        at = next_deadline(self.session, self.around.patience)
        if self._timer is not None:
            if at is not None and at >= self._rings_at:
                return  # most deadlines move on: it rings for the old one, and is set again then
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._rings_at = at
            wait_s = max(0.0, at - self.around.now())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        at = next_deadline(self.session, self.around.patience)
        if at is not None and at <= self.around.now():
            self.post(facts.TimerFired(self.sound.frame_at or None))
        else:
            self._arm()

    # ------------------------------------------------------------ orders out

    def _carry_out(self, out: tuple[orders.Order, ...]) -> None:
        for order in out:
            try:
                self._do(order)
            except Exception:  # noqa: BLE001  # why: an order that breaks must not take the others with it
                self._broken("session.order_broken", order=type(order).__name__)

    def _do(self, order: orders.Order) -> None:
        match order:
            case orders.Tell(told=told):
                if isinstance(told, talk.TransferOutcome):
                    self.transfer_outcome = told.outcome
                self.agent.tell(told)
            case orders.TellAnswered():
                self._tell_answered()
            case orders.OpenLine():
                self._open_line(order)
            case orders.CloseLine(code=code):
                self.agent.close(code)
            case orders.Publish(event=event, detail=detail):
                self.around.tally.events[event] += 1
                self.around.announcer.publish(event, self.record(), dict(detail))
            case orders.Save():
                self.errands.save()
            case orders.HangUpCall(why=why):
                self.errands.hang_up(why)
            case orders.TransferCall():
                self.errands.transfer(order)
            case orders.SendDigits(digits=digits):
                self.errands.send_digits(digits)
            case orders.RunTool(tool=tool):
                self.errands.run_tool(self.agent.spec, tool)
            case orders.SayPrompt(name=name, text=text):
                self.errands.say(self.agent.spec, name, text)
            case orders.Finish():
                self._finish()
            case _:
                self._do_with_sound(order)

    def _do_with_sound(self, order: orders.Order) -> None:
        sound = self.sound
        match order:
            case orders.AnswerMedia() if sound.leg is not None:
                sound.leg.answer()
            case orders.PauseSound():
                sound.pause()
            case orders.ResumeSound():
                sound.resume()
            case orders.Flush(interrupted=interrupted):
                self.agent.stop_speaking()
                cut = sound.flush(stale=interrupted)
                if interrupted:
                    self.agent.tell(cut)
            case orders.MarkEnd(mark=mark):
                sound.mark_end(mark)
            case orders.HoldSound(on=on):
                self.errands.comfort(on)
            case orders.ReleaseMedia():
                self._release_media()

    def _tell_answered(self) -> None:
        self.agent.tell(talk.Answered(self.sound.at_ms))
        greeting = self.agent.spec.greeting
        first = self.sound.first_sound_at is None
        if first and self.spec.dialect is DialectName.CONVERSATION_RELAY and greeting.text:
            # In this dialect the gateway greets; in the others the agent does, with the words it was given.
            if greeting.when != "never":
                self.agent.greet(talk.Words(greeting.text, interruptible=not greeting.uninterruptible))
        elif first and greeting.uninterruptible:
            self.sound.guard_turn = True

    def _release_media(self) -> None:
        self.expect_nobody()
        if self.sound.leg is not None:
            self.sound.leg.hang_up()

    def expect(self, within_s: float) -> str:
        """Let the switch come with a new token; the old one is worth nothing any more."""
        if self.token:
            self.around.media.forget(self.token)
        self.token = self.around.new_token()
        self.around.media.expect(self.token, self.codec, self.sound, within_s)
        return self.token

    def expect_nobody(self) -> None:
        """The switch will not come after all."""
        if self.token:
            self.around.media.forget(self.token)
            self.token = ""

    # ------------------------------------------------------------ the line

    def _open_line(self, order: orders.OpenLine) -> None:
        if not order.standby:
            spec = self.session.terms.spec
            self.agent.open(order.line, spec, self._begin(spec, order))
        elif self._standby is not None and self._standby.id == self.session.terms.spec.fallback.agent_id:
            self.agent.open(order.line, self._standby, self._begin(self._standby, order))
        else:
            self._spawn(self._find_standby(order))

    async def _find_standby(self, order: orders.OpenLine) -> None:
        """The agent that stands in: its newest version, at the moment that it is needed."""
        wanted, found = self.session.terms.spec.fallback.agent_id, None
        try:
            async with asyncio.timeout(self.around.patience.connect_s):
                found = await self.around.book.agent(self.call.tenant, wanted)
        except PatchbayError as error:
            _log.warning("session.standby_not_read", session=self.id, agent=wanted, code=error.code)
        except Exception:  # noqa: BLE001  # why: whatever failed, the next rung must be reached
            self._broken("session.standby_unknown", agent=wanted)
        if found is None:
            self.post(facts.LineFailed(order.line, "unknown", again=False))
        elif order.line != self.session.line.number or not self.session.live:
            return
        elif not self._keeper.lets(self, found):
            self.post(facts.LineFailed(order.line, ARCHIVED if found.archived else BUSY, again=False))
        else:
            self._standby = found
            self.agent.open(order.line, found, self._begin(found, order))

    def _begin(self, spec: AgentSpec, order: orders.OpenLine) -> talk.Begin:
        call, around = self.call, self.around
        greets = spec.greeting.when != "never" and not order.resumed
        merged = {**dict(spec.parameters), **dict(call.parameters)}
        return talk.Begin(
            session_id=self.id,
            call_id=call.call_id,
            agent_id=spec.id,
            agent_version=spec.version,
            direction=call.direction,
            caller=call.caller,
            called=call.called,
            codec=self.codec,
            language=spec.language,
            greeting=spec.greeting.text if greets else "",
            metadata=call.metadata,
            parameters=tuple(merged.items()),
            control_token=around.control_token(call, self.session.terms.max_duration_s),
            resumed_turns=self.sound.ledger.count if order.resumed or order.standby else None,
        )

    # ------------------------------------------------------------ what is known

    def record(self) -> SessionRecord:
        """The session as it stands, its transcript included."""
        return record_of(self.id, self.call, self.spec, self.session, self.agent, self.sound)

    async def until(self, holds: Callable[[Session], bool], patience_s: float) -> bool:
        """Wait until the session is so; False when it was not within ``patience_s`` seconds."""
        if holds(self.session):
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

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done.done() and waiter.holds(self.session):
                waiter.done.set_result(None)

    # ------------------------------------------------------------ the end

    def _finish(self) -> None:
        self.sound.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._spawn(self.agent.finish())

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settled(self, patience_s: float) -> None:
        """Wait for what is still being done after the end: closing the line, keeping the record."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=patience_s)

    def abandon(self) -> None:
        """Stop at once, whatever it does, and come apart: parts that know one another would wait for the
        garbage collector, which the 20 ms clock feels."""
        if self._abandoned:
            return
        self._abandoned = True
        self.sound.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        self.sound.give_back = _to_nobody
        del self.sound, self.agent, self.errands


def _to_nobody(said: Waiting) -> None:
    """What is said after the end."""
