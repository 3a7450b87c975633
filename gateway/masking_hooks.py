"""What the application says while a caller waits: two signed questions over its own HTTPS address.

``interaction.intercept`` is asked before anybody is let through, and answered with
``{"action": "allow"}`` or ``{"action": "block"}``; a 403 blocks too, a 2xx without a body allows.

``interaction.unknown_caller`` is asked about somebody whom no session knows, and answered with one of

    {"action": "connect", "session": {…}}            a session to open, as in POST /proxy/sessions
    {"action": "connect", "session_id": "ses_…"}     an open session; "seat" says whose place is taken
    {"action": "announce", "text": "…"}              or "sound": the name of a stored prompt
    {"action": "reject"}                             a 403 rejects too
    {"action": "continue"}                           a 2xx without a body too

Each is one signed question (``gateway.signed_hooks``). Whatever else comes back, or comes too late, is no
answer at all, and the service's settings say what follows.

Who has to open a session must know for whom, so ``interaction.unknown_caller`` tells the whole number;
``interaction.intercept`` tells a masked one. Neither is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from gateway.http.body import parse_json
from gateway.http.schema import OneLine, Strict, parse
from gateway.signed_hooks import SignedHooks
from gateway.webhooks.core.backoff import NoReply
from gateway.webhooks.poster import Limits
from proxy_pool.core.session import Channel, SessionId
from telephony.errors import InvalidInput, StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.masking_hooks")

INTERCEPT: Final = "interaction.intercept"
UNKNOWN_CALLER: Final = "interaction.unknown_caller"
REPLY_BYTES: Final = 64 * 1024
HOOK_LIMITS: Final = Limits(total_s=10.0, connect_s=5.0, reply_bytes=REPLY_BYTES, keep_body=True)
"""For the ``GuardedPoster`` that hooks go through. A tenant's ``hook_timeout_s`` is within ``total_s``."""
_FORBIDDEN: Final = 403
_SAID_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is told of an interaction. ``caller`` is empty where it is withheld; ``seat`` -1 is nobody's.

    ``caller`` is shown as it stands: whole or masked is the asker's decision.
    """

    channel: Channel
    proxy: E164
    caller: str = field(repr=False)
    session: SessionId | None = None
    seat: int = -1
    to_seat: int = -1


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Block:
    """Let nobody through."""


@dataclass(frozen=True, slots=True)
class Away:
    """No answer, or none that makes sense; ``why`` is a word for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Open this session, given as in the request that opens one, and let the caller in."""

    session: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class JoinSession:
    """Let the caller into this session; into this seat, where one is named."""

    session: SessionId
    seat: int | None = None


@dataclass(frozen=True, slots=True)
class Announce:
    """Say this, or play the stored prompt of this name; one of them is empty."""

    text: str = ""
    sound: str = ""


Intercepted = Allow | Block | Away
Told = Allow | Block | Away | OpenSession | JoinSession | Announce


class _Plain(Strict):
    action: Literal["allow", "block"]


class _Done(Strict):
    action: Literal["reject", "continue"]


class _Connect(Strict):
    action: Literal["connect"]
    session: dict[str, Any] | None = None
    session_id: Annotated[str, Field(pattern="^ses_[0-9A-HJKMNP-TV-Z]{26}$")] | None = None
    seat: Annotated[int, Field(ge=0, le=50)] | None = None

    @model_validator(mode="after")
    def _one_session(self) -> _Connect:
        if (self.session is None) == (self.session_id is None):
            raise PydanticCustomError("one_of", "a session, or the id of one")
        if self.seat is not None and self.session_id is None:
            raise PydanticCustomError("one_of", "a seat goes with a session_id", {"field": "seat"})
        return self


class _Announce(Strict):
    action: Literal["announce"]
    text: Annotated[OneLine, Field(min_length=1, max_length=_SAID_MAX)] | None = None
    sound: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")] | None = None

    @model_validator(mode="after")
    def _one_sound(self) -> _Announce:
        if (self.text is None) == (self.sound is None):
            raise PydanticCustomError("one_of", "a text, or the name of a stored prompt")
        return self


class _Answer(RootModel[Annotated[_Connect | _Announce | _Done, Field(discriminator="action")]]):
    """What may be answered about an unknown caller."""


class MaskingHooks:
    """Asks the application. Never raises; every wait ends by ``timeout_s``.

    The poster of ``hooks`` is a ``GuardedPoster`` with ``HOOK_LIMITS``.
    """

    def __init__(self, hooks: SignedHooks) -> None:
        self._hooks = hooks

    async def intercept(
        self, tenant: TenantId, url: str, about: Circumstances, timeout_s: float
    ) -> Intercepted:
        """Whether this interaction may go on."""
        answer = await self._ask(tenant, url, INTERCEPT, about, timeout_s)
        if isinstance(answer, (Allow, Block, Away)):
            return answer
        try:
            return Allow() if parse(_Plain, answer).action == "allow" else Block()
        except InvalidInput:
            return _senseless(INTERCEPT)

    async def unknown_caller(
        self, tenant: TenantId, url: str, about: Circumstances, timeout_s: float
    ) -> Told:
        """What to do with somebody whom no session knows."""
        answer = await self._ask(tenant, url, UNKNOWN_CALLER, about, timeout_s)
        if isinstance(answer, (Allow, Block, Away)):
            return answer
        try:
            return _told(_Answer.model_validate(answer).root)
        except ValueError:
            return _senseless(UNKNOWN_CALLER)

    async def _ask(
        self, tenant: TenantId, url: str, kind: str, about: Circumstances, timeout_s: float
    ) -> Allow | Block | Away | dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._hooks.ask(tenant, url, kind, _shown(about))
        except TimeoutError:
            return _away(kind, "timeout")
        except StorageUnavailable:
            return _away(kind, "no_secret")
        if isinstance(reply, NoReply):
            return _away(kind, reply.kind)
        if reply.status == _FORBIDDEN:
            return Block()
        if not 200 <= reply.status < 300:
            return _away(kind, f"status_{reply.status}")
        if not reply.body:
            return Allow()
        try:
            value = parse_json(reply.body)
        except InvalidInput:
            return _senseless(kind)
        return value if isinstance(value, dict) else _senseless(kind)


def _shown(about: Circumstances) -> dict[str, object]:
    return {
        "channel": about.channel.value,
        "proxy_number": about.proxy.reveal(),
        "from": about.caller or None,
        "session_id": about.session,
        "from_seat": about.seat if about.session else None,
        "to_seat": about.to_seat if about.session else None,
    }


def _told(answer: _Connect | _Announce | _Done) -> Told:
    match answer:
        case _Connect(session=None):
            return JoinSession(SessionId(answer.session_id or ""), answer.seat)
        case _Connect(session=wanted):
            return OpenSession(wanted or {})
        case _Announce():
            return Announce(answer.text or "", answer.sound or "")
        case _:
            return Block() if answer.action == "reject" else Allow()


def _senseless(kind: str) -> Away:
    return _away(kind, "not_understood")


def _away(kind: str, why: str) -> Away:
    _log.warning("hook.no_answer", hook=kind, why=why)
    return Away(why)
