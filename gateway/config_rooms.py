"""Settings of video rooms: where the media server is, or how the embedded one is run.

A part of ``gateway.config.Settings``, which reads them. The media server's address and key have the names
that Orbit's documentation gives them; the older names hold where the newer are not set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from gateway.config_room_sip import (
    RoomSipFields,
    RoomSipSettings,
    by_sip,
    room_sip_fields,
    room_sip_variables,
)
from gateway.secret import Secret
from telephony.errors import InvalidInput

ADDRESS_NAMES = {
    "url": ("DEVOTEL_ORBIT_MEDIA_URL", "DEVOTEL_LIVEKIT_URL"),
    "key": ("DEVOTEL_ORBIT_MEDIA_API_KEY", "DEVOTEL_LIVEKIT_API_KEY"),
    "secret": ("DEVOTEL_ORBIT_MEDIA_API_SECRET", "DEVOTEL_LIVEKIT_API_SECRET"),
}
"""The name in use, then the older one."""
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SCHEMES = ("ws", "wss", "http", "https")


class Variables(Protocol):
    """The environment's reader, as far as it is needed here."""

    def text(self, name: str, default: str) -> str: ...

    def integer(self, name: str, default: int, low: int, high: int) -> int: ...

    def choice(self, name: str, options: tuple[str, ...]) -> str: ...

    def flag(self, name: str, default: bool) -> bool: ...

    def url(self, name: str, schemes: tuple[str, ...], default: str) -> str: ...

    def optional_path(self, name: str) -> Path | None: ...

    def secret(self, name: str, at_least: int) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class RoomServerAddress:
    """A LiveKit server: ``url`` (``ws``, ``wss``, ``http`` or ``https``), an API key and its secret."""

    url: str
    key: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class RoomSettings(RoomSipSettings):
    """``room_server`` None: the embedded one, where ``livekit`` is ``auto`` and the program can be had; else
    there are no rooms. ``livekit_public_url``: what browsers are told to connect to; empty: the server's own
    address. ``livekit_old_keys``: keys whose signature under the media server's reports is still taken.
    ``room_host_admin``: whether a host's token also opens the media server's own control interface.
    ``room_workers``: processes that carry telephones into rooms, 0: the gateway itself does; the switch
    brings them their sound to ``room_media_port`` and the ports after it, on ``media_host``."""

    room_server: RoomServerAddress | None
    livekit: Literal["auto", "off"]
    livekit_server_bin: Path | None
    livekit_port: int
    livekit_udp_port: int
    livekit_public_url: str
    livekit_old_keys: Secret | None
    room_host_admin: bool
    room_workers: int
    room_media_port: int


class RoomFields(RoomSipFields):
    room_server: RoomServerAddress | None
    livekit: Literal["auto", "off"]
    livekit_server_bin: Path | None
    livekit_port: int
    livekit_udp_port: int
    livekit_public_url: str
    livekit_old_keys: Secret | None
    room_host_admin: bool
    room_workers: int
    room_media_port: int


def room_fields(env: Variables, environ: Mapping[str, str]) -> RoomFields:
    """The fields of ``RoomSettings``. Raises InvalidInput."""
    old_keys = env.secret("LIVEKIT_OLD_KEYS", 1)
    if old_keys is not None:
        read_keys(old_keys)
    sip = room_sip_fields(env)
    most = 7 if sip["room_sip_host"] and sip["room_carrier"] != "bridge" else 8
    return RoomFields(
        **sip,
        room_server=_address(environ),
        livekit="off" if env.choice("LIVEKIT", ("auto", "off")) == "off" else "auto",
        livekit_server_bin=env.optional_path("LIVEKIT_SERVER_BIN"),
        livekit_port=env.integer("LIVEKIT_PORT", 7_880, 1, 65_535),
        livekit_udp_port=env.integer("LIVEKIT_UDP_PORT", 7_881, 1, 65_535),
        livekit_public_url=env.url("LIVEKIT_PUBLIC_URL", ("ws", "wss"), ""),
        livekit_old_keys=old_keys,
        room_host_admin=env.flag("ROOM_HOST_ADMIN", False),
        room_workers=env.integer("ROOM_WORKERS", 2, 0, most),
        room_media_port=env.integer("ROOM_MEDIA_PORT", 4_580, 1, 65_528),
    )


def read_keys(text: Secret) -> dict[str, str]:
    """``key:secret`` pairs joined by commas. Raises InvalidInput, which never quotes them."""
    found = {}
    for pair in text.reveal().split(","):
        key, _, secret = pair.strip().partition(":")
        if _KEY.fullmatch(key) is None or not secret:
            name, expected = "PATCHBAY_LIVEKIT_OLD_KEYS", "key:secret pairs joined by commas"
            raise InvalidInput(f"{name} must be {expected}", field=name, expected=expected)
        found[key] = secret
    return found


def room_media_ports(settings: RoomSettings) -> int:
    """How many ports the switch brings telephones in rooms to: one for each process, one for those by SIP."""
    return max(1, settings.room_workers) + by_sip(settings)


def room_variables(settings: RoomSettings) -> dict[str, object]:
    """The gateway's part of these settings, by the names of their variables without the prefix."""
    old = settings.livekit_old_keys
    return {
        **room_sip_variables(settings),
        "livekit": settings.livekit,
        "livekit_server_bin": settings.livekit_server_bin,
        "livekit_public_url": settings.livekit_public_url,
        "livekit_old_keys": None if old is None else old.reveal(),
        "room_host_admin": "1" if settings.room_host_admin else "0",
        "room_workers": settings.room_workers,
        "room_media_port": settings.room_media_port,
    }


def address_variables(address: RoomServerAddress | None) -> dict[str, str]:
    """The variables, by their whole names, that tell another process of this server."""
    if address is None:
        return {}
    told = {"url": address.url, "key": address.key, "secret": address.secret.reveal()}
    return {ADDRESS_NAMES[what][0]: value for what, value in told.items()}


def _address(environ: Mapping[str, str]) -> RoomServerAddress | None:
    """All of url, key and secret, or none of them."""
    given = {what: _first(environ, names) for what, names in ADDRESS_NAMES.items()}
    if not any(value for _, value in given.values()):
        return None
    for name, value in given.values():
        if not value:
            raise _refuse(name, "set, since others of the media server's are")
    (url_name, url), (key_name, key), (_, secret) = given["url"], given["key"], given["secret"]
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.username is not None:
        raise _refuse(url_name, "an address starting with ws://, wss://, http:// or https://")
    if _KEY.fullmatch(key) is None:
        raise _refuse(key_name, "letters, digits, dots, dashes and underscores")
    return RoomServerAddress(url.rstrip("/"), key, Secret(secret))


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """The first of these variables that is set, and its value; the name in use and nothing where none is."""
    for name in names:
        value = environ.get(name, "").strip()
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise _refuse(name, "text without control characters")
        if value:
            return name, value
    return names[0], ""


def _refuse(name: str, expected: str) -> InvalidInput:
    return InvalidInput(f"{name} must be {expected}", field=name, expected=expected)
