"""The registry of agents: register, list, show, change, archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from dialplan.core.call import ROOM
from gateway.http.answers import Answer, Plain
from gateway.http.exchange import stamp
from gateway.http.operation import Ask
from gateway.http.orbit.agent_schemas import (
    AuthWanted,
    ChangeAgent,
    CreateAgent,
    ListAgents,
    ReplaceAgent,
    RotateSecret,
    WhichVersion,
)
from gateway.http.orbit.audit import note
from gateway.http.orbit.fields import PHONE, PageQuery
from gateway.http.orbit.views import page_meta
from gateway.http.ports_agents import Agents
from gateway.policy.agent_url import check_agent_url
from gateway.policy.attempt import Target
from gateway.policy.destination import describe
from gateway.policy.rules import check_target
from gateway.storage.agents import Agent, Edited
from gateway.storage.records import Json
from gateway.webhooks.core.signing import make_secret
from gateway.webhooks.core.ssrf import Policy
from telephony.errors import Conflict, InvalidInput, NotFound, UnknownReference
from telephony.ids import TenantId, is_id
from telephony.numbers import mask
from voice_agents.core.agent import DialectName
from voice_agents.core.registry import Kept, auth_kind, check, dialect_of, readable, spec_of
from voice_agents.core.sids import account_sid

_MISSING: Final = "there is no such agent"
_TWILIOS: Final = (DialectName.TWILIO, DialectName.CONVERSATION_RELAY)
Spec = dict[str, Json]


async def create(ask: Ask) -> Answer:
    """Register an agent. One that a cut-off attempt made is shown without its secret: rotate it."""
    wanted: CreateAgent = ask.body
    tenant = ask.caller.tenant
    if ask.again and (made := await ask.face.books.agents.get(tenant, ask.resource_id)):
        return Answer(_view(ask, made))
    spec = await _checked(ask, _said(wanted), ask.resource_id)
    check(spec | _auth_said(wanted.auth))
    kind = auth_kind(spec | _auth_said(wanted.auth))
    secret = _secret(kind, wanted.auth, "", _fresh(ask))
    agent = Agent(
        id=ask.resource_id,
        tenant=tenant,
        version=1,
        newest=1,
        status="active",
        spec=spec,
        auth_kind=kind,
        created_at=ask.exchange.at,
        updated_at=ask.exchange.at,
        secret=secret,
    )
    await ask.face.books.agents.add(agent)
    await note(
        ask, "agent.created", agent.id, {"name": wanted.name, "dialect": str(spec_of(as_kept(agent)).dialect)}
    )
    return Answer(_view(ask, agent, secret))


async def list_page(ask: Ask) -> Answer:
    query: ListAgents = ask.query
    page = await ask.face.books.agents.page(
        ask.caller.tenant, query.status, limit=query.limit, cursor=query.cursor
    )
    return Answer([_view(ask, agent) for agent in page.items], page_meta(page))


async def get(ask: Ask) -> Answer:
    """The agent in the version that is asked for, or its newest."""
    query: WhichVersion = ask.query
    agent = await ask.face.books.agents.get(ask.caller.tenant, _id_of(ask), query.version)
    if agent is None:
        raise NotFound(_MISSING)
    return Answer(_view(ask, agent))


async def versions(ask: Ask) -> Answer:
    """Every version, newest first."""
    query: PageQuery = ask.query
    page = await ask.face.books.agents.versions(
        ask.caller.tenant, _id_of(ask), limit=query.limit, cursor=query.cursor
    )
    if page is None:
        raise NotFound(_MISSING)
    return Answer([_view(ask, agent) for agent in page.items], page_meta(page))


async def replace(ask: Ask) -> Answer:
    """A new version that is as the request says, and nothing else."""
    wanted: ReplaceAgent = ask.body
    spec = await _checked(ask, _said(wanted), _id_of(ask))
    return await _change(ask, wanted.auth, lambda known: dict(spec))


async def change(ask: Ask) -> Answer:
    """A new version in which what is named is different."""
    wanted: ChangeAgent = ask.body
    named = await _checked(ask, _said(wanted), _id_of(ask))
    gone = {name for name in wanted.model_fields_set if getattr(wanted, name) is None} - {"name"}

    def edit(known: Agent) -> Spec:
        return {name: value for name, value in {**known.spec, **named}.items() if name not in gone}

    return await _change(ask, wanted.auth, edit)


async def archive(ask: Ask) -> Plain:
    """Take no new calls from now on; those that are under way go on. Doing it again changes nothing."""
    agent_id = _id_of(ask)
    if not await ask.face.books.agents.archive(ask.caller.tenant, agent_id, ask.exchange.at):
        raise NotFound(_MISSING)
    await note(ask, "agent.archived", agent_id, {})
    return Plain(b"", b"")


async def rotate(ask: Ask) -> Answer:
    """A new secret, in force from the next connection on."""
    wanted: RotateSecret = ask.body
    known = await _known(ask)
    given = AuthWanted(secret=wanted.secret) if wanted.secret is not None else None
    secret = _secret(known.auth_kind, given, "", _fresh(ask))
    if not secret:
        raise Conflict("the handshake with this agent is not proved by a secret")
    agent = await ask.face.books.agents.rotate(known.tenant, known.id, secret, ask.exchange.at)
    if agent is None:
        raise NotFound(_MISSING)
    await note(ask, "agent.secret_rotated", agent.id, {})
    return Answer(_view(ask, agent, secret))


async def usable_agent(ask: Ask, agent_id: str, field: str) -> Agent:
    """The agent that a request names for calls to come. Raises UnknownReference, or Conflict
    (AGENT_ARCHIVED, AGENT_TOO_NEW)."""
    return await agent_named(ask.face.books.agents, ask.caller.tenant, agent_id, field)


async def agent_named(agents: Agents, tenant: TenantId, agent_id: str, field: str) -> Agent:
    """The same of a book."""
    agent = await agents.get(tenant, agent_id) if is_id(agent_id, "agt") else None
    if agent is None:
        raise UnknownReference(
            f"{field} names no agent", field=field, value=agent_id, expected="the id of an agent"
        )
    if agent.archived:
        raise Conflict("the agent is archived: it takes no new calls", code="AGENT_ARCHIVED")
    spec_of(as_kept(agent))
    return agent


async def _known(ask: Ask) -> Agent:
    agent = await ask.face.books.agents.get(ask.caller.tenant, _id_of(ask))
    if agent is None:
        raise NotFound(_MISSING)
    return agent


def _id_of(ask: Ask) -> str:
    """The id in the path; what is no agent's id at all is not found without asking."""
    text = ask.path["agent_id"]
    if not is_id(text, "agt"):
        raise NotFound(_MISSING)
    return text


