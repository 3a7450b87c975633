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


def config(conn: Connection) -> Config:
    """Alembic's configuration for this history and this connection; no file, no logging set up."""
    settings = Config()
    settings.set_main_option("script_location", str(HISTORY).replace("%", "%%"))
    settings.attributes["connection"] = conn
    return settings
