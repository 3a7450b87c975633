"""What the switch joined by itself, read from its database over AMI. Fits ``dialplan.ports.JoinedCalls``.

The dialplan notes each such call in family ``pbmade`` under the caller's channel (``away`` in
asterisk-config/extensions.conf.j2): moment, tenant, session, seat, the other's seat, number dialled, caller
as in the copy's keys, line, target, CLI, ring seconds, talk seconds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from ulid import ULID

from dialplan.ami.client import AmiLink
from dialplan.ami.wire import AmiAction
from dialplan.core.call import Connect, Endpoint, Phone, Trunk
from dialplan.ports import Joined
from gateway.copied_doors import MADE
from telephony.errors import InvalidInput, SwitchRefused
from telephony.ids import CHANNEL_ID, CallId, ChannelId, TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.masked_fallback")

_DEADLINE_S: Final = 10.0
_PARTS: Final = 12
_TRUNK = re.compile(r"PJSIP/(\+[0-9]{7,15})@([A-Za-z0-9_-]{1,79})")
_PHONE = re.compile(r"PJSIP/([A-Za-z0-9_-]{1,79})")
_DIALLED = re.compile(r"\+?[0-9]{1,20}")
_CALLER = re.compile(r"[0-9]{1,20}")


class SwitchJoined:
    """``link`` is one whose AMI user has the class ``system``, ``channels`` one that may read variables.

    ``known`` says whether a call of this tenant and id is on record.
    """

    def __init__(
        self, link: AmiLink, channels: AmiLink, known: Callable[[TenantId, CallId], Awaitable[bool]]
    ) -> None:
        self._link = link
        self._channels = channels
        self._known = known

    async def seen(self) -> Sequence[Joined]:
        """Every call that is noted. What cannot be read is taken away: it would be found for ever."""
        family = AmiAction("DBGetTree", (("Family", MADE),))
        try:
            rows = await self._link.listing(family, deadline_s=_DEADLINE_S)
        except SwitchRefused:
            return ()  # there is no such family: nothing was noted
        found = []
        for row in rows:
            channel = row.get("Key").rpartition("/")[2]
            one = read_joined(channel, row.get("Val"))
            if one is not None:
                found.append(replace(one, answered_at=await self._answered_at(one.channel)))
            elif CHANNEL_ID.fullmatch(channel) is not None:
                _log.error("joined.unreadable", channel=channel)
                await self._drop(channel)
        return found

    async def is_told(self, joined: Joined) -> bool:
        return await self._known(joined.tenant, joined.call_id)

    async def forget(self, joined: Joined) -> None:
        await self._drop(joined.channel)

    async def _drop(self, channel: str) -> None:
        with suppress(SwitchRefused):
            await self._link.act(
                AmiAction("DBDel", (("Family", MADE), ("Key", channel))), deadline_s=_DEADLINE_S
            )

    async def _answered_at(self, channel: ChannelId) -> float | None:
        """Since when a channel that is live is answered, by the switch's own record of it."""
        asked = AmiAction("Getvar", (("Channel", channel), ("Variable", "CDR(answer,u)")))
        try:
            said = (await self._channels.act(asked, deadline_s=_DEADLINE_S)).get("Value")
        except SwitchRefused:
            return None  # the channel is gone
        try:
            return float(said) or None
        except ValueError:
            return None


def call_id_of(channel: str, at: float) -> CallId:
    """The id of the call of this channel: the moment's, and what follows from the channel's own id."""
    moment = max(0, round(at * 1000)).to_bytes(6, "big")
    return CallId(f"call_{ULID.from_bytes(moment + hashlib.sha256(channel.encode()).digest()[:10])}")


def read_joined(channel: str, value: str) -> Joined | None:
    """The call that this entry tells of; None where it is not one that our dialplan writes."""
    parts = value.split(",")
    if len(parts) != _PARTS or CHANNEL_ID.fullmatch(channel) is None:
        return None
    at, tenant, session, seat, to_seat, dialled, who, line, target, cli, ring, talk = parts
    caller = f"phone:{who[1:]}" if who.startswith("@") else f"+{who}" if _CALLER.fullmatch(who) else ""
    try:
        return Joined(
            call_id=call_id_of(channel, float(at)),
            channel=ChannelId(channel),
            at=float(at),
            tenant=TenantId(tenant),
            session_id=session,
            seat=int(seat),
            to_seat=int(to_seat),
            dialled=dialled if _DIALLED.fullmatch(dialled) else "",
            caller=caller,
            line=line,
            route=Connect(_endpoint(target), E164(cli)),
            ring_s=int(ring),
            talk_s=int(talk),
        )
    except (InvalidInput, ValueError, OverflowError):
        return None


def _endpoint(target: str) -> Endpoint:
    number, phone = _TRUNK.fullmatch(target), _PHONE.fullmatch(target)
    if number is not None:
        return Trunk(E164(number[1]), number[2])
    if phone is not None:
        return Phone(phone[1])
    raise InvalidInput("not a target of the copy")
