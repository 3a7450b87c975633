"""What is watched of a running gateway: its probes and its metrics page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway import metrics
from gateway.agent_metrics import AgentMetrics
from gateway.http.ports import Health, Probe
from gateway.masking_metrics import MaskingMetrics, PoolWatch, TextMetrics
from gateway.room_health import rooms_probe
from gateway.storage.database import Database
from gateway.webhooks.deliver import Deliverer
from gateway.wiring_agents import AgentEngine
from gateway.wiring_masking import MaskingEngine
from gateway.wiring_rooms import Rooms
from gateway.wiring_texts import TextEngine
from gateway.wiring_voice import VoiceEngine
from video_rooms.ports import RoomServer


def registry(
    engine: VoiceEngine,
    deliverer: Deliverer,
    masking: MaskingEngine,
    texts: TextEngine,
    watch: PoolWatch,
    agents: AgentEngine,
    rooms: Rooms,
) -> CollectorRegistry:
    """Everything that is counted, for the metrics page."""
    made = CollectorRegistry()
    metrics.register(
        made,
        metrics.VoiceMetrics(engine),
        metrics.DeliveryMetrics(deliverer),
        MaskingMetrics(masking, watch),
        TextMetrics(texts),
        AgentMetrics(agents),
        *rooms.metrics,
    )
    return made


def probes(database: Database, engine: VoiceEngine, media: RoomServer | None) -> dict[str, Probe]:
    """What must be up for calls to be made. Redis is not: without it rates are counted here; nor is the media
    server, whose lack is only told."""

    async def storage() -> Health:
        await database.read(lambda conn: conn.exec_driver_sql("SELECT 1").scalar(), deadline_s=1.0)
        return Health(True)

    async def switch() -> Health:
        away = [role for role, link in engine.links.items() if link.metrics().state.value != "up"]
        return Health(not away and engine.looked, f"not up: {', '.join(away)}" if away else "")

    return {"database": storage, "switch": switch, "rooms": rooms_probe(media)}
