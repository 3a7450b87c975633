"""Events per second and CPU per event of our AMI path, against stock panoramisk in the same run.

The stream is made to look like an unfiltered switch during two-leg calls: 88 events a call, 56 of them
VarSet, about 400 bytes each. Both paths get the same chunks, deliver every event to a plain callback in
order, and read the same five headers there. Rounds are interleaved; the figures are medians.

    python -m bench.ami
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from statistics import median

import uvloop
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.utils import IdGenerator

from bench.report import write_result
from dialplan.ami.dispatch import Dispatch, LinkUp, Listener
from dialplan.ami.metrics import Tally
from dialplan.ami.protocol import AmiAddress, Session
from dialplan.ami.wire import Message, MessageStream

CALLS = 114
ROUNDS = 9
CHUNK = 16 * 1024
FIELDS = ("Event", "Uniqueid", "Linkedid", "ChannelState", "Cause")
BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def recording(calls: int, rng: random.Random) -> list[bytes]:
    """Events of ``calls`` calls, one after another."""
    return [event for call in range(calls) for event in _call(call, rng)]


STATES = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}


class _Writer:
    """Spells one call's events as the switch does, about 400 bytes each."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.rng = rng
        self.ids = (f"pb-1700000000.{2 * number}", f"pb-1700000000.{2 * number + 1}")
        self.channels = (f"PJSIP/carrier-{2 * number:08x}", f"PJSIP/phone-{2 * number + 1:08x}")
        self.caller = f"+1415555{rng.randrange(10_000):04}"
        self.bridge = ("BridgeUniqueid", f"bridge-{number}")
        self.dest = ("DestUniqueid", self.ids[1])

    def event(self, name: str, leg: int, state: int, *more: tuple[str, str]) -> bytes:
        pairs = (
            ("Event", name),
            ("Privilege", "call,all"),
            ("Channel", self.channels[leg]),
            ("ChannelState", str(state)),
            ("ChannelStateDesc", STATES[state]),
            ("CallerIDNum", self.caller),
            ("CallerIDName", "<unknown>"),
            ("ConnectedLineNum", "+14155550199"),
            ("ConnectedLineName", "Zoë"),
            ("Language", "en"),
            ("AccountCode", ""),
            ("Context", "inbound"),
            ("Exten", "+14155550199"),
            ("Priority", str(self.rng.randrange(1, 20))),
            ("Uniqueid", self.ids[leg]),
            ("Linkedid", self.ids[0]),
            *more,
        )
        return "".join([f"{header}: {value}\r\n" for header, value in pairs] + ["\r\n"]).encode()

    def variables(self, leg: int, state: int, count: int) -> Iterator[bytes]:
        for n in range(count):
            value = f"{self.rng.getrandbits(64):x}"
            yield self.event("VarSet", leg, state, ("Variable", f"PB_{n}"), ("Value", value))


def _call(number: int, rng: random.Random) -> Iterator[bytes]:
    """A call from the trunk to a phone: dialled, answered, talked over, ended."""
    write = _Writer(number, rng)
    event = write.event
    yield event("Newchannel", 0, 4)
    yield from write.variables(0, 4, 16)
    for app in ("AGI", "Set", "GotoIf", "Set", "Dial"):
        yield event("Newexten", 0, 4, ("Application", app), ("AppData", "x"))
    yield event("Newchannel", 1, 0)
    yield from write.variables(1, 0, 12)
    yield event("DialBegin", 0, 4, write.dest, ("DestChannel", write.channels[1]))
    yield event("Newstate", 1, 5)
    yield event("DialState", 0, 4, write.dest, ("DialStatus", "RINGING"))
    yield event("Newstate", 1, 6)
    yield event("DialEnd", 0, 4, write.dest, ("DialStatus", "ANSWER"))
    yield event("Newstate", 0, 6)
    yield event("BridgeEnter", 0, 6, write.bridge)
    yield event("BridgeEnter", 1, 6, write.bridge)
    yield from write.variables(0, 6, 20)
    for _ in range(11):
        yield event("RTCPReceived", 0, 6, ("SSRC", f"0x{rng.getrandbits(32):08x}"))
    yield from write.variables(0, 6, 8)
    yield event("HangupRequest", 1, 6)
    yield event("BridgeLeave", 1, 6, write.bridge)
    yield event("BridgeLeave", 0, 6, write.bridge)
    yield event("Hangup", 1, 6, ("Cause", "16"), ("Cause-txt", "Normal Clearing"))
    yield event("Hangup", 0, 6, ("Cause", "16"), ("Cause-txt", "Normal Clearing"))
    yield event("SoftHangupRequest", 0, 6, ("Cause", "16"))


