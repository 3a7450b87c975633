"""Checks of the way into video rooms by LiveKit's SIP service: whether the settings make sense, the service
answers, and LiveKit has our trunks. They look and change nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

import aiohttp

from gateway.config import Settings, is_loopback
from gateway.config_room_sip import RoomSipSettings, allowed_from, by_sip, installation_mark
from gateway.config_rooms import RoomServerAddress
from gateway.runtime.findings import Finding, fail, ok, warn
from gateway.runtime.plan import SwitchPlan
from video_rooms.core.trunks import There, is_ours

NAME: Final = "rooms by SIP"
_DEADLINE_S: Final = 5.0
_TRIES_S: Final = (0.5, 1.0, 2.0)
"""How long an answer is waited for after each OPTIONS, which may be lost as any datagram (RFC 3261, 17.1.2.2:
T1, doubled)."""
_LONGEST: Final = 4096


async def check_room_sip(
    settings: Settings, plan: SwitchPlan | None, address: RoomServerAddress | None, running: bool
) -> list[Finding]:
    """Nothing where no SIP service is configured. ``address``: LiveKit's, None where it is not to be asked
    now; ``running``: the gateway of this ``var_dir`` runs."""
    if not by_sip(settings):
        return []
    found = judge_settings(settings, plan)
    if settings.room_sip_way == "in":  # why: the switch may not reach a service that calls it
        found.append(await check_service(settings))
    if address is None:
        return found
    mark = _mark(settings)
    return [*found, await check_trunks(settings, address, mark, running=running)]


# ---------------------------------------------------------------- the settings


def judge_settings(settings: Settings, plan: SwitchPlan | None) -> list[Finding]:
    """Addresses that cannot be what was meant."""
    found: list[Finding] = []
    host, near = settings.room_sip_host, is_loopback(settings.room_sip_host)
    sip_port = settings.sip_port if plan is None else plan.sip.udp_port or settings.sip_port
    if near and settings.room_sip_port == sip_port and settings.ami_logins is None:
        mend = "give LiveKit's SIP service a port of its own and set PATCHBAY_ROOM_SIP_PORT to it"
        found.append(fail(NAME, f"the port {sip_port} of this machine is the switch's own", mend))
    called = near and settings.room_sip_way == "in"
    if called and not any(ip_network(one, strict=False).is_loopback for one in allowed_from(settings)):
        mend = "add 127.0.0.0/8 (or ::1) to PATCHBAY_ROOM_SIP_ALLOWED, or leave it out"
        found.append(
            warn(NAME, "the service is on this machine, and the switch may not call it from there", mend)
        )
    if not near and is_loopback(settings.room_sip_switch.rpartition(":")[0].strip("[]")):
        mend = "set PATCHBAY_ROOM_SIP_SWITCH to an address of the switch that the service reaches"
        found.append(warn(NAME, "the service is told to call the switch at loopback, its own machine", mend))
    trunks = [] if plan is None else [one.name for one in plan.trunks if _is_from(host, one.identify)]
    if trunks:
        mend = "give LiveKit's SIP service an address of its own"
        told = f"calls from {host} count as the trunk {trunks[0]}'s, so rooms cannot call the switch"
        found.append(warn(NAME, told, mend))
    return found


def _is_from(host: str, places: Sequence[str]) -> bool:
    """Whether an address lies in one of these networks; names are nobody's."""
    at = ip_address(host)
    for place in places:
        try:
            if at in ip_network(place, strict=False):
                return True
        except ValueError:
            continue
    return False


# ---------------------------------------------------------------- the service


async def check_service(settings: RoomSipSettings) -> Finding:
    """Whether its port answers OPTIONS, within four seconds."""
    host, port = settings.room_sip_host, settings.room_sip_port
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    trouble = fail if settings.room_carrier == "sip" else warn
    mend = "start LiveKit's SIP service (livekit-sip), or mend PATCHBAY_ROOM_SIP_HOST and …_ROOM_SIP_PORT"
    if settings.room_carrier != "sip":
        mend += "; until then telephones come in by the media bridge"
    try:
        status = await _options(host, port)
    except OSError as failure:
        return trouble(NAME, f"no SIP service at {place}: {type(failure).__name__}", mend)
    if status is None:
        return trouble(NAME, f"the SIP service at {place} does not answer OPTIONS", mend)
    return ok(NAME, f"the SIP service at {place} answers OPTIONS ({status})")


