"""Record golden AMI traces: real calls through a real switch, with a simulated carrier as the outside.

    python -m tools.trace [NAME …]

Each is written to tests/traces/ as NAME.ami (the bytes) and NAME.json (what they mean), and only if the
call ended as its scenario says.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from ulid import ULID

from dialplan.core.call import Call
from dialplan.core.record import CallEvent, Cdr
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FakeEndings, MemoryCallStore
from dialplan.ports import PlaceCall
from gateway.archive import RecordingArchive
from gateway.config import Secret, Settings
from gateway.runtime.plan import Phone, RtpPlan, SwitchPlan, Trunk
from gateway.runtime.programs import find_tools
from gateway.runtime.switch import EmbeddedSwitch, SwitchSpec, free_switch_ports
from gateway.trial.audio import pcm_of
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone
from gateway.trial.watch import Watch
from gateway.wiring_voice import SwitchDoor, VoiceEngine, VoiceParts
from telephony.ids import CallId, TenantId
from tools.replay import items, play
from tools.tee import AgiTee, AmiTee
from tools.trace_file import Input, Trace, beginning, heard_in, order_name
from tools.trace_scenarios import (
    CALLER,
    CLI,
    SCENARIOS,
    SOUND,
    Scenario,
    carrier,
    inbound_route,
)

TENANT = TenantId("tnt_1")
_PATIENCE_S = 60.0


class WatchedStore(MemoryCallStore):
    """Lets others wait for what is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.firsts: dict[CallId, Call] = {}

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        self.firsts.setdefault(call.id, call)
        await super().append(call, events, cdr, patient=patient)
        self.watch.changed()

    async def has(self, call_id: CallId, type_: str) -> None:
        """Wait until the call's timeline has an event of this type."""
        await self.watch.until(lambda: type_ in self.types(call_id), within_s=_PATIENCE_S, what=type_)


class OneRoute:
    """Fits ``dialplan.ports.RouteBook``: every inbound call goes where the scenario says."""

    def __init__(self) -> None:
        self.scenario: Scenario | None = None

    async def facts_for(self, offered: Offered) -> RouteFacts:
        if self.scenario is None:
            return RouteFacts(tenant=None, route=None)
        return RouteFacts(
            TENANT,
            inbound_route(self.scenario),
            record=self.scenario.record,
            ring_timeout_s=self.scenario.ring_timeout_s,
        )

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        return await self.facts_for(offered)


