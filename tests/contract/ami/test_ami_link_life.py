"""A link's life: login, boot, loss of every kind, coming back, and ending for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from dialplan.ami.backoff import BackOff
from dialplan.ami.client import AmiLink, DownReason, LinkDown, LinkSettings, LinkState, LinkUp
from dialplan.ami.wire import AmiAction
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable
from tests.rig import fake_ami
from tests.rig.ami_heard import SETTINGS, SOON, Heard
from tests.rig.fake_ami import Asked, FakeAmi, FakeSession

pytestmark = pytest.mark.contract

HANGUP = AmiAction("Hangup", (("Channel", "pb-leg-1"),))
NewLink = Callable[..., AmiLink]


@dataclass(frozen=True, eq=False)
class Noted(BackOff):
    """Waits so many seconds, one after another, and notes after how many failures each was asked for."""

    waits_s: Iterator[float]
    failures: list[int] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def wait_s(self, failures: int, chance: float) -> float:
        self.failures.append(failures)
        self.news.set()
        return next(self.waits_s)

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(30):
            while len(self.failures) < times:
                self.news.clear()
                await self.news.wait()


def noted(*waits_s: float) -> Noted:
    return Noted(1.0, 1.0, 1.0, iter(waits_s))


async def test_up_names_the_boot_epoch_and_the_version(link: AmiLink) -> None:
    assert await link.wait_up(30) == LinkUp("ctl", 1, "2026-01-02T03:04:05", "22.10.1")
    assert link.state is LinkState.UP


async def test_login_sets_the_event_classes(link: AmiLink, ami: FakeAmi) -> None:
    (login,) = await ami.saw("Login")
    assert login["Events"] == "system"


async def test_start_returns_before_there_is_a_switch(new_link: NewLink, ami: FakeAmi, heard: Heard) -> None:
    await ami.close()
    link = new_link()
    await link.start()
    with pytest.raises(SwitchUnavailable, match="not up"):
        await link.wait_up(0.05)
    await ami.listen()
    await link.wait_up(30)
    await heard.until(lambda h: len(h.ups) == 1)
    assert heard.downs == []


async def test_a_second_start_opens_no_second_connection(link: AmiLink, ami: FakeAmi) -> None:
    await link.start()
    await link.act(HANGUP, deadline_s=30)
    assert len(ami.sessions) == 1


async def test_the_link_waits_until_the_switch_is_fully_booted(new_link: NewLink, ami: FakeAmi) -> None:
    ami.booted = False
    link = new_link()
    await link.start()
    await ami.saw("Login")
    with pytest.raises(SwitchUnavailable):
        await link.act(HANGUP, deadline_s=30)
    assert link.state in (LinkState.LOGGING_IN, LinkState.BOOTING)
    ami.last.message(("Event", "FullyBooted"), ("Status", "Fully Booted"))
    await link.wait_up(30)


async def test_a_switch_that_never_says_it_is_booted_is_given_up_in_time(
    new_link: NewLink, ami: FakeAmi
) -> None:
    """Stock: with an event mask that hides FullyBooted, what waits for it is neither sent nor failed."""
    ami.booted = False
    link = new_link(replace(SETTINGS, boot_s=0.05))
    await link.start()
    await ami.connected(2)
    assert link.last_loss is not None
    assert link.last_loss.reason is DownReason.NOT_BOOTED


async def test_a_role_without_rights_needs_neither_boot_event_nor_probe(
    new_link: NewLink, ami: FakeAmi
) -> None:
    ami.booted = False
    ami.script["CoreStatus"] = fake_ami.deny
    link = new_link(replace(SETTINGS, events="call,user", boot_event=False, boot_probe=False))
    await link.start()
    assert await link.wait_up(30) == LinkUp("ctl", 1, "", "")


async def test_a_probe_without_the_right_to_it_is_a_visible_refusal(new_link: NewLink, ami: FakeAmi) -> None:
    ami.script["CoreStatus"] = fake_ami.deny
    link = new_link()
    await link.start()
    await ami.connected(2)
    assert link.last_loss is not None
    assert link.last_loss.reason is DownReason.REFUSED
    assert link.last_loss.detail == "boot probe: Permission denied"


async def test_events_of_a_connection_that_never_came_up_are_forgotten(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    ami.script["CoreStatus"] = fake_ami.drop_before_reply
    link = new_link()
    await link.start()
    await ami.connected(2)
    ami.script.clear()
    await heard.until(lambda h: len(h.events) == 1)
    assert heard.events == ["FullyBooted"]
    assert heard.downs == []
    assert link.metrics().queued == 0


async def test_a_changed_boot_epoch_is_told(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.boot = ("2026-01-02", "09:09:09")
    ami.last.drop()
    await heard.until(lambda h: len(h.ups) == 2)
    first, second = heard.ups
    assert (first.rebooted, second.rebooted) == (False, True)
    assert (second.connection_epoch, second.boot_epoch) == (2, "2026-01-02T09:09:09")


async def test_the_same_boot_epoch_is_no_reboot(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.last.drop()
    await heard.until(lambda h: len(h.ups) == 2)
    assert not heard.ups[1].rebooted


async def test_a_wrong_secret_is_a_state_and_waits_longer(new_link: NewLink, ami: FakeAmi) -> None:
    """Stock: a wrong secret is tried every two seconds for ever, and nobody is told."""
    waits = noted(60.0)
    link = new_link(replace(SETTINGS, refused=waits), secret="wrong")
    await link.start()
    await waits.asked(1)
    with pytest.raises(SwitchUnavailable, match="refused"):
        await link.wait_up(0)
    assert link.state is LinkState.REFUSED
    assert link.last_loss is not None
    assert link.last_loss.detail == "Authentication failed"
    assert len(ami.sessions) == 1


async def test_a_secret_that_was_mended_is_found_out(new_link: NewLink, ami: FakeAmi) -> None:
    ami.secret = "new"
    link = new_link(secret="new2")
    await link.start()
    await ami.connected(2)
    ami.secret = "new2"
    await link.wait_up(30)


async def test_no_answer_to_the_login_ends_the_attempt(new_link: NewLink, ami: FakeAmi) -> None:
    ami.script["Login"] = fake_ami.silent
    link = new_link(replace(SETTINGS, login_s=0.05))
    await link.start()
    await ami.connected(2)
    assert link.last_loss is not None
    assert link.last_loss.reason is DownReason.LOGIN_TIMEOUT


async def test_a_port_that_accepts_and_says_nothing_is_given_up(new_link: NewLink, ami: FakeAmi) -> None:
    ami.greet = False
    link = new_link(replace(SETTINGS, login_s=0.05))
    await link.start()
    await ami.connected(2)
    assert ami.asked == []
    assert link.last_loss is not None
    assert link.last_loss.reason is DownReason.LOGIN_TIMEOUT


async def test_a_peer_that_is_no_ami_server_is_not_told_the_secret(
    new_link: NewLink, monkeypatch: pytest.MonkeyPatch, ami: FakeAmi
) -> None:
    monkeypatch.setattr(fake_ami, "BANNER", b"HTTP/1.1 400 Bad Request\r\n\r\n")
    link = new_link()
    await link.start()
    await ami.connected(2)
    assert ami.asked == []
    assert link.last_loss is not None
    assert link.last_loss.reason is DownReason.PROTOCOL


async def test_a_failure_that_is_no_oserror_does_not_end_the_retries(new_link: NewLink) -> None:
    """Stock: only OSError leads to another try; anything else ends the link silently."""
    waits = noted(0.001, 0.001, 60.0)
    link = new_link(replace(SETTINGS, away=waits), host="a" * 70 + ".invalid")
    await link.start()
    await waits.asked(3)
    assert link.metrics().failures == 3


async def test_stop_while_a_retry_is_pending_leaves_no_retry(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: close() does not cancel the retry timer, and the manager connects again."""
    link = new_link(replace(SETTINGS, away=BackOff(0.4, 0.4, 0.4)))
    await link.start()
    await link.wait_up(30)
    ami.last.drop()
    await heard.until(lambda h: len(h.downs) == 1)
    assert link.state is LinkState.WAITING
    await link.stop()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ami-ctl")]
    with pytest.raises(AssertionError, match="never saw 2 connections"):
        await ami.connected(2, within_s=0.7)
    assert link.state is LinkState.STOPPED


