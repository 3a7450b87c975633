"""The verdict on a call, from evidence in a fixed order of trust.

UP was seen → our own cancel intent → our ring deadline → TechCause/Cause of the Hangup → what the caller
was told of the far end. Neither ``OriginateResponse.Reason`` (0 for every SIP rejection) nor the order in
which two legs are reported gone (any, on a busy machine) takes part.
"""

from __future__ import annotations

from dialplan.core.call import (
    AgentSocket,
    Call,
    Connect,
    Ender,
    Leg,
    Phone,
    Reject,
    Role,
    Trunk,
    VideoRoom,
)
from dialplan.core.evolve import replace
from telephony.causes import CAUSE_FOR_STATUS, CallStatus, Cause, Result, Termination, Verdict, verdict

_GATEWAY_RESULTS = {
    "max_duration": Result.SUCCESS,
    "session_ended": Result.SUCCESS,
    "announcement_finished": Result.SUCCESS,
    "switch_unavailable": Result.SERVER_ERROR,
    "hangup_by_agent": Result.SUCCESS,
    "transferred": Result.SUCCESS,
    "silence": Result.SUCCESS,
    "gateway_stopping": Result.SERVER_ERROR,
    "agent_unavailable": Result.UPSTREAM_ERROR,
    "agent_lost": Result.UPSTREAM_ERROR,
    "room_ended": Result.SUCCESS,
    "removed_from_room": Result.SUCCESS,
    "room_pin_wrong": Result.CLIENT_ERROR,
    "room_pin_tries": Result.CLIENT_ERROR,
    "room_not_open": Result.CLIENT_ERROR,
    "room_full": Result.CLIENT_ERROR,
    "room_denied": Result.FAR_END,
    "room_not_admitted": Result.FAR_END,
    "room_not_joined": Result.FAR_END,
    "room_unavailable": Result.UPSTREAM_ERROR,
    "room_lost": Result.UPSTREAM_ERROR,
    "room_leg_lost": Result.UPSTREAM_ERROR,
}
"""Whose doing it is when we end a call, by the reason; else it is ours."""


_NO_WAY_TO_IT = {Cause.NO_ROUTE, Cause.SUBSCRIBER_ABSENT}
"""What the caller is told when Dial() could not make a channel: a phone that is not registered."""
_SAYS_NOTHING = {None, Cause.UNKNOWN, Cause.NORMAL_CLEARING}
"""The causes of a leg that was dropped: they tell nothing of why it did not answer."""
_CANCELLED = 487
"""The final of an INVITE that its sender took back (RFC 3261 §9.2)."""
_AGENTS = {"hangup_by_agent", "silence"}
"""Ends that are no failure, not even before the call was answered: an agent wanted it so."""
_CANCELLING = {"session_ended", "room_ended", "removed_from_room"}
"""Ends by which an unanswered call was no longer wanted."""
_UPSTREAM = {"agent_unavailable", "agent_lost", "room_unavailable", "room_lost", "room_leg_lost"}
_FOR_WANT_OF_OURS = {
    "trunk_full",
    "too_many_questions",
    "too_many_far_ends",
    "agent_busy",
    "route_unreadable",
}
"""The refusals that are not the caller's doing."""
_NOT_REGISTERED = Termination(Result.FAR_END, "phone_not_registered")
_NO_WAY = Termination(Result.UPSTREAM_ERROR, "trunk_unreachable")
_NO_ROOM = Termination(Result.UPSTREAM_ERROR, "room_unavailable")


def judge(call: Call, now: float) -> Call:
    """The call, closed: final status, termination and who ended it."""
    call = _passed_on(call)
    ender = _ender(call)
    if call.answered_at is not None:
        status, termination = CallStatus.COMPLETED, _answered(call)
    else:
        found = _unanswered(call)
        status, termination = found.status, found.termination
        if call.ended_by is None and status is CallStatus.CANCELLED:
            ender = Ender.CALLER
    return replace(call, status=status, termination=termination, ended_at=now, ended_by=ender)


