"""A voice engine between a real switch and simulated far ends, with a route book that a test writes.

The gateway's process is this one: ``die`` leaves the switch alone with its calls, ``rise`` starts a gateway
on what was stored.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ulid import ULID

from dialplan.core.call import Call, Reject
from dialplan.core.record import CallEvent, Cdr
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FakeArchive, MemoryCallStore
from gateway.prompts import write_warning
from gateway.runtime.plan import demo_plan
from gateway.runtime.ports import free_port
from gateway.runtime.switch import EmbeddedSwitch
from gateway.runtime.switch_config import SwitchLimits
from gateway.switch_records import SwitchRecords
from gateway.trial.audio import Wave, tone, write_wav
from gateway.trial.sip_behaviour import Behaviour, Decide, answers
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import Watch
from gateway.wiring_voice import SwitchDoor, VoiceEngine, VoiceParts
from telephony.ids import CallId, TenantId
from tests.rig.switch import PHONE_PASSWORDS, running_switch

OURS = TenantId("tnt_1")
DIALLED, CALLER = "+12025550100", "+14155550101"
PROMPT, PROMPT_HZ = "tests/prompt", 700.0
CALLEE_PROMPT, CALLEE_PROMPT_HZ = "tests/told", 900.0
CALLER_HZ, CALLEE_HZ = 400.0, 500.0
NOBODY = RouteFacts(OURS, Reject(21, "refused_by_test"))
LONG_PROMPT, LONG_CALLEE_PROMPT = "tests/long-prompt", "tests/long-told"
"""The same tones for as long as nobody would listen: what happens meanwhile happens before their end."""
_LONG_S = 20.0
TALKS = answers(audio=tone(CALLEE_HZ, 2.0))


class Book:
    """Fits ``dialplan.ports.RouteBook``: ``first`` for a new call, then what ``then`` makes of the digits."""

    def __init__(self) -> None:
        self.first: RouteFacts = NOBODY
        self.then: Callable[[str], RouteFacts] = lambda typed: NOBODY
        self.typed: list[str] = []
        self.offered: list[Offered] = []
        self.hangs: asyncio.Event | None = None

    async def facts_for(self, offered: Offered) -> RouteFacts:
        self.offered.append(offered)
        return self.first

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        self.offered.append(offered)
        self.typed.append(digits)
        if self.hangs is not None:
            await self.hangs.wait()
        return self.then(digits)


class WatchedStore(MemoryCallStore):
    """Lets a test wait for what is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        await super().append(call, events, cdr, patient=patient)
        self.watch.changed()

    async def until(self, call_id: CallId, holds: Callable[[Call], bool], what: str, within_s: float) -> Call:
        await self.watch.until(
            lambda: holds(self.get(call_id)),
            within_s=within_s,
            what=what,
            seen=lambda: (self.get(call_id), self.types(call_id)),
        )
        return self.get(call_id)


class Voice:
    """The engine, its switch and the outside, one call after another. ``far_end`` is what a far end does."""

    def __init__(self, switch: EmbeddedSwitch, carrier: SipPhone, agi_port: int) -> None:
        self.switch, self.carrier = switch, carrier
        self.store, self.book = WatchedStore(), Book()
        self.far_end: Behaviour = TALKS
        self.agi_port = agi_port
        self._known: set[CallId] = set()
        self.engine: VoiceEngine

    @property
    def sip(self) -> tuple[str, int]:
        return self.switch.address.sip_host, self.switch.address.sip_port

    async def rise(self) -> None:
        """A gateway starts, on what is stored and what the switch says."""
        address = self.switch.address
        self.engine = VoiceEngine(
            SwitchDoor(
                address.ami_host, address.ami_port, dict(address.users), str(self.switch.spec.recordings)
            ),
            VoiceParts(
                store=self.store,
                book=self.book,
                archive=FakeArchive(),
                endings=SwitchRecords(self.switch.cdr_file),
                now=time.time,
                new_id=lambda prefix: f"{prefix}_{ULID()}",
                chance=random.random,
                trunk_for=lambda number: "carrier",
                trunk_limits={},
                agi=("127.0.0.1", self.agi_port),
            ),
        )
        await self.engine.start()
        await self.engine.wait_ready(40.0)

    async def die(self) -> None:
        """The gateway is gone, and nobody listens where it listened."""
        await self.engine.stop()

    def dial(self, **how: object) -> OutgoingCall:
        """Somebody outside dials our number, and sounds a tone once there is somebody to hear it."""
        self.expect_call()
        sound = {"audio": tone(CALLER_HZ, 2.0)} | how
        return self.carrier.call(Dial(DIALLED, self.sip, CALLER, **sound))  # type: ignore[arg-type]

    def expect_call(self) -> None:
        """The next new call is the one that is meant from now on."""
        self._known = set(self.store.events)

    async def call_id(self) -> CallId:
        """The call that the last ``dial`` made."""
        await self.store.watch.until(
            lambda: len(self.store.events) > len(self._known), within_s=20.0, what="the call"
        )
        (found,) = set(self.store.events) - self._known
        return found

    async def ended(self, within_s: float = 30.0) -> Call:
        """The call that the last ``dial`` made, once it is over: with one terminal event and one CDR."""
        call_id = await self.call_id()
        call = await self.store.until(call_id, lambda call: call.settled, "the call's end", within_s)
        finals = [type_ for type_ in self.store.types(call_id) if type_ == f"call.{call.status}"]
        assert len(finals) == 1
        assert self.store.cdrs[call_id].call.status is call.status
        return call

    async def on_record(self) -> None:
        """The switch has written down what became of the last call: it does so after the call."""
        caller = self.store.get(await self.call_id()).caller.channel
        assert caller is not None
        records = SwitchRecords(self.switch.cdr_file)
        async with asyncio.timeout(20.0):
            while not await records.of([caller]):  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.02)

    def types(self, call: Call) -> list[str]:
        return self.store.types(call.id)


@asynccontextmanager
async def running_voice(
    folder: Path, media: tuple[str, int] = ("127.0.0.1", 0), **changes: object
) -> AsyncIterator[Voice]:
    """Everything up, with prompts of a tone each; the carrier answers and sounds another one. ``media`` is
    where agents' sound is taken, if anywhere; ``changes`` are fields of ``SwitchSpec``."""
    decide: Decide = lambda facts: voice.far_end  # noqa: E731  # why: voice is made below
    agi_port = free_port()
    carrier = await SipPhone.open("127.0.0.2", 0, decide=decide, name="carrier")
    try:
        plan = demo_plan(PHONE_PASSWORDS, trunk_port=carrier.address[1])
        # the switch waits longer for an answer than the gateway may take, even if that one is held up
        given = {"limits": SwitchLimits(route_budget_ms=3_000), **changes}
        async with running_switch(folder, plan, agi_port, media=media, **given) as switch:
            sounds = switch.spec.sounds / "tests"
            sounds.mkdir(parents=True)
            write_wav(sounds / "prompt.wav", Wave(tone(PROMPT_HZ, 0.6)))
            write_wav(sounds / "told.wav", Wave(tone(CALLEE_PROMPT_HZ, 0.6)))
            write_wav(sounds / "long-prompt.wav", Wave(tone(PROMPT_HZ, _LONG_S)))
            write_wav(sounds / "long-told.wav", Wave(tone(CALLEE_PROMPT_HZ, _LONG_S)))
            write_warning(switch.spec.sounds)
            voice = Voice(switch, carrier, agi_port)
            await voice.rise()
            try:
                yield voice
            finally:
                await voice.engine.stop()
    finally:
        await carrier.vanish()
