"""The webhooks section of the OpenAPI document: every event of the catalogue."""

from __future__ import annotations

from typing import Any

from gateway.webhooks.core.events import CATALOGUE

Json = dict[str, Any]


def event_webhooks() -> Json:
    """One entry for each event a receiver can be sent."""
    return {name: {"post": _event(name, meaning)} for name, meaning in CATALOGUE.items()}


def _event(name: str, meaning: str) -> Json:
    moment = {"type": "string", "format": "date-time"}
    text = {"type": "string"}
    schema = {
        "type": "object",
        "required": ["id", "type", "created_at", "timestamp", "sequence", "data"],
        "properties": {
            "id": {**text, "description": "The same on every attempt: drop duplicates by it."},
            "type": {"const": name},
            "created_at": moment,
            "timestamp": moment,
            "sequence": {"type": "integer", "description": "Order of the events of one call, from 1."},
            "data": {"type": "object", "description": "The call as it stood, or a pointer if too large."},
        },
    }
    return {
        "operationId": "on_" + name.replace(".", "_"),
        "summary": meaning,
        "parameters": [
            {"name": header, "in": "header", "required": True, "schema": text}
            for header in ("webhook-id", "webhook-timestamp", "webhook-signature", "X-Devotel-Signature")
        ],
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "Taken. Anything else is tried again, over days."}},
        "security": [],
    }
