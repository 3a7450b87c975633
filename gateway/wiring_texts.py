"""Texts of masking sessions, put together: carriers, the switch, the relay and the pump."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, TypedDict

import structlog

from dialplan.ami.message import Message
from gateway.carriers.fetch import CarrierFetch
from gateway.carriers.intake import CarrierIntake
from gateway.carriers.plan import CarrierPlan, parse_carriers
from gateway.carriers.sender import HttpSender
from gateway.clocks import SystemClock, chance, new_id, random_bytes
from gateway.config import Settings
from gateway.http.ports_masking import CarrierHooks, Carriers, InboundCalls, InboundTexts, MediaFiles
from gateway.masked_dry_run import DryRun
from gateway.masked_inbound import RelayedTexts
from gateway.media_folder import FolderMedia, MediaFolder, SignedMedia, sweep
from gateway.media_shelf import MediaShelf
from gateway.runtime.plan import SwitchPlan
from gateway.storage.database import Database
from gateway.storage.texts import MEDIA_KEPT_S, SqlMediaBook, SqlTexts
from gateway.storage.texts_out import Stores
from gateway.switch_texts import SwitchTexts, TextLines, TrunkAddress
from gateway.wiring_masking import MaskingEngine, MaskingStores
from gateway.wiring_voice import VoiceEngine
from proxy_pool.core.party import PHONE
from proxy_pool.core.relay import PHONES
from proxy_pool.core.text import InboundText, OutboundText
from proxy_pool.desk import MaskingDesk
from proxy_pool.texts.ports import CarrierRefused, CarrierUnreachable, SentAs
from proxy_pool.texts.pump import Chances, TextPump
from proxy_pool.texts.relay import Surroundings, TextRelay
from telephony.errors import InvalidInput, SwitchRefused, SwitchUnavailable
from telephony.numbers import E164

_log = structlog.get_logger("gateway.texts")

SIP: Final = "sip"
"""The carrier of texts that go over the trunks themselves, as SIP MESSAGE."""
SIP_PACE: Final = 10.0
"""Texts a second from one number over a trunk, and to phones."""


@dataclass(frozen=True, slots=True)
class TextParts:
    """What the engine stands on."""

    settings: Settings
    stores: MaskingStores
    database: Database
    clock: SystemClock
    plan: SwitchPlan
    secret: bytes
    trunk_for: Callable[[E164], str]


class TextEngine:
    """Texts in and out. ``attach`` joins it with the switch."""

    def __init__(self, parts: TextParts, masking: MaskingEngine, plan: CarrierPlan) -> None:
        self._parts = parts
        self.plan = plan
        self._exits = AsyncExitStack()
        now = parts.clock.epoch
        stores = parts.stores
        self._store = SqlTexts(
            Stores(parts.database, stores.interactions, stores.ledger, stores.told), masking.sessions.used
        )
        self._senders = Senders(plan, parts.trunk_for)
        self._folder = MediaFolder(parts.settings.var_dir / "media", random_bytes)
        self._media = SqlMediaBook(parts.database)
        links = SignedMedia(parts.secret, f"{parts.settings.public_url}/v1/proxy")
        self.shelf = MediaShelf(self._folder, self._media, links, now)
        self._fetch = CarrierFetch(plan)
        self._exits.push_async_callback(self._fetch.close)
        self.pump = TextPump(self._store, self._senders, self._pace, Chances(now, chance), links)
        around = Surroundings(
            resolve=masking.service.resolve,
            owner=masking.pool.owner_of,
            settings=masking.settings,
            now=now,
            new_id=new_id,
            media=FolderMedia(self._folder, self._fetch, new_id),
            queued=self.pump.notify,
        )
        self.relay = TextRelay(self._store, around)
        self.intake = CarrierIntake(plan, self.relay, now)
        self.inbound = RelayedTexts(self.relay)
        self.switch: SwitchTexts | None = None

    @classmethod
    async def open(cls, parts: TextParts, masking: MaskingEngine) -> TextEngine:
        """Read the carriers file, if there is one. Raises InvalidInput for one that makes no sense."""
        file, public = parts.settings.carriers_file, parts.settings.public_url
        if file is None:
            return cls(parts, masking, CarrierPlan())
        text = await asyncio.to_thread(file.read_text)
        return cls(parts, masking, parse_carriers(text, public))

    def knows(self, carrier: str) -> bool:
        """Whether a pool number's texts can go over this carrier."""
        return (carrier == SIP and self._parts.plan.sip.texts) or self.plan.knows(carrier)

    def attach(self, engine: VoiceEngine) -> None:
        """Texts over the trunks and from phones go through this switch, where it takes any."""
        if not self._parts.plan.sip.texts:
            return
        links, parts = engine.links, self._parts
        lines = text_lines(parts.plan, parts.settings.sip_host)
        self.switch = SwitchTexts(
            links["control"], links["recording"], lines, self._from_switch, parts.clock.epoch, carrier=SIP
        )
        self._senders.switch = self.switch
        others = engine.on_message

        def hear(message: Message) -> None:
            others(message)
            self._heard(message)

        engine.on_message = hear

    async def start(self) -> None:
        """Begin to judge and to send. Raises StorageUnavailable."""
        await self._store.take_over(self._parts.clock.epoch())
        self._senders.http = HttpSender(self.plan)
        self._exits.push_async_callback(self._senders.http.close)
        await self.pump.start()
        self._exits.push_async_callback(self.pump.stop)
        await self.relay.start()
        self._exits.push_async_callback(self.relay.stop)
        if self.switch is not None:
            self.switch.start()
            self._exits.push_async_callback(self.switch.stop)

    async def stop(self) -> None:
        """Stop in the opposite order. What is stored goes on at the next start."""
        await self._exits.aclose()

    async def tidy(self) -> None:
        """Forget old attachments; an hourly chore."""
        await sweep(self._folder, self._media, self._parts.clock.epoch(), MEDIA_KEPT_S)

    def _pace(self, carrier: str) -> float:
        known = self.plan.carriers.get(carrier)
        return SIP_PACE if known is None else known.messages_per_second

    async def _from_switch(self, text: InboundText) -> None:
        phone = text.sender.startswith(PHONE)
        await self.relay.take_in([replace(text, carrier=PHONES) if phone else text], [])

    def _heard(self, message: Message) -> None:
        if self.switch is not None:
            self.switch.heard(message)


