"""The route table of agents. Those of an agent that is on a call are in ``routes_agent_calls``."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import Operation
from gateway.http.orbit import agents
from gateway.http.orbit.agent_schemas import (
    AgentShown,
    ChangeAgent,
    CreateAgent,
    ListAgents,
    ReplaceAgent,
    RotateSecret,
    WhichVersion,
)
from gateway.http.orbit.fields import PageQuery
from telephony.errors import Conflict, NotFound, UnknownReference

_AGENT: Final = "/agents/{agent_id}"

AGENTS: Final = (
    Operation(
        "POST",
        "/agents",
        "createAgent",
        "Agents",
        "Register an agent; its secret is shown once",
        agents.create,
        "agents:write",
        status=201,
        body=CreateAgent,
        shows=AgentShown,
        conceal=("signing_secret",),
        raises=(Conflict, UnknownReference),
        id_prefix="agt",
    ),
    Operation(
        "GET",
        "/agents",
        "listAgents",
        "Agents",
        "List agents",
        agents.list_page,
        "agents:read",
        query=ListAgents,
        shows=AgentShown,
        many=True,
        paged=True,
    ),
    Operation(
        "GET",
        _AGENT,
        "getAgent",
        "Agents",
        "Show an agent, in any of its versions",
        agents.get,
        "agents:read",
        query=WhichVersion,
        shows=AgentShown,
        raises=(NotFound,),
    ),
    Operation(
        "PUT",
        _AGENT,
        "replaceAgent",
        "Agents",
        "Replace what is said of an agent: a new version",
        agents.replace,
        "agents:write",
        body=ReplaceAgent,
        shows=AgentShown,
        raises=(NotFound, Conflict, UnknownReference),
    ),
    Operation(
        "PATCH",
        _AGENT,
        "changeAgent",
        "Agents",
        "Change some of what is said of an agent: a new version",
        agents.change,
        "agents:write",
        body=ChangeAgent,
        shows=AgentShown,
        raises=(NotFound, Conflict, UnknownReference),
    ),
    Operation(
        "DELETE",
        _AGENT,
        "archiveAgent",
        "Agents",
        "Archive an agent: it takes no new calls, those it is on go on",
        agents.archive,
        "agents:write",
        status=204,
        raises=(NotFound,),
    ),
    Operation(
        "GET",
        f"{_AGENT}/versions",
        "listAgentVersions",
        "Agents",
        "Every version of an agent",
        agents.versions,
        "agents:read",
        query=PageQuery,
        shows=AgentShown,
        many=True,
        paged=True,
        raises=(NotFound,),
    ),
    Operation(
        "POST",
        f"{_AGENT}/rotate-secret",
        "rotateAgentSecret",
        "Agents",
        "A new secret for an agent, in force from its next connection on",
        agents.rotate,
        "agents:write",
        body=RotateSecret,
        optional_body=True,
        shows=AgentShown,
        conceal=("signing_secret",),
        raises=(NotFound, Conflict),
    ),
)