def _passed_on(call: Call) -> Call:
    """The callee's end, if nobody heard the reason of it: the dialplan passes that on to the caller.

    Dial() drops a leg that was answered with a redirection, mostly before it has a cause. The caller's own
    cause says as much only if the caller did not end the call.
    """
    caller, callee = call.caller, call.callee
    dialled = call.connected_at is not None and callee.channel is not None and callee.answered_at is None
    dropped = callee.sip is None and callee.cause in _SAYS_NOTHING and callee.lost is None
    if call.ended_by is not None or not dialled or not dropped or caller.sip == _CANCELLED:
        return call
    if verdict(caller.cause, None, rang=True) == verdict(None, None, rang=True):
        return call  # it was ended in the ordinary way, or for a reason of its own leg
    cause = Cause.REDIRECTED if caller.cause == Cause.ROUTING_ERROR else caller.cause
    return call.with_leg(replace(callee, cause=cause))


def _ender(call: Call) -> Ender:
    if call.ended_by is not None:
        return Ender.CALLEE if call.ended_why == "hangup_by_agent" else call.ended_by
    if call.answered_at is not None and _between(call):
        return Ender.CALLER if call.caller.cause in _SAYS_NOTHING else Ender.SWITCH
    if call.on_detour:
        return Ender.SWITCH
    if call.answered_at is None:
        return Ender.GATEWAY if call.ring_expired else (Ender.CALLER if call.outbound else Ender.CALLEE)
    if _never_dialled(call) is not None:
        return Ender.CALLEE
    if _silent(call):
        return Ender.SWITCH
    if call.callee.channel is not None and call.callee.answered_at is None:
        return Ender.CALLEE  # it was dialled and did not answer, whichever leg was reported gone first
    first_callee = (call.callee.ended_at or 0.0) < (call.caller.ended_at or 0.0)
    return Ender.CALLEE if first_callee else Ender.CALLER


def _answered(call: Call) -> Termination:
    match call.ended_by:
        case Ender.API:
            return Termination(Result.SUCCESS, "hangup_by_api")
        case Ender.GATEWAY:
            why = call.ended_why or "unclassified"
            if why == "connect_no_answer":
                return Termination(Result.FAR_END, why)
            return Termination(_GATEWAY_RESULTS.get(why, Result.SERVER_ERROR), why)
        case Ender.SWITCH:
            return Termination(Result.SERVER_ERROR, call.ended_why or "switch_lost")
    lost = call.caller.lost or call.callee.lost
    if lost is not None:
        return Termination(Result.INDETERMINATE, lost)
    if _between(call) and call.ended_by is None and call.caller.cause not in _SAYS_NOTHING:
        return Termination(Result.SERVER_ERROR, "question_not_asked")
    if _silent(call):
        return Termination(Result.FAR_END, "media_timeout")
    undialled = _never_dialled(call)
    if undialled is not None:
        return undialled
    if call.callee.answered_at is None and isinstance(call.route, Connect) and call.connected_at is not None:
        if _to_room(call) and call.ended_by is None:
            return _NO_ROOM
        failed = _far_end(call.callee)
        if call.callee.channel is not None and call.ended_by is not Ender.CALLER:
            return Termination(failed.termination.result, f"connect_{failed.status}")
    if _ender(call) is not Ender.CALLEE:
        return Termination(Result.SUCCESS, "hangup_by_caller")
    agent = isinstance(call.route, Connect) and isinstance(call.route.endpoint, AgentSocket)
    return Termination(Result.SUCCESS, "hangup_by_agent" if agent else "hangup_by_callee")


def _to_room(call: Call) -> bool:
    return isinstance(call.route, Connect) and isinstance(call.route.endpoint, VideoRoom)


def _between(call: Call) -> bool:
    """Whether the caller was on the way from one far end to another when the call ended."""
    return call.on_detour or (bool(call.former) and call.connected_at is None)


def _silent(call: Call) -> bool:
    """Nobody asked for the end, and the switch ended an answered leg for lack of audio."""
    legs = (call.caller, call.callee)
    return call.ended_by is None and any(
        leg.cause == Cause.REQUESTED_CHANNEL_UNAVAILABLE and leg.answered_at is not None for leg in legs
    )


def _never_dialled(call: Call) -> Termination | None:
    """The switch could not even begin to ring the far end, and ended the caller with a cause that says so."""
    untried = call.callee.channel is None and call.connected_at is not None and call.ended_by is None
    if not untried or call.caller.cause not in _NO_WAY_TO_IT or not isinstance(call.route, Connect):
        return None
    match call.route.endpoint:
        case Phone():
            return _NOT_REGISTERED
        case Trunk():
            return _NO_WAY
    return None


