"""What one attempt's answer means: delivered, try again when, give up, or switch the endpoint off.

The schedule is Standard Webhooks' example with a one-minute step added: eleven attempts over
75 hours 36 minutes. 2xx alone is success. A redirect is a failure: following it would leave the address
that was checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal

SCHEDULE_S: Final = (0, 5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before attempt 1, 2, 3 …, each counted from the failure before it."""
JITTER: Final = 0.2
"""Each delay is stretched or shortened by up to this share, so that retries do not come in waves."""
MAX_RETRY_AFTER_S: Final = 86_400
THROTTLE_S: Final = 5.0
"""How long a receiver that asks for less (429, 502, 504) is left alone when it names no time."""
MAX_PAUSE_S: Final = 900.0
"""No answer silences a whole receiver for longer than this; the one delivery may wait longer."""
DISABLE_AFTER_S: Final = 5 * 86_400.0
"""An endpoint that has known nothing but failure for this long is switched off."""
GONE: Final = 410
_THROTTLING = frozenset({429, 502, 504})
_STRAINED = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """The receiver answered. ``headers`` has lower-case names; ``excerpt`` is the start of its body.

    ``body`` is the body as it came, only from a sender that was told to keep it.
    """

    status: int
    headers: Mapping[str, str]
    excerpt: str = ""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class NoReply:
    """The receiver did not answer: ``kind`` says how. ``refused`` is our own rule, not the network."""

    kind: Literal["timeout", "connect", "tls", "dns", "protocol", "refused"]
    detail: str


Answer = Reply | NoReply


@dataclass(frozen=True, slots=True)
class Delivered:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Wait ``delay_s``. ``pause_s`` > 0: leave the whole receiver alone for so long."""

    delay_s: float
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt. ``endpoint_gone``: the receiver asked never to be called again."""

    reason: Literal["exhausted", "gone", "aborted", "refused"]
    endpoint_gone: bool = False


Verdict = Delivered | TryAgain | GiveUp


def judge(answer: Answer, attempts: int, now: float, chance: float) -> Verdict:
    """What follows from an answer.

    ``attempts`` counts this one too; ``now`` is seconds since 1970; ``chance`` in [0, 1) is the throw
    of the dice for jitter. A receiver ends a delivery for good with 410, or with the header
    ``webhook-delivery: abort-message``.
    """
    if isinstance(answer, NoReply):
        if answer.kind == "refused":
            return GiveUp("refused")
        return _later(attempts, 0.0, 0.0, chance)
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status == GONE:
        return GiveUp("gone", endpoint_gone=True)
    if answer.headers.get("webhook-delivery", "").strip().lower() == "abort-message":
        return GiveUp("aborted")
    asked = retry_after_s(answer.headers.get("retry-after", ""), now)
    pause = 0.0
    if answer.status in _THROTTLING or asked > 0:
        pause = min(asked or THROTTLE_S, MAX_PAUSE_S)
    return _later(attempts, asked, pause, chance)


def is_strain(answer: Answer) -> bool:
    """Whether the receiver seems down or overloaded, so that asking it less helps both sides."""
    if isinstance(answer, NoReply):
        return answer.kind != "refused"
    return answer.status in _STRAINED


def retry_after_s(header: str, now: float) -> float:
    """Seconds a ``Retry-After`` asks for (RFC 9110 §10.2.3: a number or a date); 0 if absent or senseless."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), MAX_RETRY_AFTER_S))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, moment.timestamp() - now), float(MAX_RETRY_AFTER_S))


def delay_s(attempts: int, chance: float) -> float | None:
    """Seconds until the next attempt after ``attempts`` failures; None when the schedule is exhausted."""
    if attempts >= len(SCHEDULE_S):
        return None
    return SCHEDULE_S[attempts] * (1.0 - JITTER + 2.0 * JITTER * chance)


def is_beyond_hope(failing_since: float, now: float) -> bool:
    """Whether an endpoint that has failed without a success since then must be switched off."""
    return now - failing_since >= DISABLE_AFTER_S


def describe(answer: Answer) -> str:
    """One line for the delivery's record, e.g. ``HTTP 500`` or ``timeout: no answer within 15 s``."""
    if isinstance(answer, NoReply):
        return f"{answer.kind}: {answer.detail}"[:300]
    if 300 <= answer.status < 400:
        return f"HTTP {answer.status} (redirects are not followed)"
    return f"HTTP {answer.status}"


def _later(attempts: int, asked_s: float, pause_s: float, chance: float) -> Verdict:
    planned = delay_s(attempts, chance)
    if planned is None:
        return GiveUp("exhausted")
    return TryAgain(math.ceil(max(planned, asked_s) * 1_000) / 1_000, pause_s)
