"""Run the recorded history of the tables (``gateway/storage/migrations``) on a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

HISTORY: Final = Path(__file__).parent / "migrations"


def upgrade(conn: Connection) -> None:
    """Apply every migration that is missing, inside the caller's transaction."""
    command.upgrade(config(conn), "head")


def mark_current(conn: Connection) -> None:
    """Note that the tables were made from the models themselves: no migration is missing."""
    command.stamp(config(conn), "head")


def draft(conn: Connection, message: str, revision: str) -> None:
    """For developers: write the next migration, from what ``conn`` has to what the models say."""
    command.revision(config(conn), message, autogenerate=True, rev_id=revision)


def config(conn: Connection) -> Config:
    """Alembic's configuration for this history and this connection; no file, no logging set up."""
    settings = Config()
    settings.set_main_option("script_location", str(HISTORY).replace("%", "%%"))
    settings.attributes["connection"] = conn
    return settings
