"""The house rules as functions: source text in, faults out. No rule reads a file by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("telephony", "dialplan", "proxy_pool", "voice_agents", "video_rooms", "gateway", "patchbay_agent")
TIERS = {
    "unit": "unit",
    "architecture": "unit",
    "contract": "contract",
    "switch": "switch",
    "e2e": "e2e",
}

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 7
_BROAD = {"Exception", "BaseException"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def product_files() -> list[Path]:
    """Every Python file of the product, committed or not, as paths from the root."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


def test_modules() -> list[Path]:
    """Every test module, as a path from the root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))


def too_long(source: str) -> list[str]:
    """Files over 400 lines."""
    lines = len(source.splitlines())
    return [f"{lines} lines, at most {FILE_LINES}"] if lines > FILE_LINES else []


def long_functions(source: str) -> list[str]:
    """Functions over 50 lines, from ``def`` to their last line."""
    return [
        f"line {f.lineno}: {f.name} has {lines} lines, at most {FUNCTION_LINES}"
        for f in ast.walk(ast.parse(source))
        if isinstance(f, _FUNCTIONS) and (lines := (f.end_lineno or f.lineno) - f.lineno + 1) > FUNCTION_LINES
    ]


def wide_functions(source: str) -> list[str]:
    """Functions of more than 7 parameters; keyword-only ones count, ``self`` and ``cls`` do not."""
    return [
        f"line {f.lineno}: {f.name} takes {count} parameters, at most {PARAMETERS}"
        for f in ast.walk(ast.parse(source))
        if isinstance(f, _FUNCTIONS) and (count := _parameters(f.args)) > PARAMETERS
    ]


def _parameters(arguments: ast.arguments) -> int:
    placed = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    own = placed[1:] if placed[:1] in (["self"], ["cls"]) else placed
    gathered = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return len(own) + len(arguments.kwonlyargs) + len(gathered)


def unexplained_excepts(source: str) -> list[str]:
    """Broad ``except`` and ``suppress`` without ``# why`` on their line; one that raises on hides nothing."""
    lines = source.splitlines()
    return [
        f"line {line}: a broad except says `# why: …`"
        for line in _broad_excepts(ast.parse(source))
        if "# why" not in lines[line - 1]
    ]


def _broad_excepts(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
                continue
            case ast.ExceptHandler(type=None):
                yield node.lineno
            case ast.ExceptHandler(type=ast.AST() as caught) if _names(caught) & _BROAD:
                yield node.lineno
            case ast.Call(func=called) if "suppress" in _names(called) and _names(node) & _BROAD:
                yield node.lineno


def _names(node: ast.AST) -> set[str]:
    """The plain names in an expression: the last part of each dotted name."""
    plain = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return plain | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def prints(source: str) -> list[str]:
    """Calls of ``print``."""
    return [
        f"line {node.lineno}: print belongs in gateway/cli"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def environment_reads(source: str) -> list[str]:
    """Uses of ``os.environ`` and ``os.getenv``, under whatever name they were imported."""
    wanted = {"environ", "environb", "getenv", "putenv"}
    faults = []
    for node in ast.walk(ast.parse(source)):
        imported = isinstance(node, ast.ImportFrom) and node.module == "os"
        if imported and wanted & {alias.name for alias in node.names}:
            faults.append(f"line {node.lineno}: only gateway/config.py reads the environment")
        if isinstance(node, ast.Attribute) and node.attr in wanted and _names(node.value) == {"os"}:
            faults.append(f"line {node.lineno}: only gateway/config.py reads the environment")
    return faults


# The words are put together here, so that this file does not hold what it looks for.
_REGISTRIES = ("pypi" + ".org", "files.python" + "hosted", "deb." + "debian.org", "registry." + "npmjs")
_MACHINE = ("work", "root")
_NOT_INSIDE_A_PATH = r"""(?<![\w.})*~-])(?<![\w}][\w}]")"""
_MACHINE_PATH = re.compile(_NOT_INSIDE_A_PATH + "/(?:" + "|".join(_MACHINE) + ")/")


def strangers(text: str) -> list[str]:
    """Paths of one machine and names of package registries, which no committed file may hold."""
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if (path := _MACHINE_PATH.search(line)) is not None:
            faults.append(f"line {number}: a path of one machine, {path.group()}…")
        faults += [f"line {number}: a registry's name, {name}" for name in _REGISTRIES if name in line]
    return faults


def tier_fault(path: Path, marks: Iterable[str]) -> str | None:
    """Why the test module at ``path`` (from the root) may not declare these marks; None if it may."""
    folder = path.parts[1] if len(path.parts) > 2 else ""
    tier = TIERS.get(folder)
    if tier is None:
        return f"{path}: tests live in tests/{{{','.join(TIERS)}}}/"
    declared = sorted(set(marks) & set(TIERS.values()))
    if declared != [tier]:
        return f"{path}: declares {declared or 'no tier'}, its folder wants pytestmark = pytest.mark.{tier}"
    return None


def declared_marks(source: str) -> list[str]:
    """The names of the marks in a test module's own ``pytestmark``."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(_names(target) == {"pytestmark"} for target in node.targets):
            return [part.attr for part in ast.walk(node.value) if isinstance(part, ast.Attribute)]
    return []
