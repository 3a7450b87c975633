"""Calls and errors in Twilio's shapes.

Error numbers: https://www.twilio.com/docs/api/errors. Dates are RFC 2822, durations texts of whole seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from dialplan.core.call import Direction
from dialplan.core.record import CallRecord, masked_end
from gateway.http.errors import describe, status_of
from gateway.http.exchange import API_ONLY, JSON, ToldError, to_json
from gateway.storage.records import Json
from telephony.causes import CallStatus
from telephony.errors import Conflict, InvalidInput
from voice_agents.core.sids import account_sid, call_sid

VERSION: Final = "2010-04-01"
STATUS: Final[dict[CallStatus, str]] = {
    CallStatus.INITIATING: "queued",
    CallStatus.RINGING: "ringing",
    CallStatus.IN_PROGRESS: "in-progress",
    CallStatus.COMPLETED: "completed",
    CallStatus.FAILED: "failed",
    CallStatus.BUSY: "busy",
    CallStatus.NO_ANSWER: "no-answer",
    CallStatus.CANCELLED: "canceled",
}
_BY_STATUS: Final = {401: 20003, 403: 20403, 404: 20404, 405: 20004, 429: 20429, 502: 20503, 503: 20503}
_BY_CODE: Final = {
    "INVALID_PHONE_NUMBER": 13224,
    "EMERGENCY_NUMBER": 13225,
    "PREMIUM_NUMBER": 13225,
    "CALL_LOOP": 13225,
    "TRANSFER_NOT_ALLOWED": 13225,
    "COUNTRY_NOT_ALLOWED": 13227,
}
NOT_IN_PROGRESS: Final = 21220
INVALID_PARAMETER: Final = 20001


def call_resource(call: CallRecord, *, whole: bool) -> dict[str, Json]:
    """A call as Twilio's Call resource; what this gateway does not know is null."""
    sid, account = call_sid(call.id), account_sid(call.tenant)
    began = call.answered_at if call.answered_at is not None else call.created_at
    to, shown = call.to_number, call.from_number
    if not whole:
        to, shown = masked_end(to), masked_end(shown)
    return {
        "sid": sid,
        "account_sid": account,
        "parent_call_sid": None,
        "to": to,
        "to_formatted": to,
        "from": shown,
        "from_formatted": shown,
        "phone_number_sid": None,
        "status": STATUS[call.status],
        "start_time": _moment(began),
        "end_time": _moment(call.ended_at),
        "duration": None if call.duration_s is None else str(call.duration_s),
        "price": None,
        "price_unit": "USD",
        "direction": "outbound-api" if call.direction is Direction.OUTBOUND else "inbound",
        "answered_by": None,
        "annotation": None,
        "api_version": VERSION,
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "date_created": _moment(call.created_at),
        "date_updated": _moment(call.ended_at if call.ended_at is not None else began),
        "uri": f"/{VERSION}/Accounts/{account}/Calls/{sid}.json",
        "subresource_uris": {},
    }


def tell(fault: BaseException, whole: bool) -> ToldError:
    """An error as Twilio's clients read it. Fits ``gateway.http.exchange.ErrorShape``."""
    status, body = _error(fault, whole)
    kept = tuple(pair for pair in describe(fault).headers if pair[0] != b"www-authenticate")
    asks = ((b"www-authenticate", b'Basic realm="Twilio API"'),) if status == 401 else ()
    return ToldError(status, str(body["code"]), (*JSON, *API_ONLY, *kept, *asks), to_json(body))


def _error(fault: BaseException, whole: bool) -> tuple[int, dict[str, Json]]:
    told = describe(fault, whole=whole)
    status, code = told.status, _BY_STATUS.get(told.status, 20500)
    if told.code in _BY_CODE:
        status, code = 400, _BY_CODE[told.code]
    elif isinstance(fault, Conflict):
        status, code = 400, NOT_IN_PROGRESS
    elif isinstance(fault, InvalidInput):
        status, code = 400, int(told.code) if told.code.isdigit() else INVALID_PARAMETER
    elif status_of(fault) in (408, 413, 415):
        code = INVALID_PARAMETER
    return status, {
        "code": code,
        "message": str(told.error["message"]),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else format_datetime(datetime.fromtimestamp(int(at), UTC))
