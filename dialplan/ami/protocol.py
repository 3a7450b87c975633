"""panoramisk's connection and its manager, with everything overridden that can hang, repeat or tear.

``Connection`` is one TCP connection, ``Session`` opens it through panoramisk. What stays panoramisk's is
the asyncio transport's life (``Manager.connect``, the protocol's place in it) and the ActionIDs; parsing,
writing, matching replies, ending and dispatching are ours. See docs/adr/0001-ami-through-panoramisk.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.utils import IdGenerator

from dialplan.ami.message import Kind, Message, MessageStream, WireViolation
from dialplan.ami.metrics import DownReason, Tally
from dialplan.ami.wire import AmiAction, encode
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable
from telephony.numbers import mask_text

_SIGNALS = frozenset({"Shutdown", "FullyBooted"})
_ERRORS = frozenset({"Error", "Fail", "Failure"})


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """Where the switch listens and who we are there. ``tls`` is set where AMI leaves the machine."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended."""

    reason: DownReason
    detail: str = ""


@dataclass(slots=True)
class _Pending:
    """A question without its whole answer yet. ``rows`` is None where one response is the answer."""

    future: asyncio.Future[list[Message]]
    rows: list[Message] | None
    complete: str


class Connection(AMIProtocol):  # type: ignore[misc]  # why: panoramisk has no types
    """One connection. Every future in it ends: by its reply, by its owner's deadline, or with the link."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._stream = MessageStream()
        self._listings = 0
        self._writable = True
        self._loop = loop
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.booted: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[Loss] = loop.create_future()
        self.responses: dict[str, _Pending] = {}
        self.closed = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.factory = self._session
        self._session.protocol = self

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True

    def send(self, action: AmiAction, as_list: str | None = None) -> asyncio.Future[list[Message]]:
        """Write an action once. ``as_list`` names the event that closes a list (``""``: whichever does).

        Raises ``SwitchUnavailable`` if no byte was written; the future ends with ``SwitchRefused`` on an
        error reply and ``OutcomeUnknown`` when the connection ends first.
        """
        action_id = self._session.next_id()
        wire = encode(action, action_id)
        if self.closed or self.transport.is_closing():
            raise SwitchUnavailable("the connection to the switch is closing")
        if not self._writable:
            raise SwitchUnavailable("the switch does not read what we write")
        future: asyncio.Future[list[Message]] = self._loop.create_future()
        rows: list[Message] | None = None if as_list is None else []
        self.responses[action_id] = _Pending(future, rows, as_list or "")
        self._listings += rows is not None
        future.add_done_callback(lambda _: self._forget(action_id))
        self.transport.write(wire)
        return future

    def data_received(self, data: bytes) -> None:
        junk = self._stream.junk
        try:
            messages = self._stream.feed(data)
        except WireViolation as error:
            self.lose(Loss(DownReason.PROTOCOL, error.message))
            return
        self._session.tally.junk += self._stream.junk - junk
        if self._stream.banner is not None and not self.greeted.done():
            self.greeted.set_result(None)
        if self._stream.banner == "":
            self.lose(Loss(DownReason.PROTOCOL, "the peer did not greet as an AMI server does"))
            return
        event, events = Kind.EVENT, []
        for message in messages:
            ours = message.kind is not event or (self._listings and "ActionID" in message)
            if ours and self.handle_message(message):
                continue
            if message.kind is event:
                events.append(message)
                if message.name in _SIGNALS:
                    self._signal(message)
        if events:
            self._session.dispatch(events)

    def handle_message(self, message: Message) -> bool:
        """Give a reply to its question. False for an event that belongs to no list."""
        pending = self.responses.get(message.get("ActionID"))
        if message.kind is Kind.EVENT:
            if pending is None or pending.rows is None or pending.future.done():
                return False
            self._collect(pending, pending.rows, message)
            return True
        if pending is None or pending.future.done():
            self._session.count_stray(message)
        elif message.name in _ERRORS:
            reason = message.get("Message", message.name).strip()
            pending.future.set_exception(SwitchRefused(mask_text(reason)))
        elif pending.rows is None:
            pending.future.set_result([message])
        return True

    def lose(self, loss: Loss) -> None:
        """End the connection now: nothing more is written, whatever was asked and not answered is unknown."""
        if self.lost.done():
            return
        self.lost.set_result(loss)
        self.close()
        for pending in list(self.responses.values()):
            if not pending.future.done():
                pending.future.set_exception(OutcomeUnknown("the link to the switch ended before its answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.lose(Loss(DownReason.CLOSED, "" if exc is None else type(exc).__name__))

    def close(self) -> None:
        """Abort: an orderly close would still flush orders that are already reported as unknown."""
        if not self.closed:
            self.closed = True
            self.transport.abort()

    def _forget(self, action_id: str) -> None:
        pending = self.responses.pop(action_id)
        self._listings -= pending.rows is not None

    def _collect(self, pending: _Pending, rows: list[Message], message: Message) -> None:
        ends = message.name == pending.complete if pending.complete else message.name.endswith("Complete")
        if ends or message.get("EventList") == "Complete":
            pending.future.set_result(rows)
        else:
            rows.append(message)

    def _signal(self, message: Message) -> None:
        if message.name == "Shutdown":
            self.lose(Loss(DownReason.SHUTDOWN, message.get("Shutdown")))
        elif not self.booted.done():
            self.booted.set_result(None)


class Session(Manager):  # type: ignore[misc]  # why: panoramisk has no types
    """panoramisk's manager without its own login, pinger, replays and retries: those are the link's."""

    def __init__(
        self,
        address: AmiAddress,
        tally: Tally,
        ids: IdGenerator,
        on_events: Callable[[list[Message]], None],
    ) -> None:
        self.tally = tally
        self._ids = ids
        self._on_events = on_events
        super().__init__(
            host=address.host,
            port=address.port,
            ssl=address.tls,
            loop=asyncio.get_running_loop(),
            protocol_factory=self._make_connection,
        )

    def _make_connection(self) -> Connection:
        return Connection(self, self.loop)

    async def open(self, deadline_s: float) -> Connection:
        """Connect once, within ``deadline_s`` seconds; OSError or TimeoutError if that fails."""
        async with asyncio.timeout(deadline_s):
            _, connection = await self.connect()
        assert isinstance(connection, Connection)
        return connection

    def connection_made(self, f: asyncio.Task[object]) -> None:
        """The result is awaited in ``open``; looking at it here keeps asyncio from reporting it twice."""
        if not f.cancelled():
            f.exception()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is tried again from here: the link decides when."""

    async def send_awaiting_actions(self, *_: object) -> None:
        """Nothing waits for a new connection, so nothing can be sent twice."""

    def send_action(
        self, action: AmiAction, as_list: str | None = None, **_: object
    ) -> asyncio.Future[list[Message]]:
        if not isinstance(self.protocol, Connection):
            raise SwitchUnavailable("there is no connection to the switch")
        return self.protocol.send(action, as_list)

    async def ask(self, action: AmiAction, deadline_s: float, as_list: str | None = None) -> list[Message]:
        """Send and wait for the answer at most ``deadline_s`` seconds, then ``OutcomeUnknown``."""
        future = self.send_action(action, as_list)
        try:
            async with asyncio.timeout(deadline_s):
                return await future
        except TimeoutError as error:
            raise OutcomeUnknown(f"no answer to {action.name} within {deadline_s:g} s") from error

    def dispatch(self, event: list[Message]) -> None:
        self._on_events(event)

    def close(self) -> None:
        if isinstance(self.protocol, Connection):
            self.protocol.lose(Loss(DownReason.STOPPED))

    def next_id(self) -> str:
        return str(self._ids())

    def count_stray(self, message: Message) -> None:
        """A reply to a question that was given up or already answered, or to none of ours."""
        if message.get("ActionID").startswith(f"{self._ids.prefix}/{self._ids.uid}/"):
            self.tally.late_replies += 1
        else:
            self.tally.unknown_replies += 1
