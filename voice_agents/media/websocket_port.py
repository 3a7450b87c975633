"""The first media port: Asterisk dials out to us by WebSocket (``Dial(WebSocket/patchbay/…)``).

It listens on loopback alone. Which call a connection belongs to, its first event says (MEDIA_START), by a
token that is good for one connection; until then nobody hears it, and after two seconds it is dropped. The
query says nothing: the driver's parameters for that are shared by all that is dialled in the same moment, and
a call would be brought to whom another one is with (see ``wire.asterisk``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

import structlog
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from voice_agents.core.audio import Codec
from voice_agents.core.playout import Limits
from voice_agents.media.doorkeeper import DoorCounts, Doorkeeper, Expected
from voice_agents.media.leg import Leg, Yard
from voice_agents.media.ticker import Lateness
from voice_agents.ports import MediaEar
from voice_agents.wire import asterisk
from voice_agents.wire.asterisk import (
    Flow,
    Garbled,
    Marked,
    MediaAbilities,
    Pressed,
    Refused,
    Started,
    Status,
)

_log = structlog.get_logger("voice_agents.media")
_quiet = logging.getLogger("picows.media")
_quiet.setLevel(logging.WARNING)  # below, it tells each connection, and requests with their tokens

_HANDSHAKE_S = 2.0
_LARGEST = 65_536
_NAMELESS_MOST = 256
"""How many connections may have said nothing yet."""
_NO_MARK = f"the channel has no {asterisk.CALL_MARK}: is the switch's dialplan of this release?"
_EARLY_MOST = 50
"""How many frames are kept that come before MEDIA_START."""
_PROTOCOL = {"Sec-WebSocket-Protocol": asterisk.SUBPROTOCOL}


class WebSocketPort:
    """Fits ``voice_agents.ports.MediaPort``."""

    def __init__(
        self,
        abilities: MediaAbilities,
        *,
        limits: Limits | None = None,
        yard: Yard | None = None,
        connection: str = asterisk.CONNECTION,
    ) -> None:
        self.abilities, self._connection = abilities, connection
        self._yard = yard or Yard(limits or Limits())
        self._door = Doorkeeper()
        self._nameless: set[_Socket] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address, with the port that was free where 0 was asked for. Raises
        ``OSError``."""
        self._server = await ws_create_server(
            self._listener,
            host,
            port,
            websocket_handshake_timeout=_HANDSHAKE_S,
            logger_name=_quiet,
            max_frame_size=_LARGEST,
        )
        found: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return found

    async def close(self) -> None:
        """End all channels; nobody is let in any more."""
        if self._server is not None:
            self._server.close()
        self._door.close()
        for socket in tuple(self._nameless):
            socket.drop()
        self._yard.close()
        if self._server is not None:
            with contextlib.suppress(TimeoutError):  # a connection in its handshake is not worth a wait
                await asyncio.wait_for(self._server.wait_closed(), _HANDSHAKE_S)

    def dial_string(self, token: str, codec: Codec) -> str:
        """``WebSocket/patchbay/…``. Raises ``UnsafeValue`` for a token that is not letters and digits."""
        return asterisk.dial_string(token, codec, self.abilities, self._connection)

    def expect(self, token: str, codec: Codec, ear: MediaEar, within_s: float) -> None:
        self._door.expect(asterisk.check_token(token), codec, ear, within_s)

    def forget(self, token: str) -> None:
        self._door.forget(token)

    @property
    def counts(self) -> DoorCounts:
        return self._door.counts

    @property
    def lateness(self) -> Lateness:
        return self._yard.ticker.lateness

    @property
    def open_legs(self) -> int:
        return len(self._yard.legs)

    def _listener(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        if len(self._nameless) >= _NAMELESS_MOST:
            self._door.counts.refused += 1
            _log.warning("media_refused", why="too many that say nothing")
            response = WSUpgradeResponse.create_error_response(503, b"too many")
            return WSUpgradeResponseWithListener(response, None)
        socket = _Socket(self._door, self._yard, self._nameless)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(_PROTOCOL), socket)


