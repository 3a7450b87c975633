"""What the doctor makes of the carriers file and of the pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.runtime.checks_masking import check_carriers, judge_pool

pytestmark = pytest.mark.unit

TWILIO = (
    f'[carriers.main]\nkind = "twilio"\naccount_sid = "AC{"0" * 32}"\nauth_token = "super-secret-token"\n'
)


def settings(folder: Path, text: str | None, mode: int = 0o600, **variables: str) -> Settings:
    file = folder / "carriers.toml"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    given = {f"PATCHBAY_{name}": value for name, value in variables.items()}
    return Settings.from_env(
        {"HOME": str(folder), "PATCHBAY_VAR_DIR": str(folder), "PATCHBAY_CARRIERS_FILE": str(file)} | given
    )


PUBLIC = {"PUBLIC_URL": "https://phone.example.com"}


def test_a_good_carriers_file_is_fine(tmp_path: Path) -> None:
    assert [f.verdict for f in check_carriers(settings(tmp_path, TWILIO, **PUBLIC))] == ["ok"]


def test_without_a_file_nothing_is_asked_for(tmp_path: Path) -> None:
    bare = Settings.from_env({"HOME": str(tmp_path), "PATCHBAY_VAR_DIR": str(tmp_path)})
    assert [f.verdict for f in check_carriers(bare)] == ["ok"]


def test_a_file_that_others_can_read_fails(tmp_path: Path) -> None:
    found = list(check_carriers(settings(tmp_path, TWILIO, 0o640, **PUBLIC)))
    assert [f.mend for f in found if f.verdict == "fail"] == [f"chmod 600 {tmp_path / 'carriers.toml'}"]


def test_carriers_that_cannot_reach_us_are_named(tmp_path: Path) -> None:
    found = list(check_carriers(settings(tmp_path, TWILIO)))
    assert [(f.verdict, f.detail) for f in found[1:]] == [("warn", "main cannot reach http://127.0.0.1:8088")]
    near = TWILIO + "allow_private = true\n"
    assert [f.verdict for f in check_carriers(settings(tmp_path, near))] == ["ok"]


@pytest.mark.parametrize("text", [None, "[carriers.main", TWILIO + "colour = 1\n", "[carriers.main]\n"])
def test_a_wrong_file_is_told_without_its_secrets(tmp_path: Path, text: str | None) -> None:
    (found,) = check_carriers(settings(tmp_path, text, **PUBLIC))
    assert found.verdict == "fail"
    assert "super-secret-token" not in found.detail + found.mend


def bucket(busiest: int, usable: int = 10) -> dict[str, Any]:
    return {"use": "pairs", "country": "US", "area": "202", "usable": usable, "busiest": busiest}


def told(busiest: int, usable: int = 10, shortfall: int = 0, left: float | None = None) -> list[Any]:
    one = bucket(busiest, usable)
    forecast = {"buckets": [{"bucket": one, "shortfall": shortfall, "exhausted_in_seconds": left}]}
    return list(judge_pool({"buckets": [one]}, forecast))


@pytest.mark.parametrize(
    ("busiest", "usable", "verdict", "says"),
    [
        (7, 10, "ok", "10 usable numbers"),
        (8, 10, "warn", "holds 8 of 10 usable numbers; nearly all"),
        (10, 10, "warn", "opening another session for them is refused"),
        (0, 0, "ok", "0 usable numbers"),
    ],
)
def test_a_participant_near_the_limit_is_told(busiest: int, usable: int, verdict: str, says: str) -> None:
    (found,) = told(busiest, usable)
    assert (found.verdict, says in found.detail) == (verdict, True)


def test_numbers_that_will_be_missing_are_told_with_their_time() -> None:
    (found,) = told(5, shortfall=3, left=7200.0)
    assert (found.verdict, found.detail) == (
        "warn",
        "pairs US 202: 3 numbers will be missing, in about 2 h",
    )


def test_an_empty_pool_is_no_fault() -> None:
    assert [f.verdict for f in judge_pool({"buckets": []}, {"buckets": []})] == ["ok"]
