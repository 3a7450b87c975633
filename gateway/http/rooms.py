"""Every room of the Orbit face: what is served, guarded and documented."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import Room
from gateway.http.orbit.routes_account import ACCOUNT
from gateway.http.orbit.routes_proxy import PROXY
from gateway.http.orbit.routes_video import VIDEO
from gateway.http.orbit.routes_voice import VOICE

FACE_ROOMS: Final[tuple[Room, ...]] = (VOICE, PROXY, VIDEO, ACCOUNT)
"""In the order in which they are tried; the hot one first."""
