"""Settings of the way into video rooms by SIP: where LiveKit's SIP service is, and how it and the switch know
each other.

A part of ``gateway.config_rooms``. Both sides' passwords are ours to choose, for it is we who tell LiveKit of
its trunks: those that are not set are made once for this installation.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal, Protocol, TypedDict

from gateway.config_agents import AgentSettings
from gateway.secret import Secret
from telephony.errors import InvalidInput

RoomCarrier = Literal["auto", "bridge", "sip"]
RoomSipWay = Literal["in", "out"]
ENDPOINT = "room_sip"
"""What the switch calls LiveKit's SIP service, and the user as whom that one calls. No trunk or phone of a
plan can have a name with an underscore in it."""
_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PASSWORD = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,/?@:#%^-]{16,128}")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}")


class Variables(Protocol):
    """The environment's reader, as far as it is needed here."""

    def text(self, name: str, default: str) -> str: ...

    def integer(self, name: str, default: int, low: int, high: int) -> int: ...

    def choice(self, name: str, options: tuple[str, ...]) -> str: ...

    def flag(self, name: str, default: bool) -> bool: ...

    def secret(self, name: str, at_least: int) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class RoomSipSettings(AgentSettings):
    """``room_carrier``: what brings telephones into rooms. ``auto``: LiveKit's SIP service where one is
    named, and the media bridge wherever that does not do it; ``bridge``, ``sip``: one of the two alone.

    ``room_sip_way``: who calls: ``in``, the switch LiveKit's service; ``out``, LiveKit's service the switch.

    ``room_sip_host``: the service's IP address. ``room_sip_user`` and ``room_sip_password``: as whom the
    switch calls it; ``room_sip_back_password``: with which it calls the switch. ``room_sip_allowed``:
    networks that the switch's calls reach it from. ``room_sip_switch``: ``host:port`` at which it reaches the
    switch; empty: it does not. ``room_sip_keep``: whether our trunks stay at LiveKit when the gateway ends.
    """

    room_carrier: RoomCarrier
    room_sip_way: RoomSipWay
    room_sip_host: str
    room_sip_port: int
    room_sip_user: str
    room_sip_password: Secret | None
    room_sip_back_password: Secret | None
    room_sip_allowed: tuple[str, ...]
    room_sip_switch: str
    room_sip_keep: bool


class RoomSipFields(TypedDict):
    room_carrier: RoomCarrier
    room_sip_way: RoomSipWay
    room_sip_host: str
    room_sip_port: int
    room_sip_user: str
    room_sip_password: Secret | None
    room_sip_back_password: Secret | None
    room_sip_allowed: tuple[str, ...]
    room_sip_switch: str
    room_sip_keep: bool


@dataclass(frozen=True, slots=True)
class RoomSipEnd:
    """LiveKit's SIP service as the switch is told of it."""

    host: str
    port: int
    user: str
    password: Secret
    back_password: Secret

    @property
    def place(self) -> str:
        """Host and port as a SIP URI has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def room_sip_fields(env: Variables) -> RoomSipFields:
    """The fields of ``RoomSipSettings``. Raises InvalidInput."""
    carrier = env.choice("ROOM_CARRIER", ("auto", "bridge", "sip"))
    host = env.text("ROOM_SIP_HOST", "")
    allowed = tuple(part.strip() for part in env.text("ROOM_SIP_ALLOWED", "").split(",") if part.strip())
    fields = RoomSipFields(
        room_carrier="sip" if carrier == "sip" else "bridge" if carrier == "bridge" else "auto",
        room_sip_way="out" if env.choice("ROOM_SIP_WAY", ("in", "out")) == "out" else "in",
        room_sip_host=host,
        room_sip_port=env.integer("ROOM_SIP_PORT", 5_060, 1, 65_535),
        room_sip_user=env.text("ROOM_SIP_USER", "patchbay"),
        room_sip_password=env.secret("ROOM_SIP_PASSWORD", 16),
        room_sip_back_password=env.secret("ROOM_SIP_BACK_PASSWORD", 16),
        room_sip_allowed=allowed,
        room_sip_switch=env.text("ROOM_SIP_SWITCH", ""),
        room_sip_keep=env.flag("ROOM_SIP_KEEP", True),
    )
    _check(fields)
    return fields


def room_sip_variables(settings: RoomSipSettings) -> dict[str, object]:
    """The gateway's part of these settings, by the names of their variables without the prefix."""
    passwords = {
        "room_sip_password": settings.room_sip_password,
        "room_sip_back_password": settings.room_sip_back_password,
    }
    return {
        "room_carrier": settings.room_carrier,
        "room_sip_way": settings.room_sip_way,
        "room_sip_host": settings.room_sip_host or None,
        "room_sip_port": settings.room_sip_port,
        "room_sip_user": settings.room_sip_user,
        **{name: None if secret is None else secret.reveal() for name, secret in passwords.items()},
        "room_sip_allowed": ",".join(settings.room_sip_allowed) or None,
        "room_sip_switch": settings.room_sip_switch or None,
        "room_sip_keep": "1" if settings.room_sip_keep else "0",
    }