async def _change(ask: Ask, auth: AuthWanted | None, edit: Callable[[Agent], Spec]) -> Answer:
    agent_id, fresh = _id_of(ask), _fresh(ask)
    shown: list[str] = []

    def work(known: Agent) -> Edited:
        spec = edit(known)
        spec_of(Kept(known.id, 0, known.tenant, spec))  # what a newer release said stays as it is, or goes
        said = spec | (_auth_said(auth) or _auth_kept(known, spec))
        check(said)
        kind = auth_kind(said)
        secret = _secret(kind, auth, known.secret if kind == known.auth_kind else "", fresh)
        shown[:] = [secret] if secret != known.secret else []
        return Edited(spec, kind, secret)

    agent = await ask.face.books.agents.change(ask.caller.tenant, agent_id, work, ask.exchange.at)
    if agent is None:
        raise NotFound(_MISSING)
    await note(ask, "agent.changed", agent.id, {"version": agent.version})
    return Answer(_view(ask, agent, shown[0] if shown else None))


def _said(wanted: CreateAgent | ChangeAgent) -> Spec:
    """What the request says of the agent, but for how it is proved and what shall be as usual."""
    told: Spec = wanted.model_dump(mode="json", exclude_unset=True, exclude={"auth"})
    return {name: value for name, value in told.items() if value is not None}


def _auth_said(auth: AuthWanted | None) -> Spec:
    return {} if auth is None or auth.kind is None else {"auth": {"kind": auth.kind}}


def _auth_kept(known: Agent, spec: Spec) -> Spec:
    """Nothing said: as it was, while the dialect stays."""
    same = _dialect(known.spec) == _dialect(spec)
    return {"auth": {"kind": known.auth_kind}} if same else {}


def _dialect(spec: Mapping[str, Json]) -> DialectName | None:
    """None: one that a newer release knows."""
    return dialect_of(spec) if spec.get("dialect") in (None, *DialectName) else None


def _secret(kind: str, auth: AuthWanted | None, kept: str, fresh: str) -> str:
    """The secret that an agent gets: the one given, else the one it had, else a new one."""
    given = None if auth is None else auth.secret
    if kind == "none":
        if given is not None:
            raise InvalidInput(
                "without a proof there is no secret", field="auth.secret", expected="no secret"
            )
        return ""
    if given or kept or kind == "hmac":
        return given or kept or fresh
    raise InvalidInput(
        "auth.secret is required", field="auth.secret", expected="a value", code="MISSING_REQUIRED_FIELD"
    )


def _fresh(ask: Ask) -> str:
    return make_secret(ask.face.random_bytes(32))


