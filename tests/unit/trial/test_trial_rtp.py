"""RTP packets and what a capture sounds like."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trial import audio, rtp

pytestmark = pytest.mark.unit


def stream(
    pcm: bytes, *, source: int = 1, timestamp: int = 0, at: float = 0.0, drop: tuple[int, ...] = ()
) -> list[rtp.Packet]:
    encoded = audio.ulaw_encode(pcm)
    frames = [encoded[i : i + 160] for i in range(0, len(encoded), 160)]
    return [
        rtp.Packet(0, n, (timestamp + 160 * n) % 2**32, source, frame, at=at + 0.02 * n)
        for n, frame in enumerate(frames)
        if n not in drop
    ]


@given(
    st.integers(0, 127),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=200),
    st.booleans(),
)
def test_packet_round_trip(kind: int, sequence: int, timestamp: int, payload: bytes, marker: bool) -> None:
    packet = rtp.Packet(kind, sequence, timestamp, 77, payload, marker, at=1.0)
    read = rtp.unpack(rtp.pack(packet), 1.0)
    if 72 <= kind <= 79 and marker:
        assert read is None  # would be RTCP (RFC 5761 section 4)
    else:
        assert read == packet


def test_extension_and_padding_are_not_audio() -> None:
    head = bytes([0x80 | 0x10 | 0x20, 0, 0, 1]) + bytes(8)
    datagram = head + b"\xbe\xde\x00\x01" + b"ext!" + b"AUDIO" + b"\x00\x00\x03"
    read = rtp.unpack(datagram, 0.0)
    assert read is not None
    assert read.payload == b"AUDIO"


@given(st.binary(max_size=40))
def test_any_datagram_is_a_packet_or_nothing(datagram: bytes) -> None:
    rtp.unpack(datagram, 0.0)


def test_order_and_loss_do_not_move_the_rest() -> None:
    sound = audio.tone(440, 0.2)
    packets = stream(sound, drop=(3,))
    packets[5], packets[6] = packets[6], packets[5]
    heard = rtp.assemble(packets)
    assert len(heard) == len(sound)
    assert heard[2 * 480 : 2 * 640] == bytes(320)
    assert heard[2 * 640 :] == audio.ulaw_decode(audio.ulaw_encode(sound))[2 * 640 :]


def test_timestamp_wrap_is_not_a_jump() -> None:
    sound = audio.tone(440, 0.2)
    assert rtp.assemble(stream(sound, timestamp=2**32 - 320)) == rtp.assemble(stream(sound))


def test_what_was_read_late_sounds_as_it_was_sent() -> None:
    """Whoever listens was held up for two seconds, and read the rest at once; one packet was lost then."""
    sound = audio.tone(440, 4.0)
    packets = stream(sound, drop=(120,))
    late = [replace(packet, at=max(packet.at, 3.0)) if packet.at > 1.0 else packet for packet in packets]
    assert rtp.assemble(late) == rtp.assemble(packets)


def test_a_tone_between_silences_is_not_lost_where_it_was_read_late() -> None:
    """Each begins with a jump of the timestamp that the numbers of the packets do not tell of."""
    parts = [audio.tone(440, 1.0), audio.tone(880, 0.4), audio.tone(440, 1.0)]
    packets: list[rtp.Packet] = []
    for part in parts:
        behind = packets[-1].timestamp + 240 if packets else 0
        for packet in stream(part, timestamp=behind):
            packets.append(replace(packet, sequence=len(packets), at=max(0.9, 0.02 * len(packets), 2.3)))
    packets = [replace(packets[0], at=0.0), *packets[1:]]
    assert audio.tone_seconds(rtp.assemble(packets), 880) >= 0.3


def test_a_new_source_lies_where_it_arrived() -> None:
    first, second = audio.tone(440, 0.1), audio.tone(880, 0.1)
    heard = rtp.assemble(stream(first) + stream(second, source=2, timestamp=999_999, at=0.5))
    assert len(heard) == 2 * 8000 * 6 // 10
    assert audio.tone_share(heard[-1600:], 880) > 0.9


@pytest.mark.parametrize("digit", "0159*#ABCD")
def test_a_digit_is_heard_once(digit: str) -> None:
    payloads = rtp.event_payloads(digit)
    packets = [rtp.Packet(101, n, 800, 1, payload) for n, payload in enumerate(payloads)]
    assert rtp.digits_in(packets, 101) == digit
    assert rtp.digits_in(packets, 96) == ""


def test_what_is_not_a_digit_is_refused() -> None:
    with pytest.raises(ValueError):
        rtp.event_payloads("x")


async def test_what_has_arrived_is_heard_before_the_end() -> None:
    """The loop has not come to read it yet, and the call ends."""
    stream = rtp.RtpStream(1)
    await stream.open("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(3):
            sent = rtp.pack(rtp.Packet(0, number, 160 * number, 7, bytes(160)))
            sender.sendto(sent, ("127.0.0.1", stream.port))
    stream.close()
    assert [packet.sequence for packet in stream.packets] == [0, 1, 2]
