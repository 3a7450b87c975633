"""The voice engine: three AMI links, the routing question's server and the director, joined.

With ``gateway.wiring`` the only place that names adapters of the switch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from dialplan.adoption import Adoption
from dialplan.agi.answer import caller_of, digits_of, encode_reply, refusal
from dialplan.agi.server import AgiLimits, AgiServer
from dialplan.agi.wire import Question
from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.message import Message
from dialplan.ami.switch import AmiSwitch
from dialplan.ami.translate import translate
from dialplan.core.orders import Reply
from dialplan.core.routing import Offered
from dialplan.director import Director, Ports
from dialplan.ports import Archive, CallStore, Endings, RouteBook
from gateway.masked_fallback import SwitchJoined
from telephony.errors import OutcomeUnknown, StorageUnavailable, SwitchRefused, SwitchUnavailable
from telephony.ids import CallId, TenantId
from telephony.numbers import E164

_log = structlog.get_logger("gateway.voice")

_AGAIN = "again"
"""The script that the dialplan asks for when a caller is back from a detour."""
_BUDGET_SHARE = 0.9
"""Of the routing question's budget: what is left lets the call learn that its answer came too late."""
_FIRST_LOOK_S = 20.0
_LOOK_AGAIN_S = 1.0
_PATROL_EVERY_S = 10.0

ROLES = {
    "control": LinkSettings(events="system"),
    "recording": LinkSettings(events="system", boot_probe=False),
    "events": LinkSettings(events="system,call,user", boot_probe=False),
}


async def _on_no_record(tenant: TenantId, call_id: CallId) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class SwitchDoor:
    """How the switch is reached: AMI host, port and the three logins; where it writes recordings."""

    host: str
    port: int
    users: dict[str, tuple[str, str]]
    recordings_dir: str


@dataclass(frozen=True, slots=True)
class VoiceParts:
    """What the engine stands on."""

    store: CallStore
    book: RouteBook
    archive: Archive
    endings: Endings
    now: Callable[[], float]
    new_id: Callable[[str], str]
    chance: Callable[[], float]
    trunk_for: Callable[[E164], str]
    trunk_limits: Mapping[str, int]
    agi: tuple[str, int] = ("127.0.0.1", 4573)
    agi_limits: AgiLimits = field(default_factory=AgiLimits)
    switch_patience_s: float = 120.0
    """How long the switch may be away before its calls are declared lost."""
    is_on_record: Callable[[TenantId, CallId], Awaitable[bool]] = _on_no_record
    """Whether this call was ever stored."""


