"""AudioSocket's packets."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import UnsafeValue
from voice_agents.core.audio import Codec
from voice_agents.wire.audiosocket import (
    HANG_UP,
    Broken,
    HungUp,
    Key,
    Named,
    PacketReader,
    Sound,
    dial_string,
    kind_of,
    sound_packet,
    uuid_of,
)

pytestmark = pytest.mark.unit

TOKEN = "0123456789abcdef"
NAME = bytes(range(16))
CALL = (
    (b"\x01\x00\x10" + NAME, Named(NAME)),
    (b"\x10\x01\x40" + b"\x05" * 320, Sound(0x10, b"\x05" * 320)),
    (b"\x03\x00\x01#", Key("#")),
    (b"\x10\x00\x00", Sound(0x10, b"")),
    (b"\x00\x00\x00", HungUp()),
)


def test_a_call_in_one_piece() -> None:
    assert PacketReader().feed(b"".join(wire for wire, _ in CALL)) == [packet for _, packet in CALL]


@given(st.lists(st.integers(0, 400), max_size=12))
def test_a_call_in_any_pieces(cuts: list[int]) -> None:
    stream = b"".join(wire for wire, _ in CALL)
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    reader = PacketReader()
    got = [p for a, b in itertools.pairwise(edges) for p in reader.feed(stream[a:b])]
    assert got == [packet for _, packet in CALL]


@pytest.mark.parametrize(
    "octets",
    [
        b"\x01\x00\x0f" + NAME[:15],
        b"\x03\x00\x01x",
        b"\x03\x00\x02##",
        b"\xff\x00\x01\x01",
        b"\x42\x00\x00",
        b"\x10\xff\xff",
    ],
)
def test_what_is_broken_ends_the_reading(octets: bytes) -> None:
    reader = PacketReader()
    (found,) = reader.feed(octets)
    assert isinstance(found, Broken)
    assert reader.feed(HANG_UP) == []


@given(st.lists(st.binary(max_size=400)))
def test_nothing_makes_it_raise(pieces: list[bytes]) -> None:
    reader = PacketReader()
    for piece in pieces:
        reader.feed(piece)


@pytest.mark.parametrize(
    ("codec", "kind", "name"),
    [(Codec.ULAW, 0x10, "slin"), (Codec.ALAW, 0x10, "slin"), (Codec.SLIN, 0x10, "slin"),
     (Codec.SLIN16, 0x12, "slin16"), (Codec.SLIN24, 0x13, "slin24")],
)  # fmt: skip
def test_sound_is_linear_at_the_codecs_rate(codec: Codec, kind: int, name: str) -> None:
    assert kind_of(codec) == kind
    assert dial_string(TOKEN, codec, ("127.0.0.1", 4574)).endswith(f"/c({name})")
    octets = codec.rate_hz // 50 * 2
    assert PacketReader().feed(sound_packet(kind, b"\x01" * octets)) == [Sound(kind, b"\x01" * octets)]


def test_the_uuid_stands_for_the_token_and_does_not_show_it() -> None:
    _, address, text, _ = dial_string(TOKEN, Codec.SLIN, ("127.0.0.1", 4574)).split("/")
    assert (address, uuid.UUID(text).bytes) == ("127.0.0.1:4574", uuid_of(TOKEN))
    assert TOKEN not in text
    assert uuid_of(TOKEN) != uuid_of(TOKEN + "a")


def test_only_a_token_becomes_a_uuid() -> None:
    with pytest.raises(UnsafeValue):
        uuid_of("a/b")