class _Wire(asyncio.Transport):
    """A transport to nowhere: what is measured is what happens to bytes that have arrived."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Reader:
    """The listener of both paths: reads five headers, remembers enough to compare."""

    def __init__(self) -> None:
        self.events = 0
        self.digest = 0

    def ours(self, message: Message) -> None:
        get = message.get
        self.note(message.name, get("Uniqueid"), get("Linkedid"), get("ChannelState"), get("Cause"))

    def stock(self, _manager: Manager, message: object) -> None:
        get = message.get  # type: ignore[attr-defined]
        self.note(*[get(field, "") for field in FIELDS])

    def note(self, *values: str) -> None:
        self.events += 1
        self.digest = hash((self.digest, values))


async def _feed(receive: Callable[[bytes], None], chunks: list[bytes]) -> None:
    for chunk in chunks:
        receive(chunk)
        await asyncio.sleep(0)


async def run_ours(chunks: list[bytes]) -> _Reader:
    """Bytes → Connection → Dispatch → listener, as in production."""
    reader, tally = _Reader(), Tally()
    loop = asyncio.get_running_loop()

    async def on_up(_: LinkUp) -> None:
        """Nothing to look up."""

    listener = Listener(reader.ours, on_up, lambda _: None)
    dispatch = Dispatch(listener, tally, limit=50_000, up_s=5.0, mono=loop.time)
    session = Session(AmiAddress("127.0.0.1", 0, "u", "s"), tally, IdGenerator("bench"), dispatch.events)
    connection = session._make_connection()
    connection.connection_made(_Wire())
    dispatch.up(LinkUp("bench", 1, "", ""))
    consumer = loop.create_task(dispatch.run())
    await _feed(connection.data_received, chunks)
    dispatch.finish()
    await consumer
    return reader


async def run_stock(chunks: list[bytes]) -> _Reader:
    """The same through panoramisk as it comes: its protocol, its message, one registered callback."""
    reader = _Reader()
    manager = Manager(loop=asyncio.get_running_loop())
    manager.register_event("*", reader.stock)
    protocol = AMIProtocol()
    protocol.connection_made(_Wire())
    protocol.factory, protocol.encoding = manager, "utf8"
    await _feed(protocol.data_received, chunks)
    return reader


async def run_parse(chunks: list[bytes]) -> _Reader:
    """Our parser alone: no dispatch, no header read."""
    reader, stream = _Reader(), MessageStream()
    for chunk in chunks:
        reader.events += len(stream.feed(chunk))
    return reader


async def measure(chunks: list[bytes], events: int) -> dict[str, float]:
    """Median seconds of CPU a round, by path."""
    paths = {"ours": run_ours, "stock": run_stock, "parse": run_parse}
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        digests = {}
        for name, run in paths.items():
            started = time.process_time()
            reader = await run(chunks)
            seconds[name].append(time.process_time() - started)
            assert reader.events == events, (name, reader.events, events)
            digests[name] = reader.digest
        assert digests["ours"] == digests["stock"], "the two paths read different values"
    return {name: median(rounds) for name, rounds in seconds.items()}


def main() -> None:
    events = recording(CALLS, random.Random(7))
    wire = BANNER + b"".join(events)
    chunks = [wire[at : at + CHUNK] for at in range(0, len(wire), CHUNK)]
    took = uvloop.run(measure(chunks, len(events)))
    count = len(events)
    per_call = count // CALLS
    write_result(
        "ami",
        figures={
            "events_per_s": count / took["ours"],
            "cpu_us_per_event": took["ours"] / count * 1e6,
            "cpu_ms_per_call": took["ours"] / CALLS * 1e3,
            "parse_only_events_per_s": count / took["parse"],
            "events": count,
            "events_per_call": per_call,
            "bytes_per_event": len(wire) / count,
        },
        baseline={
            "panoramisk_events_per_s": count / took["stock"],
            "panoramisk_cpu_us_per_event": took["stock"] / count * 1e6,
            "panoramisk_cpu_ms_per_call": took["stock"] / CALLS * 1e3,
        },
        ratio={"vs_panoramisk": took["stock"] / took["ours"]},
    )


if __name__ == "__main__":
    main()
