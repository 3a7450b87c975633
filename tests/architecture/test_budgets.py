"""The product stays small, quiet and explained."""

from collections.abc import Callable
from pathlib import Path

import grimp
import pytest

from tests.architecture import rules

pytestmark = pytest.mark.unit

CLI = Path("gateway/cli")
CONFIG = Path("gateway/config.py")
MIGRATIONS = Path("gateway/storage/migrations/versions")


def broken(rule: Callable[[str], list[str]], files: list[Path]) -> str:
    """Every fault, one a line, so that a failure shows them all."""
    return "\n".join(
        f"{file}: {fault}" for file in files for fault in rule((rules.ROOT / file).read_text("utf-8"))
    )


@pytest.mark.parametrize(
    "rule", [rules.too_long, rules.long_functions, rules.wide_functions, rules.unexplained_excepts]
)
def test_the_product_keeps_its_budgets(rule: Callable[[str], list[str]]):
    files = [file for file in rules.product_files() if MIGRATIONS not in file.parents]  # written by a tool
    assert Path("telephony/errors.py") in files
    assert broken(rule, files) == ""


def test_only_the_command_line_prints():
    assert broken(rules.prints, [file for file in rules.product_files() if CLI not in file.parents]) == ""


def test_only_the_configuration_reads_the_environment():
    assert broken(rules.environment_reads, [file for file in rules.product_files() if file != CONFIG]) == ""


def test_no_two_modules_of_a_package_import_each_other():
    graph = grimp.build_graph(*rules.PACKAGES, cache_dir=None)
    packages = sorted(module for module in graph.modules if graph.find_children(module))
    assert "dialplan.agi" in packages
    cycles = {package: found for package in packages if (found := graph.nominate_cycle_breakers(package))}
    assert cycles == {}


def test_every_test_module_declares_the_tier_of_its_folder():
    modules = rules.test_modules()
    assert modules
    faults = (
        rules.tier_fault(path, rules.declared_marks((rules.ROOT / path).read_text("utf-8")))
        for path in modules
    )
    assert [fault for fault in faults if fault is not None] == []
