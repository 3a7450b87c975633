"""Attachments of texts: only what is known to be harmless, without where and with what it was made, and
under a name that says nothing.

The type is read from the bytes, never from what a carrier calls them. A JPEG keeps its picture and loses
every application segment and comment but JFIF and Adobe's colour transform (EXIF, XMP, GPS, IPTC, ICC,
thumbnails, maker notes), and whatever follows its end; how it is turned is written anew, alone. A PNG keeps
the chunks that draw it; a GIF its frames, its loop count and nothing else. What is not of this shape is
refused: we do not guess at broken files.
JPEG: ITU-T T.81 Annex B; Exif 2.3 §4.6.2; PNG: www.w3.org/TR/png-3 §11;
GIF89a: www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from proxy_pool.texts.ports import MediaUnfit

MAX_BYTES: Final = 5_000_000
"""The largest attachment; the usual limit of carriers (Twilio: 5 MB for pictures)."""
MAX_SIDE: Final = 20_000
"""Pixels; a larger picture is a bomb for whoever opens it."""
MAX_PIXELS: Final = 100_000_000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs"}
    | {b"acTL", b"fcTL", b"fdAT"}
)
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length: TEM, RST0 to RST7."""
_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOS, _EOI, _COM, _APP0, _APP1, _APP14 = 0xDA, 0xD9, 0xFE, 0xE0, 0xE1, 0xEE
_ORIENTATION: Final = 0x0112
_EXIF: Final = b"Exif\0\0"
_IFD_ENTRIES: Final = 64


@dataclass(frozen=True, slots=True)
class Clean:
    """An attachment that may be relayed. ``suffix`` is for its file's name."""

    content_type: str
    suffix: str
    content: bytes = field(repr=False)


def scrub(content: bytes, *, most: int = MAX_BYTES) -> Clean:
    """The attachment without what it tells besides the picture. Raises MediaUnfit, saying why."""
    if len(content) > most:
        raise MediaUnfit("too_big")
    if content.startswith(_PNG):
        return Clean("image/png", ".png", _png(content))
    if content.startswith(b"\xff\xd8\xff"):
        return Clean("image/jpeg", ".jpg", _jpeg(content))
    if content[:6] in {b"GIF87a", b"GIF89a"}:
        return Clean("image/gif", ".gif", _gif(content))
    raise MediaUnfit("type_not_allowed")


def _checked(width: int, height: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise MediaUnfit("picture_too_large")


# ------------------------------------------------------------ JPEG


def _jpeg(content: bytes) -> bytes:
    """Segment by segment; the coded picture is copied as it is, up to the end of the image."""
    out = bytearray(b"\xff\xd8")
    at, framed, turned = 2, False, False
    while True:
        marker, at = _marker(content, at)
        if marker == _EOI:
            break
        if marker in _JPEG_ALONE:
            continue
        segment = _segment(content, at)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", segment[3:7]) if len(segment) >= 8 else (0, 0)
            _checked(width, height)
            framed = True
        if marker == _APP1 and not turned and (turn := _orientation(segment)):
            out += _turned(turn)
            turned = True
        if not _is_dropped(marker, segment):
            out += bytes((0xFF, marker)) + segment
        at += len(segment)
        if marker == _SOS:
            end = _end_of_scan(content, at)
            out += content[at:end]
            at = end
    if not framed:
        raise MediaUnfit("broken")
    return bytes(out + b"\xff\xd9")


def _orientation(segment: bytes) -> int:
    """How EXIF says the picture is to be turned, 2 to 8; 0 where it says nothing, or nothing sensible."""
    tiff = segment[8:]
    if segment[2:8] != _EXIF or tiff[:4] not in {b"II*\0", b"MM\0*"}:
        return 0
    order = "<" if tiff[:1] == b"I" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(min(entries, _IFD_ENTRIES)):
            tag, kind, many, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * entry)
            if (tag, kind, many) == (_ORIENTATION, 3, 1):
                return int(value) if 2 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0


