"""A carrier for trials: takes texts in a real carrier's API form, and tells of texts and receipts with true
signatures and every fault that carriers are known for.

For tests as a library, for people by ``patchbay simulate carrier``. Loopback only, both ways: it listens on
127.0.0.1 and calls nobody but its target there. The same seed gives the same credentials and throws.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from gateway.config import is_loopback
from gateway.trial.carrier_faults import Dice, Faults
from gateway.trial.carrier_forms import TwilioSpeech, VonageSpeech
from gateway.trial.carrier_json import BandwidthSpeech, GenericSpeech, TelnyxSpeech
from gateway.trial.carrier_round import Round, Told
from gateway.trial.carrier_speech import (
    ApiAnswer,
    ApiRequest,
    Asked,
    Callback,
    Denied,
    Moment,
    PartOf,
    Report,
    Speech,
    Utterance,
    forged,
)
from gateway.trial.watch import Watch
from proxy_pool.core.text import ReceiptState
from telephony.errors import InvalidInput, NotFound

SPEECHES: Final[Mapping[str, Callable[[int], Speech]]] = {
    "twilio": TwilioSpeech,
    "telnyx": TelnyxSpeech,
    "bandwidth": BandwidthSpeech,
    "vonage": VonageSpeech,
    "generic": GenericSpeech,
}
Make = Callable[[], Callback]
_BY_GET: Final = ("twilio", "vonage")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_PIECE: Final = (153, 67)
"""Characters of one part: plain, and with any character outside ASCII."""


@dataclass(frozen=True, slots=True)
class SimSetup:
    """What to play. ``target`` is the gateway's inbound address on this machine.

    ``public_target`` is the same address as signatures name it (PATCHBAY_PUBLIC_URL), where it differs.
    ``run`` goes into message ids, so that two runs against one database are not taken for repeats.
    """

    kind: str
    target: str
    public_target: str = ""
    name: str = "sim"
    seed: int = 0
    run: int = 0
    method: str = "POST"
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True)
class Taken:
    """A text that the gateway sent through this carrier. ``answered`` False: the connection was cut."""

    id: str
    asked: Asked
    answered: bool = True


class CarrierSim:
    """One simulated carrier. ``wall`` gives epoch seconds, for signatures."""

    def __init__(self, setup: SimSetup, wall: Callable[[], float]) -> None:
        _check(setup)
        self.setup = setup
        self.faults = setup.faults
        self.speech: Speech = SPEECHES[setup.kind](setup.seed)
        self.sent: list[Taken] = []
        self.refused: list[str] = []
        """Why sends were not taken, in order: ``throttled``, ``error`` or the carrier's code."""
        self.on_event: Callable[[str, str, str], None] = lambda what, message_id, outcome: None
        self.port = 0
        self._wall = wall
        self._dice = Dice(setup.seed)
        self._count = 0
        self._by_reference: dict[str, Taken] = {}
        self._watch = Watch()
        self._round = Round(self._watch, self._heard)
        self._runner: web.AppRunner | None = None

    @classmethod
    async def start(
        cls,
        setup: SimSetup,
        wall: Callable[[], float],
        *,
        port: int = 0,
        control: web.RouteTableDef | None = None,
    ) -> CarrierSim:
        """Listen on 127.0.0.1; port 0 lets the system choose. Raises InvalidInput for a bad setup."""
        sim = cls(setup, wall)
        app = web.Application(client_max_size=1_000_000)
        app.add_routes(control or [])
        app.router.add_post("/{path:.*}", sim._asked)
        sim._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await sim._runner.setup()
        await web.TCPSite(sim._runner, "127.0.0.1", port).start()
        sim.port = sim._runner.addresses[0][1]
        await sim._round.start()
        return sim

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def told(self) -> list[Told]:
        """Every callback attempt so far."""
        return self._round.told

    def plan_text(self) -> str:
        """The table for the gateway's carriers file."""
        lines = [f"[carriers.{self.setup.name}]", f'kind = "{self.setup.kind}"']
        lines += [f'{name} = "{value}"' for name, value in self.speech.keys.items()]
        lines += [f'api_base = "{self.api_base}"', "allow_private = true", "messages_per_second = 100"]
        return "\n".join(lines) + "\n"

    def text_in(
        self,
        sender: str,
        to: str,
        body: str,
        *,
        media: tuple[tuple[str, str], ...] = (),
        opt_out: str = "",
    ) -> tuple[str, ...]:
        """Somebody sends a text to a number of ours: the ids under which the gateway is told of it."""
        pieces = self._pieces(body)
        order: Sequence[int] = range(len(pieces))
        if len(pieces) > 1 and self._dice.falls(self.faults.shuffle):
            order = self._dice.order(len(pieces))
        self._count += 1
        reference = self._count % 256
        texts = []
        for number, piece in enumerate(pieces, 1):
            part = PartOf(reference, len(pieces), number) if len(pieces) > 1 else None
            kept = media if number == 1 else ()
            texts.append(Utterance(self._new_id(), sender, to, piece, kept, opt_out, part))
        for place in order:
            self._tell_text(texts[place])
        return tuple(text.id for text in texts)

    def report(self, message_id: str, state: ReceiptState, error: str = "", *, after_s: float = 0.0) -> None:
        """Tell what became of a text the gateway sent. Raises NotFound for an id that was never given."""
        taken = next((one for one in self.sent if one.id == message_id), None)
        if taken is None:
            raise NotFound("no text with this id was sent through this carrier")
        asked = taken.asked
        report = Report(message_id, asked.sender, asked.to, state, error, asked.reference)
        public = asked.receipts_url or self._default_receipts_url()

        def make() -> Callback:
            return self.speech.reports(report, self._moment(public))

        self._tell(state.value, message_id, public, make, after_s)

    async def settled(self, within_s: float = 10.0) -> None:
        """Wait until every callback was taken or given up. Raises NotInTime."""
        await self._watch.until(
            lambda: self._round.idle,
            within_s=within_s,
            what="all callbacks told",
            seen=lambda: self.told[-3:],
        )

    async def sent_count(self, count: int, within_s: float = 10.0) -> list[Taken]:
        """The texts taken, once there are this many. Raises NotInTime."""
        await self._watch.until(
            lambda: len(self.sent) >= count,
            within_s=within_s,
            what=f"{count} texts sent",
            seen=lambda: f"{len(self.sent)} sent, refused {self.refused[-3:]}",
        )
        return list(self.sent)

    async def close(self) -> None:
        """Stop listening and calling."""
        await self._round.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> CarrierSim:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _new_id(self) -> str:
        self._count += 1
        return self.speech.new_id(self.setup.run, self._count)

    def _pieces(self, body: str) -> list[str]:
        size = _PIECE[0] if body.isascii() else _PIECE[1]
        if not self.speech.splits or len(body) <= size:
            return [body]
        return [body[at : at + size] for at in range(0, len(body), size)]

    def _moment(self, public: str) -> Moment:
        method = self.setup.method if self.setup.kind in _BY_GET else "POST"
        return Moment(public, self._wall(), secrets.token_hex(8), method)

    def _default_receipts_url(self) -> str:
        public = self.setup.public_target or self.setup.target
        return public if self.setup.kind == "bandwidth" else public.replace("/inbound/", "/receipts/")

    def _tell_text(self, text: Utterance) -> None:
        public = self.setup.public_target or self.setup.target

        def make() -> Callback:
            return self.speech.says(text, self._moment(public))

        self._tell("text", text.id, public, make, 0.0)

    def _tell(self, what: str, message_id: str, public: str, make: Make, after_s: float) -> None:
        """Tell once, with the faults that fall: a forgery before, a repetition after, a delay."""
        url, faults = self._on_this_machine(public), self.faults
        forge, reorder = self._dice.falls(faults.forge), self._dice.falls(faults.reorder)
        repeat = self._dice.falls(faults.duplicate)
        if forge:
            self._round.add(what, message_id, url, lambda: forged(make()), after_s=after_s, forged=True)
        after_s += faults.reorder_s if reorder else 0.0
        for _ in range(2 if repeat else 1):
            self._round.add(what, message_id, url, make, after_s=after_s)

    def _on_this_machine(self, public: str) -> str:
        """Where a public address is on this machine: the target's host, whatever a request may have said."""
        target = urlsplit(self.setup.target)
        root = (self.setup.public_target or self.setup.target).removesuffix(target.path)
        path = public.removeprefix(root) if public.startswith(root + "/") else urlsplit(public).path
        return f"{target.scheme}://{target.netloc}{path}"

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        faults = self.faults
        slow, throttle = self._dice.falls(faults.slow), self._dice.falls(faults.throttle)
        error, cut = self._dice.falls(faults.error), self._dice.falls(faults.cut)
        body = await request.read()
        try:
            asked = self.speech.reads(ApiRequest(request.path, headers, body))
        except (Denied, UnicodeDecodeError) as refusal:
            denied = refusal if isinstance(refusal, Denied) else Denied(400, "1")
            self._refuse(denied.code)
            return _response(self.speech.denies(denied.status, denied.code))
        if slow:
            await asyncio.sleep(faults.slow_s)
        if throttle:
            self._refuse("throttled")
            return _response(self.speech.throttles(max(1, round(faults.retry_after_s))))
        if error:
            self._refuse("error")
            return _response(self.speech.denies(503, "503"))
        taken = self._take(asked, answered=not cut)
        if cut and request.transport is not None:
            request.transport.abort()
        return _response(self.speech.takes(taken.id, asked))

    def _refuse(self, why: str) -> None:
        self.refused.append(why)
        self.on_event("refused", "", why)
        self._watch.changed()

    def _take(self, asked: Asked, *, answered: bool) -> Taken:
        """The contract of our own JSON: the same reference is taken once."""
        again = self._by_reference.get(asked.reference) if self.setup.kind == "generic" else None
        if again is not None:
            return again
        taken = Taken(self._new_id(), asked, answered)
        self.sent.append(taken)
        if asked.reference:
            self._by_reference[asked.reference] = taken
        self.on_event("sent", taken.id, "taken" if answered else "cut")
        self._watch.changed()
        self._report_by_itself(taken)
        return taken

    def _report_by_itself(self, taken: Taken) -> None:
        faults = self.faults
        failed, lost = self._dice.falls(faults.undelivered), self._dice.falls(faults.lost)
        late = faults.late_s if self._dice.falls(faults.late) else 0.0
        self.report(taken.id, ReceiptState.SENT, after_s=faults.receipt_s)
        if lost:
            return
        state = ReceiptState.UNDELIVERED if failed else ReceiptState.DELIVERED
        self.report(taken.id, state, "30003" if failed else "", after_s=2 * faults.receipt_s + late)

    def _heard(self, told: Told) -> None:
        word = "forged " if told.forged else ""
        self.on_event(f"{word}{told.what}", told.id, str(told.status or "no answer"))


def shown(taken: Taken) -> dict[str, Any]:
    """A sent text for the control API."""
    return {"id": taken.id, "answered": taken.answered, **asdict(taken.asked)}


def _response(answer: ApiAnswer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))


def _check(setup: SimSetup) -> None:
    if setup.kind not in SPEECHES:
        raise InvalidInput("no such kind of carrier", field="kind", expected="one of " + ", ".join(SPEECHES))
    if _NAME.fullmatch(setup.name) is None:
        raise InvalidInput("no name for a carrier", field="name", expected="lower-case letters, digits and -")
    parts = urlsplit(setup.target)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise InvalidInput(
            "a simulated carrier calls this machine only", field="target", expected="http://127.0.0.1:PORT/…"
        )
    if setup.method not in ("POST", "GET"):
        raise InvalidInput("no such method", field="method", expected="POST or GET")