def by_sip(settings: RoomSipSettings) -> bool:
    """Whether telephones are brought into rooms by the service."""
    return settings.room_carrier != "bridge" and bool(settings.room_sip_host)


def room_sip_end(settings: RoomSipSettings, made: SecretMaker, var_dir: Path) -> RoomSipEnd | None:
    """The service as the switch is told of it; None where telephones do not come in by it. ``made`` gives the
    secret kept at a path, which it makes where there is none."""
    if not by_sip(settings):
        return None
    kept = var_dir / "secrets"
    return RoomSipEnd(
        settings.room_sip_host,
        settings.room_sip_port,
        settings.room_sip_user,
        settings.room_sip_password or made(kept / "room-sip"),
        settings.room_sip_back_password or made(kept / "room-sip-back"),
    )


class SecretMaker(Protocol):
    def __call__(self, path: Path, /) -> Secret: ...


def allowed_from(settings: RoomSipSettings) -> tuple[str, ...]:
    """Networks that LiveKit takes the switch's calls from: those that are named, or this machine's loopback
    where the service is on it, too."""
    if settings.room_sip_allowed:
        return settings.room_sip_allowed
    return ("::1/128",) if ":" in settings.room_sip_host else ("127.0.0.0/8",)


def installation_mark(secret: bytes) -> str:
    """The same for every process of an installation, and for no other; nothing can be learnt from it."""
    return hashlib.sha256(b"patchbay room trunks\n" + secret).hexdigest()[:8]


def _check(fields: RoomSipFields) -> None:
    host = fields["room_sip_host"]
    if host:
        try:
            at = ip_address(host)
        except ValueError:
            raise _refuse("ROOM_SIP_HOST", "an IP address") from None
        called = fields["room_sip_way"] == "in"
        if called and not at.is_loopback and not fields["room_sip_allowed"]:
            raise _refuse("ROOM_SIP_ALLOWED", "set: the networks that the switch's calls come from")
    elif fields["room_carrier"] == "sip":
        raise _refuse("ROOM_SIP_HOST", "set, since PATCHBAY_ROOM_CARRIER is sip")
    elif fields["room_sip_way"] == "out" and fields["room_carrier"] != "bridge":
        raise _refuse("ROOM_SIP_HOST", "set, since PATCHBAY_ROOM_SIP_WAY is out")
    if _USER.fullmatch(fields["room_sip_user"]) is None:
        raise _refuse("ROOM_SIP_USER", "letters, digits, dots, dashes and underscores")
    for name in ("room_sip_password", "room_sip_back_password"):
        secret = fields[name]
        if secret is not None and _PASSWORD.fullmatch(secret.reveal()) is None:
            raise _refuse(
                name.upper(), "16 to 128 letters, digits and signs, without spaces, quotes or semicolons"
            )
    if fields["room_sip_way"] == "out" and not fields["room_sip_switch"]:
        raise _refuse(
            "ROOM_SIP_SWITCH", "set, since PATCHBAY_ROOM_SIP_WAY is out: host:port at which LiveKit calls"
        )
    if fields["room_sip_switch"] and _ADDRESS.fullmatch(fields["room_sip_switch"]) is None:
        raise _refuse("ROOM_SIP_SWITCH", "host:port")
    for network in fields["room_sip_allowed"]:
        try:
            ip_network(network)
        except ValueError:
            raise _refuse("ROOM_SIP_ALLOWED", "IP addresses or networks joined by commas") from None


def _refuse(name: str, expected: str) -> InvalidInput:
    whole = f"PATCHBAY_{name}"
    return InvalidInput(f"{whole} must be {expected}", field=whole, expected=expected)
