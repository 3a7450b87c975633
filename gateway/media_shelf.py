"""Kept attachments, shown to whoever has a signed address of one. Fits ``ports_masking.MediaFiles``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.media_folder import MEDIA_ID, MediaFolder, SignedMedia
from gateway.storage.texts import SqlMediaBook
from proxy_pool.texts.ports import MediaUnfit
from telephony.errors import NotFound

_MISSING = "there is no such attachment (any more)"


class MediaShelf:
    """``now`` gives epoch seconds."""

    def __init__(
        self, folder: MediaFolder, book: SqlMediaBook, links: SignedMedia, now: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._book = book
        self._links = links
        self._now = now

    async def find(self, media_id: str, expires: int, signature: str) -> tuple[Path, int, str]:
        """The file, its size and its content type. Raises SignatureRefused, NotFound."""
        if MEDIA_ID.fullmatch(media_id) is None:
            raise NotFound(_MISSING)
        self._links.check(media_id, expires, signature, self._now())
        kept = await self._book.get(media_id)
        if kept is None:
            raise NotFound(_MISSING)
        try:
            path = self._folder.path(kept)
            size = (await asyncio.to_thread(path.stat)).st_size
        except (MediaUnfit, FileNotFoundError):
            raise NotFound(_MISSING) from None
        return path, size, kept.content_type
