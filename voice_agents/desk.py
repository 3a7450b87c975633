"""The desk: every call that an agent is on, and what may be asked of it.

``prepare`` dials the agent while the phone still rings; the switch then brings the call's sound with the
token that ``Prepared`` names. One session a call. A session that has ended is forgotten once its record is
kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from telephony.errors import AgentUnavailable, Conflict, InvalidInput, PatchbayError, TooMany
from voice_agents import standing
from voice_agents.core import facts, transfer
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.record import ARCHIVED, BUSY, AgentCall, SessionRecord
from voice_agents.core.session import Session
from voice_agents.core.talk import Reason
from voice_agents.errands import API_PROMPT
from voice_agents.loop import SessionLoop, summarises
from voice_agents.places import Places
from voice_agents.surroundings import Surroundings
from voice_agents.wire.dialects import codec_of

_log = structlog.get_logger("voice_agents.desk")
_END_S = 30.0
_RETURN_S = 15.0
_LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the switch needs to bring a call's sound to its agent: ``dial`` is what Dial() is given.
    ``record``: the agent's calls are to be recorded."""

    session_id: str
    token: str
    dial: str
    codec: Codec
    record: bool = False


def _no_limit(tenant: str) -> int:
    return 0


class AgentDesk:
    """``most_of`` gives how many calls with agents a tenant may have at once; 0: no limit."""

    def __init__(self, around: Surroundings, most_of: Callable[[str], int] = _no_limit) -> None:
        self._around = around
        self._loops: dict[str, SessionLoop] = {}
        self._places = Places(most_of)
        self._leaving: set[asyncio.Task[None]] = set()
        self._draining = False
        self.tally = around.tally

    # ------------------------------------------------------------ beginnings

    async def prepare(self, call: AgentCall, *, ready_within_s: float = 0.0) -> Prepared:
        """Set out to reach the agent for this call. Returns at once; with ``ready_within_s``, once the agent
        is ready or its fallback has been reached, or that time has passed.

        A caller whose agent is full, or archived, has its fallback at once, where one can be had: the
        session begins without the agent.

        Raises ``AgentUnavailable`` where there is no such agent, or it and all that stands in for it cannot
        be had; ``TooMany`` where it or the tenant has as many calls as it may; ``Conflict`` where an agent
        is on the call already, or a newer release stored the agent.
        """
        spec = await self._spec(call)
        passed_over = await self._passed_over(call, spec)
        try:
            codec = codec_of(spec)
        except KeyError:
            raise self._refused("codec", AgentUnavailable("the agent's codec is unknown")) from None
        session_id = self._around.new_id("ags")
        loop = SessionLoop(session_id, call, spec, codec, self._around, self, passed_over)
        self._enter(loop)
        try:
            token = loop.expect(call.media_within_s)
            dial = self._around.media.dial_string(token, codec)
            loop.start()
        except BaseException:  # why: whatever it was, the place is free again
            self._places.free(loop.id)
            del self._loops[call.call_id]
            loop.abandon()
            raise
        if ready_within_s > 0:
            await loop.until(standing.settled, ready_within_s)
        if not loop.session.live:
            raise self._refused("unreachable", AgentUnavailable("the agent cannot be reached"))
        self.tally.prepared += 1
        if passed_over:
            self.tally.passed_over[passed_over] += 1
        return Prepared(session_id, token, dial, codec, record=spec.record)

    async def _spec(self, call: AgentCall) -> AgentSpec:
        if self._draining:
            raise self._refused("draining", AgentUnavailable("no new calls are taken", why="draining"))
        try:
            spec = await self._around.book.agent(call.tenant, call.agent_id, call.agent_version)
        except Conflict:
            self.tally.refused["too_new"] += 1
            raise
        if spec is None:
            raise self._refused("unknown", AgentUnavailable("there is no such agent", why="unknown"))
        return spec

    async def _passed_over(self, call: AgentCall, spec: AgentSpec) -> str:
        """Empty where the agent can have the call; else why its fallback has it. Raises as ``prepare``."""
        self._not_twice(call)
        why = self._places.why_not(call.tenant, spec)
        if not why:
            return ""
        if not await self._somebody_else(call, spec):
            raise self._refused(why, self._places.refusal(why, call.tenant, spec))
        self._not_twice(call)
        if not self._places.why_not(call.tenant, spec):
            return ""  # somebody left meanwhile
        return ARCHIVED if spec.archived else BUSY

    def _not_twice(self, call: AgentCall) -> None:
        if call.call_id in self._loops:
            raise Conflict("an agent is on this call already", code="AGENT_ON_CALL")

    async def _somebody_else(self, call: AgentCall, spec: AgentSpec) -> bool:
        """Whether a caller who cannot have this agent would hear anything but its absence. Callers who have
        no agent are bounded as those who have: nobody holds any number of calls by a fallback."""
        fallback, places = spec.fallback, self._places
        most = places.most_of(call.tenant)
        if call.direction != "inbound" or (most and self._without(call.tenant) >= most):
            return False
        if fallback.number or (fallback.prompt and self._around.voice is not None):
            return True
        if not fallback.agent_id:
            return False
        try:
            standby = await self._around.book.agent(call.tenant, fallback.agent_id)
        except PatchbayError:
            return False
        return standby is not None and not places.why_not(call.tenant, standby)

    def _without(self, tenant: str) -> int:
        """The tenant's calls that wait for an agent's fallback, or have it."""
        mine = (loop for loop in self._loops.values() if loop.call.tenant == tenant)
        return sum(loop.session.live and loop.id not in self._places for loop in mine)

    def lets(self, loop: SessionLoop, standby: AgentSpec) -> bool:
        """Whether this agent can stand in on the call; if so, the call is one of its own from now on."""
        if not loop.session.live:
            return False
        if why := self._places.why_not(loop.call.tenant, standby, loop.id):
            self.tally.refused[why] += 1
            return False
        self._places.take(loop.id, loop.call.tenant, standby)
        return True

    def _refused(self, why: str, error: AgentUnavailable | TooMany) -> AgentUnavailable | TooMany:
        self.tally.refused[why] += 1
        return error

    def _enter(self, loop: SessionLoop) -> None:
        self._loops[loop.call.call_id] = loop
        if not loop.session.terms.passed_over:
            self._places.take(loop.id, loop.call.tenant, loop.spec)

    def changed(self, loop: SessionLoop, before: Session) -> None:
        """A step of this session was made; ``before`` is how it was."""
        session = loop.session
        if before.bridged_at is None and session.bridged_at is not None:
            self.tally.bridged += 1
        if session.state.final or standing.call_is_over(session):
            self._places.free(loop.id)
        if session.state.final and not before.state.final:
            self._count(loop)
            task = asyncio.get_running_loop().create_task(self._leave(loop))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _count(self, loop: SessionLoop) -> None:
        record = loop.record()
        reason, how = self.tally.count(record)
        _log.info(
            "agent.session_over",
            session=record.id,
            call_id=record.call_id,
            state=str(record.state),
            reason=reason,
            how=how,
        )

    async def _leave(self, loop: SessionLoop) -> None:
        """Keep it in sight until its line is closed and its record kept, then forget it."""
        await loop.settled(_END_S)
        if self._loops.get(loop.call.call_id) is loop:
            del self._loops[loop.call.call_id]
        loop.abandon()

    # ------------------------------------------------------------ who is on a call

    @property
    def live_sessions(self) -> int:
        """How many calls have an agent now."""
        return len(self._places)

    def session_of(self, call_id: str) -> SessionRecord | None:
        """The session of a call as it stands; None where no agent is on it, and soon after one was."""
        loop = self._loops.get(call_id)
        return None if loop is None else loop.record()

    def _live(self, call_id: str) -> SessionLoop:
        loop = self._loops.get(call_id)
        if loop is None or loop.session.over is not None:
            raise Conflict("no agent is on this call", code="NO_AGENT_ON_CALL")
        if loop.session.ending is not None:
            raise Conflict("the session is ending", code="AGENT_STATE")
        return loop

    # ------------------------------------------------------------ ends

    async def end(
        self,
        call_id: str,
        reason: Reason = Reason.API,
        by: str = "api",
        *,
        force: bool = False,
        deadline_ms: int | None = None,
    ) -> bool:
        """Tell the agent, let it say goodbye, hang up. True once that has been ordered and carried out as
        far as it can be, or the call was over anyhow; False where no agent is on the call. A second one waits
        for the first; ``force`` cuts it short."""
        loop = self._loops.get(call_id)
        if loop is None or loop.session.over is not None:
            return False
        spec, errands = loop.spec.shutdown, loop.errands
        loop.post(facts.EndAsked(reason, by, force, deadline_ms))
        farewell_s = (spec.deadline_ms if deadline_ms is None else deadline_ms) / 1000
        patience = loop.around.patience
        most_s = farewell_s + patience.drain_s + patience.prompt_s + spec.tail_ms / 1000 + patience.gone_s
        if not await loop.until(standing.hang_up_ordered, most_s):
            _log.error("agent.end_overdue", session=loop.id, call_id=call_id)
            loop.post(facts.EndAsked(reason, by, force=True))
        if errands.hanging_up is not None:
            await asyncio.wait({errands.hanging_up}, timeout=patience.gone_s)
        return True

    def caller_gone(self, call_id: str, reason: Reason = Reason.CALLER) -> None:
        """The caller has hung up, or the call is over. Unknown here: nothing happens. ``reason``: of an agent
        in a video room, why it is in there no more."""
        loop = self._loops.get(call_id)
        if loop is not None:
            told = facts.CallerGone() if reason is Reason.CALLER else facts.EndAsked(reason, "room")
            loop.post(told)

    def forget(self, call_id: str) -> None:
        """The call that was prepared for will not be. Unknown here: nothing happens."""
        self.caller_gone(call_id)

    async def drain(self, deadline_s: float, *, told_before_s: float = 5.0) -> None:
        """Take no new calls and let those that are on end by themselves; ``told_before_s`` before the
        deadline the agents are told, and may say goodbye. Returns when none is left, or it has passed."""
        self._draining = True
        clock = asyncio.get_running_loop().time
        until = clock() + deadline_s
        if not await self._emptied(max(0.0, deadline_s - told_before_s)):
            for loop in list(self._loops.values()):
                left_ms = round(max(0.0, until - clock()) * 1000)
                loop.post(facts.EndAsked(Reason.DRAIN, "gateway", deadline_ms=left_ms))
            await self._emptied(max(0.0, until - clock()))
        if self._leaving:
            await asyncio.wait(set(self._leaving), timeout=max(1.0, until - clock()))

    async def _emptied(self, within_s: float) -> bool:
        waiting = [
            asyncio.ensure_future(loop.until(standing.over, within_s)) for loop in list(self._loops.values())
        ]
        return all(await asyncio.gather(*waiting))

    async def close(self) -> None:
        """Stop at once: what still goes on is not told. ``drain`` comes first."""
        self._draining = True
        loops, self._loops = self._loops, {}
        for loop in loops.values():
            loop.abandon()
        for task in list(self._leaving):
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    # ------------------------------------------------------------ meanwhile

    async def mute(self, call_id: str, on: bool) -> None:
        """Whether the caller hears the agent. It goes on hearing the caller. Raises ``Conflict``."""
        self._live(call_id).post(facts.MuteAsked(on))

    async def hold(self, call_id: str, on: bool) -> None:
        """Whether the caller waits with a soft tone, apart from the agent. Raises ``Conflict``."""
        loop = self._live(call_id)
        session = loop.session
        if not session.gate_open or session.held_by == "human" or session.moving is not None:
            raise Conflict("the caller is not with the agent", code="AGENT_STATE")
        loop.post(facts.HoldAsked(on))

    async def say(self, call_id: str, text: str, *, interruptible: bool = True) -> None:
        """Have our own voice say this to the caller, after what is being said. Raises ``Conflict``,
        ``InvalidInput`` where we have no voice."""
        loop = self._live(call_id)
        if self._around.voice is None:
            raise InvalidInput("there is no speech engine", field="text")
        if not loop.session.gate_open:
            raise Conflict("the caller is not with the agent", code="AGENT_STATE")
        guards, ledger = loop.sound.guards, loop.sound.ledger
        if not interruptible:
            guards.on(ledger.place, transfer.GUARD_MS)
        over = None if interruptible else lambda: guards.off(ledger.place)
        loop.errands.say(loop.spec, API_PROMPT, text[:_LONGEST_TEXT], over)

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Play digits (``0-9*#A-Dw``) to the caller's line. Raises ``Conflict``, ``InvalidInput``."""
        loop = self._live(call_id)
        if transfer.DIGITS.fullmatch(digits) is None:
            raise InvalidInput("these are no digits", field="digits", expected="1 to 64 of 0-9*#A-Dw")
        loop.errands.send_digits(digits)

    async def transfer(self, call_id: str, to: str, ring_timeout_s: int, *, keep: bool = False) -> str:
        """Ring ``to`` in the agent's place, once all that it said is heard; the outcome, once it is known.
        That the place may be called was looked at. ``keep``: the agent stays, silent. Raises ``Conflict``."""
        loop = self._live(call_id)
        if loop.session.moving is not None or loop.session.media.heard_at is None:
            raise Conflict("the caller cannot be transferred now", code="AGENT_STATE")
        loop.transfer_outcome = ""
        loop.post(facts.TransferAsked(to, ring_timeout_s, "api", keep))
        patience = self._around.patience
        most_s = patience.drain_s + max(5, min(ring_timeout_s, 120)) + 2 * patience.transfer_s
        known = await loop.until(lambda session: bool(loop.transfer_outcome) or not session.live, most_s)
        return loop.transfer_outcome or ("declined" if known else "timeout")

    async def take_over(self, call_id: str, to: str, ring_timeout_s: int) -> str:
        """The same, but the agent stays, silent, to be handed back to."""
        return await self.transfer(call_id, to, ring_timeout_s, keep=True)

    async def hand_over(
        self,
        call_id: str,
        agent_id: str,
        version: int | None = None,
        parameters: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Another agent has the call from now on; what the present one said is heard. Raises ``Conflict``,
        ``AgentUnavailable``, ``TooMany``."""
        loop = self._live(call_id)
        spec = await self._around.book.agent(loop.call.tenant, agent_id, version)
        if spec is None:
            raise self._refused("unknown", AgentUnavailable("there is no such agent", why="unknown"))
        loop = self._live(call_id)
        if loop.session.moving is not None:
            raise Conflict("the caller is not with the agent", code="AGENT_STATE")
        if why := self._places.why_not(loop.call.tenant, spec, loop.id):
            raise self._refused(why, self._places.refusal(why, loop.call.tenant, spec))
        self._places.take(loop.id, loop.call.tenant, spec)
        merged = {**dict(spec.parameters), **dict(parameters)}
        spec = replace(spec, parameters=tuple(merged.items()))
        loop.post(facts.SwapAsked(spec, "api", summarises(spec)))

    # ------------------------------------------------------------ back to the agent

    def rejoin(self, call_id: str) -> Prepared | None:
        """The switch asks where to take a caller whose transfer came to nothing, or who is handed back: to
        the same session, with a new token. None where no session waits for this caller."""
        loop = self._loops.get(call_id)
        if loop is None or not loop.session.live or loop.session.media.arrived_at is not None:
            return None
        if loop.session.moving is None:
            return None
        token = loop.expect(_RETURN_S)
        dial = self._around.media.dial_string(token, loop.codec)
        return Prepared(loop.id, token, dial, loop.codec)

    def hand_back(self, call_id: str) -> Prepared:
        """End a take-over: where the switch must take the caller, to speak with the agent again. Raises
        ``Conflict``."""
        loop = self._live(call_id)
        loop.post(facts.HandBackAsked())
        prepared = self.rejoin(call_id) if loop.session.moving is not None else None
        if prepared is None:
            raise Conflict("nobody has taken this call over", code="AGENT_STATE")
        return prepared

    def stays(self, call_id: str) -> None:
        """The caller could not be taken from the human: it is there still. Unknown here: nothing happens."""
        loop = self._loops.get(call_id)
        if loop is not None and loop.session.live and loop.session.media.arrived_at is None:
            loop.expect_nobody()
            loop.post(facts.HandBackFailed())
