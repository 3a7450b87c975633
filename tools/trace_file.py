"""A golden trace: what the switch said about one call, byte for byte, and what that means.

``NAME.ami`` holds the bytes of the events connection (from its greeting on), ``NAME.json`` the rest: how the
call began, what came from elsewhere and when, the facts the bytes mean, and how the call ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialplan.ami.message import Message, MessageStream
from dialplan.ami.translate import translate
from dialplan.core.call import Call, Direction, Leg, Rank, Role, Terms, Trunk
from dialplan.core.heard import Heard, What
from dialplan.core.machine import begin_inbound, begin_outbound
from dialplan.core.orders import Order, Publish
from dialplan.core.snapshot import decode, encode
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "traces"


@dataclass(frozen=True, slots=True)
class Input:
    """Something that did not come over the events connection. ``byte``: how much of it had come by then.

    ``what``: ``asked`` (the routing question), ``hangup`` (by the API) or ``looked`` (after a restart).
    """

    what: str
    at: float
    byte: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """How the call began. ``at`` is epoch seconds; ``channel`` the caller's."""

    direction: str
    at: float
    channel: str
    to: str
    from_: str
    route: dict[str, Any] | None
    ring_timeout_s: int
    record: bool

    def call(self) -> tuple[Call, tuple[Order, ...]]:
        """The call as it was then, and its first orders."""
        outbound = self.direction == Direction.OUTBOUND
        call = Call(
            id=CallId("call_00000000000000000000000000"),
            terms=Terms(
                TenantId("tnt_1"),
                Direction(self.direction),
                self.to,
                self.from_,
                ring_timeout_s=self.ring_timeout_s,
                record=self.record,
            ),
            created_at=self.at,
            caller=Leg(
                LegId("leg_a"), Role.CALLER, Rank.NEW if outbound else Rank.DIALING, ChannelId(self.channel)
            ),
            callee=Leg(LegId("leg_b"), Role.CALLEE),
        )
        call = decode({**encode(call), "route": self.route})
        if outbound:
            return begin_outbound(call, Trunk(E164(self.to), "carrier"), E164(self.from_))
        return begin_inbound(call, self.at)


def beginning(call: Call) -> Beginning:
    """What a trace tells of a call's beginning."""
    assert call.caller.channel is not None, "a caller has a channel from the start"
    terms = call.terms
    return Beginning(
        terms.direction.value,
        call.created_at,
        call.caller.channel,
        terms.to_number,
        terms.from_number,
        encode(call)["route"],
        terms.ring_timeout_s,
        terms.record,
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded call. ``connections``: at which byte each connection's stream begins."""

    name: str
    story: str
    switch: str
    beginning: Beginning
    connections: tuple[int, ...]
    inputs: tuple[Input, ...]
    facts: tuple[tuple[str, str], ...]
    events: tuple[str, ...]
    orders: tuple[str, ...]
    status: str
    termination: str
    ended_by: str
    stream: bytes

    def parts(self) -> list[bytes]:
        """The bytes of each connection."""
        ends = (*self.connections[1:], len(self.stream))
        return [self.stream[start:end] for start, end in zip(self.connections, ends, strict=True)]

    def messages(self) -> list[tuple[int, Message]]:
        """Every message, with the byte at which it was complete."""
        found: list[tuple[int, Message]] = []
        for start, part in zip(self.connections, self.parts(), strict=True):
            stream, at = MessageStream(), 0
            while at < len(part):
                end = part.find(b"\r\n\r\n", at)
                end = len(part) if end < 0 else end + 4
                found += [(start + end, message) for message in stream.feed(part[at:end])]
                at = end
        return found

    def save(self, folder: Path = FOLDER) -> None:
        body = {key: value for key, value in asdict(self).items() if key != "stream"}
        (folder / f"{self.name}.ami").write_bytes(self.stream)
        text = json.dumps(body, indent=1, ensure_ascii=False)
        (folder / f"{self.name}.json").write_text(_compact(text) + "\n")


def _compact(text: str) -> str:
    """Short lists and objects on one line, so that a trace is read at a glance."""
    short = re.compile(r"[\[{]\n\s+[^\[\]{}]{1,100}?\n\s*[\]}]")
    while (found := short.search(text)) is not None:
        inner = re.sub(r"\n\s*", " ", found.group())
        inner = inner.replace("[ ", "\x01").replace(" ]", "\x02").replace("{ ", "\x03").replace(" }", "\x04")
        text = text[: found.start()] + inner + text[found.end() :]
    return text.translate({1: "[", 2: "]", 3: "{", 4: "}"})


def load(name: str, folder: Path = FOLDER) -> Trace:
    """The committed trace of this name."""
    body = json.loads((folder / f"{name}.json").read_text())
    return Trace(
        **{
            **body,
            "beginning": Beginning(**body["beginning"]),
            "connections": tuple(body["connections"]),
            "inputs": tuple(Input(**one) for one in body["inputs"]),
            "facts": tuple((fact, leg) for fact, leg in body["facts"]),
            "events": tuple(body["events"]),
            "orders": tuple(body["orders"]),
            "stream": (folder / f"{name}.ami").read_bytes(),
        }
    )


def names(folder: Path = FOLDER) -> list[str]:
    """Every committed trace."""
    return sorted(path.stem for path in folder.glob("*.ami"))


def heard_in(messages: list[tuple[int, Message]], caller: str) -> Iterator[tuple[int, float, Role, Heard]]:
    """What the messages say about this call: byte, time, leg and what was heard."""
    roles = {ChannelId(caller): Role.CALLER}
    for byte, message in messages:
        heard = translate(message)
        if heard is None:
            continue
        if heard.what is What.DIALED and heard.by in roles:
            roles[heard.channel] = Role.CALLEE
        if heard.channel in roles:
            yield byte, float(message["Timestamp"]), roles[heard.channel], heard


def order_name(order: Order) -> str:
    """The order's kind; a Publish with what it tells."""
    return f"Publish {order.type}" if isinstance(order, Publish) else type(order).__name__
