"""`patchbay keys` on a real database, `patchbay numbers` against a served face."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway import cli
from gateway.auth import SCOPES, Authenticator, Caller, scopes_for
from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import current_settings
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.keys import KeyRepository
from gateway.storage.records import KeyRole
from tests.contract.http.served import PROXIES, Live, served
from tests.unit.http.rig import FROM

pytestmark = pytest.mark.contract


class Command:
    """Runs `patchbay …` in this process; gives exit code, output and complaint.

    The served face lives in this process too: its log lines are not the command's.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        shown = self._capsys.readouterr()
        own = [line for line in shown.out.splitlines(keepends=True) if "action=http.request" not in line]
        return int(left.value.code or 0), "".join(own), shown.err


@pytest.fixture
def patchbay(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh installation with its first tenant."""
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path))
    asyncio.run(ensure_first_key(current_settings(), SystemClock(), new_id("key"), random_bytes(32)))
    return tmp_path


def test_a_key_is_printed_once_listed_and_revoked(installed: Path, patchbay: Command):
    code, out, _ = patchbay("keys", "create", "CRM", "--role", "viewer", "--days", "30")
    assert (code, out.startswith("pb_live_sk_")) == (0, True)
    text = out.strip()
    code, out, _ = patchbay("keys", "list")
    line = next(line for line in out.splitlines() if line.endswith("CRM"))
    assert "viewer" in line
    assert "valid" in line
    assert text not in out
    assert text[-4:] in line
    key_id = line.split()[0]
    assert patchbay("keys", "revoke", key_id)[0] == 0
    _, out, _ = patchbay("keys", "list")
    assert "revoked" in next(line for line in out.splitlines() if key_id in line)


def line_of(patchbay: Command, name: str) -> tuple[str, str]:
    """A key's id, and what the list says it is without."""
    lines = [*patchbay("keys", "list")[1].splitlines(), ""]
    place = next(n for n, line in enumerate(lines) if line.endswith(name))
    _, _, without = lines[place + 1].partition("  without ")
    return lines[place].split()[0], without.strip()


async def caller_with(text: str) -> Caller:
    """What a gateway that starts now takes the key's holder for."""
    settings = current_settings()
    database = await Database.open(settings.database_url, synchronous=settings.db_synchronous)
    try:
        keys = KeyRepository(database, Cursors(b"c" * 32))
        return await Authenticator(keys, SystemClock()).identify(text, "127.0.0.1")
    finally:
        await database.close()


def test_a_key_of_before_a_release_is_given_what_came_with_it(installed: Path, patchbay: Command):
    before = [scope for scope in scopes_for(KeyRole.DEVELOPER, ()) if not scope.startswith("agents:")]
    given = [word for scope in before for word in ("--scope", scope)]
    text = patchbay("keys", "create", "CRM", *given)[1].strip()
    assert not asyncio.run(caller_with(text)).may("agents:read")
    key_id, without = line_of(patchbay, "CRM")
    assert without == "agents:read agents:write"
    code, out, _ = patchbay("keys", "grant", key_id, "--scope", "agents:read")
    assert (code, out) == (0, f"{key_id} has {' '.join([*before, 'agents:read'])}\n")
    assert line_of(patchbay, "CRM") == (key_id, "agents:write")
    for _ in range(2):
        assert patchbay("keys", "grant", key_id)[0] == 0
        assert line_of(patchbay, "CRM") == (key_id, "")
    caller = asyncio.run(caller_with(text))
    assert caller.scopes == set(scopes_for(KeyRole.DEVELOPER, ()))
    with closing(sqlite3.connect(installed / "patchbay.db")) as kept:
        noted = kept.execute("SELECT details FROM audit WHERE action = 'key.granted' ORDER BY number")
        assert [json.loads(one)["gained"] for (one,) in noted] == [["agents:read"], ["agents:write"]]


def test_a_key_is_given_no_more_than_its_role_may_have(installed: Path, patchbay: Command):
    text = patchbay("keys", "create", "Board", "--role", "viewer", "--scope", "calls:read")[1].strip()
    key_id, _ = line_of(patchbay, "Board")
    for words, said in (
        ((key_id, "--scope", "agents:write"), "agents:write"),
        ((key_id, "--scope", "everything"), "everything"),
        (("key_nope",), "key_nope"),
        ((key_id, "--tenant", "ten_other"), key_id),
    ):
        code, out, err = patchbay("keys", "grant", *words)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert said in err
    assert asyncio.run(caller_with(text)).scopes == {"calls:read"}
    patchbay("keys", "revoke", key_id)
    code, out, err = patchbay("keys", "grant", key_id)
    assert (code, out) == (1, "")
    assert "revoked" in err


def strip_scopes(folder: Path, name: str) -> None:
    """Leave the only key as an earlier release had made it, under this name."""
    with closing(sqlite3.connect(folder / "patchbay.db")) as kept:
        kept.execute("UPDATE api_keys SET scopes = '[\"calls:read\"]', name = ?", (name,))
        kept.commit()


def test_the_installations_own_key_has_everything_after_each_start(installed: Path):
    def started() -> Caller:
        first = ensure_first_key(current_settings(), SystemClock(), new_id("key"), random_bytes(32))
        assert asyncio.run(first).text == text
        return asyncio.run(caller_with(text))

    text = (installed / "api-key").read_text().strip()
    strip_scopes(installed, "first owner key")
    assert started().scopes == set(SCOPES)
    strip_scopes(installed, "a narrow one in its place")
    assert started().scopes == {"calls:read"}


def test_what_cannot_be_done_with_keys_is_one_line(installed: Path, patchbay: Command):
    code, out, err = patchbay("keys", "revoke", "key_nope")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    code, _, err = patchbay("keys", "create", "x", "--role", "viewer", "--scope", "calls:write")
    assert code == 1
    assert "calls:write" in err


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with served(tmp_path_factory.mktemp("cli")) as found:
        yield found


@pytest.fixture
def attached(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds the served face and its key."""
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("PATCHBAY_API_PORT", str(urlsplit(live.url).port))
    (tmp_path / "api-key").write_text(live.keys["owner"])


def test_a_number_from_adding_to_removing(attached: None, patchbay: Command):
    assert patchbay("numbers", "add", "+12025550155", "--name", "Desk")[0] == 0
    for words, shown in (
        (("--phone", "alice"), "phone alice"),
        (("--number", "+14155552671"), "number +14155552671"),
        (("--say", "Hello."), "announcement Hello."),
        (("--hold",), "hold"),
        (("--reject", "busy"), "reject busy"),
        (("--reject", "28"), "reject 28"),
    ):
        code, out, err = patchbay("numbers", "route", "+12025550155", *words)
        assert (code, err) == (0, "")
        assert shown in out
    _, out, _ = patchbay("numbers", "list")
    assert {line.split()[0] for line in out.splitlines()} == {FROM, *PROXIES, "+12025550155"}
    assert patchbay("numbers", "remove", "+12025550155")[0] == 0
    assert "+12025550155" not in patchbay("numbers", "list")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "nonsense"), "expected + and 7 to 15 digits"),
        (("add", FROM), "owned already"),
        (("route", FROM), "exactly one"),
        (("route", FROM, "--hold", "--say", "x"), "exactly one"),
        (("route", FROM, "--phone", "nobody"), "names no phone"),
        (("route", "+12025550199", "--hold"), "own no number"),
        (("remove", "+12025550199"), "own no number"),
    ],
)
def test_refusals_are_one_line(attached: None, patchbay: Command, words: tuple[str, ...], said: str):
    code, out, err = patchbay("numbers", *words)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


def test_without_a_gateway_the_command_says_what_to_do(
    tmp_path: Path, patchbay: Command, monkeypatch: pytest.MonkeyPatch, free_port: int
):
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("PATCHBAY_API_PORT", str(free_port))
    assert "patchbay up" in patchbay("numbers", "list")[2]
    (tmp_path / "api-key").write_text("pb_live_sk_x")
    assert "is it up?" in patchbay("numbers", "list")[2]