async def _checked(ask: Ask, spec: Spec, own_id: str) -> Spec:
    """The spec with its addresses in their only spelling, and everything it names known and allowed."""
    if spec.get("url"):
        policy = Policy(allow_private=ask.face.settings.webhook_allow_private)
        spec["url"] = check_agent_url(str(spec["url"]), policy)
    if spec.get("tools_url"):
        spec["tools_url"] = ask.face.webhooks.check_url(str(spec["tools_url"]), "tools_url")
    fallback = spec.get("fallback")
    if isinstance(fallback, dict):
        await _check_fallback(ask, fallback, own_id)
    allowed = spec.get("transfer_allow")
    for place, to in enumerate(allowed if isinstance(allowed, list) else []):
        if not str(to).startswith((PHONE, ROOM)) and not str(to).endswith("*"):
            await _check_number(ask, str(to), f"transfer_allow.{place}")
    return spec


async def _check_fallback(ask: Ask, fallback: dict[str, Json], own_id: str) -> None:
    standby, number = fallback.get("agent_id"), fallback.get("number")
    if standby == own_id:
        raise InvalidInput(
            "an agent cannot stand by for itself", field="fallback.agent_id", expected="another agent"
        )
    if standby is not None:
        await usable_agent(ask, str(standby), "fallback.agent_id")
    if number is not None:
        await _check_number(ask, str(number), "fallback.number")


async def _check_number(ask: Ask, text: str, field: str) -> None:
    tenant, destination = ask.caller.tenant, describe(text)
    number = destination.number
    ours = number is not None and await ask.face.books.numbers.find_owned(tenant, number) is not None
    check_target(Target(field, destination, ours), await ask.face.limits.of(tenant))


def as_kept(agent: Agent) -> Kept:
    """The agent without its secret, to be read."""
    return Kept(agent.id, agent.version, agent.tenant, agent.spec, agent.auth_kind)


def _view(ask: Ask, agent: Agent, secret: str | None = None) -> dict[str, Json]:
    said, dialect = readable(agent.spec), _dialect(agent.spec)
    spec = spec_of(Kept(agent.id, agent.version, agent.tenant, said))
    whole = ask.caller.sees_numbers
    fallback = {name: value or None for name, value in asdict(spec.fallback).items()}
    if fallback["number"] is not None and not whole:
        fallback["number"] = mask(fallback["number"])
    return {
        "id": agent.id,
        "version": agent.version,
        "latest_version": agent.newest,
        "status": agent.status,
        "name": spec.name,
        **{name: said.get(name, default) for name, default in _PASSED_ON.items()},
        "reception": _reception(said.get("reception"), whole),
        "dialect": None if dialect is None else dialect.value,
        "url": spec.url or None,
        "codec": spec.codec or None,
        "auth": {"kind": agent.auth_kind},
        "account_sid": account_sid(agent.tenant) if dialect in _TWILIOS else None,
        "greeting": asdict(spec.greeting),
        "barge_in": asdict(spec.barge_in) | {"mode": spec.barge_in.mode.value},
        "silence": asdict(spec.silence),
        "shutdown": asdict(spec.shutdown),
        "fallback": fallback,
        "max_duration": spec.max_duration_s,
        "max_concurrent": spec.max_concurrent,
        "tools_allow": list(spec.tools_allow),
        "tools_url": spec.tools_url or None,
        "transfer_allow": [
            one if whole or one.startswith((PHONE, ROOM)) else mask(one) for one in spec.transfer_allow
        ],
        "language": spec.language,
        "voice": spec.voice,
        "parameters": dict(spec.parameters),
        "record": spec.record,
        "filler": spec.filler,
        "secure_digits": spec.secure_digits,
        "created_at": stamp(agent.created_at),
        "updated_at": stamp(agent.updated_at),
        "signing_secret": secret if agent.auth_kind == "hmac" else None,
    }


def _reception(said: Json, whole: bool) -> Json:
    """As it was given, numbers masked where they must be."""
    if whole or not isinstance(said, dict):
        return said
    departments = said.get("departments")
    named = departments.items() if isinstance(departments, dict) else ()
    shown: dict[str, Json] = {name: _place(to) for name, to in named}
    return {**said, "departments": shown, "operator": _place(said.get("operator"))}


def _place(to: Json) -> Json:
    return mask(to) if isinstance(to, str) and not to.startswith(PHONE) else to


_PASSED_ON: Final[dict[str, Json]] = {
    "type": None,
    "description": None,
    "model": None,
    "system_prompt": None,
    "tools": [],
    "guardrails": None,
    "knowledge_base_ids": [],
    "temperature": None,
    "max_tokens": None,
    "metadata": {},
}
"""What is kept for the agent, and shown where nothing was said."""