class VoiceEngine:
    """Start it, and calls work; stop it, and they go on in the switch until the next start."""

    def __init__(self, door: SwitchDoor, parts: VoiceParts) -> None:
        self._parts = parts
        self.links = {role: self._link(role, door, parts) for role in ROLES}
        switch = AmiSwitch(self.links["control"], self.links["recording"], recordings_dir=door.recordings_dir)
        self.switch = switch
        self.director = Director(
            Ports(
                switch=switch,
                store=parts.store,
                book=parts.book,
                archive=parts.archive,
                endings=parts.endings,
                now=parts.now,
                new_id=parts.new_id,
                trunk_for=parts.trunk_for,
                trunk_limits=parts.trunk_limits,
            )
        )
        joined = SwitchJoined(self.links["recording"], self.links["control"], parts.is_on_record)
        self.adoption = Adoption(self.director, joined, switch, parts.new_id)
        self.agi = AgiServer(self._answer, limits=parts.agi_limits)
        self.on_message: Callable[[Message], None] = _ignore_event
        """Hears every event of the switch, besides the director."""
        self.on_version: Callable[[str], None] = _ignore_version
        """Hears which Asterisk it is, whenever it was looked at."""
        self.agi_port = 0
        self._boot_epoch = ""
        self._looked = asyncio.Event()
        self._give_up: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._patrolling: asyncio.Task[None] | None = None

    def _link(self, role: str, door: SwitchDoor, parts: VoiceParts) -> AmiLink:
        user, secret = door.users[role]
        events = role == "events"
        return AmiLink(
            role,
            AmiAddress(door.host, door.port, user, secret),
            rng=parts.chance,
            on_event=self._on_event if events else _ignore_event,
            on_up=self._on_events_up if events else _no_step,
            on_down=self._on_events_down if events else _ignore_down,
            settings=ROLES[role],
        )

    @property
    def looked(self) -> bool:
        """Whether the open calls have been compared with the switch since its events were last away."""
        return self._looked.is_set()

    async def start(self) -> None:
        """Take up open calls, listen for the question, begin to connect; the switch need not be up yet."""
        adopted = await self.director.adopt()
        if adopted:
            _log.info("calls.adopted", count=adopted)
        self.agi_port = await self.agi.start(*self._parts.agi)
        for link in self.links.values():
            await link.start()
        self._patrolling = asyncio.create_task(self._patrol(), name="patrol")

    async def _patrol(self) -> None:
        """Every now and then, while the switch can be reached and has been looked at."""
        while True:
            await asyncio.sleep(_PATROL_EVERY_S)
            if self._looked.is_set() and self.switch.ready:
                await self._patrol_once()

    async def _patrol_once(self) -> None:
        try:
            if await self.adoption.take_up_all():
                await self.director.look(restarted=False)
            await self.director.patrol()
        except (SwitchUnavailable, SwitchRefused, OutcomeUnknown, StorageUnavailable) as error:
            _log.warning("patrol.failed", code=error.code)
        except Exception:  # noqa: BLE001  # why: edge of the patrol's loop; one broken round must not end it
            _log.exception("patrol.broken")

    async def wait_ready(self, deadline_s: float) -> None:
        """Wait until calls can be made and the open ones were looked at. Raises SwitchUnavailable."""
        for link in self.links.values():
            await link.wait_up(deadline_s)
        try:
            async with asyncio.timeout(deadline_s):
                await self._looked.wait()
        except TimeoutError as error:
            raise SwitchUnavailable("the open calls could not be compared with the switch") from error

    async def stop(self) -> None:
        """Stop in order: no new questions, then the links, then the judges."""
        if self._patrolling is not None:
            self._patrolling.cancel()
        self._keep_patience(up=True)
        await self.agi.stop(1.0)
        for link in self.links.values():
            await link.stop()
        self._keep_patience(up=True)
        await self.director.stop()

    async def _answer(self, question: Question) -> str:
        """The routing question, from wire to wire. Raising leaves the caller to the dialplan's fallback."""
        line = question.channel_name.partition("/")[2].rpartition("-")[0]
        given = ",".join(question.arguments)
        again = question.network_script == _AGAIN
        caller, digits = ("", digits_of(given)) if again else (caller_of(given), "")
        offered = Offered(question.channel, question.dialled, caller, question.context, line)
        due = asyncio.get_running_loop().time() + self._parts.agi_limits.budget_s * _BUDGET_SHARE
        try:
            async with asyncio.timeout_at(due):
                reply = await self.director.answer(offered, digits)
            return encode_reply(reply) if isinstance(reply, Reply) else refusal(reply)
        except asyncio.CancelledError:
            if asyncio.get_running_loop().time() >= due:  # we were held up: the server gave it up meanwhile
                self.director.answer_lost(question.channel)
            raise
        except Exception as error:  # why: whatever broke, the call must learn of it
            self.director.answer_lost(question.channel)
            if isinstance(error, StorageUnavailable):
                _log.warning("question.unanswered", reason="storage_unavailable")
            raise

    def _on_event(self, message: Message) -> None:
        self.on_message(message)
        heard = translate(message)
        if heard is not None:
            self.director.hear(heard)

    async def _on_events_up(self, up: LinkUp) -> None:
        """Nothing was heard since the link fell: look at what is really there before going on.

        A look that cannot be done soon goes on behind the events, until it is done or the link falls again.
        """
        self._keep_patience(up=True)
        self._looking = asyncio.create_task(self._look_until_done())
        await asyncio.wait({self._looking}, timeout=_FIRST_LOOK_S)

    async def _look_until_done(self) -> None:
        while True:
            if await self._look(_FIRST_LOOK_S):
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _look(self, deadline_s: float) -> bool:
        """Compare the open calls with the switch, once; whether that could be done."""
        try:
            control = await self.links["control"].wait_up(deadline_s)
            await self.links["recording"].wait_up(deadline_s)
            restarted = bool(self._boot_epoch) and control.boot_epoch != self._boot_epoch
            await self.adoption.take_up_all()
            await self.director.look(restarted=restarted)
        except (SwitchUnavailable, SwitchRefused, OutcomeUnknown, StorageUnavailable) as error:
            _log.warning("look.failed", code=error.code)
            return False
        except Exception:  # noqa: BLE001  # why: edge of the looks' loop; without one we are never ready
            _log.exception("look.broken")
            return False
        self._boot_epoch = control.boot_epoch
        self.on_version(control.asterisk_version)
        self._looked.set()
        return True

    def _keep_patience(self, *, up: bool) -> None:
        """The switch's absence is bounded: the clock runs while the events link is down."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if up and self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None
        elif not up and self._give_up is None:
            patience = self._parts.switch_patience_s
            self._give_up = asyncio.get_running_loop().call_later(patience, self._lost)

    def _on_events_down(self, down: LinkDown) -> None:
        self._looked.clear()
        self._keep_patience(up=False)

    def _lost(self) -> None:
        _log.error("switch.lost", after_s=self._parts.switch_patience_s)
        self.director.give_up("switch_lost")


def _ignore_event(message: Message) -> None:
    """Roles other than ``events`` hear nothing they need."""


def _ignore_version(version: str) -> None:
    """Nothing depends on it here."""


async def _no_step(up: LinkUp) -> None:
    """Nothing to do when this link comes up."""


def _ignore_down(down: LinkDown) -> None:
    """The link comes back by itself; orders meanwhile raise SwitchUnavailable."""