async def test_stop_makes_orders_in_flight_unknown(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.script["Hangup"] = fake_ami.silent
    order = asyncio.create_task(link.act(HANGUP, deadline_s=60))
    await ami.saw("Hangup")
    await link.stop()
    with pytest.raises(OutcomeUnknown):
        await order
    with pytest.raises(SwitchUnavailable):
        await link.act(HANGUP, deadline_s=30)
    assert [down.reason for down in heard.downs] == [DownReason.STOPPED]


async def test_stop_before_start_and_twice_is_nothing(new_link: NewLink) -> None:
    link = new_link()
    await link.stop()
    await link.start()
    await link.stop()
    await link.stop()
    assert link.state is LinkState.STOPPED


async def test_a_stopped_link_can_start_again(link: AmiLink, heard: Heard) -> None:
    await link.stop()
    await link.start()
    assert (await link.wait_up(30)).connection_epoch == 2
    await heard.until(lambda h: len(h.ups) == 2)


async def test_a_shutdown_event_is_a_loss_with_that_name(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.script["Hangup"] = fake_ami.shut_down
    with pytest.raises(OutcomeUnknown):
        await link.act(HANGUP, deadline_s=30)
    await heard.until(lambda h: len(h.ups) == 2)
    assert heard.downs == [LinkDown("ctl", 1, DownReason.SHUTDOWN, "Cleanly")]
    assert heard.events == ["FullyBooted", "Shutdown", "FullyBooted"]


async def test_a_half_open_connection_is_found_by_its_missing_pongs(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    """Stock: pings are sent and their pongs awaited by nobody; a dead peer stays "up" for minutes."""
    link = new_link(replace(SETTINGS, ping_every_s=0.02, pong_s=0.05))
    await link.start()
    await link.wait_up(30)
    ami.last.mute = True
    await heard.until(lambda h: len(h.ups) == 2)
    assert heard.downs[0] == LinkDown("ctl", 1, DownReason.HALF_OPEN, "2 pings without a pong")
    assert link.metrics().pongs_missed >= 2
    await link.act(HANGUP, deadline_s=30)
    assert link.metrics().pending <= 1


async def test_one_missed_pong_is_forgiven(new_link: NewLink, ami: FakeAmi, heard: Heard) -> None:
    pings = 0

    async def every_other(session: FakeSession, asked: Asked) -> None:
        nonlocal pings
        pings += 1
        if pings % 2:
            await fake_ami.obey(session, asked)

    ami.script["Ping"] = every_other
    link = new_link(replace(SETTINGS, ping_every_s=0.01, pong_s=0.3))
    await link.start()
    await ami.saw("Ping", 5)
    assert heard.downs == []
    assert link.metrics().pongs_missed >= 2


async def test_each_attempt_waits_by_its_own_chance() -> None:
    """Stock: every try comes after the same two seconds, so all gateways return at once."""
    chances = iter([0.0, 1.0, 0.5])
    waits = [SOON.wait_s(9, next(chances)) for _ in range(3)]
    assert waits == [0.005, 0.02, 0.0125]


async def test_a_switch_that_drops_every_new_connection_meets_growing_waits(
    new_link: NewLink, ami: FakeAmi, heard: Heard
) -> None:
    """A connection that does not last is no success: the back-off goes on growing."""
    waits = noted(0.001, 0.001, 0.001, 60.0)
    link = new_link(replace(SETTINGS, stable_s=600.0, away=waits))
    heard.on_up_does = lambda _: _cut(ami)
    await link.start()
    await waits.asked(4)
    assert waits.failures == [0, 1, 2, 3]


async def _cut(ami: FakeAmi) -> None:
    ami.last.drop()


async def test_orders_work_from_within_on_up(new_link: NewLink, ami: FakeAmi, heard: Heard) -> None:
    link = new_link()
    rows: list[int] = []

    async def look(_: LinkUp) -> None:
        rows.append(len(await link.listing(AmiAction("CoreShowChannels"), deadline_s=30)))

    heard.on_up_does = look
    ami.channels = ((("Uniqueid", "a.1"),),)
    await link.start()
    await heard.until(lambda h: h.events == ["FullyBooted"])
    assert rows == [1]


async def test_a_refusal_is_not_a_loss(link: AmiLink, ami: FakeAmi, heard: Heard) -> None:
    ami.script["Hangup"] = fake_ami.deny
    with pytest.raises(SwitchRefused):
        await link.act(HANGUP, deadline_s=30)
    assert link.state is LinkState.UP
    assert heard.downs == []


def test_the_secret_does_not_show() -> None:
    from dialplan.ami.client import AmiAddress

    assert "hush" not in repr(AmiAddress("127.0.0.1", 5038, "gw", "hush"))
    assert "hush" not in repr(AmiAction("Login", (("Username", "gw"), ("Secret", "hush"))))


def test_settings_have_the_documented_defaults() -> None:
    settings = LinkSettings()
    assert (settings.ping_every_s, settings.pongs_missed, settings.away.cap_s) == (5.0, 2, 10.0)
    assert settings.refused.cap_s == 60.0
    assert settings.queue_limit == 50_000
