"""Masking sessions and their interactions: open, list, show, change, close, forget."""

from __future__ import annotations

from dataclasses import replace

from gateway.http.answers import Answer, PageMeta, Plain
from gateway.http.operation import Ask
from gateway.http.orbit.fields import PHONE
from gateway.http.orbit.proxy_desk import demand_live_key, desk, interaction_id_of, noted, session_id_of
from gateway.http.orbit.proxy_fields import ProxyPageQuery
from gateway.http.orbit.proxy_people import seatings, wanted_a, wanted_others
from gateway.http.orbit.proxy_reader import reader_of
from gateway.http.orbit.proxy_schemas import ChangeSession, ListSessions, OpenSession
from gateway.http.orbit.proxy_shown import shown_session
from gateway.http.orbit.proxy_terms import check_expiry, session_terms
from proxy_pool.core.party import AGENT, AgentParty, PhoneParty, key_of
from proxy_pool.core.session import Model, Session, SessionId
from proxy_pool.core.views import interaction_view
from proxy_pool.desk import SessionChange
from proxy_pool.ports import SessionFilter
from telephony.errors import Conflict, InvalidInput
from telephony.numbers import E164


async def open_session(ask: Ask) -> Answer:
    """Open a session. When this answers, it is stored and its numbers are its own."""
    wanted: OpenSession = ask.body
    masking, tenant = desk(ask), ask.caller.tenant
    demand_live_key(ask)
    new = await reader_of(ask.face, masking.settings).new_session(tenant, wanted)
    new = replace(new, api_key_id=ask.caller.key_id)
    session = await masking.open(tenant, new, session_id=SessionId(ask.resource_id), again=ask.again)
    ask.exchange.facts["session_id"] = session.id
    await noted(ask, "session.opened", session.id, {"model": session.model.value})
    return Answer(shown_session(ask.caller, session, just_opened=True))


async def list_sessions(ask: Ask) -> Answer:
    """A page of sessions, newest first."""
    query: ListSessions = ask.query
    wanted = SessionFilter(query.status, query.unique_name, _party_key(ask, query.party))
    page = await desk(ask).page(ask.caller.tenant, wanted, limit=query.limit, cursor=query.cursor)
    sessions = [shown_session(ask.caller, session) for session in page.items]
    return Answer(sessions, PageMeta(page.cursor, page.cursor is not None, page.total))


async def get_session(ask: Ask) -> Answer:
    masking = desk(ask)
    return Answer(shown_session(ask.caller, await masking.get(ask.caller.tenant, session_id_of(ask))))


async def change_session(ask: Ask) -> Answer:
    """Change what is named; the rest stays. Whoever stays keeps number and PIN."""
    wanted: ChangeSession = ask.body
    masking, tenant = desk(ask), ask.caller.tenant
    session = await masking.get(tenant, session_id_of(ask))
    demand_live_key(ask)
    _check_change(ask, session, wanted)
    judges = reader_of(ask.face, masking.settings).judges
    others = await seatings(judges, tenant, wanted_others(wanted))
    party_a = wanted_a(wanted)
    change = SessionChange(
        a=None if party_a is None else (await seatings(judges, tenant, (party_a,)))[0],
        others=others or None,
        terms=await session_terms(ask.face.prompts, tenant, wanted),
        metadata=None if wanted.metadata is None else tuple(wanted.metadata.items()),
        webhook_url=_webhook_url(ask, wanted.webhook_url),
    )
    changed = await masking.change(tenant, session.id, change)
    await noted(ask, "session.changed", session.id, {"fields": [*sorted(wanted.model_fields_set)]})
    new_pins = {one.pin for one in changed.participants} - {one.pin for one in session.participants}
    return Answer(shown_session(ask.caller, changed, just_opened=bool(new_pins)))


async def close_session(ask: Ask) -> Answer:
    """End the session; its numbers rest in quarantine. Closing it again changes nothing."""
    masking, tenant = desk(ask), ask.caller.tenant
    before = await masking.get(tenant, session_id_of(ask))
    closed = await masking.close(tenant, before.id)
    if before.live:
        await noted(ask, "session.closed", closed.id, {"interactions": closed.interactions})
    return Answer(shown_session(ask.caller, closed))


async def list_interactions(ask: Ask) -> Answer:
    """A page of a session's calls and texts, newest first."""
    query: ProxyPageQuery = ask.query
    items, cursor, total = await desk(ask).interactions(
        ask.caller.tenant, session_id_of(ask), limit=query.limit, cursor=query.cursor
    )
    whole = ask.caller.sees_numbers
    return Answer(
        [interaction_view(one, whole=whole) for one in items], PageMeta(cursor, cursor is not None, total)
    )


async def get_interaction(ask: Ask) -> Answer:
    known = await desk(ask).interaction(ask.caller.tenant, interaction_id_of(ask))
    return Answer(interaction_view(known, whole=ask.caller.sees_numbers))


async def forget_interaction(ask: Ask) -> Plain:
    """Remove the record of an interaction for good."""
    interaction_id = interaction_id_of(ask)
    await desk(ask).forget_interaction(ask.caller.tenant, interaction_id)
    await noted(ask, "interaction.deleted", interaction_id, {})
    return Plain(b"", b"")


def _check_change(ask: Ask, session: Session, wanted: ChangeSession) -> None:
    """What only the session as it stands can tell."""
    if not session.live:
        raise Conflict("the session is closed", code="SESSION_CLOSED")
    group = session.model is Model.GROUP
    for field, given, fits in (("members", wanted.members, group), ("party_b", wanted.party_b, not group)):
        if given is not None and not fits:
            raise InvalidInput(
                f"a session of model {session.model.value} has no {field}",
                field=field,
                expected="members" if group else "party_b",
            )
    longest = wanted.max_lifetime or session.terms.max_lifetime_s
    check_expiry(wanted.expires_at, ask.exchange.at.timestamp(), session.created_at + longest)


def _webhook_url(ask: Ask, url: str | None) -> str | None:
    return None if url is None else ask.face.webhooks.check_url(url, "webhook_url")


def _party_key(ask: Ask, text: str | None) -> str | None:
    """The key to look sessions up by. Who may not see whole numbers may not try them either."""
    if text is None:
        return None
    ask.caller.demand("pii:read")
    if text.startswith(PHONE):
        return key_of(PhoneParty(text.removeprefix(PHONE)))
    if text.startswith(AGENT):
        return key_of(AgentParty(text.removeprefix(AGENT)))
    try:
        return key_of(E164(text))
    except InvalidInput as error:
        raise InvalidInput(error.message, field="party", value=text, expected=error.expected) from None
