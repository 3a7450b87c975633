"""How JSON columns are written: compact, by orjson, the same for both databases."""

from __future__ import annotations

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
