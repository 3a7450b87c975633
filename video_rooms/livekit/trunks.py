"""A LiveKit server's SIP objects (docs.livekit.io, "SIP APIs"; package livekit-api), as ``TrunkDesk``.

They live in LiveKit's Redis: without one it refuses all of this. No SIP service has to be there for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from livekit import api

from telephony.errors import OutcomeUnknown, RoomsUnavailable
from video_rooms.core.trunks import (
    SHOWN,
    CallOut,
    Inbound,
    OneCall,
    Outbound,
    There,
    Thing,
    ThingKind,
    metadata_of,
)
from video_rooms.livekit.control import LiveKitRooms

_NAME: Final = "patchbay"
_OK: Final = 200
_SLACK_S: Final = 0.5
_CODES: Final = api.ServerErrorCode
_UNKNOWN: Final = frozenset(
    {_CODES.DEADLINE_EXCEEDED, _CODES.CANCELED, _CODES.UNKNOWN, _CODES.ABORTED, _CODES.INTERNAL}
)
"""Refusals after which the SIP service may still be at work."""


class LiveKitTrunks:
    """Over the same connections as its rooms."""

    def __init__(self, rooms: LiveKitRooms) -> None:
        self._ask = rooms.ask

    async def found(self) -> Sequence[There]:
        async def listed(client: api.LiveKitAPI) -> list[There]:
            inbound = await client.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            outbound = await client.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
            rules = await client.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
            return [
                *(There("inbound", one.sip_trunk_id, one.metadata, _inbound(one)) for one in inbound.items),
                *(
                    There("outbound", one.sip_trunk_id, one.metadata, _outbound(one))
                    for one in outbound.items
                ),
                *(There("rule", one.sip_dispatch_rule_id, one.metadata) for one in rules.items),
            ]

        return await self._ask(listed) or []

    async def make(self, mark: str, thing: Thing) -> str:
        async def make(client: api.LiveKitAPI) -> str:
            match thing:
                case Inbound():
                    wanted = api.CreateSIPInboundTrunkRequest(trunk=_of_inbound(mark, thing))
                    return str((await client.sip.create_inbound_trunk(wanted)).sip_trunk_id)
                case Outbound():
                    towards = api.CreateSIPOutboundTrunkRequest(trunk=_of_outbound(mark, thing))
                    return str((await client.sip.create_outbound_trunk(towards)).sip_trunk_id)
                case OneCall():
                    rule = api.CreateSIPDispatchRuleRequest(dispatch_rule=_of_call(mark, thing))
                    return str((await client.sip.create_dispatch_rule(rule)).sip_dispatch_rule_id)

        made = await self._ask(make)
        if made is None:
            raise RoomsUnavailable("the media server has no SIP interface")
        return made

    async def change(self, mark: str, id_: str, thing: Thing) -> bool:
        async def change(client: api.LiveKitAPI) -> bool:
            match thing:
                case Inbound():
                    await client.sip.update_inbound_trunk(id_, _of_inbound(mark, thing))
                case Outbound():
                    await client.sip.update_outbound_trunk(id_, _of_outbound(mark, thing))
                case OneCall():
                    await client.sip.update_dispatch_rule(id_, _of_call(mark, thing))
            return True

        return await self._ask(change) is not None

    async def drop(self, kind: ThingKind, id_: str) -> None:
        async def drop(client: api.LiveKitAPI) -> None:
            if kind == "rule":
                rule = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id_)
                await client.sip.delete_dispatch_rule(rule)
            else:
                await client.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=id_))

        await self._ask(drop)

    async def call_out(self, call: CallOut, within_s: float) -> int:
        async def dial(client: api.LiveKitAPI) -> int:
            try:
                async with asyncio.timeout(within_s):
                    await client.sip.create_sip_participant(_of_call_out(call), timeout=within_s)
            except api.ServerError as refusal:
                return _final(refusal)
            except aiohttp.ClientConnectorError:
                raise  # nothing was asked
            except (TimeoutError, aiohttp.ClientError, OSError, DecodeError, AttributeError) as failure:
                raise OutcomeUnknown("the media server does not say what became of a call") from failure
            return _OK

        final = await self._ask(dial, within_s + _SLACK_S)
        if final is None:
            raise RoomsUnavailable("the media server has no trunk to the switch")
        return final

    async def introduce(self, room: str, identity: str, name: str) -> bool:
        wanted = api.UpdateParticipantRequest(room=room, identity=identity, name=name)
        return await self._ask(lambda client: client.room.update_participant(wanted)) is not None

    async def unmute(self, room: str, identity: str) -> bool:
        async def unmute(client: api.LiveKitAPI) -> bool:
            who = api.RoomParticipantIdentity(room=room, identity=identity)
            person = await client.room.get_participant(who)
            for track in person.tracks:
                if track.type == api.TrackType.AUDIO and track.muted:
                    order = api.MuteRoomTrackRequest(
                        room=room, identity=identity, track_sid=track.sid, muted=False
                    )
                    await client.room.mute_published_track(order)
            return True

        try:
            return await self._ask(unmute) is not None
        except RoomsUnavailable:  # a server that does not let others unmute says so, and that only
            return False


def _of_inbound(mark: str, thing: Inbound) -> api.SIPInboundTrunkInfo:
    return api.SIPInboundTrunkInfo(
        name=_NAME,
        metadata=metadata_of(mark, thing),
        numbers=[thing.number],
        allowed_addresses=thing.allowed,
        auth_username=thing.user,
        auth_password=thing.password,
        headers_to_attributes=SHOWN,
        ringing_timeout=Duration(seconds=thing.ringing_s),
        max_call_duration=Duration(seconds=thing.longest_s),
    )


def _inbound(told: api.SIPInboundTrunkInfo) -> Inbound | None:
    plain = told.name == _NAME and len(told.numbers) == 1 and not told.allowed_numbers
    if not plain or dict(told.headers_to_attributes) != SHOWN:
        return None
    return Inbound(
        told.numbers[0],
        told.auth_username,
        told.auth_password,
        tuple(told.allowed_addresses),
        told.ringing_timeout.seconds,
        told.max_call_duration.seconds,
    )


def _of_outbound(mark: str, thing: Outbound) -> api.SIPOutboundTrunkInfo:
    return api.SIPOutboundTrunkInfo(
        name=_NAME,
        metadata=metadata_of(mark, thing),
        address=thing.address,
        transport=api.SIPTransport.SIP_TRANSPORT_UDP,
        numbers=[thing.number],
        auth_username=thing.user,
        auth_password=thing.password,
    )


def _outbound(told: api.SIPOutboundTrunkInfo) -> Outbound | None:
    udp = told.transport == api.SIPTransport.SIP_TRANSPORT_UDP
    if len(told.numbers) != 1 or told.name != _NAME or not udp:
        return None
    return Outbound(told.address, told.auth_username, told.auth_password, told.numbers[0])


def _of_call(mark: str, thing: OneCall) -> api.SIPDispatchRuleInfo:
    direct = api.SIPDispatchRuleDirect(room_name=thing.room)
    return api.SIPDispatchRuleInfo(
        name=_NAME,
        metadata=metadata_of(mark, thing),
        rule=api.SIPDispatchRule(dispatch_rule_direct=direct),
        trunk_ids=[thing.trunk],
        numbers=[thing.number],
        inbound_numbers=[thing.caller],
        hide_phone_number=True,
        attributes=thing.attributes,
    )


def _of_call_out(call: CallOut) -> api.CreateSIPParticipantRequest:
    return api.CreateSIPParticipantRequest(
        sip_trunk_id=call.trunk,
        sip_call_to=call.number,
        room_name=call.room,
        participant_identity=call.identity,
        participant_name=call.name,
        participant_attributes=call.attributes,
        hide_phone_number=True,
        wait_until_answered=True,
        ringing_timeout=Duration(seconds=call.ring_s),
        max_call_duration=Duration(seconds=call.longest_s),
    )


def _final(refusal: api.ServerError) -> int:
    """The SIP final that a refusal tells of. Raises OutcomeUnknown, and itself where there was no call."""
    told = refusal.sip_status_code if isinstance(refusal, api.SipCallError) else None
    if told is not None and _OK < told < 700:
        return told
    if refusal.code in _UNKNOWN:
        raise OutcomeUnknown(f"the media server answered {refusal.code} for a call") from refusal
    raise refusal
