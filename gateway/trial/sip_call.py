"""One simulated call: its dialog, its audio, what it did and what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from gateway.trial import sdp
from gateway.trial.rtp import Pacer, RtpStream, digits_in
from gateway.trial.sip_behaviour import InviteFacts
from gateway.trial.sip_message import (
    Headers,
    Reply,
    Request,
    SipSyntaxError,
    display_in,
    uri_in,
    user_in,
)
from gateway.trial.sip_transport import SipTransport
from gateway.trial.sip_wire import Address
from gateway.trial.watch import WITHIN_S, Watch

ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY, MESSAGE")


class CallState(IntEnum):
    """How far a call got; it only moves forward."""

    STARTED = 0
    RINGING = 1
    ANSWERED = 2
    ENDED = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended. ``status`` is the SIP final that ended it, 200 if it was answered and hung up."""

    by_us: bool
    status: int
    reason: str = ""
    """The Reason header of the BYE or CANCEL that ended it, if it had one."""


@dataclass(slots=True)
class Dialog:
    """Our side of a SIP dialog (RFC 3261 section 12): ``local`` and ``remote`` with their tags."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int

    def next_request(self, method: str, contact: str) -> Request:
        self.cseq += 1
        return self.request(method, self.cseq, contact)

    def request(self, method: str, cseq: int, contact: str) -> Request:
        lines = (
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", contact),
            ("Max-Forwards", "70"),
        )
        return Request(method, self.target, Headers(lines))


@dataclass(frozen=True, slots=True)
class Line:
    """What calls share with their phone."""

    transport: SipTransport
    pacer: Pacer
    token: Callable[[], str]
    number: Callable[[], int]
    name: str

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@{self.transport.contact_host}>"


def facts_of(request: Request) -> InviteFacts:
    headers = request.headers
    sender = headers.first("From")
    return InviteFacts(
        user=user_in(request.uri),
        to_user=user_in(headers.first("To")),
        from_user=user_in(sender),
        from_display=display_in(sender),
        call_id=headers.first("Call-ID"),
        headers=headers,
        body=request.body,
    )


class SimulatedCall:
    """What both directions have in common. Read its fields; wait with ``reaches``, ``until``, ``hears``."""

    def __init__(
        self, line: Line, facts: InviteFacts, peer: Address, *, mute: bool = False, srtp_key: str = ""
    ) -> None:
        self._srtp_key = srtp_key
        self._line, self.facts, self._peer = line, facts, peer
        self._watch = Watch()
        self._session = line.number()
        self._sdp_version = 0
        self.stream = RtpStream(line.number(), mute)
        self.dialog: Dialog | None = None
        self.state = CallState.STARTED
        self.ending: Ending | None = None
        self.confirmed = False
        """The ACK of the answer was seen (incoming) or sent (outgoing)."""
        self.reinvites = 0
        self.answer_bye = True
        self.reinvite_status = 200
        self.reached_at: dict[CallState, float] = {CallState.STARTED: asyncio.get_running_loop().time()}
        self.failures: list[BaseException] = []
        """What went wrong in this call's own script, e.g. a BYE that nobody answered."""
        self._tasks: set[asyncio.Task[None]] = set()

    # Waiting and looking

    async def reaches(self, state: CallState, within_s: float = WITHIN_S) -> None:
        """Waits until the call is at ``state`` or past it. A call that ended first is an error too."""
        await self.until(lambda: self.state >= state, within_s, f"call {state.name}")
        if self.state is CallState.ENDED and state not in self.reached_at:
            raise AssertionError(f"the call ended before it was {state.name}: {self.ending}")

    async def until(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        """Waits for any condition on this call. Raises ``NotInTime``."""
        await self._watch.until(holds, within_s=within_s, what=what, seen=self._seen)

    def _seen(self) -> str:
        return f"{self.state.name}, {self.ending}, {self.failures}"

    async def hears(self, holds: Callable[[bytes], bool], within_s: float, what: str) -> bytes:
        """Waits until what was heard satisfies ``holds`` (asked every 200 ms of audio); returns it."""
        asked = 0

        def satisfied() -> bool:
            nonlocal asked
            if len(self.stream.packets) < asked + 10:
                return False
            asked = len(self.stream.packets)
            return holds(self.stream.heard())

        await self.stream.until(satisfied, within_s=within_s, what=what)
        return self.stream.heard()

    @property
    def digits(self) -> str:
        """The DTMF digits received as RTP events."""
        return digits_in(self.stream.packets, sdp.DTMF)

    @property
    def talked_s(self) -> float:
        """Seconds from answer to end; 0.0 if it was not answered or has not ended."""
        answered = self.reached_at.get(CallState.ANSWERED)
        ended = self.reached_at.get(CallState.ENDED)
        return ended - answered if answered is not None and ended is not None else 0.0

    def _advance(self, state: CallState) -> None:
        if state > self.state:
            self.state = state
            self.reached_at[state] = asyncio.get_running_loop().time()
        self._watch.changed()

    # Audio

    async def _open_stream(self) -> bytes:
        """Our session description; opens the audio socket the first time."""
        if not self.stream.port:
            await self.stream.open(self._line.transport.address[0])
        self._sdp_version += 1
        return sdp.describe(
            self._line.transport.address[0],
            self.stream.port,
            self._session,
            self._sdp_version,
            key=self._srtp_key,
        )

    def _use_media(self, body: bytes) -> None:
        if self._srtp_key:
            return  # we speak of SRTP, we do not speak it
        try:
            self.stream.send_to(sdp.read_media(body))
        except SipSyntaxError:
            return
        self._line.pacer.add(self.stream)

    # Ending

    async def hang_up(self, within_s: float = WITHIN_S, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Says BYE on an answered call and waits for its answer; does nothing on an ended one."""
        if self.dialog is None or self.state is not CallState.ANSWERED:
            return
        bye = self.dialog.next_request("BYE", self._line.contact)
        bye = Request(bye.method, bye.uri, bye.headers.plus(*headers))
        transaction = self._line.transport.request(bye, self._peer)
        self._end(Ending(by_us=True, status=200))
        async with asyncio.timeout(within_s):
            await transaction.final_response()

    def _end(self, ending: Ending) -> None:
        if self.state is CallState.ENDED:
            return
        self.ending = ending
        self._line.pacer.remove(self.stream)
        self.stream.close()
        self._advance(CallState.ENDED)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _start(self, work: asyncio.Task[None]) -> None:
        self._tasks.add(work)
        work.add_done_callback(self._done)

    def _done(self, work: asyncio.Task[None]) -> None:
        self._tasks.discard(work)
        error = None if work.cancelled() else work.exception()
        if error is not None:
            self.failures.append(error)
            self._watch.changed()

    def abandon(self) -> None:
        """Stops at once without a word, as a phone that lost its power."""
        for task in tuple(self._tasks):
            task.cancel()
        self._line.pacer.remove(self.stream)
        self.stream.close()

    # Requests inside the dialog

    def received(self, request: Request, source: Address) -> None:
        """Takes a request of this call other than its first INVITE."""
        match request.method:
            case "ACK":
                self._acknowledged(request)
            case "BYE":
                self._received_bye(request, source)
            case "INVITE" | "UPDATE":
                self._start(asyncio.get_running_loop().create_task(self._renegotiate(request, source)))
            case "REFER":
                self._respond(request, Reply(603), source)
            case _:
                self._respond(request, Reply(200), source)

    def _respond(self, request: Request, reply: Reply, source: Address) -> None:
        tag = reply.to_tag or self._session_tag
        contact = (("Contact", self._line.contact), ALLOW) if 100 < reply.status < 300 else ()
        whole = Reply(reply.status, tag, (*contact, *reply.headers), reply.body)
        self._line.transport.respond(request, whole, source)

    @property
    def _session_tag(self) -> str:
        return f"t{self._session}"

    def _acknowledged(self, request: Request) -> None:
        if request.body:
            self._use_media(request.body)
        if self.state is CallState.ANSWERED:
            self.confirmed = True
        self._watch.changed()

    def _received_bye(self, request: Request, source: Address) -> None:
        if not self.answer_bye:
            return
        if self.state is CallState.ENDED:
            self._respond(request, Reply(481), source)
            return
        self._respond(request, Reply(200), source)
        self._end(Ending(by_us=False, status=200, reason=request.headers.first("Reason")))

    async def _renegotiate(self, request: Request, source: Address) -> None:
        self.reinvites += 1
        if self.reinvite_status != 200:
            self._respond(request, Reply(self.reinvite_status), source)
            return
        offer = await self._open_stream() if request.method == "INVITE" or request.body else b""
        if request.body:
            self._use_media(request.body)
        self._respond(request, Reply(200, body=offer), source)
        self._watch.changed()


def dialog_of_incoming(invite: Request, tag: str) -> Dialog:
    """The callee's side of a dialog (RFC 3261 section 12.1.1)."""
    headers = invite.headers
    local = f"{headers.first('To')};tag={tag}"
    target = uri_in(headers.first("Contact")) or uri_in(headers.first("From"))
    return Dialog(headers.first("Call-ID"), local, headers.first("From"), target, 0)
