"""SIP transactions over one wire (RFC 3261 section 17): matching, repeating, a record of all messages.

Requests reach the owner once, however often they are repeated; final answers to INVITE are repeated
until their ACK; our own requests are repeated until answered and end as a local 408 otherwise. Over TCP
and TLS nothing but a 2xx to INVITE is repeated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.trial.sip_message import (
    Headers,
    Reply,
    Request,
    Response,
    SipSyntaxError,
    branch_of,
    cseq_of,
    parse,
    response_to,
    serialise,
    with_via,
)
from gateway.trial.sip_wire import Address, UdpWire, Wire
from gateway.trial.watch import Watch

_V = TypeVar("_V")
_KEPT_TRANSACTIONS = 4000
_KEPT_MESSAGES = 20_000


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261's T1 and T2 in seconds; a transaction gives up after ``give_up`` seconds (64·T1)."""

    t1: float = 0.5
    t2: float = 4.0
    give_up: float = 32.0


@dataclass(frozen=True, slots=True)
class Traced:
    """One message as it was on the wire. ``at`` is monotonic seconds."""

    at: float
    sent: bool
    peer: Address
    raw: bytes


class _Resend:
    """Sends bytes again and again, slower each time, until stopped or given up."""

    def __init__(self, send: Callable[[], None], timers: Timers, on_give_up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._send, self._timers, self._on_give_up = send, timers, on_give_up
        self._wait = timers.t1
        self._ends = self._loop.time() + timers.give_up
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(self._wait, self._fire)

    def _fire(self) -> None:
        left = self._ends - self._loop.time()
        if left <= 0:
            self._timer = None
            self._on_give_up()
            return
        self._send()
        self._wait = min(2 * self._wait, self._timers.t2)
        self._timer = self._loop.call_later(min(self._wait, max(left, 0.001)), self._fire)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ClientTransaction:
    """A request of ours. ``responses`` gives each response once, in order; a timeout comes as a local 408."""

    def __init__(self, request: Request, to: Address) -> None:
        self.request, self.to = request, to
        self.responses: asyncio.Queue[Response] = asyncio.Queue()
        self.ack: bytes | None = None
        """For an INVITE that got a 2xx: the ACK to repeat if the 2xx comes again. Set by the call."""
        self.resend: _Resend | None = None
        self.final: Response | None = None

    async def final_response(self) -> Response:
        """Waits for the final response: a local 408 at the latest, except for an INVITE that rings."""
        while True:
            response = await self.responses.get()
            if response.status >= 200:
                return response


class SipTransport:
    """The transactions. ``on_request`` gets each new request, ACK included, with its source address."""

    def __init__(
        self,
        on_request: Callable[[Request, Address], None],
        token: Callable[[], str],
        timers: Timers,
        wire: Wire | None = None,
    ) -> None:
        self._on_request, self._token, self._timers = on_request, token, timers
        self.wire: Wire = wire or UdpWire()
        self._open = False
        self._servers: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._unacknowledged: dict[tuple[str, int], _Resend] = {}
        self._clients: OrderedDict[tuple[str, str], ClientTransaction] = OrderedDict()
        self.trace: deque[Traced] = deque(maxlen=_KEPT_MESSAGES)
        self.malformed = 0
        self.repeated = 0
        self.deaf = False
        """While set, everything received is dropped unread: the far end has vanished."""
        self.address: Address = ("", 0)
        self.watch = Watch()
        """Changes with every message sent or received."""

    async def open(self, host: str, port: int) -> None:
        """Binds; port 0 lets the system choose. Raises ``OSError`` if the address is taken."""
        self.address = await self.wire.open(host, port, self.received)
        self._open = True

    @property
    def sent_by(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def contact_host(self) -> str:
        """Address and transport, as they stand in a Contact."""
        return self.sent_by + ("" if self.wire.kind == "udp" else f";transport={self.wire.kind}")

    def close(self) -> None:
        for resend in self._unacknowledged.values():
            resend.stop()
        for client in self._clients.values():
            if client.resend is not None:
                client.resend.stop()
        self._open = False
        self.wire.close()

    # Receiving

    def received(self, data: bytes, addr: Address) -> None:
        """Takes one message from the wire."""
        if self.deaf or not data.strip():
            return
        self._record(False, addr, data)
        try:
            message = parse(data)
        except SipSyntaxError:
            self.malformed += 1
            return
        if isinstance(message, Response):
            self._received_response(message)
        else:
            self._received_request(message, addr)

    def _received_request(self, request: Request, source: Address) -> None:
        if request.method == "ACK":
            resend = self._unacknowledged.pop((request.headers.first("Call-ID"), cseq_of(request)[0]), None)
            if resend is not None:
                resend.stop()
            self._on_request(request, source)
            return
        key = (branch_of(request), request.method)
        if key in self._servers:
            self.repeated += 1
            answer = self._servers[key]
            if answer is not None:
                self._send(answer, source)
            return
        _remember(self._servers, key, None)
        self._on_request(request, source)

    def _received_response(self, response: Response) -> None:
        method = cseq_of(response)[1]
        client = self._clients.get((branch_of(response), method))
        if client is None:
            return
        if method == "INVITE" and response.status >= 300:
            self._send(serialise(_ack_of_refusal(client.request, response)), client.to)
        if client.final is not None:
            if client.ack is not None and response.status // 100 == 2:
                self._send(client.ack, client.to)
            return
        if client.resend is not None and (response.status >= 200 or method == "INVITE"):
            client.resend.stop()
        if response.status >= 200:
            client.final = response
        client.responses.put_nowait(response)

    # Sending

    def respond(self, request: Request, reply: Reply, to: Address) -> Response:
        """Answers a request; a final answer to INVITE is repeated until its ACK comes."""
        response = response_to(request, reply)
        raw = serialise(response)
        key = (branch_of(request), request.method)
        if key in self._servers:
            self._servers[key] = raw
        self._send(raw, to)
        if request.method == "INVITE" and reply.status >= 200:
            unacknowledged = (request.headers.first("Call-ID"), cseq_of(request)[0])
            again = self._again(raw, to) if reply.status >= 300 else lambda: self._send(raw, to)
            self._unacknowledged[unacknowledged] = _Resend(
                again, self._timers, lambda: self._drop(unacknowledged)
            )
        return response

    def _again(self, raw: bytes, to: Address) -> Callable[[], None]:
        """Sends once more, where the wire may lose messages."""
        reliable = self.wire.kind != "udp"
        return (lambda: None) if reliable else (lambda: self._send(raw, to))

    def _drop(self, key: tuple[str, int]) -> None:
        self._unacknowledged.pop(key, None)

    def request(
        self, request: Request, to: Address, branch: str = "", *, timers: Timers | None = None
    ) -> ClientTransaction:
        """Sends a request of ours and repeats it until answered. ``branch`` is given only for CANCEL;
        ``timers`` for what may stay without an answer."""
        branch = branch or f"z9hG4bK{self._token()}"
        client = ClientTransaction(self._with_via(request, branch), to)
        raw = serialise(client.request)
        _remember(self._clients, (branch, request.method), client)
        self._send(raw, to)
        client.resend = _Resend(
            self._again(raw, to), timers or self._timers, lambda: self._timed_out(client, request.method)
        )
        return client

    def _with_via(self, request: Request, branch: str) -> Request:
        return with_via(request, f"{self.wire.kind.upper()} {self.sent_by}", branch)

    def _timed_out(self, client: ClientTransaction, method: str) -> None:
        headers = Headers((("CSeq", f"0 {method}"),))
        client.final = Response(408, headers, "No answer (local)")
        client.responses.put_nowait(client.final)

    def acknowledge(self, request: Request, to: Address) -> bytes:
        """Sends the ACK of a 2xx (it has no response) and returns it, to be repeated on demand."""
        raw = serialise(self._with_via(request, f"z9hG4bK{self._token()}"))
        self._send(raw, to)
        return raw

    def _send(self, raw: bytes, to: Address) -> None:
        if self._open:
            self._record(True, to, raw)
            self.wire.send(raw, to)

    def _record(self, sent: bool, peer: Address, raw: bytes) -> None:
        self.trace.append(Traced(asyncio.get_running_loop().time(), sent, peer, raw))
        self.watch.changed()


def _ack_of_refusal(invite: Request, refusal: Response) -> Request:
    """The ACK of a final answer that is not 2xx: same transaction, the answer's To (RFC 3261 17.1.1.3)."""
    number, _ = cseq_of(invite)
    kept = invite.headers
    lines = [("Via", kept.first("Via")), ("From", kept.first("From")), ("To", refusal.headers.first("To"))]
    lines += [("Call-ID", kept.first("Call-ID")), ("CSeq", f"{number} ACK"), ("Max-Forwards", "70")]
    return Request("ACK", invite.uri, Headers(tuple(lines)))


def _remember(table: OrderedDict[tuple[str, str], _V], key: tuple[str, str], value: _V) -> None:
    table[key] = value
    while len(table) > _KEPT_TRANSACTIONS:
        table.popitem(last=False)
