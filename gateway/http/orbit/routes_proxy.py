"""The route table of number masking."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import Operation, Room
from gateway.http.orbit import proxy_inbound, proxy_numbers, proxy_sessions, proxy_settings
from gateway.http.orbit.carrier_hooks import CARRIER_HOOKS
from gateway.http.orbit.fields import Nothing
from gateway.http.orbit.proxy_fields import ProxyPageQuery
from gateway.http.orbit.proxy_media import MEDIA
from gateway.http.orbit.proxy_schemas import ChangeSession, Inbound, ListSessions, OpenSession
from gateway.http.orbit.proxy_schemas_pool import (
    AddPoolNumber,
    ChangePoolNumber,
    ForecastQuery,
    PutSettings,
)
from gateway.http.orbit.proxy_shown import (
    ForecastShown,
    InboundShown,
    InteractionShown,
    PoolNumberShown,
    PoolShown,
    SessionShown,
    SettingsShown,
)
from telephony.errors import Conflict, NotFound, SpeechUnavailable, UnknownReference

_TAG: Final = "Masking"
_SESSION: Final = "/sessions/{session_id}"
_INTERACTION: Final = "/interactions/{interaction_id}"
_NUMBER: Final = "/pool/numbers/{number_id}"

SESSIONS: Final = (
    Operation(
        "POST",
        "/sessions",
        "openSession",
        _TAG,
        "Open a masking session between people",
        proxy_sessions.open_session,
        "proxy:write",
        status=201,
        body=OpenSession,
        shows=SessionShown,
        raises=(UnknownReference, SpeechUnavailable),
        conceal=("pin_a", "pin_b", "members.pin"),
        id_prefix="ses",
        description="Gives each side a proxy number from your pool: party A calls and texts `proxy_number_a` "
        "to reach party B, who sees `proxy_number_b`, and the other way round. When this answers, the "
        "session is stored and its numbers are its own. 409 `POOL_EXHAUSTED` says which rule left no "
        "number, and how many are missing.",
    ),
    Operation(
        "GET",
        "/sessions",
        "listSessions",
        _TAG,
        "List masking sessions, newest first",
        proxy_sessions.list_sessions,
        "proxy:read",
        query=ListSessions,
        shows=SessionShown,
        many=True,
        paged=True,
    ),
    Operation(
        "GET",
        _SESSION,
        "getSession",
        _TAG,
        "Show a masking session",
        proxy_sessions.get_session,
        "proxy:read",
        shows=SessionShown,
        raises=(NotFound,),
    ),
    Operation(
        "PATCH",
        _SESSION,
        "changeSession",
        _TAG,
        "Change the people or the terms of an open session",
        proxy_sessions.change_session,
        "proxy:write",
        body=ChangeSession,
        shows=SessionShown,
        raises=(NotFound, Conflict, UnknownReference, SpeechUnavailable),
        description="Whoever stays keeps number and PIN. Somebody who leaves can reach nobody through the "
        "session from then on; their number rests in quarantine.",
    ),
    Operation(
        "DELETE",
        _SESSION,
        "closeSession",
        _TAG,
        "Close a masking session",
        proxy_sessions.close_session,
        "proxy:write",
        body=Nothing,
        optional_body=True,
        shows=SessionShown,
        raises=(NotFound, Conflict),
        description="Its numbers connect these people no more, and rest in quarantine. A session that is "
        "closed is shown again.",
    ),
    Operation(
        "GET",
        f"{_SESSION}/interactions",
        "listInteractions",
        _TAG,
        "List the calls and texts of a session, newest first",
        proxy_sessions.list_interactions,
        "proxy:read",
        query=ProxyPageQuery,
        shows=InteractionShown,
        many=True,
        paged=True,
        raises=(NotFound,),
    ),
    Operation(
        "GET",
        _INTERACTION,
        "getInteraction",
        _TAG,
        "Show a call or a text of a session",
        proxy_sessions.get_interaction,
        "proxy:read",
        shows=InteractionShown,
        raises=(NotFound,),
    ),
    Operation(
        "DELETE",
        _INTERACTION,
        "deleteInteraction",
        _TAG,
        "Delete the record of a call or a text for good",
        proxy_sessions.forget_interaction,
        "proxy:write",
        status=204,
        raises=(NotFound,),
    ),
)

POOL: Final = (
    Operation(
        "GET",
        "/pool",
        "getPool",
        _TAG,
        "How full the pool is, by bucket and by number",
        proxy_numbers.pool,
        "proxy:read",
        shows=PoolShown,
    ),
    Operation(
        "GET",
        "/pool/forecast",
        "forecastPool",
        _TAG,
        "How full the pool will be, as things go or as you suppose",
        proxy_numbers.forecast,
        "proxy:read",
        query=ForecastQuery,
        shows=ForecastShown,
    ),
    Operation(
        "POST",
        "/pool/numbers",
        "addPoolNumber",
        _TAG,
        "Let one of your numbers serve as a proxy",
        proxy_numbers.add,
        "proxy:write",
        status=201,
        body=AddPoolNumber,
        shows=PoolNumberShown,
        raises=(Conflict, UnknownReference),
    ),
    Operation(
        "PATCH",
        _NUMBER,
        "changePoolNumber",
        _TAG,
        "Change what a pool number is for, reserve or suspend it",
        proxy_numbers.change,
        "proxy:write",
        body=ChangePoolNumber,
        shows=PoolNumberShown,
        raises=(NotFound, Conflict, UnknownReference),
    ),
    Operation(
        "DELETE",
        _NUMBER,
        "removePoolNumber",
        _TAG,
        "Take a number out of the pool; it stays yours",
        proxy_numbers.remove,
        "proxy:write",
        status=204,
        raises=(NotFound, Conflict),
        description="409 `NUMBER_IN_USE` while a session, or the quarantine after one, is on it: suspend it, "
        "and come back.",
    ),
)

SERVICE: Final = (
    Operation(
        "GET",
        "/settings",
        "getProxySettings",
        _TAG,
        "Show the settings of your masking service",
        proxy_settings.get_settings,
        "proxy:read",
        shows=SettingsShown,
    ),
    Operation(
        "PUT",
        "/settings",
        "putProxySettings",
        _TAG,
        "Replace the settings of your masking service",
        proxy_settings.put_settings,
        "proxy:write",
        body=PutSettings,
        shows=SettingsShown,
        raises=(UnknownReference, SpeechUnavailable),
    ),
    Operation(
        "POST",
        "/inbound",
        "proxyInbound",
        _TAG,
        "Relay a text, or ask whom a call would reach",
        proxy_inbound.inbound,
        "proxy:write",
        status=202,
        also=200,
        body=Inbound,
        shows=InboundShown,
        raises=(UnknownReference,),
        id_prefix="msg",
        description="For numbers whose texts and calls arrive elsewhere. A text (`sms`) is stored when this "
        "answers 202, and relayed to the other participant afterwards. For a `call` nothing happens: the "
        "answer, 200, says what this gateway would do with it.",
    ),
)

PROXY: Final = Room(("/api/v1/proxy", "/v1/proxy"), (*SESSIONS, *POOL, *SERVICE, *CARRIER_HOOKS, *MEDIA))