class _Socket(WSListener):
    """One channel's WebSocket; fits ``LegWire``."""

    def __init__(self, door: Doorkeeper, yard: Yard, nameless: set[_Socket]) -> None:
        super().__init__()
        self._transport: WSTransport | None = None
        self._door, self._yard, self._nameless = door, yard, nameless
        self._counts = door.counts
        self._early: deque[bytes] = deque(maxlen=_EARLY_MOST)
        self._patience: asyncio.TimerHandle | None = None
        self._leg: Leg | None = None
        """None until it is known whose it is."""

    # ------------------------------------------------------------ from the switch

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._nameless.add(self)
        self._patience = asyncio.get_running_loop().call_later(_HANDSHAKE_S, self._silent)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY and frame.fin:
            if self._leg is None:
                self._early.append(frame.get_payload_as_bytes())
            else:
                self._leg.sound(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT and frame.fin:
            self._event(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            self._break("a message in pieces")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._named()
        if self._leg is not None:
            self._leg.close("hangup")
        self._transport = None

    def pause_writing(self) -> None:
        """The switch has not read for many seconds: it will not play this call any more."""
        self._counts.stalled += 1
        if self._leg is not None:
            self._leg.close("stalled")

    def resume_writing(self) -> None:
        pass

    def _event(self, text: bytes) -> None:
        leg = self._leg
        match asterisk.read_event(text):
            case Started() as started:
                self._started(started)
            case Garbled(why):
                self._break(why)
            case event if leg is not None:
                self._told(leg, event)

    def _told(self, leg: Leg, event: asterisk.Event) -> None:
        match event:
            case Marked(id):
                if id.isascii() and id.isdigit():
                    leg.confirmed(int(id))
            case Status(queued):
                leg.frozen(queued)
            case Pressed(digit):
                leg.pressed(digit)
            case Flow(is_open):
                leg.flow(is_open)
            case Refused(why):
                _log.warning("media_command_refused", why=why)

    def _started(self, started: Started) -> None:
        if self._leg is None:
            expected = self._door.admit(started.token)
            if expected is None:
                self._refuse("unknown or used token" if started.token else _NO_MARK)
                return
            self._leg = self._opened(expected)
        codec = self._leg.codec
        if (started.codec, started.frame_bytes) != (codec.asterisk, codec.frame_bytes):
            self._break(f"the channel has {started.codec[:16]}, asked for was {codec.asterisk}")
            return
        if started.unbuffered:
            self._leg.unbuffered()
        while self._early:
            self._leg.sound(self._early.popleft())

    def _opened(self, expected: Expected) -> Leg:
        self._named()
        assert self._transport is not None
        leg = Leg(expected.codec, expected.ear, self, self._yard, direct=False)
        leg.opened(self._transport.underlying_transport.get_extra_info("socket").fileno())
        return leg

    def _named(self) -> None:
        self._nameless.discard(self)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _silent(self) -> None:
        self._counts.refused += 1
        self._refuse("it says nothing")

    def _refuse(self, why: str) -> None:
        _log.warning("media_refused", why=why)
        self._named()
        self.hang_up()
        self.drop()

    def _break(self, why: str) -> None:
        _log.warning("media_protocol", why=why)
        self._counts.broken += 1
        if self._leg is None:
            self._refuse(why)
        else:
            self._leg.close("protocol")

    # ------------------------------------------------------------ to the switch

    def frame(self, sound: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.BINARY, sound)

    def probe(self, number: int) -> None:
        self._command(asterisk.mark(str(number)))

    def freeze(self) -> None:
        for command in asterisk.FREEZE:
            self._command(command)

    def answer(self) -> None:
        self._command(asterisk.ANSWER)

    def hang_up(self) -> None:
        self._command(asterisk.HANGUP)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _command(self, text: str) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, text)
