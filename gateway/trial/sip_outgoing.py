"""A call that we place: INVITE, digest answer if asked, ringing, answer, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.trial.sip_behaviour import InviteFacts
from gateway.trial.sip_call import ALLOW, CallState, Dialog, Ending, Line, SimulatedCall
from gateway.trial.sip_digest import Credentials, authorization, read_challenge
from gateway.trial.sip_message import Headers, Request, Response, cseq_of, uri_in
from gateway.trial.sip_transport import ClientTransaction
from gateway.trial.sip_wire import Address
from gateway.trial.watch import WITHIN_S

LOCAL_TIMEOUT_REASON = "no answer (local)"


@dataclass(frozen=True, slots=True)
class Dial:
    """What to dial and how to appear. ``headers`` are added to the INVITE (P-Asserted-Identity, …)."""

    number: str
    to: Address
    caller: str
    display: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    audio: bytes = b""
    repeat_audio: bool = True
    credentials: Credentials | None = None
    mute: bool = False
    srtp_key: str = ""
    """Offer SRTP with this key (SDES), in signalling alone: no audio is sent."""
    hang_up_after_ms: int | None = None
    uri_parameters: str = ""
    """Added to the request URI, e.g. the ``line=…`` of a registered contact."""

    @property
    def uri(self) -> str:
        more = f";{self.uri_parameters}" if self.uri_parameters else ""
        return f"sip:{self.number}@{self.to[0]}:{self.to[1]}{more}"


def authorized(request: Request, refusal: Response, who: Credentials, cnonce: str) -> Request | None:
    """The request again with the answer to a 401 or 407; ``None`` if no challenge can be answered."""
    asked, answer = (
        ("Proxy-Authenticate", "Proxy-Authorization")
        if refusal.status == 407
        else ("WWW-Authenticate", "Authorization")
    )
    challenges = [read_challenge(value) for value in refusal.headers.all(asked)]
    usable = next((challenge for challenge in challenges if challenge is not None), None)
    if usable is None or answer in request.headers:
        return None
    number, method = cseq_of(request)
    line = (answer, authorization(usable, who, method, request.uri, cnonce))
    headers = request.headers.without("CSeq", "Via").plus(("CSeq", f"{number + 1} {method}"), line)
    return replace(request, headers=headers)


class OutgoingCall(SimulatedCall):
    """The calling side. ``responses`` holds the statuses seen, in order."""

    def __init__(self, line: Line, dial: Dial, register: Callable[[OutgoingCall], None]) -> None:
        call_id = line.token()
        facts = InviteFacts(
            dial.number, dial.number, dial.caller, dial.display, call_id, Headers(dial.headers)
        )
        super().__init__(line, facts, dial.to, mute=dial.mute, srtp_key=dial.srtp_key)
        self.dial = dial
        self.responses: list[int] = []
        self.last_response: Response | None = None
        self._cancelling = False
        self._transaction: ClientTransaction | None = None
        register(self)
        self._start(asyncio.get_running_loop().create_task(self._place()))

    async def _place(self) -> None:
        invite = self._invite(await self._open_stream())
        while True:
            self._transaction = self._line.transport.request(invite, self._peer)
            final = await self._follow(self._transaction)
            again = self._authorized(invite, final)
            if again is None:
                break
            invite = again
        if final.status // 100 == 2:
            await self._answered(final)
        else:
            self._end(
                Ending(by_us=self._cancelling, status=final.status, reason=final.headers.first("Reason"))
            )

    def _invite(self, body: bytes) -> Request:
        dial, line = self.dial, self._line
        display = f'"{dial.display}" ' if dial.display else ""
        headers = Headers(
            (
                ("From", f"{display}<sip:{dial.caller}@{line.transport.address[0]}>;tag={self._session_tag}"),
                ("To", f"<{dial.uri}>"),
                ("Call-ID", self.facts.call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", line.contact),
                ("Max-Forwards", "70"),
                ALLOW,
                ("Content-Type", "application/sdp"),
            )
        ).plus(*dial.headers)
        return Request("INVITE", dial.uri, headers, body)

    def _authorized(self, invite: Request, final: Response) -> Request | None:
        if final.status not in (401, 407) or self.dial.credentials is None:
            return None
        return authorized(invite, final, self.dial.credentials, self._line.token())

    async def _follow(self, transaction: ClientTransaction) -> Response:
        while True:
            response = await transaction.responses.get()
            self.responses.append(response.status)
            self.last_response = response
            if response.status >= 200:
                return response
            if response.status > 100:
                if response.body:
                    self._use_media(response.body)
                self._advance(CallState.RINGING)
            self._watch.changed()

    async def _answered(self, final: Response) -> None:
        transaction = self._transaction
        if transaction is None:
            return
        sent, number = transaction.request.headers, cseq_of(transaction.request)[0]
        target = uri_in(final.headers.first("Contact")) or self.dial.uri
        dialog = Dialog(self.facts.call_id, sent.first("From"), final.headers.first("To"), target, number)
        self.dialog = dialog
        ack = dialog.request("ACK", number, self._line.contact)
        transaction.ack = self._line.transport.acknowledge(ack, self._peer)
        self.confirmed = True
        self._use_media(final.body)
        if self.dial.audio:
            self.stream.play(self.dial.audio, repeat=self.dial.repeat_audio)
        self._advance(CallState.ANSWERED)
        if self._cancelling:
            await self.hang_up()
        elif self.dial.hang_up_after_ms is not None:
            await asyncio.sleep(self.dial.hang_up_after_ms / 1000)
            await self.hang_up()

    async def cancel(self, within_s: float = WITHIN_S, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """CANCELs a call that is not answered yet, and waits for the call's end (a late answer is hung up).

        A CANCEL may only follow a provisional answer (RFC 3261 section 9.1): waits for one.
        """
        self._cancelling = True
        await self.until(lambda: bool(self.responses), within_s, "a response before CANCEL")
        if self.state >= CallState.ANSWERED or self._transaction is None:
            return
        sent = self._transaction.request
        kept = [(name, sent.headers.first(name)) for name in ("From", "To", "Call-ID", "Max-Forwards")]
        kept.append(("CSeq", f"{cseq_of(sent)[0]} CANCEL"))
        branch = sent.headers.first("Via").split("branch=")[1].split(";")[0]
        cancel = Request("CANCEL", sent.uri, Headers(tuple(kept)).plus(*headers))
        self._line.transport.request(cancel, self._peer, branch)
        await self.reaches(CallState.ENDED, within_s)
