"""One call of a session as both far ends play it: from the first ring until both legs have ended."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.trial.sip_behaviour import Behaviour
from gateway.trial.sip_call import CallState, SimulatedCall
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_message import Request, cseq_of
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from tools.verify_privacy.far import FarSide
from tools.verify_privacy.meetings import Meeting, Way
from tools.verify_privacy.people import other
from tools.verify_privacy.world import World

RINGS_S: Final = 40.0
ENDS_S: Final = 60.0


class Unjoined(Exception):
    """The call ended, or nobody rang, before the two were joined."""


@dataclass(slots=True)
class Story:
    """One call of a meeting. ``away``: the gateway is not there, the switch joins from its copy."""

    world: World
    meeting: Meeting
    way: Way
    chance: random.Random
    away: bool = False

    @property
    def near(self) -> FarSide:
        return self.world.far[self.way.side.name]

    @property
    def far(self) -> FarSide:
        return self.world.far[other(self.way.side).name]

    @property
    def callee(self) -> str:
        outward = self.meeting.model == "group" and self.way == self.meeting.ways[-1]
        return self.meeting.last if outward and self.meeting.last else self.way.callee

    def script(self, **changes: object) -> Behaviour:
        """Rings, answers soon, and sends no audio."""
        after = self.chance.randrange(10, 60)
        usual = Behaviour(ring_after_ms=5, answer_after_ms=after, mute=True)
        return replace(usual, **changes)  # type: ignore[arg-type]

    def dial(self, caller: str = "", **changes: object) -> OutgoingCall:
        """The caller's own number in one of the forms that a carrier gives it."""
        who = caller or self.chance.choice((self.way.caller, "00" + self.way.caller.lstrip("+")))
        usual = Dial(self.way.dialled, self.world.sip, who, mute=not self.way.types)
        return self.near.call(replace(usual, **changes))  # type: ignore[arg-type]

    async def rung(self, script: Behaviour, **how: object) -> tuple[OutgoingCall, IncomingCall]:
        """Dial, type what is asked for, and wait until the right far end rings. Raises Unjoined."""
        wanted = self.far.expect(self.callee, script)
        call = self.dial(**how)  # type: ignore[arg-type]
        left = self.way.types
        try:
            async with asyncio.timeout(RINGS_S):
                while not wanted.done():
                    if left and call.state is CallState.ANSWERED:
                        call.stream.press(left)
                        left = ""
                    if call.state is CallState.ENDED:
                        raise Unjoined(f"ended {call.ending.status if call.ending else 0}")
                    await asyncio.wait({wanted}, timeout=0.05)
        except TimeoutError:
            raise Unjoined("nobody rang") from None
        finally:
            self.far.expects_nothing(self.callee)
            if not wanted.done():
                await self.dropped(call)
        there = wanted.result()
        if self.way.shown and there.facts.from_user != self.way.shown:
            raise Unjoined("shown as another number")
        inward = self.way != self.meeting.ways[-1]
        if self.meeting.model == "group" and inward and not self.away:  # the copy counts nothing as use
            self.meeting.last = self.way.caller
        return call, there

    async def joined(
        self, script: Behaviour | None = None, **how: object
    ) -> tuple[OutgoingCall, IncomingCall]:
        """Both talk."""
        call, there = await self.rung(script or self.script(), **how)
        await call.reaches(CallState.ANSWERED, RINGS_S)
        await there.until(lambda: there.confirmed or there.state is CallState.ENDED, 30.0, "ACK")
        return call, there

    async def talk(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.0, 0.2))  # a conversation

    async def over(self, call: OutgoingCall, there: IncomingCall) -> None:
        """The caller hangs up, both legs end."""
        await call.hang_up(ENDS_S)
        await there.reaches(CallState.ENDED, ENDS_S)

    async def dropped(self, call: OutgoingCall) -> None:
        """Whatever state it is in, the call goes."""
        with suppress(TimeoutError, AssertionError):
            if call.state < CallState.ANSWERED:
                await call.cancel()
            await call.hang_up()

    def either(self, call: OutgoingCall, there: IncomingCall) -> tuple[FarSide, SimulatedCall, str]:
        """One side of the call: its phone, its leg, its number."""
        if self.chance.random() < 0.5:
            return self.near, call, self.way.caller
        return self.far, there, self.callee


async def ask(world: World, phone: FarSide, call: SimulatedCall, request: Request) -> int:
    """Send a request inside the call's dialog; the status of the answer, 408 for none."""
    transaction = phone.transport.request(request, world.sip)
    final = await transaction.final_response()
    if request.method == "INVITE" and final.status < 300 and call.dialog is not None:
        ack = call.dialog.request("ACK", cseq_of(request)[0], f"<sip:far@{phone.transport.contact_host}>")
        transaction.ack = phone.transport.acknowledge(ack, world.sip)
    return final.status


def inside(phone: FarSide, call: SimulatedCall, method: str, content: str = "", body: bytes = b"") -> Request:
    """A request of this call's dialog."""
    assert call.dialog is not None
    request = call.dialog.next_request(method, f"<sip:far@{phone.transport.contact_host}>")
    headers = request.headers.plus(("Content-Type", content)) if content else request.headers
    return replace(request, headers=headers, body=body)