def _unanswered(call: Call) -> Verdict:
    if call.cancel_asked:
        return Verdict(CallStatus.CANCELLED, Termination(Result.CANCELLED, "cancelled_by_api"))
    if call.ring_expired:
        return Verdict(CallStatus.NO_ANSWER, Termination(Result.FAR_END, "ring_timeout"))
    if isinstance(call.route, Reject) and not call.outbound:
        return Verdict(CallStatus.FAILED, Termination(_refusal(call.route.reason), call.route.reason))
    if call.ended_by in (Ender.GATEWAY, Ender.SWITCH):
        why = call.ended_why or "unclassified"
        if why in _CANCELLING:
            return Verdict(CallStatus.CANCELLED, Termination(Result.CANCELLED, why))
        result = Result.UPSTREAM_ERROR if why in _UPSTREAM else Result.SERVER_ERROR
        return Verdict(CallStatus.FAILED, Termination(Result.FAR_END if why in _AGENTS else result, why))
    if call.on_detour:
        return _left_on_detour(call)
    subject = call.subject
    if subject.role is Role.CALLEE:
        if subject.channel is None:
            # Nobody heard of a callee; the switch passes the cause of a dial that failed on to the caller.
            subject = replace(subject, cause=call.caller.cause)
            undialled = _never_dialled(call)
            if undialled is not None:
                return Verdict(CallStatus.FAILED, undialled)
        if call.ended_by is Ender.CALLER or _taken_back(call, subject):
            return Verdict(CallStatus.CANCELLED, Termination(Result.CANCELLED, "cancelled_by_caller"))
        if _to_room(call):
            return Verdict(CallStatus.FAILED, _NO_ROOM)
    if subject.refused_why is not None and subject.dialed_at is None and call.to_phone:
        return Verdict(CallStatus.FAILED, _NOT_REGISTERED)
    if subject.lost is not None:
        return Verdict(CallStatus.FAILED, Termination(Result.SERVER_ERROR, subject.lost))
    return _far_end(subject)


def _refusal(reason: str) -> Result:
    """Whose doing it is that a caller was refused."""
    if reason in _UPSTREAM:
        return Result.UPSTREAM_ERROR
    return Result.SERVER_ERROR if reason in _FOR_WANT_OF_OURS else Result.CLIENT_ERROR


def _taken_back(call: Call, subject: Leg) -> bool:
    """The caller left unheard: its INVITE was taken back, or it was gone before anybody was dialled."""
    if subject.channel is None:
        return subject.cause in _SAYS_NOTHING or call.caller.sip == _CANCELLED
    return call.caller.sip == _CANCELLED and subject.sip is None and subject.cause in _SAYS_NOTHING


def _left_on_detour(call: Call) -> Verdict:
    """Nobody had been dialled: the caller left, or the switch could not ask on and ended the call itself."""
    if call.ended_by is Ender.CALLER or call.caller.cause in (None, Cause.UNKNOWN, Cause.NORMAL_CLEARING):
        return Verdict(CallStatus.CANCELLED, Termination(Result.CANCELLED, "cancelled_by_caller"))
    return Verdict(CallStatus.FAILED, Termination(Result.SERVER_ERROR, "question_not_asked"))


def _far_end(leg: Leg) -> Verdict:
    return verdict(leg.cause, leg.sip, rang=leg.rang_at is not None)


def cause_towards(call: Call, role: Role) -> int:
    """The Q.850 cause to hang up this leg with, so that the party hears why the other side ended."""
    if call.cancel_asked or call.ended_by in (Ender.API, Ender.CALLER, Ender.CALLEE):
        return Cause.NORMAL_CLEARING
    other = call.callee if role is Role.CALLER else call.caller
    if isinstance(call.route, Reject):
        return call.route.cause
    if not other.live and other.answered_at is None and other.cause:
        return Cause.ROUTING_ERROR if other.cause == Cause.REDIRECTED else other.cause
    if call.ring_expired:
        return CAUSE_FOR_STATUS[CallStatus.NO_ANSWER]
    return Cause.NORMAL_CLEARING
