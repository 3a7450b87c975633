"""Attachments lose what they tell besides the picture, and nothing else."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.errors import SignatureRefused
from gateway.media_folder import ORPHAN_S, FolderMedia, MediaFolder, SignedMedia, sweep
from gateway.media_scrub import MAX_BYTES, scrub
from proxy_pool.core.text import Media
from proxy_pool.texts.ports import KeptMedia, MediaUnfit
from telephony.errors import Unavailable

pytestmark = pytest.mark.unit

SECRET = b"37.7749N 122.4194W +14155550123"


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def exif(orientation: int, order: str = "<") -> bytes:
    """EXIF as a camera writes it: maker, orientation, a place."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    maker = struct.pack(order + "HHII", 0x010F, 2, len(SECRET), 64)
    turn = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    place = struct.pack(order + "HHII", 0x8825, 4, 1, 64)
    body = mark + struct.pack(order + "IH", 8, 3) + maker + turn + place + bytes(4)
    return segment(0xE1, b"Exif\0\0" + body.ljust(64, b"\0") + SECRET)


JFIF = segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0")
ADOBE = segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01")
TABLES = segment(0xDB, bytes(65)) + segment(0xC4, b"\0" + bytes(16))
FRAME = segment(0xC0, struct.pack(">BHHB", 8, 480, 640, 1) + b"\x01\x11\0")
SCAN = segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56\xff\xff\x00\x78"
SECOND = segment(0xC4, b"\x10" + bytes(16)) + segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x9a\xbc"


def jpeg(*told: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(told) + TABLES + FRAME + SCAN + SECOND + b"\xff\xd9"


TELLING = [
    segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x>" + SECRET + b"</x>"),
    segment(0xE2, b"ICC_PROFILE\0\x01\x01" + SECRET),
    segment(0xED, b"Photoshop 3.0\0" + SECRET),
    segment(0xFE, SECRET),
    segment(0xE0, b"JFXX\0\x10" + SECRET),
    segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\x01\x01" + SECRET),
    segment(0xEF, SECRET),
    exif(1),
    b"\xff\xff\xff" + segment(0xFE, SECRET),
]


def test_a_jpeg_keeps_its_picture_to_the_last_byte_and_loses_the_rest():
    clean = scrub(jpeg(JFIF, *TELLING, ADOBE) + b"trailing " + SECRET + jpeg(exif(1)))
    assert clean.content == jpeg(JFIF, ADOBE)
    assert (clean.content_type, clean.suffix) == ("image/jpeg", ".jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_how_a_picture_is_turned_is_written_anew_and_alone(orientation: int, order: str):
    clean = scrub(jpeg(exif(orientation, order), exif(3)))
    assert SECRET not in clean.content
    assert len(clean.content) == len(jpeg()) + 36
    assert scrub(clean.content).content == clean.content
    found = clean.content.index(struct.pack(">HHIH", 0x0112, 3, 1, orientation))
    assert clean.content[:found].count(b"Exif") == 1


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*told: bytes, width: int = 2, height: int = 1) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" + bytes(6)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(told) + data + chunk(b"IEND", b"")


def test_a_png_keeps_what_draws_it_and_loses_what_tells():
    told = [chunk(kind, SECRET) for kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME", b"iCCP", b"vpAg")]
    kept = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"pHYs", bytes(9))
    clean = scrub(png(kept, *told) + b"trailing " + SECRET)
    assert clean.content == png(kept)
    assert clean.content_type == "image/png"


def gif(*told: bytes) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + b"".join(told) + frame + b"\x3b"


def test_a_gif_keeps_frames_timing_and_its_loop():
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    control = b"\x21\xf9\x04\0\x0a\0\0\0"
    comment = b"\x21\xfe" + bytes((len(SECRET),)) + SECRET + b"\0"
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes((len(SECRET),)) + SECRET + b"\0"
    forged = b"\x21\xff\x0bNETSCAPE2.0" + bytes((len(SECRET),)) + SECRET + b"\0"
    clean = scrub(gif(loop, comment, control, xmp, forged) + SECRET)
    assert clean.content == gif(loop, control)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "type_not_allowed"),
        (b"%PDF-1.7", "type_not_allowed"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "type_not_allowed"),
        (b"<html><script>", "type_not_allowed"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "type_not_allowed"),
        (b"\0\0\0\x18ftypmp42", "type_not_allowed"),
        (b"\xff\xd8\xff", "broken"),
        (b"\xff\xd8\xff\xd9", "broken"),
        (jpeg()[:-2], "broken"),
        (png()[:-4], "broken"),
        (gif()[:-1], "broken"),
        (png(chunk(b"EVIL", b"x")), "broken"),
        (png(width=30_000), "picture_too_large"),
        (png(width=0), "picture_too_large"),
        (png(width=15_000, height=15_000), "picture_too_large"),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), "too_big"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_refused(content: bytes, why: str):
    with pytest.raises(MediaUnfit, match=why):
        scrub(content)


