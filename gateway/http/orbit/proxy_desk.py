"""What every masking operation starts with: the desk, ids, and notes that never undo what was done."""

from __future__ import annotations

from typing import TypeVar

import structlog

from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.storage.records import Json
from proxy_pool.core.session import SessionId
from proxy_pool.desk import MaskingDesk
from telephony.errors import NotFound, NotPermitted, StorageUnavailable, Unavailable
from telephony.ids import is_id

T = TypeVar("T")
_log = structlog.get_logger("gateway.http")


def desk(ask: Ask) -> MaskingDesk:
    """Raises Unavailable where number masking is not set up."""
    return present(ask.face.masking)


def present(wanted: T | None) -> T:
    """What this needs of the installation. Raises Unavailable where it is not set up."""
    if wanted is None:
        raise Unavailable("number masking is not set up here")
    return wanted


def demand_live_key(ask: Ask) -> None:
    """Raises NotPermitted for a test key: a session lets real people be called."""
    if ask.caller.test:
        raise NotPermitted("a test key connects nobody; use a live key", code="TEST_KEY")


def session_id_of(ask: Ask) -> SessionId:
    """The id in the path; what is no session's id at all is not found without asking."""
    text = ask.path["session_id"]
    if not is_id(text, "ses"):
        raise NotFound("there is no such session")
    ask.exchange.facts["session_id"] = text
    return SessionId(text)


def interaction_id_of(ask: Ask) -> str:
    text = ask.path["interaction_id"]
    if not is_id(text, "int"):
        raise NotFound("there is no such interaction")
    return text


async def noted(ask: Ask, action: str, subject: str, details: dict[str, Json]) -> None:
    """Append to the audit log. It has happened already: a log that is away must not make it look undone."""
    try:
        await note(ask, action, subject, details)
    except StorageUnavailable:
        _log.error("audit.not_kept", action=action, subject=subject)
