"""One open socket to an agent: messages in and out, its liveness, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from voice_agents.core.talk import Ack, Begin, CallerAudio, FlowPaused, HangUp, Interrupted, Ready, Said, Told
from voice_agents.lines.pressure import Backlog, Breath, LineLimits, Pulse
from voice_agents.lines.waiting import WaitingRoom
from voice_agents.ports import AgentEar, Dialect, Wire

NORMAL: Final = 1000
_PROTOCOL, _TEXT, _BIG = 1002, 1007, 1009
_FRAMES_AT_ONCE: Final = 50
"""A second of sound, then the call has its say."""
_HEADER: Final = 8
"""Octets before the payload of a usual message of ours: two, two of length, four of mask."""
_REASONS: Final = {
    NORMAL: "",
    4400: "too many messages that cannot be read",
    4408: "not ready in time",
    4413: "more sound than the call can hold",
}


class SocketLine(WSListener):
    """An ``AgentLine``. Everything happens on the loop's thread; ``ear`` hears nothing before ``begin``, and
    nothing after ``close`` or ``lost``. ``unsent`` counts frames of sound that were dropped."""

    def __init__(self, dialect: Dialect, ear: AgentEar, limits: LineLimits) -> None:
        self._dialect, self._ear, self._limits = dialect, ear, limits
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._backlog, self._breath = Backlog(), Breath(limits)
        self._stood = self._check_at = 0.0
        self._pulse = Pulse(limits.ping_s, self._now())
        self._pieces: list[bytes] = []
        self._pieces_are = WSMsgType.TEXT
        self._early: list[Said] | None = []
        self._early_loss = ""
        self._checks: asyncio.TimerHandle | None = None
        self._room: WaitingRoom | None = None
        self._over = self._deaf = self._abandoned = self._leaving = False
        self._holding = self._full = self._turning = False
        self.unsent = 0

    @property
    def connected(self) -> bool:
        """Whether the handshake is done and nobody has closed the connection since."""
        return self._transport is not None and not self._transport.is_disconnected

    def abandon(self) -> None:
        """Nobody waits for this connection any more: it ends as soon as it begins."""
        self._abandoned = self._over = True
        if self._transport is not None:
            self._transport.disconnect(False)

    # ------------------------------------------------------------ the agent's line

    def begin(self, begin: Begin) -> None:
        """Send ``begin``, and have the ear hear from the loop's next turn on."""
        if not self._dialect.has_pause:
            self._room = WaitingRoom(begin.codec.frame_bytes * _FRAMES_AT_ONCE)
        self._send(self._dialect.tell(begin))
        self._send(self._dialect.owed())
        if not self._dialect.has_ready and self._early is not None:
            self._early.insert(0, Ready())
        self._check_later()
        self._loop.call_soon(self._listen)

    def tell(self, told: Told) -> bool:
        if isinstance(told, FlowPaused) and self._room is not None:
            self._room.shut = told.paused
            self._turn()
        if self._over or self._transport is None:
            return isinstance(told, CallerAudio) and self._leaving and bool(self._room)
        if isinstance(told, CallerAudio) and self._lag() > self._limits.behind_s:
            self.unsent += 1
            return False
        self._send(self._dialect.tell(told))
        if isinstance(told, Interrupted) and self._room is not None:
            self._pass(self._room.clear())
        return not self._over

    async def close(self, code: int = NORMAL) -> None:
        """Say goodbye with this code, and wait a little for the other side to do so too."""
        self._deaf = True
        self._end()
        if self._room is not None:
            self._room.clear()
        self._regulate()
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        self._send_close(transport, code)
        with suppress(Exception):  # why: picows raises here what ended the line, which is over anyway
            async with asyncio.timeout(self._limits.close_s):
                await transport.wait_disconnected()
        if not transport.is_disconnected:
            transport.disconnect(False)

    # ------------------------------------------------------------ picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._abandoned:
            transport.disconnect(False)
        else:
            self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PONG:
            self._pulse.answered(frame.get_payload_as_bytes(), self._now())
        elif kind == WSMsgType.CLOSE:
            self._closed_by_agent(transport, frame.get_close_code() == WSCloseCode.OK)
        elif kind != WSMsgType.PING and not self._over:
            message = self._whole(kind, frame)
            if message is not None:
                self._heard(transport, message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._lost("closed")

    def pause_writing(self) -> None:
        """What is not taken is judged by its age."""

    def resume_writing(self) -> None:
        """As above."""

    # ------------------------------------------------------------ in

    def _whole(self, kind: WSMsgType, frame: WSFrame) -> Wire | None:
        """A message, once all its fragments are there (RFC 6455, 5.4)."""
        starts = kind != WSMsgType.CONTINUATION
        if starts == bool(self._pieces) or frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(_PROTOCOL, "closed")
            return None
        if starts:
            self._pieces_are = kind
            if frame.fin:
                return self._read(frame.get_payload_as_bytes())
        self._pieces.append(frame.get_payload_as_bytes())
        if sum(map(len, self._pieces)) > self._limits.message_bytes:
            self._fail(_BIG, "closed")
            return None
        if not frame.fin:
            return None
        whole, self._pieces = b"".join(self._pieces), []
        return self._read(whole)

    def _read(self, payload: bytes) -> Wire | None:
        if self._pieces_are == WSMsgType.BINARY:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            self._fail(_TEXT, "closed")
            return None

    def _heard(self, transport: WSTransport, message: Wire) -> None:
        for said in self._dialect.hear(message):
            self._deliver(said)
        self._send(self._dialect.owed())
        if self._dialect.broken:
            self._fail(NORMAL, "refused")
        wait_s = self._breath.took(len(message), self._loop.time())
        if wait_s and not self._over and not self._holding:
            self._holding = True
            self._regulate()
            self._loop.call_later(wait_s, self._breathe)

    def _breathe(self) -> None:
        self._holding = False
        self._regulate()

    def _regulate(self) -> None:
        """Read, or do not: twice the same is no harm. Whoever is not read for long is not asked for pongs."""
        transport = self._transport
        if transport is None or transport.is_disconnected or transport.underlying_transport.is_closing():
            return
        full = self._room is not None and self._room.octets > self._limits.waiting_bytes
        if full != self._full:
            self._full = full
            self._pulse = Pulse(self._limits.ping_s, self._now())
        if self._holding or full:
            transport.underlying_transport.pause_reading()
        else:
            transport.underlying_transport.resume_reading()

    def _deliver(self, said: Said) -> None:
        if self._early is not None:
            self._early.append(said)
        elif not self._deaf:
            self._pass((said,) if self._room is None else self._room.take(said))

    def _pass(self, said: Sequence[Said]) -> None:
        """Tell the ear, and come back for what waits once the loop has turned."""
        for one in said:
            if not self._deaf:
                self._ear.said(one)
        if self._room and not self._room.shut and not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)
        if self._room is not None and (self._full or self._room.octets > self._limits.waiting_bytes):
            self._regulate()

    def _turn(self) -> None:
        self._turning = False
        if self._room is not None and not self._deaf:
            self._pass(self._room.turn())

    def _listen(self) -> None:
        early, self._early = self._early or [], None
        for said in early:
            self._deliver(said)
        if self._early_loss and not self._deaf:
            self._ear.lost(self._early_loss)

    def _closed_by_agent(self, transport: WSTransport, orderly: bool) -> None:
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        transport.disconnect()
        if orderly and self._dialect.bye_by_closing and not self._over:
            self._leaving = True
            self._deliver(HangUp("closed"))
            self._deliver(Ack())
            self._end()
        self._lost("closed")

    # ------------------------------------------------------------ out

    def _send(self, messages: Sequence[Wire]) -> None:
        transport = self._transport
        if not messages or transport is None or self._over:
            return
        octets = 0
        for message in messages:
            transport.send(WSMsgType.BINARY if isinstance(message, bytes) else WSMsgType.TEXT, message)
            octets += len(message) + _HEADER
        buffered = transport.underlying_transport.get_write_buffer_size()
        self._backlog.wrote(octets, buffered, self._now())
        if buffered > self._limits.backlog_bytes:
            self._fail(NORMAL, "stuck")

    def _lag(self) -> float:
        """How old the oldest thing is that the agent has not taken, as far as can be seen from here."""
        if self._transport is None:
            return 0.0
        now = self._now()
        buffered = self._transport.underlying_transport.get_write_buffer_size()
        return max(self._backlog.age(buffered, now), self._pulse.waiting(now))

    def _now(self) -> float:
        """The time by which an agent's silence is judged: this side's own is left out."""
        return self._loop.time() - self._stood

    def _check_later(self) -> None:
        self._check_at = self._loop.time() + self._limits.check_s
        self._checks = self._loop.call_later(self._limits.check_s, self._check)

    def _check(self) -> None:
        if self._over or self._transport is None:
            return
        self._stood += max(0.0, self._loop.time() - self._check_at)
        if self._lag() > self._limits.stuck_s:
            self._fail(NORMAL, "stuck")
            return
        ping = None if self._full else self._pulse.due(self._now())
        if ping is not None:
            self._transport.send_ping(ping)
        self._check_later()

    # ------------------------------------------------------------ the end

    def _fail(self, code: int, why: str) -> None:
        """This line is of no use any more: the agent is told why, and the ear that it is gone."""
        transport = self._transport
        if transport is None or self._over:
            return
        self._send_close(transport, code)
        self._loop.call_later(self._limits.close_s, transport.disconnect, False)
        self._lost(why)

    def _send_close(self, transport: WSTransport, code: int) -> None:
        if not transport.is_close_frame_sent:
            transport.send_close(code, _REASONS.get(code, "").encode())  # type: ignore[arg-type]

    def _lost(self, why: str) -> None:
        if self._over:
            return
        if self._room is not None:
            self._room.clear()
        self._end()
        if self._early is not None:
            self._early_loss = why
        else:
            self._ear.lost(why)

    def _end(self) -> None:
        self._over = True
        if self._checks is not None:
            self._checks.cancel()
            self._checks = None
