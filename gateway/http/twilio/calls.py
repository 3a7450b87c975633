"""Look at a call, end it, send it on: what bots written for Twilio ask while they are on the line.

HTTP Basic: the user is the ``AccountSid`` of the tenant, the password an API key of it, the control token of
the call, or the secret of the agent that has the call (bots have one ``AuthToken`` for signatures and for
this). With the latter two, that call alone is there. Clients that give the SID of an API key as the user
give its id here.

Ending a call here is the agent's own hang-up: what it has said is heard to the end, and no farewell is asked
for.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
from base64 import b64decode
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

import structlog

from dialplan.core.record import CallRecord
from gateway.auth import Caller, well_formed
from gateway.http.answers import Plain
from gateway.http.body import demand_form
from gateway.http.exchange import to_json
from gateway.http.operation import Ask
from gateway.http.orbit.agent_calls import check_destination, end_call, on_call
from gateway.http.serve import caller_of
from gateway.http.throttle import admit, admit_stranger
from gateway.http.twilio import twiml
from gateway.http.twilio.answers import call_resource
from gateway.policy.agent_url import check_agent_url
from gateway.storage.agents import Agent
from gateway.storage.records import KeyRole
from gateway.webhooks.core.backoff import Reply
from gateway.webhooks.core.ssrf import Policy
from telephony.errors import (
    Conflict,
    InvalidInput,
    MalformedRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PatchbayError,
)
from telephony.ids import CallId, TenantId
from voice_agents.core import control_token
from voice_agents.core.agent import DialectName
from voice_agents.core.record import SessionRecord
from voice_agents.core.sids import account_sid, call_of_sid

_log = structlog.get_logger("gateway.twilio")
_FORM: Final = frozenset({"Status", "Twiml", "Url", "Method"})
_AT_ONCE_S: Final = 1.0
"""How long a transfer may take to be refused; then it is under way, and this API tells no more of it."""
_PAGE: Final = 100
_EXTENSION: Final = ".json"
_under_way: set[asyncio.Task[str]] = set()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose caller may see this call."""

    ask: Ask
    call: CallRecord


async def show(ask: Ask) -> Plain:
    """GET: the call as it stands."""
    return _shown(await _asked(ask, "calls:read"))


async def change(ask: Ask) -> Plain:
    """POST: end the call (``Status``), or send it on (``Twiml``, ``Url``)."""
    asked = await _asked(ask, "calls:write")
    form = _form(ask)
    status = form.get("Status")
    if status is not None:
        await _set_status(asked, status, form)
    elif "Twiml" in form:
        await _follow(asked, twiml.read(form["Twiml"]))
    elif "Url" in form:
        await _follow(asked, await _fetched(asked, form["Url"], form.get("Method", "POST")))
    else:
        raise MalformedRequest("Status, Twiml or Url is required")
    return _shown(await _again(asked))


# ---------------------------------------------------------------- who asks, for what


async def _asked(ask: Ask, scope: Literal["calls:read", "calls:write"]) -> _Asked:
    """Raises NotAuthenticated, TooMany, NotPermitted, NotFound, in this order."""
    exchange, face = ask.exchange, ask.face
    try:
        caller = await _caller(ask, scope)
    except NotAuthenticated:
        await admit_stranger(face, exchange)
        raise
    exchange.caller = caller
    exchange.facts["tenant"] = caller.tenant
    exchange.facts["key_id"] = caller.key_id
    await admit(face, exchange, "api")
    caller.demand(scope)
    call_id = _call_id(ask)
    if call_id is None or (caller.call is not None and caller.call != call_id):
        raise _no_call()
    exchange.facts["call_id"] = call_id
    call = await face.books.calls.get(caller.tenant, call_id)
    if call is None:
        raise _no_call()
    return _Asked(ask, call)


async def _caller(ask: Ask, scope: str) -> Caller:
    user, password = _credentials(ask)
    account = ask.path["account"]
    if well_formed(password) or password.startswith(control_token.PREFIX):
        caller = await caller_of(ask.face, ask.exchange, password, scope)
    else:
        caller = await _agent(ask, user, password, scope)
    if account != account_sid(caller.tenant) or user not in (account, caller.key_id):
        raise _not_the_account()
    return caller


async def _agent(ask: Ask, account: str, secret: str, scope: str) -> Caller:
    """The agent that has, or had, the call, if this is its secret."""
    books, call_id = ask.face.books, _call_id(ask)
    tenant = next((one.id for one in await books.tenants.all() if account_sid(one.id) == account), None)
    if tenant is None or call_id is None:
        raise _not_the_account()
    live = None if ask.face.agent_calls is None else ask.face.agent_calls.live(call_id)
    stored = await books.sessions.of_call(tenant, call_id)
    for session in stored if live is None else (*stored, live):
        if session.tenant == tenant and await _is_secret_of(ask, session, secret):
            key_id = f"agent:{session.answered_by}"
            return Caller(tenant, key_id, KeyRole.VIEWER, frozenset({scope}), test=False, call=call_id)
    raise _not_the_account()


async def _is_secret_of(ask: Ask, session: SessionRecord, secret: str) -> bool:
    version = session.agent_version if session.answered_by == session.agent_id else None
    agent = await ask.face.books.agents.get(TenantId(session.tenant), session.answered_by, version)
    known = "" if agent is None else agent.secret
    return bool(known) and hmac.compare_digest(known.encode(), secret.encode())


