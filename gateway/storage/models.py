"""Every table of the product, imported so that one metadata knows them all."""

from __future__ import annotations

import importlib
from typing import Final

from sqlalchemy import MetaData
from sqlmodel import SQLModel

TABLE_MODULES: Final = (
    "gateway.storage.tables",
    "gateway.storage.tables_webhooks",
    "gateway.storage.tables_masking",
    "gateway.storage.tables_texts",
    "gateway.storage.tables_agents",
    "gateway.storage.tables_rooms",
    "gateway.storage.tables_room_tapes",
)

for _module in TABLE_MODULES:
    importlib.import_module(_module)

METADATA: Final[MetaData] = SQLModel.metadata
