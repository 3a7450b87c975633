"""Lines over WebSockets: the handshake, TLS, and agents that do as they like."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket as socket_module
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from telephony.errors import AgentUnavailable, InvalidInput, Unavailable
from tests.rig import agents_bad
from tests.rig.agent_lines import BEGIN, SOON_S, Ear, ready, to_loopback
from tests.rig.agent_servers import Behaviour, Socket, serving, silent
from tests.rig.certificates import Authority, make_authority
from tests.rig.conversations import spec_of
from voice_agents.core.agent import AgentSpec, Auth, DialectName
from voice_agents.core.audio import Codec
from voice_agents.core.talk import (
    Ack,
    Answered,
    Audio,
    CallerAudio,
    Clear,
    Digit,
    FlowPaused,
    HangUp,
    Interrupted,
    Malformed,
    Mark,
    MarkReached,
    Ready,
    Words,
)
from voice_agents.fakes_lines import FakeLines
from voice_agents.lines.socket_line import ByDialect, LineLimits, Reach, SocketLines
from voice_agents.ports import AgentLine
from voice_agents.wire import handshake

pytestmark = pytest.mark.contract

LIMITS = LineLimits(connect_s=SOON_S, close_s=0.1)
QUICK = LineLimits(connect_s=SOON_S, close_s=0.1, behind_s=0.05, stuck_s=0.4, ping_s=0.05, check_s=0.02)
KEEPS_UP = replace(QUICK, behind_s=SOON_S)
"""For agents that take all they are sent, however slowly that goes here."""


@pytest.fixture
def ear() -> Ear:
    return Ear()


def lines_to(
    reach: Reach = to_loopback, limits: LineLimits = LIMITS, tls: ssl.SSLContext | None = None
) -> SocketLines:
    return SocketLines(reach, wall=time.time, limits=limits, tls=tls)


def agent_at(url: str, **more: object) -> AgentSpec:
    return replace(spec_of({"dialect": "native", "url": url}), **more)  # type: ignore[arg-type]


@asynccontextmanager
async def talking(
    behaviour: Behaviour, ear: Ear, limits: LineLimits = LIMITS, dialect: str = "native"
) -> AsyncIterator[tuple[AgentLine, Callable[[], Socket]]]:
    async with serving(behaviour) as server:
        spec = agent_at(server.url, dialect=DialectName(dialect))
        line = await lines_to(limits=limits).open(spec, BEGIN, ear)
        yield line, lambda: server.sockets[-1]
        await line.close()


# ---------------------------------------------------------------- the handshake


async def test_the_handshake_is_signed_for_this_session_and_address(ear: Ear):
    async with serving(silent) as server:
        spec = agent_at(server.url, auth=Auth("hmac", "s3cret"))
        line = await lines_to().open(spec, BEGIN, ear)
        headers = server.sockets[0].headers
        signed = headers[handshake.SIGNATURE.lower()]
        assert handshake.proves(signed, "s3cret", BEGIN.session_id, server.url, time.time())
        assert headers[handshake.SESSION.lower()] == BEGIN.session_id
        assert "sec-websocket-extensions" not in headers
        await line.close()


async def test_the_name_in_the_address_is_not_looked_up(ear: Ear):
    asked: list[str] = []

    async def vetted(url: str) -> list[str]:
        asked.append(url)
        return ["127.0.0.1"]

    async with serving(silent) as server:
        url = server.url.replace("127.0.0.1", "agents.invalid")
        line = await lines_to(vetted).open(agent_at(url), BEGIN, ear)
        assert asked == [url]
        assert server.sockets[0].headers["host"] == f"agents.invalid:{server.port}"
        await line.close()


async def test_the_next_address_is_tried_where_one_is_dead(ear: Ear):
    async def vetted(url: str) -> list[str]:
        return ["127.0.0.77", "127.0.0.1"]

    async with serving(silent) as server:
        line = await lines_to(vetted).open(agent_at(server.url), BEGIN, ear)
        await line.close()


@pytest.mark.parametrize(
    ("raised", "why"), [(InvalidInput("a private address"), "forbidden"), (Unavailable("no name"), "refused")]
)
async def test_an_address_that_may_not_be_reached_is_not(ear: Ear, raised: Exception, why: str):
    async def never(url: str) -> list[str]:
        raise raised

    async with serving(silent) as server:
        with pytest.raises(AgentUnavailable) as caught:
            await lines_to(never).open(agent_at(server.url), BEGIN, ear)
        assert caught.value.why == why
        assert server.sockets == []


async def test_an_address_that_leads_nowhere(ear: Ear):
    async def empty(url: str) -> list[str]:
        return []

    with pytest.raises(AgentUnavailable, match="leads nowhere"):
        await lines_to(empty).open(agent_at("ws://agent.test/"), BEGIN, ear)


async def until(said: Callable[[], bool]) -> None:
    """Asks again and again, 200 times a second, until it is so."""
    async with asyncio.timeout(SOON_S):
        while not said():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def answering(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A TCP server with its own idea of a handshake; its address."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("503 Service Unavailable", ""),
        ("401 Unauthorized", ""),
        ("302 Found", "Location: ws://127.0.0.1:1/\r\n"),
    ],
)
async def test_any_other_answer_than_yes_is_no(ear: Ear, status: str, more: str):
    async def no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\n\r\n".encode())
        writer.close()

    async with answering(no) as url:
        with pytest.raises(AgentUnavailable, match=f"answered {status[:3]}") as caught:
            await lines_to().open(agent_at(url), BEGIN, ear)
    assert caught.value.why == "refused"


async def test_a_server_that_says_nothing_is_not_waited_for(ear: Ear):
    came, went = 0, 0

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came, went
        came += 1
        while await reader.read(65536):
            pass
        went += 1
        writer.close()

    async with answering(nothing) as url:
        with pytest.raises(AgentUnavailable) as caught:
            await lines_to(limits=LineLimits(connect_s=0.1)).open(agent_at(url), BEGIN, ear)
        assert caught.value.why == "timeout"
        await until(lambda: came == went)


async def test_whoever_does_not_wait_leaves_nothing_open(ear: Ear):
    asked, gone = asyncio.Event(), asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.set()
        writer.write(accepted(request))
        await reader.read()
        gone.set()
        writer.close()

    async with answering(late) as url:
        opening = asyncio.create_task(lines_to().open(agent_at(url), BEGIN, ear))
        async with asyncio.timeout(SOON_S):
            await asked.wait()
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            await opening.result().close()
        async with asyncio.timeout(SOON_S):
            await gone.wait()


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"), "the-authority")


def serving_tls(authority: Authority, address: str) -> ssl.SSLContext:
    files = authority.issue(address)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    return context


def believing(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


async def test_a_certificate_that_is_right(authority: Authority, ear: Ear):
    async with serving(ready, serving_tls(authority, "127.0.0.1")) as server:
        line = await lines_to(tls=believing(authority.file)).open(agent_at(server.url), BEGIN, ear)
        assert await ear.next() == Ready()
        assert line.tell(CallerAudio(bytes(160), 0)) is True
        await server.sockets[0].event("session.begin")
        assert await server.sockets[0].next() == bytes(160)
        await line.close()


async def test_a_certificate_of_somebody_else(authority: Authority, ear: Ear):
    async with serving(silent, serving_tls(authority, "127.0.0.9")) as server:
        with pytest.raises(AgentUnavailable, match="not to be trusted"):
            await lines_to(tls=believing(authority.file)).open(agent_at(server.url), BEGIN, ear)
        assert server.sockets == []


async def test_a_certificate_that_nobody_knows(authority: Authority, ear: Ear):
    async with serving(silent, serving_tls(authority, "127.0.0.1")) as server:
        with pytest.raises(AgentUnavailable, match="not to be trusted"):
            await lines_to().open(agent_at(server.url), BEGIN, ear)
        assert server.sockets == []


# ---------------------------------------------------------------- messages


def accepted(request: bytes) -> bytes:
    """The answer to a handshake (RFC 6455, 4.2.2)."""
    key = next(
        line.split(b": ")[1] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")
    )
    proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return upgrade + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"


def frame(first: int, payload: bytes) -> bytes:
    """A frame of a server: ``first`` is its first octet."""
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return bytes([first]) + size + payload


async def said_by_raw(ear: Ear, octets: bytes, limits: LineLimits = LIMITS) -> bytes:
    """Opens a line to a server that sends these octets together with its handshake; what it is sent."""
    taken = bytearray()
    done = asyncio.Event()

    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accepted(await reader.readuntil(b"\r\n\r\n")) + octets)
        while chunk := await reader.read(65536):
            taken.extend(chunk)
        done.set()
        writer.close()

    async with answering(raw) as url:
        line = await lines_to(limits=limits).open(agent_at(url), BEGIN, ear)
        await ear.next()
        await line.close()
        async with asyncio.timeout(SOON_S):
            await done.wait()
    return bytes(taken)


async def test_what_comes_with_the_handshake_is_not_lost(ear: Ear):
    await said_by_raw(ear, frame(0x81, b'{"type":"session.ready"}') + frame(0x82, b"abcd"))
    assert await ear.next() == Audio(b"abcd")


async def test_a_message_in_pieces_is_one(ear: Ear):
    pieces = (
        frame(0x01, b'{"type":"say",')
        + frame(0x89, b"ping")
        + frame(0x00, b'"text":')
        + frame(0x80, b'"hi"}')
    )
    await said_by_raw(ear, frame(0x81, b'{"type":"session.ready"}') + pieces)
    assert await ear.next() == Words("hi")


@pytest.mark.parametrize(
    "octets",
    [
        frame(0xC1, b"deflated"),
        frame(0x80, b"no beginning"),
        frame(0x01, b"one") + frame(0x81, b"another"),
        frame(0x81, b"\xff\xfe"),
        frame(0x01, bytes(900)) + frame(0x80, bytes(200)),
        frame(0x82, bytes(1001)),
        frame(0x83, b"no such kind"),
    ],
    ids=["compressed", "unbegun", "interleaved", "not UTF-8", "long in pieces", "long", "unknown kind"],
)
async def test_what_is_no_websocket_ends_the_line(ear: Ear, octets: bytes):
    await said_by_raw(ear, octets, replace(LIMITS, message_bytes=1000))
    assert ear.loss == "closed"
    assert ear.heard.empty()


# ---------------------------------------------------------------- the end


async def test_an_agent_that_is_gone_before_it_was_told_anything_was_never_reached(ear: Ear):
    async def nobody(socket: Socket) -> None:
        socket.cut()

    async with serving(nobody) as server:
        with pytest.raises(AgentUnavailable):
            await lines_to().open(agent_at(server.url), BEGIN, ear)
    assert ear.heard.empty()


async def test_an_agent_that_closes_in_good_order_has_hung_up(ear: Ear):
    async def brief(socket: Socket) -> None:
        await socket.event("session.begin")
        socket.send({"type": "session.ready"})

    async with talking(brief, ear) as (line, _):
        assert [await ear.next() for _ in range(3)] == [Ready(), HangUp("closed"), Ack()]
        assert line.tell(Digit("1", 0)) is False
    assert ear.heard.empty()


@pytest.mark.parametrize("code", [1001, 1011, 4000])
async def test_an_agent_that_closes_otherwise_is_lost(ear: Ear, code: int):
    async def faulty(socket: Socket) -> None:
        await socket.event("session.begin")
        socket.send({"type": "session.ready"})
        socket.close(code)

    async with talking(faulty, ear) as (line, _):
        assert [await ear.next() for _ in range(2)] == [Ready(), "closed"]
        assert line.tell(Digit("1", 0)) is False
    assert ear.heard.empty()


async def test_a_model_that_closes_is_lost(ear: Ear):
    async def expired(socket: Socket) -> None:
        await socket.event("session.update")
        socket.send({"type": "session.updated"})

    async with talking(expired, ear, dialect="openai"):
        assert [await ear.next() for _ in range(2)] == [Ready(), "closed"]


async def test_a_model_that_refuses_is_lost(ear: Ear):
    async def refusing(socket: Socket) -> None:
        socket.send({"type": "error", "error": {"type": "x", "code": "invalid_value", "message": "no"}})
        await socket.gone.wait()

    async with talking(refusing, ear, dialect="openai"):
        assert await ear.next() == "refused"


async def test_an_agent_without_a_word_for_ready_is_ready_at_once(ear: Ear):
    async with talking(silent, ear, dialect="twilio") as (_, socket):
        assert await ear.next() == Ready()
        await socket().event("connected", key="event")


@pytest.mark.parametrize("code", [1000, 4400, 4408, 4413])
async def test_the_agent_is_told_why(ear: Ear, code: int):
    async with serving(ready) as server:
        line = await lines_to().open(agent_at(server.url), BEGIN, ear)
        await line.close(code)
        async with asyncio.timeout(SOON_S):
            await server.sockets[0].gone.wait()
        assert server.sockets[0].closed == code


async def test_an_agent_that_does_not_say_goodbye_is_not_waited_for(ear: Ear):
    limits = LineLimits(connect_s=SOON_S, close_s=0.05)
    async with serving(agents_bad.half_open) as server:
        line = await lines_to(limits=limits).open(agent_at(server.url), BEGIN, ear)
        async with asyncio.timeout(SOON_S):
            await line.close()
    assert ear.heard.empty()


# ---------------------------------------------------------------- agents that do not keep up


@pytest.mark.parametrize("behaviour", [agents_bad.stopped, agents_bad.half_open])
async def test_whoever_reads_nothing_loses_sound_and_then_the_line(ear: Ear, behaviour: Behaviour):
    """The kernel takes what is sent for seconds: only the pings show that nobody reads."""
    async with talking(behaviour, ear, QUICK) as (line, _):
        told: list[bool] = []

        def gone() -> bool:
            told.append(line.tell(CallerAudio(bytes(160), len(told) * 20)))
            return ear.loss != ""

        line.tell(Answered())
        await until(gone)
    assert ear.loss == "stuck"
    assert told[0] is True
    assert told[-1] is False


async def test_words_are_not_dropped_where_sound_is(ear: Ear):
    async with talking(agents_bad.stopped, ear, replace(QUICK, stuck_s=60.0)) as (line, _):
        assert line.tell(Answered()) is True
        await until(lambda: not line.tell(CallerAudio(bytes(160), 0)))
        assert line.tell(Digit("2", 20)) is True


async def test_a_line_that_is_full_is_given_up(ear: Ear):
    limits = replace(QUICK, stuck_s=60.0, backlog_bytes=100_000)
    async with talking(agents_bad.half_open, ear, limits) as (line, _):
        fault = Digit("1" * 60_000, 0)
        await until(lambda: not line.tell(fault))
        assert await ear.next() == "stuck"


async def test_whoever_catches_up_hears_again(ear: Ear):
    halt, go = asyncio.Event(), asyncio.Event()

    async def napping(socket: Socket) -> None:
        socket.send({"type": "session.ready"})
        await halt.wait()
        socket.transport.underlying_transport.pause_reading()
        await go.wait()
        socket.transport.underlying_transport.resume_reading()
        await socket.gone.wait()

    async with talking(napping, ear, replace(QUICK, stuck_s=60.0)) as (line, _):
        assert await ear.next() == Ready()
        await until(lambda: line.tell(CallerAudio(bytes(160), 0)))
        halt.set()
        await until(lambda: not line.tell(CallerAudio(bytes(160), 0)))
        go.set()
        await until(lambda: line.tell(CallerAudio(bytes(160), 0)))
    assert ear.heard.empty()


async def test_a_flood_is_read_no_faster_than_a_breath_allows(ear: Ear):
    """And everything of it arrives, in its order."""
    count = 3_000

    async def flood(socket: Socket) -> None:
        socket.send({"type": "session.ready"})
        await socket.event("dtmf")
        for number in range(count):
            socket.send(struct.pack(">I316x", number))
        await socket.gone.wait()

    limits = LineLimits(connect_s=SOON_S, breath_s=0.05, breath_messages=500)
    async with talking(flood, ear, limits) as (line, _):
        assert await ear.next() == Ready()
        loop = asyncio.get_running_loop()
        began = loop.time()
        line.tell(Digit("1", 0))
        heard = [await ear.next() for _ in range(count)]
        assert loop.time() - began >= 3 * 0.05
    assert heard == [Audio(struct.pack(">I316x", number)) for number in range(count)]


async def test_whoever_is_not_answered_while_this_side_stands_still_is_not_lost(ear: Ear):
    halt = asyncio.Event()

    async def napping(socket: Socket) -> None:
        socket.send({"type": "session.ready"})
        await halt.wait()
        socket.transport.underlying_transport.pause_reading()
        await socket.gone.wait()

    async with talking(napping, ear, QUICK) as (line, socket):
        assert await ear.next() == Ready()
        halt.set()
        await until(lambda: not line.tell(CallerAudio(bytes(160), 0)))
        time.sleep(2 * QUICK.stuck_s)  # noqa: ASYNC251  # why: nobody here can do anything meanwhile
        socket().transport.underlying_transport.resume_reading()
        await until(lambda: line.tell(CallerAudio(bytes(160), 0)))
    assert ear.loss == ""


async def test_nonsense_is_reported_and_the_line_goes_on(ear: Ear):
    async with talking(agents_bad.malformed, ear) as (line, _):
        assert await ear.next() == Ready()
        line.tell(Answered())
        assert isinstance(await ear.next(), Malformed)
        assert line.tell(Digit("1", 0)) is True


@pytest.mark.parametrize("dialect", ["twilio", "openai"])
async def test_who_has_no_word_for_a_pause_is_not_read(ear: Ear, dialect: str):
    """For longer than an agent may be silent: it cannot be known to be dead meanwhile, and is not."""
    key, update = ("event", "connected") if dialect == "twilio" else ("type", "session.update")
    sound = base64.b64encode(bytes(160)).decode()
    delta = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": sound}
    piece = {"event": "media", "media": {"payload": sound}} if dialect == "twilio" else delta

    async def fluent(socket: Socket) -> None:
        await socket.event(update, key=key)
        if dialect == "openai":
            socket.send({"type": "session.updated"})
        await go.wait()
        for _ in range(3):
            socket.send(piece)
        sent.set()
        await socket.gone.wait()

    go, sent = asyncio.Event(), asyncio.Event()
    async with talking(fluent, ear, KEEPS_UP, dialect) as (line, _):
        assert await ear.next() == Ready()
        assert line.tell(FlowPaused(True)) is True
        go.set()
        await sent.wait()
        await asyncio.sleep(2 * QUICK.stuck_s)
        assert ear.heard.empty()
        assert line.tell(CallerAudio(bytes(160), 0)) is True
        line.tell(FlowPaused(False))
        assert [await ear.next() for _ in range(3)] == [Audio(bytes(160))] * 3
        await asyncio.sleep(2 * QUICK.stuck_s)
        assert ear.loss == ""


async def heard_until(ear: Ear, holds: Callable[[int, Any], bool]) -> int:
    """How much sound, in milliseconds, comes before this holds."""
    ms = 0
    while True:
        said = await ear.next()
        ms += Codec.ULAW.ms(len(said.data)) if isinstance(said, Audio) else 0
        if holds(ms, said):
            return ms


async def test_a_minute_in_one_message_is_heard_to_its_end_though_the_agent_has_gone(ear: Ear):
    async def prompt(socket: Socket) -> None:
        await socket.event("connected", key="event")
        for _ in range(2):
            sound = base64.b64encode(bytes(8 * 30_000)).decode()
            socket.send({"event": "media", "media": {"payload": sound}})
        socket.send({"event": "mark", "mark": {"name": "end"}})

    limits = replace(
        KEEPS_UP, ping_s=SOON_S
    )  # why: who has closed answers no ping, and cuts off whoever sends
    async with talking(prompt, ear, limits, dialect="twilio") as (line, socket):
        assert await heard_until(ear, lambda ms, _: ms >= 24_000) == 24_000
        line.tell(FlowPaused(True))
        async with asyncio.timeout(SOON_S):
            await socket().gone.wait()
        await asyncio.sleep(5 * QUICK.check_s)
        assert ear.heard.qsize() <= 2
        assert line.tell(CallerAudio(bytes(160), 0)) is True
        assert line.tell(Digit("1", 0)) is False
        line.tell(FlowPaused(False))
        assert await heard_until(ear, lambda _, said: said == Mark("end")) == 36_000
        assert [await ear.next(), await ear.next()] == [HangUp("closed"), Ack()]
        assert line.tell(CallerAudio(bytes(160), 0)) is False
        assert ear.loss == ""


@pytest.mark.parametrize("cleared_by", ["the agent", "the caller"])
async def test_what_waits_is_dropped_when_it_is_cleared(ear: Ear, cleared_by: str):
    async def story(socket: Socket) -> None:
        await socket.event("start", key="event")
        sound = base64.b64encode(bytes(8 * 30_000)).decode()
        socket.send({"event": "media", "media": {"payload": sound}})
        socket.send({"event": "mark", "mark": {"name": "end"}})
        await socket.event("mark", key="event")
        socket.send({"event": "clear"} if cleared_by == "the agent" else "nonsense, which is told at once")
        await socket.gone.wait()

    async with talking(story, ear, dialect="twilio") as (line, _):
        assert await ear.next() == Ready()
        line.tell(FlowPaused(True))
        line.tell(Answered())
        line.tell(MarkReached("sent"))
        if cleared_by == "the caller":
            assert isinstance(await ear.next(), Malformed)
            line.tell(Interrupted(0, ""))
        assert await ear.next() == Mark("end")
        if cleared_by == "the agent":
            assert await ear.next() == Clear()
        line.tell(FlowPaused(False))
        await asyncio.sleep(0.1)
        assert ear.heard.empty()


async def test_more_than_can_wait_is_not_read(ear: Ear):
    async def endless(socket: Socket) -> None:
        await socket.event("connected", key="event")
        await socket.gone.wait()

    limits = replace(QUICK, waiting_bytes=100_000)
    async with talking(endless, ear, limits, dialect="twilio") as (line, socket):
        assert await ear.next() == Ready()
        line.tell(FlowPaused(True))
        media = {"event": "media", "media": {"payload": base64.b64encode(bytes(8_000)).decode()}}
        transport = socket().transport.underlying_transport
        plug = transport.get_extra_info("socket")
        plug.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_SNDBUF, 65_536)
        for _ in range(500):
            socket().send(media)
        await asyncio.sleep(2 * limits.stuck_s)
        assert transport.get_write_buffer_size() > 1_000_000
        assert ear.heard.empty()
        line.tell(FlowPaused(False))
        assert await heard_until(ear, lambda ms, _: ms >= 500_000) == 500_000
        assert transport.get_write_buffer_size() == 0


async def test_who_has_a_word_for_a_pause_is_read_on(ear: Ear):
    async def deaf(socket: Socket) -> None:
        socket.send({"type": "session.ready"})
        await socket.event("flow.pause")
        socket.send(bytes(160))
        await socket.gone.wait()

    async with talking(deaf, ear) as (line, _):
        assert await ear.next() == Ready()
        line.tell(FlowPaused(True))
        assert await ear.next() == Audio(bytes(160))


async def test_a_line_that_is_not_read_can_be_closed(ear: Ear):
    async with serving(silent) as server:
        line = await lines_to().open(agent_at(server.url, dialect=DialectName.TWILIO), BEGIN, ear)
        line.tell(FlowPaused(True))
        await line.close(4413)
        async with asyncio.timeout(SOON_S):
            await server.sockets[0].gone.wait()
        assert server.sockets[0].closed == 4413


async def test_a_call_that_the_dialect_cannot_name_is_not_begun(ear: Ear):
    async with serving(silent) as server:
        spec = agent_at(server.url, dialect=DialectName.TWILIO)
        with pytest.raises(AgentUnavailable, match="not the id of a call") as caught:
            await lines_to().open(spec, replace(BEGIN, call_id="7"), ear)
        assert caught.value.why == "forbidden"
        async with asyncio.timeout(SOON_S):
            await server.sockets[0].gone.wait()
    assert ear.heard.empty()


# ---------------------------------------------------------------- several kinds


async def test_each_dialect_has_its_lines(ear: Ear):
    ours, theirs = FakeLines(), FakeLines()
    lines = ByDialect({DialectName.BUILTIN: ours, DialectName.NATIVE: theirs})
    await lines.open(spec_of({"dialect": "builtin"}), BEGIN, ear)
    assert (len(ours.lines), len(theirs.lines)) == (1, 0)
    with pytest.raises(AgentUnavailable) as caught:
        await lines.open(spec_of({"dialect": "twilio"}), BEGIN, ear)
    assert caught.value.why == "forbidden"
