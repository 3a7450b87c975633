"""The relay is killed at every step: each text has its effect once, and reaches the carrier at least once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.storage.database import Database
from gateway.storage.texts import SqlTexts
from tests.contract.proxy_pool.ledger_rig import in_sql
from tests.contract.proxy_pool.texts_rig import NOW, TextRig, store_of, text

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[3]
CHILD = "tests.contract.proxy_pool.texts_child"


def killed_at(url: str, step: str) -> list[str]:
    """What a relay that was killed at this step had said."""
    command = [sys.executable, "-m", CHILD, url, step]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(line.strip())
            if said[-1] == step:
                break
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert said[-1] == step
    return said


@pytest.mark.parametrize("step", ["judged", "settled", "sending", "sent"])
async def test_sigkill_at_any_step_loses_no_text_and_judges_none_twice(masking_file: str, step: str) -> None:
    database = await Database.open(masking_file)
    books = in_sql(database)
    rig = TextRig(books, store_of(books))
    await books.fill_pool()
    session = await rig.session()
    await rig.taken(text("through fire and water"))
    said = killed_at(masking_file, step)
    rig.now = NOW + 2
    if step != "settled":
        assert await rig.passes() == [], "the dead process's claim still stands"
    rig.now = NOW + 200
    (sent,) = await rig.passes()
    assert sent.body == "through fire and water"
    (one,) = await rig.interactions(session)
    assert (one.status, one.subject) == ("sent", sent.id)
    assert (await rig.told()).count("message.received") == 1
    used = await books.ledger.get(session.tenant, session.id)
    assert used is not None
    assert used.interactions == 1
    got_before = [line for line in said if line.startswith("carrier got")]
    assert got_before == ([f"carrier got {sent.id}"] if step == "sent" else [])
    await database.close()


@pytest.mark.parametrize("step", ["judged", "settled", "sending", "sent"])
async def test_who_has_the_database_for_itself_goes_on_at_once(masking_file: str, step: str) -> None:
    database = await Database.open(masking_file)
    books = in_sql(database)
    store = store_of(books)
    assert isinstance(store, SqlTexts)
    rig = TextRig(books, store)
    await books.fill_pool()
    session = await rig.session()
    await rig.taken(text("on we go"))
    killed_at(masking_file, step)
    rig.now = NOW + 2
    await store.take_over(rig.now)
    (sent,) = await rig.passes()
    assert sent.body == "on we go"
    (one,) = await rig.interactions(session)
    assert (one.status, one.subject) == ("sent", sent.id)
    assert await rig.passes() == [sent]
    await database.close()