class Recorder:
    """A switch, a carrier and the voice engine between two tees; ``record`` makes one trace."""

    def __init__(self, base: Path, phone: SipPhone) -> None:
        self.store, self.book = WatchedStore(), OneRoute()
        self.phone = phone
        self.inputs: list[Input] = []
        self._base = base
        recordings, sounds = base / "recordings", base / "sounds"
        for folder in (recordings, sounds):
            folder.mkdir(parents=True)
        _write_sound(sounds / f"{SOUND}.wav")
        self.agi = AgiTee(("127.0.0.1", 0), lambda channel: self._note("asked"))
        self._recordings, self._sounds = recordings, sounds
        self.switch: EmbeddedSwitch
        self.ami: AmiTee
        self.engine: VoiceEngine

    async def start(self, stack: AsyncExitStack) -> None:
        await self.agi.start()
        stack.push_async_callback(self.agi.stop)
        tools = find_tools(Settings.from_env(os.environ), lambda line: None)
        port = self.phone.address[1]
        plan = SwitchPlan(
            trunks=(Trunk("carrier", "127.0.0.2", port, identify=("127.0.0.2",)),),
            phones=(Phone("alice", Secret("nobody-registers-here")),),
            rtp=RtpPlan(timeout_s=60),
        )
        self.switch = EmbeddedSwitch(
            tools,
            SwitchSpec(
                plan=plan,
                base=self._base / "switch",
                ports=free_switch_ports(),
                agi=("127.0.0.1", self.agi.port),
                recordings=self._recordings,
                sounds=self._sounds,
            ),
        )
        stack.push_async_callback(self.switch.stop)
        address = await self.switch.start()
        self.ami = AmiTee((address.ami_host, address.ami_port), address.users["events"][0])
        await self.ami.start()
        stack.push_async_callback(self.ami.stop)
        self.engine = VoiceEngine(
            SwitchDoor("127.0.0.1", self.ami.port, dict(address.users), str(self._recordings)),
            VoiceParts(
                store=self.store,
                book=self.book,
                archive=RecordingArchive(self._recordings),
                endings=FakeEndings(),
                now=time.time,
                new_id=lambda prefix: f"{prefix}_{ULID()}",
                chance=random.random,
                trunk_for=lambda number: "carrier",
                trunk_limits={},
                agi=("127.0.0.1", 0),
            ),
        )
        stack.push_async_callback(self.engine.stop)
        await self.engine.start()
        self.agi.target = ("127.0.0.1", self.engine.agi_port)
        await self.engine.wait_ready(_PATIENCE_S)

    def _note(self, what: str) -> None:
        self.inputs.append(Input(what, time.time(), self._bytes()))

    def _bytes(self) -> int:
        return sum(map(len, self.ami.streams))

    # ------------------------------------------------------------ one trace

    async def record(self, scenario: Scenario) -> Trace:
        """Play the scenario and keep what was said about it."""
        first_stream, before = len(self.ami.streams) - 1, self._bytes()
        skipped = len(self.ami.streams[-1])
        self.inputs.clear()
        self.book.scenario = scenario
        call_id = await (self._call_in(scenario) if scenario.dials is None else self._place(scenario))
        await self._act(scenario, call_id)
        await self.store.watch.until(
            lambda: self.store.get(call_id).settled,
            within_s=_PATIENCE_S,
            what="the call's end",
            seen=lambda: self.store.types(call_id),
        )
        await self._all_said(scenario, before)
        return await self._trace(scenario, call_id, self._cut(first_stream, skipped), before)

    async def _place(self, scenario: Scenario) -> CallId:
        assert scenario.dials is not None, "an outbound scenario dials"
        call = await self.engine.director.place(
            PlaceCall(
                TENANT,
                "key_1",
                scenario.dials,
                CLI,
                scenario.joins,
                record=scenario.record,
                ring_timeout_s=scenario.ring_timeout_s,
            )
        )
        return call.id

    async def _call_in(self, scenario: Scenario) -> CallId:
        known = set(self.store.events)
        address = self.switch.address
        dial = Dial(CLI.reveal(), (address.sip_host, address.sip_port), CALLER)
        self.calling = self.phone.call(dial)
        await self.store.watch.until(
            lambda: len(self.store.events) > len(known), within_s=_PATIENCE_S, what="the inbound call"
        )
        (call_id,) = set(self.store.events) - known
        return call_id

    async def _act(self, scenario: Scenario, call_id: CallId) -> None:
        match scenario.act:
            case "":
                return
            case "hangup when ringing" | "hangup when connected" as when:
                await self.store.has(call_id, f"call.{when.rpartition(' ')[2]}")
                self._note("hangup")
                await self.engine.director.hang_up(call_id)
            case "caller cancels when ringing":
                await self.store.has(call_id, "call.ringing")
                await self.calling.reaches(CallState.RINGING)
                await self.calling.cancel()
            case "switch dies when connected":
                await self.store.has(call_id, "call.connected")
                self.switch.kill()
            case act:
                raise ValueError(f"no such act: {act}")

    async def _all_said(self, scenario: Scenario, before: int) -> None:
        """Wait for what may come after the end: OriginateResponse has its own way through the switch."""
        if scenario.act.startswith("switch dies"):
            await self.engine.wait_ready(_PATIENCE_S)
            return
        wanted = b"Event: OriginateResponse" if scenario.dials is not None else b"Event: Hangup\r\n"

        def said() -> bool:
            stream = bytes(self.ami.streams[-1])[-(self._bytes() - before) :]
            return wanted in stream and stream.endswith(b"\r\n\r\n")

        await self.ami.watch.until(said, within_s=_PATIENCE_S, what=wanted.decode())

    def _cut(self, first_stream: int, skipped: int) -> list[bytes]:
        """This scenario's bytes, one entry a connection; each begins with its greeting."""
        first = bytes(self.ami.streams[first_stream])
        greeting = first[: first.index(b"\r\n") + 2]
        return [greeting + first[skipped:], *map(bytes, self.ami.streams[first_stream + 1 :])]

    async def _trace(self, scenario: Scenario, call_id: CallId, parts: list[bytes], before: int) -> Trace:
        begun = self.store.firsts[call_id]
        up = await self.engine.links["control"].wait_up(_PATIENCE_S)
        stream = b"".join(parts)
        starts = [sum(map(len, parts[:n])) for n in range(len(parts))]
        greeting = stream.index(b"\r\n") + 2
        inputs = [Input(i.what, i.at, i.byte - before + greeting) for i in self.inputs]
        if begun.outbound is False:
            inputs = [given for given in inputs if given.what != "asked"]
        if len(parts) > 1:
            inputs.append(Input("looked", time.time(), len(stream)))
        told = self.store.get(call_id)
        draft = Trace(
            name=scenario.name,
            story=scenario.story,
            switch=up.asterisk_version,
            beginning=beginning(begun),
            connections=tuple(starts),
            inputs=tuple(inputs),
            facts=(),
            events=tuple(self.store.types(call_id)),
            orders=(),
            status=str(told.status),
            termination=str(told.termination),
            ended_by=str(told.ended_by),
            stream=self._scrubbed(stream),
        )
        return _with_meaning(draft)

    def _scrubbed(self, stream: bytes) -> bytes:
        """Without this machine's paths, and not a byte shorter or longer."""
        path = str(self._base).encode()
        return stream.replace(path, b"/" + b"x" * (len(path) - 1))


