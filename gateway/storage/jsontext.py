"""How JSON columns are written, and read past SQLAlchemy: compact, by orjson, the same for both databases."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.storage.errors import UNSTORABLE
from telephony.errors import InvalidInput


def to_json(value: object) -> str:
    """JSON text of ``value``. Raises TypeError for what JSON does not know, InvalidInput for broken text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        if "UTF-8" in str(error):
            raise InvalidInput(UNSTORABLE) from None
        raise


def json_list(stored: Any) -> list[Any]:
    """A list of a JSON column: SQLite's driver gives the text, PostgreSQL's what it says."""
    return list((orjson.loads(stored) if isinstance(stored, str) else stored) or ())