async def _options(host: str, port: int) -> int | None:
    """The status of its answer (RFC 3261, 11), None where none comes. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[int] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(heard), remote_addr=(host, port))
    try:
        own = transport.get_extra_info("sockname")
        asked = _request(host, port, own[0], own[1])
        for patience_s in _TRIES_S:
            transport.sendto(asked)
            await asyncio.wait([heard], timeout=patience_s)
            if heard.done():
                return heard.result()
        return None
    finally:
        transport.close()


def _request(host: str, port: int, own_host: str, own_port: int) -> bytes:
    there, here = (f"[{one}]" if ":" in one else one for one in (host, own_host))
    tag = secrets.token_hex(8)
    lines = (
        f"OPTIONS sip:{there}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {here}:{own_port};rport;branch=z9hG4bK{tag}",
        "Max-Forwards: 70",
        f"From: <sip:doctor@{here}>;tag={tag}",
        f"To: <sip:{there}:{port}>",
        f"Call-ID: {tag}@{here}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:doctor@{here}:{own_port}>",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()


class _Ear(asyncio.DatagramProtocol):
    """Waits for a final answer in SIP; anything else that comes is nothing."""

    def __init__(self, heard: asyncio.Future[int]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        words = data[:_LONGEST].split(b"\r\n", 1)[0].split(b" ", 2)
        if self._heard.done() or len(words) < 2 or words[0] != b"SIP/2.0":
            return
        if len(words[1]) == 3 and words[1].isdigit() and int(words[1]) >= 200:
            self._heard.set_result(int(words[1]))

    def error_received(self, exc: Exception) -> None:
        if not self._heard.done():
            self._heard.set_exception(exc)


# ---------------------------------------------------------------- LiveKit's side


async def check_trunks(
    settings: RoomSipSettings, address: RoomServerAddress, mark: str | None, *, running: bool
) -> Finding:
    """Whether LiveKit has a SIP interface, and there what the gateway makes. ``mark`` None: this installation
    has none yet."""
    trouble = fail if settings.room_carrier == "sip" else warn
    try:
        found = await _found(address)
    except _Refused as refusal:
        mend = "give LiveKit and its SIP service one Redis (redis: in both; the embedded LiveKit has none)"
        return trouble(NAME, f"LiveKit refuses what has to do with SIP: {refusal}", mend)
    except (aiohttp.ClientError, TimeoutError, OSError, AttributeError) as failure:
        # why AttributeError: livekit-api 1.2.2 takes an error without a body for a JSON object
        return trouble(NAME, f"LiveKit does not tell its trunks: {type(failure).__name__}", "start it")
    ours = {one.kind for one in found if mark is not None and is_ours(one, mark)}
    wanted = {"inbound"} if settings.room_sip_way == "in" else set[str]()
    wanted |= {"outbound"} if settings.room_sip_switch else set()
    if wanted <= ours:
        return ok(NAME, f"LiveKit has our trunks ({', '.join(sorted(wanted))})")
    if not running:
        return ok(NAME, "LiveKit has a SIP interface; the gateway makes its trunks there when it starts")
    missing = ", ".join(sorted(wanted - ours))
    mend = "look for trunks.not_looked_at in var/log/gateway.log; the gateway looks again every 30 s"
    return trouble(NAME, f"LiveKit has not our trunks ({missing})", mend)


class _Refused(Exception):
    """LiveKit refuses to tell, and says why."""


async def _found(address: RoomServerAddress) -> list[There]:
    from livekit import api  # why here: it takes a second, and only rooms need it

    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    key, secret = address.key, address.secret.reveal()
    async with api.LiveKitAPI(address.url, key, secret, timeout=timeout, failover=False) as client:
        try:
            inbound = await client.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            outbound = await client.sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
        except api.ServerError as refusal:
            raise _Refused(f"{refusal.status}, {refusal.message[:200]}") from None
    return [
        *(There("inbound", one.sip_trunk_id, one.metadata) for one in inbound.items),
        *(There("outbound", one.sip_trunk_id, one.metadata) for one in outbound.items),
    ]


def _mark(settings: Settings) -> str | None:
    """This installation's mark; None where the gateway has not made it yet."""
    if settings.signing_secret is not None:
        return installation_mark(settings.signing_secret.reveal().encode())
    kept = settings.var_dir / "signing.secret"
    if not kept.exists():
        return None
    return installation_mark(kept.read_text().strip().encode())
