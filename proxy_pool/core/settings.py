"""How a tenant's masking service behaves where a session says nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy_pool.core.number import Geo
from proxy_pool.core.session import Terms
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class UnknownCallers:
    """The ladder for somebody whom no session knows, or who withholds the number. Each rung is optional.

    In this order: ``intercept_url`` may block; ``ask_pin`` asks everybody alike, whether or not a session
    with a PIN exists; ``callback_url`` asks the application, which may open a session on the spot;
    ``fallback`` is dialled; ``announcement`` (a sound's file name) is played; else the call is refused.
    ``fail_open``: whether a hook that cannot be reached lets the interaction go on.
    Attempts at PINs are limited per caller and per number, in a window of ``pin_window_s``.
    """

    intercept_url: str = field(default="", repr=False)
    ask_pin: bool = False
    callback_url: str = field(default="", repr=False)
    fallback: E164 | None = None
    announcement: str = ""
    fail_open: bool = False
    hook_timeout_s: float = 3.0
    pin_attempts_per_caller: int = 5
    pin_attempts_per_number: int = 50
    pin_window_s: int = 3600
    calls_per_caller: int = 20
    """Calls of one unknown caller to one number within ``pin_window_s``; more are refused at once."""


@dataclass(frozen=True, slots=True)
class TextAnswers:
    """What people hear back who write STOP, HELP or START to a proxy number; empty answers nothing."""

    stop: str = "You will get no more messages from this service. Reply START to get them again."
    help: str = "This number relays messages between the two sides of an order. Reply STOP to end them."
    start: str = "You will get messages from this service again. Reply STOP to end them."


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One tenant's service. ``terms`` are the defaults of its sessions.

    ``expiring_notice_s``: how long before its end a session tells ``session.expiring``; 0 never.
    ``keep_bodies``: whether texts' bodies are kept after they were relayed; kept ones are redacted as sent.
    """

    terms: Terms = field(default_factory=Terms)
    geo: Geo = Geo.COUNTRY
    unknown: UnknownCallers = field(default_factory=UnknownCallers)
    answers: TextAnswers = field(default_factory=TextAnswers)
    expiring_notice_s: int = 300
    keep_bodies: bool = False