def _with_meaning(draft: Trace) -> Trace:
    """The trace with its facts and orders; they must lead where the real call went."""
    heard = heard_in(draft.messages(), draft.beginning.channel)
    facts = tuple((said.what.value, role.value) for _, _, role, said in heard)
    call, first = draft.beginning.call()
    after, out = play(call, first, items(draft))
    orders = tuple(order_name(order) for order in out)
    told = tuple(name.removeprefix("Publish ") for name in orders if name.startswith("Publish "))
    if (str(after.status), str(after.termination)) != (draft.status, draft.termination):
        raise SystemExit(f"{draft.name}: replayed it ends as {after.status} {after.termination}")
    if sorted(told) != sorted(draft.events):
        raise SystemExit(f"{draft.name}: replayed it tells {told}, not {draft.events}")
    return replace(draft, facts=facts, orders=orders)


def _write_sound(path: Path) -> None:
    """Half a second of a quiet tone."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        file.writeframes(pcm_of([1000 if n // 10 % 2 else -1000 for n in range(4000)]))


async def record(wanted: Sequence[Scenario]) -> int:
    """Record these scenarios; how many did not end as they should."""
    wrong = 0
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="patchbay-trace-")))
        phone = await SipPhone.open("127.0.0.2", 0, decide=carrier())
        stack.push_async_callback(phone.vanish)
        recorder = Recorder(base, phone)
        await recorder.start(stack)
        for scenario in wanted:
            trace = await recorder.record(scenario)
            ends = f"{trace.status} {trace.termination}"
            held = (ends, trace.ended_by) == (scenario.ends, scenario.ended_by)
            wrong += not held
            print(f"{'recorded' if held else 'WRONG   '} {trace.name}: {ends} by {trace.ended_by}, ", end="")
            print(f"{len(trace.messages())} messages, {len(trace.stream)} bytes")
            if held:
                trace.save()
    return wrong


def main(arguments: Sequence[str]) -> int:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no such trace: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    return 1 if asyncio.run(record([known[name] for name in arguments] or list(SCENARIOS))) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
