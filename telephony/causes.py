"""How calls end: Q.850 causes, the SIP finals behind them, statuses and typed terminations.

Sources: ITU-T Q.850 (cause values), RFC 3261 §21 (SIP finals), Asterisk 22
``ast_sip_hangup_sip2cause`` (which cause Asterisk derives from which final).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Cause(IntEnum):
    """Q.850 cause values that Asterisk gives or takes."""

    UNKNOWN = 0
    UNALLOCATED = 1
    NO_ROUTE = 3
    NORMAL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONSE = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    NUMBER_CHANGED = 22
    REDIRECTED = 23
    ROUTING_ERROR = 25
    """Q.850 "exchange routing error", a call that may make no further hop: what a caller is told where the
    far end redirected, for 23 would send him a 302 of ours. Asterisk makes 603 of it."""
    DESTINATION_OUT_OF_ORDER = 27
    INVALID_NUMBER_FORMAT = 28
    NORMAL_UNSPECIFIED = 31
    CONGESTION = 34
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    """What our dialplan ends a call with that fails for a moment: Asterisk makes 503 of it, and 603 of 41."""
    REQUESTED_CHANNEL_UNAVAILABLE = 44
    """Q.850 "requested circuit not available": what Asterisk's rtp_timeout ends a channel with."""
    BEARER_NOT_AVAILABLE = 58
    RECOVERY_ON_TIMER = 102
    INTERWORKING = 127


class CallStatus(StrEnum):
    """The eight public statuses of a call. They only move forward (``rank``)."""

    INITIATING = "initiating"
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        return _STATUS_RANK.get(self, 3)

    @property
    def final(self) -> bool:
        return self.rank == 3


_STATUS_RANK = {CallStatus.INITIATING: 0, CallStatus.RINGING: 1, CallStatus.IN_PROGRESS: 2}


class Result(StrEnum):
    """Whose doing an ending was; service levels are counted by it."""

    SUCCESS = "success"
    FAR_END = "far_end"
    CANCELLED = "cancelled"
    CLIENT_ERROR = "client_error"
    UPSTREAM_ERROR = "upstream_error"
    SERVER_ERROR = "server_error"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Termination:
    """How a call ended: a result and a short stable token, e.g. ``far_end/busy``."""

    result: Result
    reason: str

    def __str__(self) -> str:
        return f"{self.result}/{self.reason}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Final status and termination of one unanswered attempt."""

    status: CallStatus
    termination: Termination


def _verdict(status: CallStatus, result: Result, reason: str) -> Verdict:
    return Verdict(status, Termination(result, reason))


_BUSY = _verdict(CallStatus.BUSY, Result.FAR_END, "busy")
_UNAVAILABLE = _verdict(CallStatus.NO_ANSWER, Result.FAR_END, "unavailable")
_FAR_NO_ANSWER = _verdict(CallStatus.NO_ANSWER, Result.FAR_END, "no_answer")
_NO_RESPONSE = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "no_response")
_UNALLOCATED = _verdict(CallStatus.FAILED, Result.CLIENT_ERROR, "unallocated_number")
_INVALID = _verdict(CallStatus.FAILED, Result.CLIENT_ERROR, "invalid_number")
_DECLINED = _verdict(CallStatus.FAILED, Result.FAR_END, "declined")
_FORBIDDEN = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "forbidden")
_CONGESTION = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "congestion")
_TROUBLE = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "carrier_failure")
_MEDIA = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "incompatible_media")
_CHANGED = _verdict(CallStatus.FAILED, Result.CLIENT_ERROR, "number_changed")
_REDIRECTED = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "redirected")
_INTERWORKING = _verdict(CallStatus.FAILED, Result.UPSTREAM_ERROR, "interworking")
_UNKNOWN = _verdict(CallStatus.FAILED, Result.INDETERMINATE, "unclassified")

_BY_SIP: dict[int, Verdict] = {
    401: _FORBIDDEN,
    403: _FORBIDDEN,
    404: _UNALLOCATED,
    407: _FORBIDDEN,
    410: _CHANGED,
    480: _UNAVAILABLE,
    484: _INVALID,
    485: _UNALLOCATED,
    486: _BUSY,
    488: _MEDIA,
    500: _TROUBLE,
    502: _TROUBLE,
    503: _CONGESTION,
    504: _TROUBLE,
    600: _BUSY,
    603: _DECLINED,
    604: _UNALLOCATED,
    606: _MEDIA,
}

_BY_CAUSE: dict[int, Verdict] = {
    Cause.UNALLOCATED: _UNALLOCATED,
    Cause.USER_BUSY: _BUSY,
    Cause.NO_ANSWER: _FAR_NO_ANSWER,
    Cause.CALL_REJECTED: _DECLINED,
    Cause.NUMBER_CHANGED: _CHANGED,
    Cause.REDIRECTED: _REDIRECTED,
    Cause.ROUTING_ERROR: _REDIRECTED,
    Cause.DESTINATION_OUT_OF_ORDER: _TROUBLE,
    Cause.INVALID_NUMBER_FORMAT: _INVALID,
    Cause.CONGESTION: _CONGESTION,
    Cause.NETWORK_OUT_OF_ORDER: _TROUBLE,
    Cause.TEMPORARY_FAILURE: _TROUBLE,
    Cause.SWITCH_CONGESTION: _TROUBLE,
    Cause.BEARER_NOT_AVAILABLE: _MEDIA,
    Cause.RECOVERY_ON_TIMER: _TROUBLE,
    Cause.INTERWORKING: _INTERWORKING,
}


def verdict(cause: int | None, sip: int | None, *, rang: bool) -> Verdict:
    """Judge an attempt that was never answered, from the Hangup event's evidence.

    ``sip`` (TechCause) is the more exact word and wins over ``cause``. 408 and Q.850 18 mean
    "no answer" only if the phone was heard ringing; without that nothing was reached at all. Every 3xx is
    a redirection, and none is followed.
    """
    if sip == 408 or (sip is None and cause == Cause.NO_USER_RESPONSE):
        return _FAR_NO_ANSWER if rang else _NO_RESPONSE
    if sip is not None and 300 <= sip <= 399:
        return _REDIRECTED
    if sip is not None and sip in _BY_SIP:
        return _BY_SIP[sip]
    if cause is not None and cause in _BY_CAUSE:
        return _BY_CAUSE[cause]
    return _INTERWORKING if sip is not None and sip >= 300 else _UNKNOWN


CAUSE_FOR_STATUS: dict[CallStatus, Cause] = {
    CallStatus.BUSY: Cause.USER_BUSY,
    CallStatus.NO_ANSWER: Cause.NO_ANSWER,
    CallStatus.CANCELLED: Cause.NORMAL_CLEARING,
    CallStatus.COMPLETED: Cause.NORMAL_CLEARING,
}