def _turned(orientation: int) -> bytes:
    """An EXIF segment that says this and nothing else."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    content = _EXIF + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    return bytes((0xFF, _APP1)) + struct.pack(">H", len(content) + 2) + content


def _marker(content: bytes, at: int) -> tuple[int, int]:
    """The marker at ``at`` (fill bytes may come before it), and what follows it."""
    if at >= len(content) or content[at] != 0xFF:
        raise MediaUnfit("broken")
    while at < len(content) and content[at] == 0xFF:
        at += 1
    if at >= len(content) or content[at] in {0x00, 0xD8}:
        raise MediaUnfit("broken")
    return content[at], at + 1


def _segment(content: bytes, at: int) -> bytes:
    """A segment from its length field on."""
    if at + 2 > len(content):
        raise MediaUnfit("broken")
    length = int.from_bytes(content[at : at + 2], "big")
    if length < 2 or at + length > len(content):
        raise MediaUnfit("broken")
    return content[at : at + length]


def _is_dropped(marker: int, segment: bytes) -> bool:
    """Comments and application segments tell about the maker; JFIF (without its thumbnail) and Adobe's
    colour transform tell how to draw."""
    if marker == _COM:
        return True
    if not _APP0 <= marker <= 0xEF:
        return False
    jfif = marker == _APP0 and segment[2:7] == b"JFIF\0" and len(segment) == 16
    adobe = marker == _APP14 and segment[2:7] == b"Adobe" and len(segment) == 14
    return not (jfif or adobe)


def _end_of_scan(content: bytes, at: int) -> int:
    """Where the coded picture ends: at the first marker that is neither a stuffed byte nor a restart."""
    while True:
        at = content.find(b"\xff", at)
        if at == -1 or at + 1 >= len(content):
            raise MediaUnfit("broken")
        following = content[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0x00 or following in _JPEG_ALONE:
            at += 2
        else:
            return at


# ------------------------------------------------------------ PNG


def _png(content: bytes) -> bytes:
    """Chunk by chunk, with their checksums as they are."""
    out = bytearray(_PNG)
    at, seen_data = len(_PNG), False
    first = True
    while True:
        if at + 12 > len(content):
            raise MediaUnfit("broken")
        length = int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content) or first != (kind == b"IHDR"):
            raise MediaUnfit("broken")
        if first:
            if length != 13:
                raise MediaUnfit("broken")
            _checked(*struct.unpack(">II", content[at + 8 : at + 16]))
        if kind in _PNG_KEPT:
            out += content[at:end]
        elif not kind[0] & 0x20:
            raise MediaUnfit("broken")  # a critical chunk that nobody knows
        seen_data |= kind == b"IDAT"
        first, at = False, end
        if kind == b"IEND":
            break
    if not seen_data:
        raise MediaUnfit("broken")
    return bytes(out)


# ------------------------------------------------------------ GIF


def _gif(content: bytes) -> bytes:
    """Blocks: frames and their timing stay, comments, plain text and application data go, but the loop."""
    if len(content) < 13:
        raise MediaUnfit("broken")
    width, height, packed = struct.unpack("<HHB", content[6:11])
    _checked(width, height)
    at = 13 + (3 << ((packed & 7) + 1) if packed & 0x80 else 0)
    out = bytearray(content[:at])
    framed = False
    while True:
        kind = content[at : at + 1]
        if kind == b"\x3b":
            break
        start = at
        if kind == b"\x2c":
            at, framed = _gif_frame(content, at), True
            out += content[start:at]
        elif kind == b"\x21":
            at = _sub_blocks(content, at + 2)
            control = content[start + 1 : start + 3] == b"\xf9\x04" and at - start == 8
            loop = content[start + 1 : start + 14] == b"\xff\x0bNETSCAPE2.0" and at - start == 19
            if control or loop:
                out += content[start:at]
        else:
            raise MediaUnfit("broken")
    if not framed or len(out) < 13:
        raise MediaUnfit("broken")
    return bytes(out + b"\x3b")


def _gif_frame(content: bytes, at: int) -> int:
    """Behind an image descriptor, its colours and its data."""
    if at + 11 > len(content):
        raise MediaUnfit("broken")
    packed = content[at + 9]
    return _sub_blocks(content, at + 10 + (3 << ((packed & 7) + 1) if packed & 0x80 else 0) + 1)


def _sub_blocks(content: bytes, at: int) -> int:
    while True:
        if at >= len(content):
            raise MediaUnfit("broken")
        length = content[at]
        at += 1 + length
        if length == 0:
            return at
