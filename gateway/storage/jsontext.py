"""How JSON columns are written: compact, by orjson, the same for both databases."""

from __future__ import annotations

import orjson


def to_json(value: object) -> str:
    """JSON text of ``value``. Raises TypeError for what JSON does not know."""
    return orjson.dumps(value).decode()
