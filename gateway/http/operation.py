"""One operation of the API: declared once, with everything that serves, checks and documents it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from gateway.auth import Caller, Scope
from gateway.http.answers import Reply
from gateway.http.exchange import ErrorShape, Exchange
from gateway.http.face import Face
from gateway.http.schema import Strict
from telephony.errors import NotAuthenticated, PatchbayError

Bucket = Literal["calls.create", "api", "guests", "none"]
"""Which rate limit a request counts against: placing calls, everything else with a key, guests who come
without one (by address), or nothing."""
SLASHED: Final = frozenset({"identity"})
"""Parameters of paths that may hold slashes."""
OPEN: Final = "open"
"""Access without a key: nothing of a tenant is shown, or a signature stands in for the key."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that passed every check so far. ``body`` and ``query`` are what the schemas made of it.

    ``resource_id`` is the id that what is made shall have; ``again``: an earlier attempt with the same
    Idempotency-Key was cut off and may have made it already.
    """

    face: Face
    exchange: Exchange
    path: dict[str, str]
    body: Any
    query: Any
    resource_id: str = ""
    again: bool = False

    @property
    def caller(self) -> Caller:
        if self.exchange.caller is None:
            raise NotAuthenticated
        return self.exchange.caller


Serve = Callable[[Ask], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the route table.

    ``path`` is within its mount. ``access`` is the scope a key needs, or OPEN. ``raises`` lists errors
    for the documentation beyond those every operation of its kind has. ``conceal`` names members of
    ``data`` that are shown once and not kept for a replay (``list.member`` of each in a list). ``id_prefix``
    is that of what a POST makes. ``also`` is another status that it may succeed with.
    With ``raw_body``, its most bytes, ``Ask.body`` and ``Ask.query`` are the bytes as they came.
    ``to_agents``: the control token of the call in the path opens it too. ``also_media``: other types of
    content that it may answer with. ``paged`` "beside": ``pagination`` stands beside ``data``.
    ``path_rules`` judges the parameters of the path, which are plain ids without it. ``invalid``: the status
    of a field that breaks its rule. ``failure``: the code of a defect in this operation. ``needs`` raises
    Unavailable where what it stands on is not set up; it is asked before the request is read.
    ``any_origin``: pages of any site may ask it from a browser (Fetch Standard, "CORS protocol"): only for
    what needs no key, where the request itself holds the credential.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    serve: Serve
    access: Scope | Literal["open"]
    status: int = 200
    also: int | None = None
    bucket: Bucket = "api"
    body: type[Strict] | None = None
    query: type[Strict] | None = None
    shows: type[BaseModel] | None = None
    many: bool = False
    paged: bool | Literal["beside"] = False
    raises: tuple[type[PatchbayError], ...] = ()
    conceal: tuple[str, ...] = ()
    id_prefix: str = "req"
    media: str = "application/json"
    optional_body: bool = False
    description: str = ""
    raw_body: int = 0
    to_agents: bool = False
    also_media: tuple[str, ...] = ()
    path_rules: type[Strict] | None = None
    invalid: Literal[400, 422] = 422
    failure: str = ""
    needs: Callable[[Face], object] | None = None
    any_origin: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """Operations that are mounted together, at one or more prefixes; the first is the documented one.

    ``error_shape``: how errors are told below these prefixes, whoever raises them; None: as Orbit does.
    """

    prefixes: tuple[str, ...]
    operations: tuple[Operation, ...]
    error_shape: ErrorShape | None = None
