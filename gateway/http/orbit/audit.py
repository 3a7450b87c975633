"""Notes for the audit log: who changed what."""

from __future__ import annotations

from gateway.http.operation import Ask
from gateway.storage.records import AuditEntry, Json


async def note(ask: Ask, action: str, subject: str, details: dict[str, Json]) -> None:
    """Append an entry. Details hold no secrets, and numbers only masked."""
    entry = AuditEntry(
        id=ask.face.new_id("aud"),
        tenant=ask.caller.tenant,
        at=ask.exchange.at,
        actor=ask.caller.key_id,
        action=action,
        subject=subject,
        details=details,
    )
    await ask.face.books.audit.append(entry)
