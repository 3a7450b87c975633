"""Attachments of relayed texts, for the carriers that send them on."""

from __future__ import annotations

from typing import Final

from gateway.http.answers import FileSlice
from gateway.http.files import slice_of
from gateway.http.operation import OPEN, Ask, Operation
from gateway.http.orbit.recordings import SignedLink
from telephony.errors import NotFound


async def download(ask: Ask) -> FileSlice:
    """The file behind a signed address; no key is asked for."""
    if ask.face.media_files is None:
        raise NotFound("there is no such attachment")
    query: SignedLink = ask.query
    path, size, kind = await ask.face.media_files.find(ask.path["media_id"], query.expires, query.signature)
    return slice_of(path, size, ask.exchange.headers.get(b"range"), kind.encode("ascii"))


MEDIA: Final = (
    Operation(
        "GET",
        "/media/{media_id}",
        "downloadAttachment",
        "Masking",
        "Download an attachment by its signed address",
        download,
        OPEN,
        query=SignedLink,
        media="image/*",
        raises=(NotFound,),
        description="Fetched by carriers. No key: the address itself is the permission. Ranges are served.",
    ),
)
