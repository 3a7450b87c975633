"""Asterisk's AudioSocket: packets of one octet of kind, two octets of length (high first) and a body. Pure.

Asterisk connects, sends the call's UUID first, then sound, keys and at the end a hang-up. It takes sound
and a hang-up; anything else, and half a packet, ends its call. Source: Asterisk's page on AudioSocket, and
``res_audiosocket`` of 22.10.1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from voice_agents.core.audio import Codec
from voice_agents.wire.asterisk import MediaAbilities, check_token

HANG_UP = b"\x00\x00\x00"
ABILITIES = MediaAbilities(delays_answer=False, confirms=False)
"""Asterisk answers the channel once it is connected, and keeps no queue of which it could tell."""
_HEADER = 3
_LONGEST = 8192
"""No packet of 20 ms is longer than 3,840 octets, at 96 kHz."""
_DIGITS = frozenset("0123456789*#ABCD")
_KINDS = {8000: 0x10, 16000: 0x12, 24000: 0x13}
_LINEAR = {8000: "slin", 16000: "slin16", 24000: "slin24"}
SOUND_KINDS = frozenset(range(0x10, 0x19))


@dataclass(frozen=True, slots=True)
class Named:
    """The first packet: whose connection this is."""

    uuid: bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """Linear sound, ``kind`` says at what rate."""

    kind: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Key:
    digit: str


@dataclass(frozen=True, slots=True)
class HungUp:
    pass


@dataclass(frozen=True, slots=True)
class Broken:
    """Not AudioSocket, or an error of the switch's."""

    why: str


Packet = Named | Sound | Key | HungUp | Broken


def uuid_of(token: str) -> bytes:
    """The UUID that stands for a token, 16 octets: nobody finds the token, or another one's UUID, from it."""
    return hashlib.sha256(b"patchbay media " + check_token(token).encode()).digest()[:16]


def dial_string(token: str, codec: Codec, address: tuple[str, int]) -> str:
    """What Dial() is given. Sound is linear at the codec's rate, whatever the codec: without ``c()`` others
    would be labelled as linear."""
    text = uuid_of(token).hex()
    uuid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return f"AudioSocket/{address[0]}:{address[1]}/{uuid}/c({_LINEAR[codec.rate_hz]})"


def kind_of(codec: Codec) -> int:
    """The kind of packet in which this codec's sound travels, linear."""
    return _KINDS[codec.rate_hz]


def sound_packet(kind: int, pcm: bytes) -> bytes:
    """Header and body in one piece: a short write between them would end the call."""
    return bytes((kind, len(pcm) >> 8, len(pcm) & 0xFF)) + pcm


class PacketReader:
    """Takes octets as they come and gives whole packets. After ``Broken`` nothing more is read."""

    def __init__(self) -> None:
        self._rest = b""
        self._broken = False

    def feed(self, octets: bytes) -> list[Packet]:
        """The packets that are whole now."""
        stream = self._rest + octets if self._rest else octets
        at, packets = 0, list[Packet]()
        while not self._broken and len(stream) - at >= _HEADER:
            length = stream[at + 1] << 8 | stream[at + 2]
            if length > _LONGEST:
                packets.append(Broken("a packet is too long"))
                self._broken = True
                break
            end = at + _HEADER + length
            if len(stream) < end:
                break
            packets.append(_packet(stream[at], stream[at + _HEADER : end]))
            self._broken = isinstance(packets[-1], Broken)
            at = end
        self._rest = b"" if self._broken else stream[at:]
        return packets


def _packet(kind: int, body: bytes) -> Packet:
    if kind in SOUND_KINDS:
        return Sound(kind, body)
    if kind == 0x03:
        digit = body.decode("ascii", "replace").upper()
        return Key(digit) if len(digit) == 1 and digit in _DIGITS else Broken("not a key")
    if kind == 0x00:
        return HungUp()
    if kind == 0x01:
        return Named(body) if len(body) == 16 else Broken("not a UUID")
    return Broken("the switch told an error" if kind == 0xFF else "a packet of no known kind")
