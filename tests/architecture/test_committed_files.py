"""What a stranger who clones this finds, and does not find."""

import subprocess

import pytest

from tests.architecture import rules

pytestmark = pytest.mark.unit


def committed() -> list[str]:
    """Every file under version control that is still in the working tree."""
    ours = f"safe.directory={rules.ROOT}"  # why: git reads no checkout of another user's, as in a container
    listed = subprocess.run(
        ["git", "-c", ours, "ls-files", "-z"],
        cwd=rules.ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if (rules.ROOT / name).is_file()]


def test_no_file_knows_the_machine_it_was_made_on():
    files = committed()
    assert "pyproject.toml" in files
    faults = []
    for name in files:
        content = (rules.ROOT / name).read_bytes()
        if b"\0" not in content[:8192]:
            faults += [f"{name}: {fault}" for fault in rules.strangers(content.decode("utf-8", "replace"))]
    assert "\n".join(faults) == ""


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"])
def test_the_front_door_is_there(name: str):
    assert (rules.ROOT / name).read_text("utf-8").strip()
