"""Identifiers: a prefix that says what it is, then a ULID. Made in shells, passed to cores."""

from __future__ import annotations

import re
from typing import NewType

CallId = NewType("CallId", str)
LegId = NewType("LegId", str)
"""One party's side of a call. Where we originate it is also the channel's Uniqueid (AMI ``ChannelId``)."""
ChannelId = NewType("ChannelId", str)
"""Asterisk's Uniqueid of a channel; at most 149 characters (manager_channels.c)."""
TenantId = NewType("TenantId", str)

_PATTERN = re.compile(r"[a-z]{2,5}_[0-9A-HJKMNP-TV-Z]{26}")
CHANNEL_ID = re.compile(r"[A-Za-z0-9._-]{1,149}")


def is_id(text: str, prefix: str) -> bool:
    """Whether ``text`` is a well-formed id of the given kind, e.g. ``is_id(x, "call")``."""
    return text.startswith(prefix + "_") and _PATTERN.fullmatch(text) is not None
