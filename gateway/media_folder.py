"""Attachments on disk, fetched from carriers, cleaned, and shown to carriers again by signed addresses.

Fits ``proxy_pool.texts.ports.MediaKeeper`` and ``MediaLinks``. A file's name is chance; it lies in the folder
before any text names it, so what a crash leaves behind is a file without a text, which ``sweep`` deletes.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from gateway.http.errors import SignatureRefused
from gateway.media_scrub import MAX_BYTES, Clean, scrub
from proxy_pool.core.text import Media
from proxy_pool.texts.ports import KeptMedia, MediaUnfit

MEDIA_ID: Final = re.compile(r"med_[0-9A-HJKMNP-TV-Z]{26}")
FILE_NAME: Final = re.compile(r"[0-9a-f]{32}\.(?:jpg|png|gif)")
CONTENT_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif"}
FETCH_S: Final = 20.0
ORPHAN_S: Final = 3600.0
"""How old a file must be to be deleted for belonging to no text: far longer than a text is judged."""


class Fetch(Protocol):
    """Fetches an address of a carrier's through the guarded client: at most ``most`` bytes (one more tells
    that there are more), no redirect to a refused address. Raises MediaUnfit (gone, refused), Unavailable."""

    def __call__(self, carrier: str, url: str, most: int) -> Awaitable[bytes]: ...


class MediaFolder:
    """The folder, made with its first file, for its owner's eyes alone."""

    def __init__(self, folder: Path, random_bytes: Callable[[int], bytes]) -> None:
        self._folder = folder
        self._random = random_bytes

    def path(self, media: KeptMedia) -> Path:
        """Where a kept attachment lies. Raises MediaUnfit for a name that is none of ours."""
        if FILE_NAME.fullmatch(media.file) is None:
            raise MediaUnfit("gone")
        return self._folder / media.file

    def store(self, clean: Clean) -> str:
        """Write the file whole, or not at all; its name."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self._random(16).hex() + clean.suffix
        handle = os.open(self._folder / (name + ".part"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(clean.content)
            file.flush()
            os.fsync(file.fileno())
        (self._folder / (name + ".part")).replace(self._folder / name)
        return name

    def older_than(self, moment: float) -> list[str]:
        """Names of files that were written before this moment, unfinished ones too."""
        if not self._folder.is_dir():
            return []
        return [
            one.name for one in os.scandir(self._folder) if one.is_file() and one.stat().st_mtime < moment
        ]

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            if FILE_NAME.fullmatch(name.removesuffix(".part")) is not None:
                (self._folder / name).unlink(missing_ok=True)


class FolderMedia:
    """Fits ``MediaKeeper``."""

    def __init__(self, folder: MediaFolder, fetch: Fetch, new_id: Callable[[str], str]) -> None:
        self._folder = folder
        self._fetch = fetch
        self._new_id = new_id

    async def keep(self, carrier: str, media: Media) -> KeptMedia:
        try:
            async with asyncio.timeout(FETCH_S):
                content = await self._fetch(carrier, media.url, MAX_BYTES)
        except TimeoutError:
            raise MediaUnfit("too_slow") from None
        clean = await asyncio.to_thread(scrub, content)
        name = await asyncio.to_thread(self._folder.store, clean)
        return KeptMedia(self._new_id("med"), name, clean.content_type, len(clean.content))


class KnownFiles(Protocol):
    """Which files belong to texts; ``gateway.storage.texts.SqlMediaBook``."""

    async def known(self, files: list[str]) -> frozenset[str]: ...

    async def forget(self, before: float, limit: int = 500) -> None: ...


async def sweep(folder: MediaFolder, book: KnownFiles, now: float, kept_s: float) -> int:
    """Forget attachments older than ``kept_s`` and delete files that no text has; how many were deleted."""
    await book.forget(now - kept_s)
    old = await asyncio.to_thread(folder.older_than, now - ORPHAN_S)
    left = []
    for at in range(0, len(old), 500):
        some = old[at : at + 500]
        known = await book.known(some)
        left += [name for name in some if name not in known]
    await asyncio.to_thread(folder.delete, left)
    return len(left)


@dataclass(frozen=True, slots=True)
class SignedMedia:
    """Makes and checks the addresses of attachments. ``base`` is the public address of the masking room."""

    secret: bytes = field(repr=False)
    base: str
    ttl_s: int = 24 * 3600

    def link(self, media: KeptMedia, now: float) -> Media:
        expires = int(now) + self.ttl_s
        signature = self._sign(media.id, expires)
        address = f"{self.base}/media/{media.id}?expires={expires}&signature={signature}"
        return Media(address, media.content_type)

    def check(self, media_id: str, expires: int, signature: str, now: float) -> None:
        """Raises SignatureRefused unless we made this address and its time is not over."""
        if not hmac.compare_digest(self._sign(media_id, expires).encode(), signature.encode()):
            raise SignatureRefused("the signature does not belong to this address")
        if now >= expires:
            raise SignatureRefused("this address has expired", code="LINK_EXPIRED")

    def _sign(self, media_id: str, expires: int) -> str:
        return hmac.digest(self.secret, f"media\n{media_id}\n{expires}".encode(), "sha256").hex()
