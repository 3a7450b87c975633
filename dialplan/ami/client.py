"""A link to the switch that tells the truth: what was surely not sent, refused, done, or is unknown.

An ``AmiLink`` keeps one AMI connection with one role (control, recording, events). It logs in, waits until
the switch is fully booted, learns its boot epoch, keeps the connection alive and comes back with jittered
back-off. An order goes out at most once, on the connection it was given for; nothing is kept for a later
connection. After an unknown outcome the caller looks (``listing``) before acting again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog
from panoramisk.utils import IdGenerator

from dialplan.ami.backoff import AWAY, REFUSED, BackOff
from dialplan.ami.dispatch import Dispatch, LinkDown, LinkUp, Listener, place_of
from dialplan.ami.message import Message
from dialplan.ami.metrics import DownReason, LinkMetrics, LinkState, Tally
from dialplan.ami.protocol import AmiAddress, Connection, Loss, Session
from dialplan.ami.wire import AmiAction
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable

__all__ = [
    "AmiAddress",
    "AmiLink",
    "DownReason",
    "LinkDown",
    "LinkMetrics",
    "LinkSettings",
    "LinkState",
    "LinkUp",
]

_PING = AmiAction("Ping")
_log = structlog.get_logger("dialplan.ami")


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What a role may and wants, and how long it waits. All times in seconds."""

    events: str = "system"
    """Event classes to receive (``off``, or e.g. ``call,user,system``). FullyBooted and Shutdown need
    ``system``, in the user's read rights also."""
    boot_event: bool = True
    """Wait for FullyBooted after login. Off for a role without ``system`` events."""
    boot_probe: bool = True
    """Ask CoreStatus and CoreSettings. Off for a role that may write neither ``system`` nor ``reporting``."""
    connect_s: float = 3.0
    login_s: float = 5.0
    boot_s: float = 60.0
    probe_s: float = 5.0
    ping_every_s: float = 5.0
    pong_s: float = 5.0
    pongs_missed: int = 2
    """Missed in a row, they make the link half-open: closed and opened anew."""
    stable_s: float = 5.0
    """An up shorter than this does not reset the back-off."""
    up_s: float = 30.0
    """Longest run of one ``on_up``; events are held back meanwhile."""
    finish_s: float = 2.0
    """Longest wait in ``stop`` for events already received."""
    queue_limit: int = 50_000
    away: BackOff = field(default=AWAY)
    refused: BackOff = field(default=REFUSED)


