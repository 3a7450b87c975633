"""Calls: place, check, list, show."""

from __future__ import annotations

from dialplan.core.record import CallRecord, Json, record
from gateway.http.answers import Answer
from gateway.http.errors import shown_value
from gateway.http.operation import Ask
from gateway.http.orbit.call_schemas import AfterEvent, CreateCall, ListCalls
from gateway.http.orbit.placing import check_words, gather, place, with_live
from gateway.http.orbit.views import call_view, call_views, event_view, page_meta, recording_view
from gateway.policy.rules import RuleVerdict, verdicts
from gateway.storage.records import CallFilter
from telephony.errors import InvalidInput, NotFound, PatchbayError
from telephony.ids import CallId, is_id


async def create_call(ask: Ask) -> Answer:
    """Place a call. An attempt that was cut off after the call was stored finds that call again."""
    wanted: CreateCall = ask.body
    if ask.again:
        made = await ask.face.books.calls.get(ask.caller.tenant, CallId(ask.resource_id))
        if made is not None:
            return Answer(call_view(ask, made))
    call = await place(ask, wanted, await check_words(ask, wanted))
    ask.exchange.facts["call_id"] = call.id
    return Answer(call_view(ask, record(call)))


async def check_call(ask: Ask) -> Answer:
    """Every rule's word on a call, without placing it."""
    wanted: CreateCall = ask.body
    await check_words(ask, wanted)
    judged = verdicts(with_live(ask, await gather(ask, wanted, counted=False)))
    return Answer(
        {
            "allowed": all(verdict.passed for verdict in judged),
            "rules": [_rule_view(verdict) for verdict in judged],
        }
    )


def _rule_view(verdict: RuleVerdict) -> dict[str, object]:
    refusal: PatchbayError | None = verdict.refusal
    field = refusal.field if isinstance(refusal, InvalidInput) else None
    return {
        "rule": verdict.rule.name,
        "passed": verdict.passed,
        "message": shown_value(verdict.message),
        "code": None if refusal is None else refusal.code,
        "field": field,
    }


async def list_calls(ask: Ask) -> Answer:
    """A page of calls, newest first."""
    query: ListCalls = ask.query
    wanted = CallFilter(
        status=query.status,
        to_number=query.to,
        from_number=query.from_,
        created_after=query.created_after,
        created_before=query.created_before,
        blind=not ask.caller.sees_numbers,
    )
    tenant, books = ask.caller.tenant, ask.face.books
    page = await books.calls.page(tenant, wanted, limit=query.limit, cursor=query.cursor)
    ready = await books.recordings.ready_of(tenant, [call.id for call in page.items])
    return Answer(call_views(ask, page.items, ready), page_meta(page))


async def whole_call(ask: Ask) -> tuple[CallRecord, dict[str, Json]]:
    """One call, and how it is shown with its recordings."""
    call = await known_call(ask)
    recordings = await ask.face.books.recordings.of_call(ask.caller.tenant, call.id)
    ready = [recording for recording in recordings if recording.file is not None]
    view = call_view(ask, call, ready[-1] if ready else None)
    view["recordings"] = [recording_view(ask, recording) for recording in recordings]
    return call, view


async def list_events(ask: Ask) -> Answer:
    """The call's timeline."""
    query: AfterEvent = ask.query
    call_id = call_id_of(ask)
    entries = await ask.face.books.calls.events(ask.caller.tenant, call_id)
    if entries is None:
        raise NotFound("there is no such call")
    return Answer([event_view(ask, entry) for entry in entries if entry.sequence > query.after])


def call_id_of(ask: Ask) -> CallId:
    """The id in the path; what is no call's id at all is not found without asking."""
    text = ask.path["call_id"]
    if not is_id(text, "call"):
        raise NotFound("there is no such call")
    ask.exchange.facts["call_id"] = text
    return CallId(text)


async def known_call(ask: Ask) -> CallRecord:
    """The tenant's call in the path. Raises NotFound, also for another tenant's."""
    call = await ask.face.books.calls.get(ask.caller.tenant, call_id_of(ask))
    if call is None:
        raise NotFound("there is no such call")
    return call
