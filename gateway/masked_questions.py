"""The application's part in a call: what it is asked, and what its answers come to."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from gateway.http.ports import Prompts
from gateway.masked_callers import Attempter
from gateway.masked_doors import Behind, Doors, Ticket, Vouched
from gateway.masking_hooks import (
    Allow,
    Announce,
    Away,
    Block,
    Circumstances,
    JoinSession,
    MaskingHooks,
    OpenSession,
    Told,
)
from proxy_pool.core.ladder import Heard
from proxy_pool.core.reach import Reached
from proxy_pool.core.session import Channel
from proxy_pool.core.settings import UnknownCallers
from telephony.errors import PatchbayError

_log = structlog.get_logger("gateway.masking")


@dataclass(frozen=True, slots=True)
class Outcome:
    """``ticket`` comes with FOUND, ``sound`` with SPEAK."""

    heard: Heard
    ticket: Ticket | None = None
    sound: str = ""


_NO_ANSWER = Outcome(Heard.AWAY)


class Questions:
    """Asks, and carries out what is answered. Never raises."""

    def __init__(self, hooks: MaskingHooks, doors: Doors, prompts: Prompts) -> None:
        self._hooks = hooks
        self._doors = doors
        self._prompts = prompts

    async def intercept(self, who: Attempter, unknown: UnknownCallers, behind: Behind | None) -> Outcome:
        """Whether the application has anything against this call."""
        about = Circumstances(Channel.VOICE, who.proxy, who.caller.masked)
        if behind is not None:
            to_seat = behind.way.to_seat if isinstance(behind.way, Reached) else -1
            about = Circumstances(
                Channel.VOICE, who.proxy, who.caller.masked, behind.session.id, behind.seat, to_seat
            )
        asked = self._hooks.intercept(who.tenant, unknown.intercept_url, about, unknown.hook_timeout_s)
        return await self._carried_out(who, asked)

    async def callback(self, who: Attempter, unknown: UnknownCallers) -> Outcome:
        """What the application wants done with somebody unknown; a session it asks for is opened here."""
        about = Circumstances(Channel.VOICE, who.proxy, who.caller.key)
        asked = self._hooks.unknown_caller(who.tenant, unknown.callback_url, about, unknown.hook_timeout_s)
        return await self._carried_out(who, asked)

    async def _carried_out(self, who: Attempter, asked: Awaitable[Told]) -> Outcome:
        try:
            return await self._outcome(who, await asked)
        except PatchbayError as error:
            _log.warning("hook.not_carried_out", code=error.code, tenant=who.tenant)
            return _NO_ANSWER
        except Exception:  # noqa: BLE001  # why: edge of a task nobody else looks at; the caller goes on as unheard
            _log.exception("hook.broken", tenant=who.tenant)
            return _NO_ANSWER

    async def _outcome(self, who: Attempter, told: Told) -> Outcome:
        match told:
            case Allow():
                return Outcome(Heard.PASS)
            case Block():
                return Outcome(Heard.BLOCK)
            case OpenSession(session=wanted):
                return await self._joined(who, await self._doors.open_for(who, wanted))
            case JoinSession(session=session, seat=seat):
                return await self._joined(who, Vouched(session, seat))
            case Announce(text=text, sound=sound):
                return await self._spoken(who, text, sound)
            case Away():
                return _NO_ANSWER

    async def _joined(self, who: Attempter, ticket: Ticket | None) -> Outcome:
        """Only into a session that lets this caller through now; else it was no answer."""
        if ticket is None or await self._doors.let_in(who, ticket) is None:
            return _NO_ANSWER
        return Outcome(Heard.FOUND, ticket=ticket)

    async def _spoken(self, who: Attempter, text: str, sound: str) -> Outcome:
        name = await (self._prompts.spoken(text, None) if text else self._prompts.stored(who.tenant, sound))
        return Outcome(Heard.SPEAK, sound=name) if name else _NO_ANSWER
