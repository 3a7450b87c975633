"""LiveKit's SIP objects and its SIP service in memory: a test, or a trial, plays the service's moods."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from telephony.errors import InvalidInput, OutcomeUnknown, RoomsUnavailable
from video_rooms.core.live import PASS, ROLE, Grant
from video_rooms.core.room import Role
from video_rooms.core.trunks import CallOut, OneCall, There, Thing, ThingKind, identity_of, metadata_of
from video_rooms.fakes import FakeRoomServer
from video_rooms.ports_trunk import TrunkCall, TrunkEar


@dataclass(slots=True, eq=False)
class FakeTrunkDesk:
    """Fits ``TrunkDesk``. ``away``: it does not answer. ``service``: what LiveKit's SIP service makes of a
    call to the switch, its SIP final; None for one of which it never says anything."""

    server: FakeRoomServer
    things: dict[str, tuple[Thing, str]] = field(default_factory=dict)
    """Id → the object, and its metadata."""
    names: dict[str, str] = field(default_factory=dict)
    """Identity → the name that it was introduced by."""
    away: bool = False
    service: Callable[[CallOut], Awaitable[int | None]] | None = None
    called: list[CallOut] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def found(self) -> Sequence[There]:
        self._answer()
        return [
            There(thing.kind, id_, told, None if isinstance(thing, OneCall) else thing)  # type: ignore[arg-type]
            for id_, (thing, told) in self.things.items()
        ]

    async def make(self, mark: str, thing: Thing) -> str:
        self._answer()
        if isinstance(thing, OneCall) and self.rule_of(thing.number, thing.caller) is not None:
            raise InvalidInput("there is a rule for this caller already")
        id_ = f"{'SDR' if isinstance(thing, OneCall) else 'ST'}_{next(self._ids)}"
        self.things[id_] = (thing, metadata_of(mark, thing))
        return id_

    async def change(self, mark: str, id_: str, thing: Thing) -> bool:
        self._answer()
        if id_ not in self.things:
            return False
        self.things[id_] = (thing, metadata_of(mark, thing))
        return True

    async def drop(self, kind: ThingKind, id_: str) -> None:
        self._answer()
        self.things.pop(id_, None)

    async def call_out(self, call: CallOut, within_s: float) -> int:
        self._answer()
        if not call.number:
            raise InvalidInput("nothing to dial")
        if call.trunk not in self.things or self.service is None:
            raise RoomsUnavailable("no such trunk, or no SIP service")
        self.called.append(call)
        try:
            async with asyncio.timeout(within_s):
                final = await self.service(call)
                if final is None:
                    await asyncio.Event().wait()
        except TimeoutError:
            final = None
        if final is None:
            raise OutcomeUnknown("the service says nothing")
        return final

    async def introduce(self, room: str, identity: str, name: str) -> bool:
        self._answer()
        there = any(one.identity == identity for one in await self.server.people(room))
        if there:
            self.names[identity] = name
        return there

    async def unmute(self, room: str, identity: str) -> bool:
        self._answer()
        there = any(one.identity == identity for one in await self.server.people(room))
        if there:
            self.server.unmute(room, identity)
        return there

    def rule_of(self, number: str, caller: str) -> OneCall | None:
        """The rule that this call finds."""
        things = (thing for thing, _ in self.things.values() if isinstance(thing, OneCall))
        return next((one for one in things if (one.number, one.caller) == (number, caller)), None)

    def _answer(self) -> None:
        if self.away:
            raise RoomsUnavailable("the media server is away")


@dataclass(slots=True, eq=False)
class FakeTrunkCalls:
    """Fits ``TrunkCalls``: the switch and the service. ``cause``: with which calls end that are not taken;
    None: they are taken where a rule leads them to a room. ``silent``: nothing is heard of a call at all."""

    desk: FakeTrunkDesk
    cause: int | None = None
    silent: bool = False
    away: bool = False
    elsewhere: bool = False
    """The service puts them into nobody's room."""
    placed: list[TrunkCall] = field(default_factory=list)
    ears: dict[str, TrunkEar] = field(default_factory=dict)

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        self.placed.append(call)
        if self.away:
            raise RoomsUnavailable("the switch is away")
        self.ears[call.id] = ear
        if not self.silent:
            asyncio.get_running_loop().call_soon(self._answer, call, ear)

    def forget(self, call_id: str) -> None:
        self.ears.pop(call_id, None)

    def ends(self, call_id: str, cause: int) -> None:
        """The service, or the switch, ends a call that was taken."""
        self.ears[call_id].over(cause)

    def _answer(self, call: TrunkCall, ear: TrunkEar) -> None:
        rule = self.desk.rule_of(call.number, call.caller)
        if self.cause is not None or rule is None:
            ear.over(self.cause or 1)
            return
        if not self.elsewhere:
            self._come_in(rule)
        ear.taken()

    def _come_in(self, rule: OneCall) -> None:
        server, told = self.desk.server, dict(rule.attributes)
        grant = Grant(
            room=rule.room,
            identity=identity_of(rule.caller),
            name=f"Phone {rule.caller[-4:]}",
            role=Role(told.pop(ROLE, Role.PHONE.value)),
            pass_id=told.pop(PASS, ""),
            expires_at=server.clock.wall() + timedelta(hours=1),
            attributes=told,
        )
        server.come_in(server.token(grant))
        server.publish(rule.room, grant.identity, "audio", "microphone")
