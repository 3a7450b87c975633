"""Moments, JSON and errors on their way in and out of the database."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from gateway.storage.columns import EpochMicros, from_micros, seconds_to_micros, to_micros
from gateway.storage.database import Database
from gateway.storage.errors import Duplicate, is_undone, translate
from gateway.storage.jsontext import to_json
from gateway.storage.records import CallFilter
from telephony.errors import InvalidInput, StorageUnavailable

pytestmark = pytest.mark.unit

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=zones))
def test_a_moment_survives_exactly_and_comes_back_in_utc(moment: datetime) -> None:
    back = from_micros(to_micros(moment))
    assert back == moment
    assert back.tzinfo is UTC


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))
def test_a_naive_moment_is_refused(moment: datetime) -> None:
    with pytest.raises(ValueError, match="naive"):
        to_micros(moment)


@given(st.integers(0, 4_000_000_000_000_000))
def test_seconds_of_the_core_survive_to_the_microsecond(micros: int) -> None:
    read = EpochMicros().process_result_value(micros, None)  # type: ignore[arg-type]
    assert read is not None
    assert seconds_to_micros(read) == micros


def test_json_of_broken_text_is_invalid_input_and_of_objects_a_defect() -> None:
    assert to_json({"b": [1, None], "a": "é\x00"}) == '{"b":[1,null],"a":"é\\u0000"}'
    with pytest.raises(InvalidInput):
        to_json(["\ud800"])
    with pytest.raises(TypeError):
        to_json(object())


class _Postgres(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("Key (e164)=(+14155552671) already exists.")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "ours"),
    [
        ("23505", Duplicate),
        ("08006", StorageUnavailable),
        ("57P01", StorageUnavailable),
        ("57014", StorageUnavailable),
        ("53300", StorageUnavailable),
        ("55P03", StorageUnavailable),
        ("40001", StorageUnavailable),
        ("22021", InvalidInput),
        ("42P01", DBAPIError),
    ],
)
def test_postgresql_s_states_have_our_words(sqlstate: str, ours: type[Exception]) -> None:
    error = DBAPIError("SELECT", None, _Postgres(sqlstate))
    assert type(translate(error)) is ours
    assert is_undone(error) == (sqlstate == "40001")


def test_a_number_in_a_driver_s_message_does_not_reach_ours() -> None:
    ours = translate(DBAPIError("INSERT", None, _Postgres("23505")))
    assert "4155552671" not in f"{ours!r}{ours}{ours.__cause__}{ours.__context__}"


def test_what_is_not_the_database_s_doing_stays_as_it_is() -> None:
    for error in (LookupError("x"), InvalidInput("y"), StorageUnavailable()):
        assert translate(error) is error
    assert isinstance(translate(ConnectionRefusedError()), StorageUnavailable)
    defect = sqlite3.OperationalError("near SELEC: syntax error")
    assert translate(defect) is defect


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
async def test_a_url_that_we_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///path"):
        await Database.open(url)


async def test_a_synchronous_mode_that_could_lose_what_was_acknowledged_is_refused(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="NORMAL, FULL or EXTRA"):
        await Database.open(f"sqlite:///{tmp_path}/x.db", synchronous="OFF")


def test_a_filter_hides_the_numbers_it_looks_for() -> None:
    assert "4155552671" not in repr(CallFilter(to_number="+14155552671", from_number="+14155552671"))
