"""The OpenAPI 3.1 document, made from the same route table and schemas that serve requests.

``python -m gateway.http.openapi`` writes it to docs/openapi.json.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.auth import ROLE_SCOPES, SCOPES
from gateway.http.error_codes import CODES
from gateway.http.errors import status_of_kind
from gateway.http.openapi_events import event_webhooks
from gateway.http.openapi_parts import (
    COMMON_HEADERS,
    DESCRIPTION,
    ERROR,
    IDEMPOTENCY_KEY,
    META,
    PAGED_META,
    PAGINATION_BESIDE,
    PATH_PATTERNS,
    REASONS,
    TAGS,
)
from gateway.http.operation import OPEN, Operation, Room
from gateway.http.rooms import FACE_ROOMS

Json = dict[str, Any]
_REF: Final = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")
FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def document(rooms: Iterable[Room] = FACE_ROOMS) -> Json:
    """The whole document. It names no host, so that it is the same wherever it is served."""
    rooms = tuple(rooms)
    placed = [(room.prefixes[0] + op.path, op) for room in rooms for op in room.operations]
    schemas = _schemas([op for _, op in placed])
    paths: Json = {}
    for path, operation in placed:
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Patchbay",
            "version": "1",
            "summary": "Calls over your own switch, by HTTP.",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": TAGS,
        "paths": paths,
        "webhooks": event_webhooks(),
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {**schemas, "Error": ERROR, "Meta": META, "PagedMeta": PAGED_META},
        },
        "x-error-codes": CODES,
        "x-roles": {
            role.value: [scope for scope in SCOPES if scope in scopes] for role, scopes in ROLE_SCOPES.items()
        },
    }


def _schemas(operations: list[Operation]) -> Json:
    requests = {op.body for op in operations if op.body is not None}
    answers = {op.shows for op in operations if op.shows is not None}
    wanted: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in sorted(requests, key=lambda m: m.__name__)),
        *((model, "serialization") for model in sorted(answers, key=lambda m: m.__name__)),
    ]
    _, definitions = models_json_schema(wanted, ref_template=_REF)
    found: Json = definitions["$defs"]
    for schema in found.values():
        _without_titles(schema)
    return dict(sorted(found.items()))


def _without_titles(schema: Any) -> None:
    """Drop the titles pydantic makes of field names: they say nothing twice."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for part in schema.values():
            _without_titles(part)
    elif isinstance(schema, list):
        for part in schema:
            _without_titles(part)


def _operation(operation: Operation, schemas: Json) -> Json:
    told: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.body is not None:
        told["requestBody"] = {
            "required": not operation.optional_body,
            "content": {"application/json": {"schema": _reference(operation.body)}},
        }
    if operation.access == OPEN:
        told["security"] = []
    else:
        told["x-scope"] = operation.access
        told["x-roles"] = [role.value for role, scopes in ROLE_SCOPES.items() if operation.access in scopes]
    if operation.failure:
        told["x-failure-code"] = operation.failure
    if operation.to_agents:
        told["x-control-token"] = True
    return told


def _parameters(operation: Operation) -> list[Json]:
    rules = {} if operation.path_rules is None else _properties(operation.path_rules)
    parameters: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": rules.get(name)
            or {"type": "string", "pattern": PATH_PATTERNS.get(name, "^[A-Za-z0-9_.-]{1,80}$")},
        }
        for name in _PARAMETER.findall(operation.path)
    ]
    if operation.query is not None:
        parameters += _query(operation.query)
    if operation.method == "POST" and operation.access != OPEN:
        parameters.append(IDEMPOTENCY_KEY)
    return parameters


def _properties(model: type[BaseModel]) -> Json:
    schema = model.model_json_schema(ref_template=_REF)
    _without_titles(schema)
    found: Json = schema["properties"]
    return found


def _query(model: type[BaseModel]) -> list[Json]:
    schema = model.model_json_schema(ref_template=_REF)
    _without_titles(schema)
    required = schema.get("required", [])
    parameters = []
    for name, property_ in schema["properties"].items():
        description = property_.pop("description", None)
        parameter: Json = {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _not_null(property_),
        }
        if description:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters


def _not_null(schema: Json) -> Json:
    """A query parameter is left out rather than null."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return (
        options[0]
        if len(options) == 1
        else {k: v for k, v in schema.items() if k != "default" or v is not None}
    )


def _responses(operation: Operation) -> Json:
    responses: Json = {str(operation.status): _success(operation)}
    if operation.also is not None:
        responses[str(operation.also)] = _success(operation)
    if operation.media == "audio/wav":
        responses["206"] = {**_success(operation), "description": "The range that was asked for."}
    for status in sorted(_error_statuses(operation)):
        responses[str(status)] = {
            "description": REASONS[status],
            "headers": COMMON_HEADERS,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    return responses


def _success(operation: Operation) -> Json:
    told: Json = {"description": operation.summary + ".", "headers": COMMON_HEADERS}
    if operation.status == 204:
        return told
    if operation.shows is None:
        told["content"] = {operation.media: {"schema": {"type": "string", "format": "binary"}}}
        return told
    data: Json = _reference(operation.shows)
    if operation.many:
        data = {"type": "array", "items": data}
    meta = "PagedMeta" if operation.paged is True else "Meta"
    members: Json = {"data": data, "meta": {"$ref": f"#/components/schemas/{meta}"}}
    if operation.paged == "beside":
        members["pagination"] = PAGINATION_BESIDE
    envelope = {
        "type": "object",
        "required": list(members),
        "additionalProperties": False,
        "properties": members,
    }
    told["content"] = {"application/json": {"schema": envelope}} | {
        media: {"schema": {"type": "string"}} for media in operation.also_media
    }
    return told


def _error_statuses(operation: Operation) -> set[int]:
    statuses = {status_of_kind(kind) for kind in operation.raises}
    if operation.access != OPEN:
        statuses |= {401, 403, 429, 503}
    if operation.body is not None:
        statuses |= {400, 408, 413, 415, operation.invalid}
    if operation.query is not None:
        statuses |= {400, operation.invalid}
    if operation.path_rules is not None:
        statuses.add(operation.invalid)
    if operation.failure:
        statuses.add(500)
    if operation.raw_body:
        statuses |= {408, 413, 429}
    if _PARAMETER.search(operation.path):
        statuses.add(404)
    if operation.media == "audio/wav":
        statuses |= {403, 416}
    if operation.method == "POST" and operation.access != OPEN:
        statuses |= {409, 422, 504}
    return statuses


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def rendered() -> bytes:
    """The document as it is kept in docs/openapi.json."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    FILE.write_bytes(rendered())
    sys.stdout.write(f"wrote {FILE.name}\n")
