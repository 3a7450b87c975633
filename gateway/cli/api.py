"""The running gateway's API, as the command line uses it: over HTTP, with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from gateway.config import Settings
from gateway.stack import base_url
from telephony.errors import (
    InvalidInput,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PatchbayError,
    TooMany,
    Unavailable,
)

Json = dict[str, Any]
_DEADLINE_S: Final = 30


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """A key and where it came from, so that a refused one can be mended."""

    text: str = field(repr=False)
    source: str


def choose_key(settings: Settings, given: str | None) -> ApiKeyText:
    """``--key``, else PATCHBAY_API_KEY, else the key that `patchbay up` keeps. Raises NotFound."""
    if given is not None:
        chosen = ApiKeyText(given.strip(), "--key")
    elif settings.api_key is not None:
        chosen = ApiKeyText(settings.api_key.reveal(), "PATCHBAY_API_KEY")
    else:
        kept = settings.var_dir / "api-key"
        if not kept.exists():
            raise NotFound(
                f"there is no key: give --key, set PATCHBAY_API_KEY, or start the gateway once with "
                f"`patchbay up`, which keeps one in {kept}"
            )
        chosen = ApiKeyText(kept.read_text().strip(), str(kept))
    if not chosen.text or not chosen.text.isascii() or not chosen.text.isprintable():
        raise InvalidInput(f"the key from {chosen.source} is not the text of a key", field="key")
    return chosen


def refusal(status: int, answer: object, key: ApiKeyText) -> PatchbayError:
    """What the API's error answer says, as an error of ours for the person at the command line."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return PatchbayError(f"the API answered {status} without saying why")
    told, details = str(error.get("message", "")), error.get("details") or {}
    if status == 401:
        return NotAuthenticated(f"the API does not accept the key from {key.source}: {told}")
    if status == 403:
        return NotPermitted(f"the key from {key.source} may not do this: {told}")
    if status == 404:
        return NotFound(told)
    wait = details.get("retry_after")
    if status == 429 and isinstance(wait, int):
        return TooMany(
            told,
            retry_after_s=wait,
            limit=int(details.get("limit") or 0),
            window=str(details.get("window") or ""),
        )
    if status == 503:
        return Unavailable(told)
    where = f"{details['field']}: " if details.get("field") else ""
    expected = f"; expected {details['expected']}" if details.get("expected") else ""
    return PatchbayError(f"{where}{told}{expected}", code=str(error.get("code", "")))


class ApiClient:
    """Each request either gives the parsed answer or raises an error of ours."""

    def __init__(self, session: aiohttp.ClientSession, root: str, key: ApiKeyText) -> None:
        self._session = session
        self._root = root
        self._key = key

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request. Unavailable when nothing (or something else) answers there."""
        try:
            async with self._session.request(method, self._root + path, json=body) as response:
                status = response.status
                answer = {} if status == 204 else await response.json(content_type=None)
        except ValueError as failure:
            raise Unavailable(f"what answers at {self._root} is not this API") from failure
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise Unavailable(f"the gateway at {self._root} does not answer: is it up?") from failure
        if status >= 400:
            raise refusal(status, answer, self._key)
        if not isinstance(answer, dict):
            raise Unavailable(f"what answers at {self._root} is not this API")
        return answer

    async def call(self, call_id: str) -> Json:
        """One call as it stands."""
        return dict((await self.ask("GET", f"/v1/voice/calls/{quote(call_id, safe='')}"))["data"])

    async def events(self, call_id: str, after: int = 0) -> list[Json]:
        """The call's timeline after this sequence number."""
        path = f"/v1/voice/calls/{quote(call_id, safe='')}/events?after={after}"
        return list((await self.ask("GET", path))["data"])

    async def calls(self, query: str, at_most: int) -> list[Json]:
        """Calls, newest first. ``query``: filters, percent-encoded."""
        return await self.listed("/v1/voice/calls", query, at_most)

    async def listed(self, path: str, query: str, at_most: int) -> list[Json]:
        """What a list has, over as many pages as it takes; ``query`` begins with ``&`` or is empty."""
        found: list[Json] = []
        cursor = ""
        while len(found) < at_most:
            limit = min(100, at_most - len(found))
            page = await self.ask("GET", f"{path}?limit={limit}{query}{cursor}")
            found += page["data"]
            following = page["meta"]["pagination"]
            if not following["has_more"]:
                break
            cursor = f"&cursor={quote(following['cursor'], safe='')}"
        return found


@asynccontextmanager
async def connect(settings: Settings, given_key: str | None) -> AsyncIterator[ApiClient]:
    """A client for the API at the settings' address."""
    key = choose_key(settings, given_key)
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    headers = {"X-API-Key": key.text}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=False) as session:
        yield ApiClient(session, base_url(settings), key)
