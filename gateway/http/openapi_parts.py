"""The parts of the OpenAPI document that no route says: envelope, headers, words."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

DESCRIPTION: Final = """\
Place, follow, record and end telephone calls over your own Asterisk; let people call and text each other
through proxy numbers; put AI agents on the line; meet in video rooms, by browser and by telephone.

**Base paths.** Everything is under `/api/v1`; voice also under `/v1/voice`, masking under `/v1/proxy`,
agents under `/v1/agents`; video rooms under `/api/v1/video` alone.

**Keys.** Send your key as `X-API-Key` or `Authorization: Bearer`. A key has a role (owner, admin, developer,
viewer, billing) and scopes; without `pii:read` numbers are masked. Test keys place no calls and open no
masking sessions.

**Envelope.** `{data, meta{request_id, timestamp}}`; lists add `meta.pagination{cursor, has_more, total}`.
Errors are `{error{code, message, status, details}, meta}`; `details` names the field and the rule. A field
that breaks its rule is 422; below `/api/v1/video` it is 400.

**Retries.** Every POST takes an `Idempotency-Key`: the same key and body give the same answer for 24 hours,
with `Idempotent-Replayed: true`; another body is refused. 429 and 503 say when to come back (`Retry-After`),
and that nothing happened.

**Limits.** `X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch seconds) come with every answer.
"""

TAGS: Final[list[Json]] = [
    {"name": "Calls", "description": "Place calls, follow them, end them."},
    {
        "name": "Recordings",
        "description": "Two-channel WAV: left is what `to` says, right what it hears.",
    },
    {"name": "Numbers", "description": "The numbers you own at your carrier, and where their calls go."},
    {
        "name": "Masking",
        "description": "Sessions in which people call and text each other without learning their numbers, "
        "and the pool of proxy numbers they use.",
    },
    {
        "name": "Agents",
        "description": "AI agents that speak on calls: how each is reached and led, and what it may do.",
    },
    {
        "name": "Agents on calls",
        "description": "What was said with an agent, and what may be done while it speaks. Operations marked "
        "`x-control-token` are open to the agent itself, for its own call, with the token it is given.",
    },
    {
        "name": "Video rooms",
        "description": "Meetings in browsers and on telephones: rooms with a plan, invites, hosts' controls.",
    },
    {
        "name": "Ad-hoc rooms",
        "description": "Rooms that begin with a click and are gone once everybody has left.",
    },
    {"name": "Webhooks", "description": "Who is told what happened, and what was sent to them."},
    {"name": "Keys", "description": "API keys, roles and scopes."},
]

REASONS: Final[dict[int, str]] = {
    400: "The request cannot be read.",
    401: "No valid key.",
    403: "The key may not do this.",
    404: "No such thing, or not yours.",
    408: "The body did not arrive in time.",
    409: "Its state, or a request under way, forbids it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    416: "The range lies outside the file.",
    422: "A field breaks its rule.",
    429: "A limit was reached.",
    500: "A defect on our side; it is logged.",
    502: "The switch refused.",
    503: "A server this needs is away; nothing happened.",
    504: "Whether it happened is not known.",
}

PATH_PATTERNS: Final[dict[str, str]] = {
    "call_id": "^call_[0-9A-HJKMNP-TV-Z]{26}$",
    "recording_id": "^call_[0-9A-HJKMNP-TV-Z]{26}-[0-9]{1,3}$",
    "session_id": "^ses_[0-9A-HJKMNP-TV-Z]{26}$",
    "agent_id": "^agt_[0-9A-HJKMNP-TV-Z]{26}$",
    "interaction_id": "^int_[0-9A-HJKMNP-TV-Z]{26}$",
}

_TEXT: Final[Json] = {"type": "string"}
COMMON_HEADERS: Final[Json] = {"X-Request-Id": {"required": True, "schema": _TEXT}}

IDEMPOTENCY_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a retry safe: the same key and body have one effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}

_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
META: Final[Json] = {
    "type": "object",
    "required": ["request_id", "timestamp"],
    "additionalProperties": False,
    "properties": {"request_id": _TEXT, "timestamp": _MOMENT},
}
PAGED_META: Final[Json] = {
    "type": "object",
    "required": ["request_id", "timestamp", "pagination"],
    "additionalProperties": False,
    "properties": {
        "request_id": _TEXT,
        "timestamp": _MOMENT,
        "pagination": {
            "type": "object",
            "required": ["cursor", "has_more", "total"],
            "additionalProperties": False,
            "properties": {
                "cursor": {"type": ["string", "null"]},
                "has_more": {"type": "boolean"},
                "total": {"type": "integer", "minimum": 0},
            },
        },
    },
}
PAGINATION_BESIDE: Final[Json] = {
    "type": "object",
    "required": ["next_cursor", "has_more", "total"],
    "additionalProperties": False,
    "properties": {
        "next_cursor": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
        "total": {"type": "integer", "minimum": 0},
    },
}
_BUCKET: Final[Json] = {
    "type": "object",
    "required": ["use", "country", "area"],
    "additionalProperties": False,
    "properties": {"use": _TEXT, "country": _TEXT, "area": _TEXT},
}
ERROR: Final[Json] = {
    "type": "object",
    "required": ["error", "meta"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status", "details"],
            "additionalProperties": False,
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "status": {"type": "integer"},
                "details": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "field": {"type": ["string", "null"]},
                        "value": {"description": "What was given, cut short; never a secret."},
                        "expected": {"type": ["string", "null"]},
                        "retry_after": {"type": "integer"},
                        "limit": {"type": "integer"},
                        "window": _TEXT,
                        "constraint": {"type": "string", "description": "Which rule left no proxy number."},
                        "shortfall": {"type": "integer", "description": "How many more would do."},
                        "bucket": _BUCKET,
                    },
                },
            },
        },
        "meta": {
            "type": "object",
            "required": ["request_id", "timestamp", "docs_url"],
            "additionalProperties": False,
            "properties": {"request_id": _TEXT, "timestamp": _MOMENT, "docs_url": _TEXT},
        },
    },
}
