"""A call that came in: plays its Behaviour, and meets CANCEL in every waiting state."""

from __future__ import annotations

import asyncio

from gateway.trial.sip_behaviour import Behaviour, OnCancel
from gateway.trial.sip_call import CallState, Ending, Line, SimulatedCall, dialog_of_incoming, facts_of
from gateway.trial.sip_message import Reply, Request
from gateway.trial.sip_wire import Address


class IncomingCall(SimulatedCall):
    """The called side. It starts by itself; ``answer`` and ``reject`` may be used in place of a script."""

    def __init__(self, line: Line, invite: Request, source: Address, behaviour: Behaviour) -> None:
        super().__init__(line, facts_of(invite), source, mute=behaviour.mute, srtp_key=behaviour.srtp_key)
        self._invite, self._source, self.behaviour = invite, source, behaviour
        self.dialog = dialog_of_incoming(invite, self._session_tag)
        self.answer_bye = behaviour.answer_bye
        self.reinvite_status = behaviour.reinvite_status
        self.cancelled = False
        self._talking = False
        if behaviour.trying:
            self._respond(invite, Reply(100), source)
        self._start(asyncio.get_running_loop().create_task(self._play(behaviour)))

    async def _play(self, script: Behaviour) -> None:
        if script.ring_after_ms is not None:
            await self._at(script.ring_after_ms)
            await self.ring(early_media=script.early_media)
        if script.reject is not None:
            await self._at(script.reject_after_ms)
            self.reject(script.reject)
        elif script.answer_after_ms is not None:
            await self._at(script.answer_after_ms)
            await self.answer()
            if script.hang_up_after_ms is not None:
                await asyncio.sleep(script.hang_up_after_ms / 1000)
                await self.hang_up()

    async def _at(self, after_ms: int) -> None:
        due = self.reached_at[CallState.STARTED] + after_ms / 1000
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    async def ring(self, *, early_media: bool = False) -> None:
        """180, or 183 with a session description and audio."""
        if early_media:
            body = await self._open_stream()
            self._talk()
            self._respond(self._invite, Reply(183, body=body), self._source)
        else:
            self._respond(self._invite, Reply(180), self._source)
        self._advance(CallState.RINGING)

    async def answer(self) -> None:
        """200 with a session description; audio starts."""
        if self.state >= CallState.ANSWERED:
            return
        body = await self._open_stream()
        self._talk()
        self._respond(self._invite, Reply(200, headers=self.behaviour.reply_headers, body=body), self._source)
        self._advance(CallState.ANSWERED)

    def reject(self, status: int) -> None:
        """A final answer other than 200."""
        if self.state < CallState.ANSWERED:
            reply = Reply(status, headers=self.behaviour.reply_headers)
            self._respond(self._invite, reply, self._source)
            self._end(Ending(by_us=True, status=status))

    def _talk(self) -> None:
        if self._invite.body:
            self._use_media(self._invite.body)
        if self.behaviour.audio and not self._talking:
            self.stream.play(self.behaviour.audio, repeat=self.behaviour.repeat_audio)
        self._talking = True

    def received(self, request: Request, source: Address) -> None:
        if request.method == "CANCEL":
            self._received_cancel(request, source)
        else:
            super().received(request, source)

    def _received_cancel(self, request: Request, source: Address) -> None:
        self.cancelled = True
        how = self.behaviour.on_cancel
        if how is OnCancel.IGNORE:
            self._watch.changed()
            return
        self._respond(request, Reply(200), source)
        if self.state >= CallState.ANSWERED:
            return
        if how is OnCancel.TERMINATE:
            self._respond(self._invite, Reply(487), self._source)
            self._end(Ending(by_us=False, status=487, reason=request.headers.first("Reason")))
        elif how is OnCancel.ANSWER_ANYWAY:
            self._start(asyncio.get_running_loop().create_task(self.answer()))