def text_lines(plan: SwitchPlan, domain: str) -> TextLines:
    """Whom the switch can send texts to."""
    trunks = {one.name: TrunkAddress(one.host, one.port, one.transport) for one in plan.trunks}
    return TextLines(trunks, frozenset(one.name for one in plan.phones), domain)


class Senders:
    """Fits ``proxy_pool.texts.ports.Sender``: over the configured carrier, a trunk, or to a phone."""

    def __init__(self, plan: CarrierPlan, trunk_for: Callable[[E164], str]) -> None:
        self._plan = plan
        self._trunk_for = trunk_for
        self.http: HttpSender | None = None
        self.switch: SwitchTexts | None = None

    async def send(self, text: OutboundText, carrier: str) -> SentAs:
        """See ``Sender.send``."""
        if carrier not in (SIP, PHONES):
            if self.http is None:
                raise CarrierUnreachable
            return await self.http.send(text, carrier)
        if self.switch is None:
            raise CarrierUnreachable
        line = text.phone or self._trunk_for(text.to)
        try:
            return SentAs(await self.switch.send(text, line))
        except SwitchUnavailable:
            raise CarrierUnreachable from None
        except SwitchRefused:
            raise CarrierRefused("switch_refused", permanent=False) from None
        except InvalidInput as error:
            raise CarrierRefused(error.field or "invalid", permanent=True) from None


class MaskingFace(TypedDict):
    """The HTTP face's fields of number masking."""

    masking: MaskingDesk
    inbound_calls: InboundCalls
    inbound_texts: InboundTexts
    carriers: Carriers
    carrier_hooks: CarrierHooks
    media_files: MediaFiles


def masking_face(masking: MaskingEngine, texts: TextEngine) -> MaskingFace:
    """What the HTTP face needs of number masking."""
    return MaskingFace(
        masking=masking.service,
        inbound_calls=DryRun(masking.doors, masking.pool.owner_of),
        inbound_texts=texts.inbound,
        carriers=texts,
        carrier_hooks=texts.intake,
        media_files=texts.shelf,
    )
