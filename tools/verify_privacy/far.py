"""One side of the world: a carrier whose every message names its own people, and which keeps all it gets."""

from __future__ import annotations

import asyncio
import itertools
import random
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from gateway.trial.sip_behaviour import Behaviour, InviteFacts, rejects
from gateway.trial.sip_call import Line, SimulatedCall
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_message import Request
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_transport import SipTransport, Timers
from gateway.trial.sip_wire import Address, Kind, Received, UdpWire
from tools.verify_privacy.people import Side, as_token
from tools.verify_privacy.salt import salted

_TIMERS: Final = Timers(give_up=12.0)
_SENT_KEPT: Final = 4000


class SaltingWire:
    """UDP; what is sent is salted (``salt``), what comes is kept as it stands. A repetition is the same."""

    kind: Kind = "udp"

    def __init__(self, side: Side, seed: int) -> None:
        self._side = side
        self._seed = seed
        self._udp = UdpWire()
        self._sent: OrderedDict[bytes, bytes] = OrderedDict()
        self.heard: list[bytes] = []
        self.plain = False
        """While set, messages go out as they are."""

    async def open(self, host: str, port: int, received: Received) -> Address:
        def kept(raw: bytes, source: Address) -> None:
            self.heard.append(raw)
            received(raw, source)

        return await self._udp.open(host, port, kept)

    def send(self, raw: bytes, to: Address) -> None:
        if not self.plain:
            raw = self._salted(raw)
        self._udp.send(raw, to)

    def _salted(self, raw: bytes) -> bytes:
        known = self._sent.get(raw)
        if known is None:
            chance = random.Random(self._seed ^ zlib.crc32(raw))
            person = self._side.number(chance.randrange(1000))
            known = self._sent[raw] = salted(raw, self._side, person, chance)
            while len(self._sent) > _SENT_KEPT:
                self._sent.popitem(last=False)
        return known

    def close(self) -> None:
        self._udp.close()


class FarSide(SipPhone):
    """The people of one side. ``scripts`` says what a number does with its next call."""

    def __init__(self, side: Side, seed: int) -> None:
        self.wire = SaltingWire(side, seed)
        super().__init__(self._script, name="far", timers=_TIMERS, wire=self.wire)
        self.side = side
        self.scripts: dict[str, Behaviour] = {}
        self.always: dict[str, Behaviour] = {}
        """What a number does whenever it is called, by many at once."""
        self.texts: list[Request] = []
        self.typed_to: set[str] = set()
        """Call-IDs of the calls in which digits are meant to be heard."""
        self.strays: list[str] = []
        """Numbers that were rung though nobody expected it."""
        self._chance = random.Random(seed)
        self._count = itertools.count(1)
        self._expected: dict[str, asyncio.Future[IncomingCall]] = {}
        self.transport = SipTransport(self._received, self._token, _TIMERS, self.wire)
        self._line = Line(
            self.transport, self._pacer, token=self._token, number=lambda: next(self._count), name="far"
        )

    def _token(self) -> str:
        """Tags, branches and Call-IDs hold a number of this side, too."""
        count = next(self._count)
        return f"{as_token(self.side.number(count), self._chance)}.{count:x}.{self._chance.getrandbits(32):x}"

    def _script(self, facts: InviteFacts) -> Behaviour:
        if facts.user in self.always:
            return self.always[facts.user]
        if facts.user not in self.scripts:
            self.strays.append(facts.user)
            return rejects(404)
        return self.scripts.pop(facts.user)

    def expect(self, number: str, script: Behaviour) -> asyncio.Future[IncomingCall]:
        """The next call to this number plays the script."""
        self.scripts[number] = script
        future = self._expected[number] = asyncio.get_running_loop().create_future()
        return future

    def expects_nothing(self, number: str) -> None:
        self.scripts.pop(number, None)
        self._expected.pop(number, None)

    def _received(self, request: Request, source: Address) -> None:
        before = len(self.incoming)
        if request.method == "MESSAGE":
            self.texts.append(request)
        super()._received(request, source)
        for call in self.incoming[before:]:
            future = self._expected.pop(call.facts.user, None)
            if future is not None and not future.done():
                future.set_result(call)

    def all_calls(self) -> Iterable[SimulatedCall]:
        yield from self.incoming
        yield from self.outgoing

    def take_heard(self) -> list[bytes]:
        """What was received since the last time."""
        heard, self.wire.heard = self.wire.heard, []
        return heard

    def forget(self) -> None:
        """Let go of the calls that are over."""
        live = {id(call) for call in self.live}
        self._by_call_id = {name: call for name, call in self._by_call_id.items() if id(call) in live}
        self.incoming = [call for call in self.incoming if id(call) in live]
        self.outgoing = [call for call in self.outgoing if id(call) in live]
        self.transport.trace.clear()
        self.texts.clear()