def _not_the_account() -> NotAuthenticated:
    return NotAuthenticated("the user must be the AccountSid of the address, and the password its key")


def _credentials(ask: Ask) -> tuple[str, str]:
    exchange = ask.exchange
    scheme, _, encoded = exchange.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic" or b"authorization" in exchange.repeated:
        raise NotAuthenticated("give AccountSid and AuthToken by HTTP Basic")
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotAuthenticated("the Authorization header cannot be read") from None
    if not colon or not password:
        raise NotAuthenticated("give AccountSid and AuthToken by HTTP Basic")
    return user, password


def _call_id(ask: Ask) -> CallId | None:
    text = ask.path["call"]
    return call_of_sid(text.removesuffix(_EXTENSION)) if text.endswith(_EXTENSION) else None


def _no_call() -> NotFound:
    return NotFound("there is no such call")


def _form(ask: Ask) -> dict[str, str]:
    """The form's fields; one that this gateway does not know is refused, for it would be ignored."""
    demand_form(ask.exchange.headers)
    body: bytes = ask.body
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20
        )
    except ValueError:
        raise MalformedRequest("the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise MalformedRequest("a field is given twice")
    beyond = sorted(set(form) - _FORM)
    if beyond:
        raise MalformedRequest(f"the parameter {beyond[0][:40]!r} is not supported")
    return form


async def _again(asked: _Asked) -> _Asked:
    call = await asked.ask.face.books.calls.get(asked.call.tenant, asked.call.id)
    return _Asked(asked.ask, call or asked.call)


# ---------------------------------------------------------------- what is done


async def _set_status(asked: _Asked, status: str, form: dict[str, str]) -> None:
    """``completed`` ends a call whatever its state, ``canceled`` one that was not answered."""
    if status not in ("completed", "canceled") or len(form) > 1:
        raise InvalidInput("Status is completed or canceled, and alone", field="Status")
    call = asked.call
    if status == "canceled" and call.answered_at is not None:
        raise Conflict("the call was answered: it cannot be canceled, only completed")
    await end_call(asked.ask, call, by="agent")


async def _follow(asked: _Asked, verb: twiml.Verb) -> None:
    ask, call = asked.ask, asked.call
    match verb:
        case twiml.HangUp():
            await end_call(ask, call, by="agent")
        case twiml.Dial(number, timeout_s):
            agents = on_call(ask, call)
            await check_destination(ask, agents, call.id, number)
            await _set_off(agents.transfer(call.id, number, timeout_s))
        case twiml.Stream(url, parameters):
            agents = on_call(ask, call)
            agent = await _agent_at(ask, url)
            await agents.hand_over(call.id, agent.id, agent.version, parameters)


async def _set_off(transfer: Coroutine[Any, Any, str]) -> None:
    """Hear whether it is refused at once. The outcome is told to the agent's session, and by events."""
    task = asyncio.create_task(transfer, name="twilio-transfer")
    _under_way.add(task)
    task.add_done_callback(_over)
    done, _ = await asyncio.wait({task}, timeout=_AT_ONCE_S)
    if done:
        task.result()


def _over(task: asyncio.Task[str]) -> None:
    _under_way.discard(task)
    if not task.cancelled() and (fault := task.exception()) is not None:
        code = fault.code if isinstance(fault, PatchbayError) else type(fault).__name__
        _log.warning("twilio.transfer_failed", code=code)


async def _agent_at(ask: Ask, url: str) -> Agent:
    """The registered agent at this address: a caller is never sent to one that is not registered."""
    if ask.caller.call is not None:
        raise NotPermitted("the control token of a call does not bring another agent")
    wanted = check_agent_url(url, Policy(allow_private=ask.face.settings.webhook_allow_private), "Twiml")
    cursor = None
    while True:
        page = await ask.face.books.agents.page(ask.caller.tenant, "active", limit=_PAGE, cursor=cursor)
        for agent in page.items:
            if agent.spec.get("url") == wanted and agent.spec.get("dialect") == DialectName.TWILIO:
                return agent
        cursor = page.cursor
        if cursor is None:
            raise InvalidInput("no agent of yours is registered at this address", field="Twiml", code="31920")


async def _fetched(asked: _Asked, url: str, method: str) -> twiml.Verb:
    """The TwiML at an address, asked as Twilio asks: a form that tells of the call."""
    ask, call = asked.ask, asked.call
    documents = ask.face.documents
    if method != "POST" or documents is None:
        raise InvalidInput("only the Method POST is supported", field="Method")
    target = ask.face.webhooks.check_url(url, "Url")
    told = call_resource(call, whole=ask.caller.sees_numbers)
    names = {
        "CallSid": "sid",
        "AccountSid": "account_sid",
        "From": "from",
        "To": "to",
        "CallStatus": "status",
    }
    form = {name: str(told[member]) for name, member in names.items()}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await documents.post(target, headers, urlencode(form).encode())
    if not isinstance(answer, Reply) or answer.status != 200:
        raise InvalidInput("the document at Url could not be fetched", field="Url", code="11200")
    try:
        return twiml.read(answer.body.decode())
    except UnicodeDecodeError:
        raise InvalidInput("the document is not UTF-8", field="Url", code=twiml.PARSE_FAILURE) from None


# ---------------------------------------------------------------- what is answered


def _shown(asked: _Asked) -> Plain:
    shown = call_resource(asked.call, whole=asked.ask.caller.sees_numbers)
    return Plain(to_json(shown), b"application/json", 200, ((b"cache-control", b"no-store"),))
