"""Ids: well formed, in order of time, never twice."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from ulid import ULID

from gateway.clocks import SystemClock, moment_letters, new_id, random_tails
from telephony.ids import is_id

pytestmark = pytest.mark.unit

_FORK = """
import os
from gateway.clocks import new_id
new_id("x")
if os.fork() == 0:
    print(new_id("x")[-16:], flush=True)
    os._exit(0)
os.wait()
print(new_id("x")[-16:])
"""


def test_an_id_has_its_prefix_and_is_a_ulid_of_now() -> None:
    made = new_id("call")
    assert is_id(made, "call")
    age = SystemClock().wall() - ULID.from_str(made.removeprefix("call_")).datetime
    assert timedelta(milliseconds=-50) < age < timedelta(seconds=60)


@pytest.mark.parametrize("milliseconds", [0, 1, 31, 32, 1_795_225_543_815, 2**48 - 1])
def test_the_moment_is_spelled_as_the_specification_says(milliseconds: int) -> None:
    letters = moment_letters(milliseconds)
    assert ULID.from_str(letters + "0" * 16).milliseconds == milliseconds


def test_later_moments_sort_later() -> None:
    moments = [moment_letters(at) for at in range(1_795_225_543_000, 1_795_225_545_000, 7)]
    assert moments == sorted(moments)


def test_many_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [
            id_ for ids in threads.map(lambda _: [new_id("x") for _ in range(2000)], range(8)) for id_ in ids
        ]
    assert len(set(made)) == len(made)


def test_every_letter_comes_about_as_often_in_the_random_part() -> None:
    letters = "".join("".join(random_tails()) for _ in range(20))
    counts = [letters.count(letter) for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ"]
    mean = len(letters) / 32
    assert sum(counts) == len(letters)
    assert all(abs(count - mean) < 7 * mean**0.5 for count in counts)


def test_a_forked_child_makes_ids_of_its_own() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _FORK], capture_output=True, text=True, check=True, timeout=90
    )
    ours, theirs = told.stdout.split()
    assert ours != theirs