class _Lost(Exception):
    """An attempt ended; carries how."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.loss = loss


class AmiLink:
    """One role's link. ``rng`` gives chances in [0, 1) for the back-off's jitter. Raises ``UnsafeValue`` at
    once if the user's name or secret cannot be sent.

    ``on_up`` is awaited before the connection's events are delivered and may use the link; ``on_event``
    and ``on_down`` are plain functions. All three are called from one task, in order; an exception in
    them is counted and logged, and changes nothing else.
    """

    def __init__(
        self,
        role: str,
        address: AmiAddress,
        *,
        rng: Callable[[], float],
        on_event: Callable[[Message], None],
        on_up: Callable[[LinkUp], Awaitable[None]],
        on_down: Callable[[LinkDown], None],
        settings: LinkSettings | None = None,
    ) -> None:
        self.role = role
        self.state = LinkState.STOPPED
        self.last_loss: Loss | None = None
        """How the last connection or attempt ended, also while a new one is being made."""
        self._address = address
        self._rng = rng
        self._settings = settings or LinkSettings()
        self._login = AmiAction(
            "Login",
            (("Username", address.user), ("Secret", address.secret), ("Events", self._settings.events)),
        )
        self._listener = Listener(on_event, on_up, on_down)
        self._tally = Tally()
        self._ids = IdGenerator(role)
        self._epoch = 0
        self._boot_epoch = ""
        self._session: Session | None = None
        self._up: LinkUp | None = None
        self._up_seen = asyncio.Event()
        self._dispatch: Dispatch | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Begin to connect, in the background. A second start does nothing."""
        if self._tasks:
            return
        loop = asyncio.get_running_loop()
        settings = self._settings
        self._dispatch = Dispatch(
            self._listener, self._tally, limit=settings.queue_limit, up_s=settings.up_s, mono=loop.time
        )
        self._tasks = (
            loop.create_task(self._keep_up(self._dispatch), name=f"ami-{self.role}"),
            loop.create_task(self._dispatch.run(), name=f"ami-{self.role}-events"),
        )

    async def wait_up(self, deadline_s: float) -> LinkUp:
        """Wait until orders may be sent (``on_up`` may still run); then ``SwitchUnavailable``."""
        try:
            async with asyncio.timeout(deadline_s):
                while self._up is None:
                    await self._up_seen.wait()
                return self._up
        except TimeoutError as error:
            reason = self.last_loss.reason.value if self.last_loss else self.state.value
            raise SwitchUnavailable(f"the {self.role} link to the switch is not up: {reason}") from error

    async def stop(self) -> None:
        """Close for good: no retry is left behind, orders in flight become unknown, events are delivered."""
        if not self._tasks or self._dispatch is None:
            return
        keeper, consumer = self._tasks
        keeper.cancel()
        await asyncio.wait({keeper})
        self._dispatch.finish()
        if consumer is not asyncio.current_task():
            await asyncio.wait({consumer}, timeout=self._settings.finish_s)
            consumer.cancel()
            await asyncio.wait({consumer})
        self._tasks = ()
        self.state = LinkState.STOPPED

    async def act(self, action: AmiAction, *, deadline_s: float) -> Message:
        """Send an order; its response, which for an asynchronous one only says that it was queued.

        Raises ``SwitchUnavailable`` when it was certainly not sent, ``SwitchRefused`` when the switch said
        no, ``OutcomeUnknown`` when it was written but the answer did not come in ``deadline_s`` seconds or
        before the link ended: look before acting again.
        """
        return (await self._ask(action, deadline_s, None))[0]

    async def listing(self, action: AmiAction, *, deadline_s: float, complete: str = "") -> list[Message]:
        """Ask for a list (Status, CoreShowChannels, …): its rows, in order. Raises as ``act`` does.

        ``complete`` is the name of the event that closes it; by default any of the action's events whose
        name ends in ``Complete``, or that has ``EventList: Complete``. The rows do not reach ``on_event``.
        """
        return await self._ask(action, deadline_s, complete)

    def metrics(self) -> LinkMetrics:
        """A snapshot of the counters and of the state."""
        tally, dispatch, session = self._tally, self._dispatch, self._session
        pending = session.protocol.responses if session is not None and session.protocol else ()
        return LinkMetrics(
            role=self.role,
            state=self.state,
            connection_epoch=self._epoch,
            events=tally.events,
            dropped=tally.dropped,
            gap=dispatch is not None and dispatch.gap,
            gaps=tally.gaps,
            queued=dispatch.queued if dispatch else 0,
            lag_ms=dispatch.lag_s * 1000 if dispatch else 0.0,
            lag_max_ms=tally.lag_max_s * 1000,
            connects=tally.connects,
            failures=tally.failures,
            pongs_missed=tally.pongs_missed,
            callback_errors=tally.callback_errors,
            junk=tally.junk,
            late_replies=tally.late_replies,
            unknown_replies=tally.unknown_replies,
            pending=len(pending),
            actions=dict(tally.actions),
        )

    async def _ask(self, action: AmiAction, deadline_s: float, as_list: str | None) -> list[Message]:
        counts = self._tally.actions
        try:
            if self._up is None or self._session is None:
                raise SwitchUnavailable(f"the {self.role} link to the switch is down")
            answer = await self._session.ask(action, deadline_s, as_list)
        except SwitchUnavailable:
            counts["unavailable"] += 1
            raise
        except SwitchRefused:
            counts["refused"] += 1
            raise
        except OutcomeUnknown:
            counts["unknown"] += 1
            raise
        counts["done"] += 1
        return answer

    async def _keep_up(self, dispatch: Dispatch) -> None:
        """Connect, stay, come back: until cancelled."""
        failures = refusals = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                self.state = LinkState.CONNECTING
                started = loop.time()
                loss = await self._attempt(dispatch)
                was_up = self._end_attempt(dispatch, loss)
                if was_up and loop.time() - started >= self._settings.stable_s:
                    failures = refusals = 0
                if loss.reason is DownReason.REFUSED:
                    self.state = LinkState.REFUSED
                    wait_s = self._settings.refused.wait_s(refusals, self._rng())
                    refusals += 1
                else:
                    self.state = LinkState.WAITING
                    wait_s = self._settings.away.wait_s(failures, self._rng())
                    failures += 1
                await asyncio.sleep(wait_s)
        finally:
            self._end_attempt(dispatch, Loss(DownReason.STOPPED))

    def _end_attempt(self, dispatch: Dispatch, loss: Loss) -> bool:
        """Close what is left of the connection and tell the listener; whether the link had been up."""
        was_up = self._up is not None
        epoch = self._epoch
        self._up = None
        self._up_seen.clear()
        if self._session is not None:
            self._session.close()
            self._session = None
        self.last_loss = loss
        dispatch.down(LinkDown(self.role, epoch, loss.reason, loss.detail))
        if loss.reason is not DownReason.STOPPED:
            self._tally.failures += 1
            _log.warning("ami.down", role=self.role, reason=loss.reason.value, detail=loss.detail)
        return was_up

    async def _attempt(self, dispatch: Dispatch) -> Loss:
        """One connection from dialling to its end."""
        self._session = Session(self._address, self._tally, self._ids, dispatch.events)
        try:
            try:
                connection = await self._session.open(self._settings.connect_s)
            except (OSError, TimeoutError) as error:
                return Loss(DownReason.UNREACHABLE, type(error).__name__)
            self._tally.connects += 1
            await self._log_in(self._session, connection)
            await self._await_boot(connection)
            link_up = await self._probe(self._session)
            if connection.lost.done():
                return connection.lost.result()
            self._go_up(dispatch, link_up)
            return await self._keep_alive(self._session, connection)
        except _Lost as lost:
            return lost.loss
        except Exception as error:  # noqa: BLE001  # why: an attempt may fail in any way; retries must not end
            _log.error("ami.attempt_failed", role=self.role, **place_of(error))
            return Loss(DownReason.PROTOCOL, type(error).__name__)

    async def _log_in(self, session: Session, connection: Connection) -> None:
        self.state = LinkState.LOGGING_IN
        login_s = self._settings.login_s
        await self._either(connection, connection.greeted, login_s, DownReason.LOGIN_TIMEOUT)
        try:
            await session.ask(self._login, login_s)
        except SwitchRefused as error:
            raise _Lost(Loss(DownReason.REFUSED, error.message)) from error
        except (OutcomeUnknown, SwitchUnavailable) as error:
            self._give_up(connection, Loss(DownReason.LOGIN_TIMEOUT, error.message), error)

    async def _await_boot(self, connection: Connection) -> None:
        if self._settings.boot_event:
            self.state = LinkState.BOOTING
            await self._either(connection, connection.booted, self._settings.boot_s, DownReason.NOT_BOOTED)

    async def _probe(self, session: Session) -> LinkUp:
        """Who is there: learns the boot epoch, or raises ``_Lost``."""
        started = version = ""
        if self._settings.boot_probe:
            try:
                status = (await session.ask(AmiAction("CoreStatus"), self._settings.probe_s))[0]
                about = (await session.ask(AmiAction("CoreSettings"), self._settings.probe_s))[0]
            except SwitchRefused as error:
                raise _Lost(Loss(DownReason.REFUSED, f"boot probe: {error.message}")) from error
            except (OutcomeUnknown, SwitchUnavailable) as error:
                self._give_up(session.protocol, Loss(DownReason.NOT_BOOTED, error.message), error)
            started = f"{status['CoreStartupDate']}T{status['CoreStartupTime']}"
            version = about.get("AsteriskVersion")
        rebooted = self._boot_epoch not in ("", started)
        self._boot_epoch = started
        return LinkUp(self.role, self._epoch + 1, started, version, rebooted=rebooted)

    def _go_up(self, dispatch: Dispatch, link_up: LinkUp) -> None:
        self._epoch = link_up.connection_epoch
        self._up = link_up
        self.state = LinkState.UP
        self._up_seen.set()
        dispatch.up(link_up)
        _log.info("ami.up", role=self.role, epoch=self._epoch, boot=link_up.boot_epoch)

    async def _keep_alive(self, session: Session, connection: Connection) -> Loss:
        """Ping until the connection ends, by itself or because pongs stay away."""
        settings = self._settings
        missed = 0
        while True:
            await asyncio.wait({connection.lost}, timeout=settings.ping_every_s)
            if connection.lost.done():
                return connection.lost.result()
            try:
                await session.ask(_PING, settings.pong_s)
                missed = 0
            except (OutcomeUnknown, SwitchUnavailable, SwitchRefused):
                missed += 1
                self._tally.pongs_missed += not connection.lost.done()
            if missed >= settings.pongs_missed and not connection.lost.done():
                return Loss(DownReason.HALF_OPEN, f"{missed} pings without a pong")

    async def _either(
        self, connection: Connection, wanted: asyncio.Future[None], deadline_s: float, late: DownReason
    ) -> None:
        """Wait for ``wanted``; ``_Lost`` if the connection ends or ``deadline_s`` seconds pass first."""
        ends: set[asyncio.Future[Any]] = {wanted, connection.lost}
        await asyncio.wait(ends, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done() or connection.lost.done():
            self._give_up(connection, Loss(late, f"nothing within {deadline_s:g} s"), None)

    def _give_up(self, connection: Connection, loss: Loss, cause: Exception | None) -> NoReturn:
        """End the attempt with how the connection ended, or, if it did not, with ``loss``."""
        raise _Lost(connection.lost.result() if connection.lost.done() else loss) from cause