PICTURES = [jpeg(JFIF, exif(6), segment(0xFE, SECRET)), png(chunk(b"tEXt", SECRET)), gif()]


@given(st.sampled_from(PICTURES), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4))
def test_a_damaged_picture_is_refused_or_clean_never_an_accident(
    picture: bytes, damage: list[tuple[int, bytes]]
):
    content = bytearray(picture)
    for at, written in damage:
        content[at : at + len(written)] = written
    try:
        clean = scrub(bytes(content))
    except MediaUnfit:
        return
    assert len(clean.content) <= len(content) + 36
    assert scrub(clean.content).content == clean.content


@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b""]), st.binary(max_size=300))
def test_any_bytes_can_be_looked_at(start: bytes, rest: bytes):
    try:
        scrub(start + rest)
    except MediaUnfit:
        return


# ------------------------------------------------------------ the folder and its addresses


def fetcher(content: bytes) -> object:
    async def fetch(carrier: str, url: str, most: int) -> bytes:
        if "away" in url:
            raise Unavailable
        return content[: most + 1]

    return fetch


def folder_of(tmp_path: Path) -> MediaFolder:
    return MediaFolder(tmp_path / "media", os.urandom)


async def test_a_kept_attachment_lies_clean_under_a_name_of_chance(tmp_path: Path):
    folder = folder_of(tmp_path)
    keeper = FolderMedia(folder, fetcher(jpeg(segment(0xFE, SECRET))), lambda prefix: f"{prefix}_1")  # type: ignore[arg-type]
    one = await keeper.keep("sim", Media("https://c.example/1", "text/html"))
    other = await keeper.keep("sim", Media("https://c.example/1"))
    assert folder.path(one).read_bytes() == jpeg()
    assert (one.content_type, one.size) == ("image/jpeg", len(jpeg()))
    assert one.file != other.file
    assert folder.path(one).stat().st_mode & 0o077 == 0
    with pytest.raises(Unavailable):
        await keeper.keep("sim", Media("https://c.example/away"))


async def test_too_much_is_refused_without_being_stored(tmp_path: Path):
    keeper = FolderMedia(folder_of(tmp_path), fetcher(bytes(MAX_BYTES + 10)), lambda prefix: prefix)  # type: ignore[arg-type]
    with pytest.raises(MediaUnfit, match="too_big"):
        await keeper.keep("sim", Media("https://c.example/1"))
    assert not (tmp_path / "media").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a.jpg", "0" * 32 + ".exe", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    with pytest.raises(MediaUnfit):
        folder_of(tmp_path).path(KeptMedia("med_1", name, "image/jpeg", 1))


class Known:
    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.forgot = 0.0

    async def known(self, files: list[str]) -> frozenset[str]:
        return frozenset(files) & self.files

    async def forget(self, before: float, limit: int = 500) -> None:
        self.forgot = before


async def test_files_without_a_text_are_swept_when_they_are_old(tmp_path: Path):
    folder = folder_of(tmp_path)
    kept, orphan, fresh = (folder.store(scrub(jpeg())) for _ in range(3))
    for name in (kept, orphan):
        os.utime(tmp_path / "media" / name, (1000.0, 1000.0))
    book = Known({kept})
    now = (tmp_path / "media" / fresh).stat().st_mtime
    assert await sweep(folder, book, now, kept_s=10.0) == 1
    assert {one.name for one in (tmp_path / "media").iterdir()} == {kept, fresh}
    assert book.forgot == now - 10.0
    assert ORPHAN_S > 60


SIGNED = SignedMedia(b"s" * 32, "https://gw.example/api/v1/proxy", ttl_s=100)
ONE = KeptMedia("med_1", "f.jpg", "image/jpeg", 1)


def parts(address: str) -> tuple[str, int, str]:
    path, _, query = address.partition("?")
    expires, signature = (pair.partition("=")[2] for pair in query.split("&"))
    return path.rpartition("/")[2], int(expires), signature


def test_an_address_opens_its_attachment_until_it_ends():
    media_id, expires, signature = parts(SIGNED.link(ONE, 1000.0).url)
    SIGNED.check(media_id, expires, signature, 1099.0)
    with pytest.raises(SignatureRefused):
        SIGNED.check(media_id, expires, signature, 1100.0)


@pytest.mark.parametrize("change", [("med_2", 0, ""), ("", 1, ""), ("", 0, "00"), ("", 0, "é")])
def test_a_changed_address_opens_nothing(change: tuple[str, int, str]):
    media_id, expires, signature = parts(SIGNED.link(ONE, 1000.0).url)
    with pytest.raises(SignatureRefused):
        SIGNED.check(change[0] or media_id, expires + change[1], change[2] or signature, 1000.0)
