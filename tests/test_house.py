"""The house: public names, the floors between modules, and an import that stays light."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import deltarule

SOURCE = Path(deltarule.__file__).parent
FLOORS = [  # from the ground up; a module's floor is that of the longest prefix of its name
    {"errors", "arrays"},
    {"names", "limits", "drawing"},
    {"activations", "costs", "initializers", "schedules", "randomness"},
    {"optimizers"},
    {"layers", "outputs"},
    {"grammar"},
    {"architecture"},
    {"engines"},
    {"data", "files"},
    {"inputs", "octave", "scores"},
    {"network"},
    {"loading", "nets"},
    {"differences"},
    {"training", "minimize", "gradcheck", "trace", "derivation", "writing", "diagnosis"},
    {"estimators", "explanation"},
    {"bench"},
    {"cli", "__init__"},
]
FLOOR = {name: k for k, names in enumerate(FLOORS) for name in names}
FREE = {"data", "files"}  # stand beside the others: they know only the ground
HEAVY = ["scipy", "sklearn", "pandas", "PIL", "rich", "typer", "safetensors", "torch", "jax"]
MODULES = sorted(SOURCE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {module_name(path) for path in MODULES}


def imports(path: Path) -> set[str]:
    """The modules of the house that `path` imports, within functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("deltarule.") for alias in node.names if alias.name.startswith("deltarule.")
            }
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            if node.module == "deltarule":
                found |= {alias.name if alias.name in NAMES else "__init__" for alias in node.names}
            elif node.module and node.module.startswith("deltarule."):
                base = node.module.removeprefix("deltarule.")
                found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in NAMES else base for a in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_import_runs_up(path: Path) -> None:
    here = module_name(path).split(".")[0]
    for other in imports(path):
        there = other.split(".")[0]
        if here in FREE:
            assert there in {"data", "files", "errors", "arrays", "names", "limits", "randomness"}, (
                f"{here} imports {other}"
            )
        else:
            assert FLOOR[there] <= FLOOR[here], f"{here} imports {other}"


def test_no_import_goes_in_circles() -> None:
    graph = {name: imports(path) - {name} for path in MODULES if (name := module_name(path)) != "__init__"}
    for package in {name.split(".")[0] for name in graph if "." in name}:
        assert package in graph, f"{package} has no __init__.py"
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(order) <= NAMES


def test_every_module_has_its_floor() -> None:
    assert {name.split(".")[0] for name in NAMES} <= set(FLOOR)


def test_public_names() -> None:
    """Sorted as the linter sorts them: constants, classes, the rest."""
    names = deltarule.__all__

    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert names == sorted(names, key=rank)
    assert len(set(names)) == len(names)
    for name in names:
        assert (getattr(deltarule, name).__doc__ or "").strip(), name


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_every_module_says_what_it_is_and_what_it_gives(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assigned = [
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    assert "__all__" in assigned
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_the_import_is_light() -> None:
    code = f"import sys, deltarule; print(*[name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == ""
    assert found.stderr == ""


def test_the_package_is_typed() -> None:
    assert (SOURCE / "py.typed").exists()
