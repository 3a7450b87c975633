"""The simulated far end: one address that takes and places many calls.

    phone = await SipPhone.open(decide=by_last_digits())
    call = phone.call(Dial("+15550001000", switch, caller="+15550002000", audio=tone(440, 1)))
    await call.reaches(CallState.ANSWERED)

It is a carrier, a caller or, after ``register``, a telephone of the switch; with a ``door`` a carrier that
wants passwords. For trials only: PCMU on loopback, no proxies between.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from gateway.trial.rtp import Pacer
from gateway.trial.sip_behaviour import Behaviour, Decide, InviteFacts, answers
from gateway.trial.sip_call import ALLOW, CallState, Line, SimulatedCall, facts_of
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_door import Door
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_message import Headers, Reply, Request, tag_in, texts
from gateway.trial.sip_outgoing import Dial, OutgoingCall, authorized
from gateway.trial.sip_transport import SipTransport, Timers
from gateway.trial.sip_wire import Address, Wire
from gateway.trial.watch import WITHIN_S, Watch


class RegistrationRefused(Exception):
    """The registrar answered with something other than 200; the status is in the message."""


def _always_answer(_: InviteFacts) -> Behaviour:
    return answers()


class SipPhone:
    """See the module. Fields: ``incoming`` and ``outgoing`` (all calls ever), ``transport.trace``."""

    def __init__(
        self, decide: Decide, *, name: str = "far", timers: Timers | None = None, wire: Wire | None = None
    ) -> None:
        self.decide = decide
        self.name = name
        self.transport = SipTransport(self._received, lambda: secrets.token_hex(12), timers or Timers(), wire)
        self.door: Door | None = None
        self._pacer = Pacer()
        self._line = Line(
            self.transport,
            self._pacer,
            token=lambda: secrets.token_hex(12),
            number=lambda: secrets.randbits(31),
            name=name,
        )
        self._watch = Watch()
        self._by_call_id: dict[str, SimulatedCall] = {}
        self.incoming: list[IncomingCall] = []
        self.outgoing: list[OutgoingCall] = []
        self.answer_options = True

    @classmethod
    async def open(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        decide: Decide = _always_answer,
        name: str = "far",
        timers: Timers | None = None,
        wire: Wire | None = None,
    ) -> SipPhone:
        """Listens on ``host``; port 0 lets the system choose. Raises ``OSError`` if the address is taken."""
        phone = cls(decide, name=name, timers=timers, wire=wire)
        await phone.transport.open(host, port)
        return phone

    @property
    def address(self) -> Address:
        return self.transport.address

    async def __aenter__(self) -> SipPhone:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hangs up what is still up, then stops."""
        calls = [call for call in self._by_call_id.values() if call.state is CallState.ANSWERED]
        ends = (call.hang_up(within_s=1.0) for call in calls)
        await asyncio.gather(*ends, return_exceptions=True)
        await self.vanish()

    async def vanish(self) -> None:
        """Stops at once without a word, as if its power was cut."""
        for call in self._by_call_id.values():
            call.abandon()
        await self._pacer.close()
        self.transport.close()

    # Calls

    def call(self, dial: Dial) -> OutgoingCall:
        """Places a call; returns at once, wait with ``call.reaches(…)``."""
        return OutgoingCall(self._line, dial, self._remember)

    def _remember(self, call: OutgoingCall) -> None:
        self.outgoing.append(call)
        self._by_call_id[call.facts.call_id] = call

    async def receives(
        self,
        within_s: float = WITHIN_S,
        which: Callable[[IncomingCall], bool] = lambda _: True,
        what: str = "an incoming call",
    ) -> IncomingCall:
        """The first incoming call that fits, waiting for it if need be. Raises ``NotInTime``."""

        def found() -> list[IncomingCall]:
            return [call for call in self.incoming if which(call)]

        def seen() -> str:
            return f"{len(self.incoming)} incoming calls, {len(self.transport.trace)} messages"

        await self._watch.until(lambda: bool(found()), within_s=within_s, what=what, seen=seen)
        return found()[0]

    @property
    def live(self) -> list[SimulatedCall]:
        """The calls that have not ended."""
        return [call for call in self._by_call_id.values() if call.state is not CallState.ENDED]

    async def quiet(self, within_s: float = WITHIN_S) -> None:
        """Waits until no call is left."""
        for call in self.live:
            await call.reaches(CallState.ENDED, within_s)

    def transcript(self) -> str:
        """All messages, for people and for leak tests."""
        return texts(traced.raw for traced in self.transport.trace)

    async def traces(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        """Waits for a condition on ``transport.trace``. Raises ``NotInTime``."""
        await self.transport.watch.until(
            holds, within_s=within_s, what=what, seen=lambda: f"{len(self.transport.trace)} messages"
        )

    def received_bytes(self) -> bytes:
        """All that was received by SIP, joined: what a leak test searches."""
        return b"\n".join(traced.raw for traced in self.transport.trace if not traced.sent)

    def _received(self, request: Request, source: Address) -> None:
        call = self._by_call_id.get(request.headers.first("Call-ID"))
        if call is not None:
            call.received(request, source)
        elif self._refused(request, source):
            pass
        elif request.method == "INVITE" and not tag_in(request.headers.first("To")):
            behaviour = self.decide(facts_of(request))
            fresh = IncomingCall(self._line, request, source, behaviour)
            self._by_call_id[fresh.facts.call_id] = fresh
            self.incoming.append(fresh)
        elif request.method != "ACK":
            self._received_stray(request, source)
        self._watch.changed()

    def _refused(self, request: Request, source: Address) -> bool:
        if self.door is None or request.method not in ("REGISTER", "INVITE"):
            return False
        reply = self.door.judge(request)
        if reply is not None:
            self.transport.respond(request, replace(reply, to_tag=self._line.token()), source)
        return reply is not None

    def _received_stray(self, request: Request, source: Address) -> None:
        if request.method in ("INVITE", "BYE", "CANCEL", "UPDATE", "INFO"):
            status = 481
        elif request.method in ("OPTIONS", "NOTIFY", "MESSAGE"):
            status = 200
        else:
            status = 501
        if request.method == "OPTIONS" and not self.answer_options:
            return
        self.transport.respond(request, Reply(status, self._line.token(), (ALLOW,)), source)

    # Registration

    async def register(
        self, registrar: Address, who: Credentials, *, expires_s: int = 600, within_s: float = WITHIN_S
    ) -> None:
        """Registers as the user; ``expires_s=0`` removes it. Raises ``RegistrationRefused``."""
        uri = f"sip:{registrar[0]}:{registrar[1]}"
        address = f"<sip:{who.user}@{registrar[0]}:{registrar[1]}>"
        headers = Headers(
            (
                ("From", f"{address};tag={self._line.token()}"),
                ("To", address),
                ("Call-ID", self._line.token()),
                ("CSeq", "1 REGISTER"),
                ("Contact", f"<sip:{who.user}@{self.transport.contact_host}>"),
                ("Expires", str(expires_s)),
                ("Max-Forwards", "70"),
            )
        )
        request: Request | None = Request("REGISTER", uri, headers)
        async with asyncio.timeout(within_s):
            while request is not None:
                response = await self.transport.request(request, registrar).final_response()
                if response.status == 200:
                    return
                asked = response.status in (401, 407)
                request = authorized(request, response, who, self._line.token()) if asked else None
        raise RegistrationRefused(f"{response.status} {response.reason}")
