"""Each rule, against a sample that breaks it and one that does not."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import rules

pytestmark = pytest.mark.unit


def function(lines: int) -> str:
    return "async def f():\n" + "    pass\n" * (lines - 1)


SAMPLES: list[tuple[Callable[[str], list[str]], str, str]] = [
    (rules.too_long, "x = 1\n" * 401, "x = 1\n" * 400),
    (rules.long_functions, function(51), function(50)),
    (
        rules.wide_functions,
        "def f(a, b, c, d, /, e, *, f, g, h): ...",
        "class A:\n    def f(self, a, b, c, d, *, e, f, g): ...",
    ),
    (rules.wide_functions, "def f(a, b, c, d, e, f, *g, **h): ...", "def f(a, b, c, d, e, *f, **g): ..."),
    (
        rules.unexplained_excepts,
        "try: ...\nexcept Exception: ...",
        "try: ...\nexcept Exception: ...  # why: the loop goes on",
    ),
    (rules.unexplained_excepts, "try: ...\nexcept: ...", "try: ...\nexcept ValueError: ..."),
    (rules.unexplained_excepts, "try: ...\nexcept (OSError, BaseException): ...", "suppress(OSError)"),
    (rules.unexplained_excepts, "with contextlib.suppress(Exception): ...", "suppress(TimeoutError)"),
    (
        rules.unexplained_excepts,
        "try: ...\nexcept Exception: raise KeyError",
        "try: ...\nexcept BaseException:\n    undo()\n    raise",
    ),
    (rules.prints, "def f():\n    print('x')", "def f(stream):\n    stream.print('x')"),
    (rules.environment_reads, "import os\nos.environ['A']", "environ = {}\nenviron['A']"),
    (rules.environment_reads, "from os import getenv as g", "from os import path"),
    (rules.strangers, "see /" + "work/place/file", "see src/" + "work/file or {prefix}/root" + "/usr"),
    (rules.strangers, "HOME=/" + "root/x", "user=root"),
    (rules.strangers, 'open(f"/' + 'work/x")', '"$prefix"/root' + "/usr"),
    (rules.strangers, "https://pypi" + ".org/simple", "https://docs.asterisk.org"),
]


@pytest.mark.parametrize(("rule", "broken", "kept"), SAMPLES)
def test_a_rule_finds_its_fault_and_only_that(rule: Callable[[str], list[str]], broken: str, kept: str):
    assert rule(broken)
    assert not rule(kept)


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("tests/unit/a/test_a.py", "pytestmark = pytest.mark.unit", None),
        ("tests/architecture/test_a.py", "pytestmark = [pytest.mark.unit, pytest.mark.timeout(9)]", None),
        ("tests/e2e/test_a.py", "pytestmark = pytest.mark.e2e", None),
        ("tests/unit/a/test_a.py", "", "no tier"),
        ("tests/unit/a/test_a.py", "pytestmark = pytest.mark.switch", "wants pytestmark = pytest.mark.unit"),
        ("tests/unit/a/test_a.py", "pytestmark = [pytest.mark.unit, pytest.mark.e2e]", "['e2e', 'unit']"),
        ("tests/rig/test_a.py", "pytestmark = pytest.mark.unit", "tests live in"),
        ("tests/test_a.py", "pytestmark = pytest.mark.unit", "tests live in"),
    ],
)
def test_a_module_declares_the_tier_of_its_folder(path: str, source: str, fault: str | None):
    found = rules.tier_fault(Path(path), rules.declared_marks(source))
    assert found is None if fault is None else found is not None and fault in found


@pytest.mark.parametrize(("mark", "status"), [("pytestmark = pytest.mark.unit", 0), ("", 4)])
def test_collection_fails_without_a_tier(tmp_path: Path, mark: str, status: int):
    module = tmp_path / "tests" / "unit" / "test_sample.py"
    module.parent.mkdir(parents=True)
    module.write_text(f"import pytest\n{mark}\ndef test_nothing(): pass\n")
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\nmarkers = unit: x\naddopts = -p tests.conftest --import-mode=importlib\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", ini, module],
        cwd=rules.ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # why: they take seconds to load
        timeout=110,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert ("no tier" in ran.stderr) is (status == 4)
