"""Which stories a demonstration tells."""

from __future__ import annotations

import pytest
import typer

from gateway.cli.demo import chosen
from gateway.trial.demo.stories import STORIES

pytestmark = pytest.mark.unit


def test_all_are_told_where_none_is_named() -> None:
    assert chosen(()) == list(STORIES)


def test_those_that_are_named_are_told_in_their_usual_order() -> None:
    names = ["what is never dialled", "a busy call"]
    assert [name for name, _ in chosen(names)] == ["a busy call", "what is never dialled"]


def test_a_name_that_no_story_has_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(typer.BadParameter, match=r"no story 'a wedding'.*a busy call"):
        chosen(["a wedding"])
