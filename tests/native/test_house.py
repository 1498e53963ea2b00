"""The twin rule, read from the sources: each equation has its kernel under the same name; headers keep their rules."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from deltarule import activations, costs, layers, optimizers
from deltarule.engines import native, textbook

PACKAGE = Path(__file__).parents[2] / "src" / "deltarule"  # a wheel does not carry the kernels
HEADERS = sorted(PACKAGE.rglob("*.hpp"))


def code(path: Path) -> str:
    """A source without its comments."""
    return re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))


def flat(name: str) -> str:
    return name.replace("_", "").replace(" ", "").lower()


def names_in(enum: str) -> list[str]:
    """The names of an enum of program.hpp, in their order."""
    found = re.search(rf"enum class {enum} : int {{(.*?)}};", code(PACKAGE / "native/program.hpp"), re.DOTALL)
    assert found
    return [flat(name) for name in found[1].split(",")]


@pytest.mark.parametrize("verb", ["outputs", "cost_and_gradient", "train"])
def test_verbs_have_twins(verb: str) -> None:
    """The same names in the same order; `threads` and `masks` are one engine's alone, and come last."""
    of_textbook, of_native = (
        [name for name in inspect.signature(getattr(engine, verb)).parameters if name != alone]
        for engine, alone in ((textbook, "masks"), (native, "threads"))
    )
    assert of_native == of_textbook


@pytest.mark.parametrize("layer", [kind.__name__ for kind in native._LAYERS])
def test_layers_have_twins(layer: str) -> None:
    """Side by side, with the same verbs."""
    kernel = code(PACKAGE / "layers" / f"{Path(inspect.getfile(getattr(layers, layer))).stem}.hpp")
    assert re.search(rf"struct {layer} : (Map)?(Stage|Pool)<T>", kernel)
    for verb in ("forward", "backward"):
        assert re.search(rf"void {verb}\(", kernel), verb


@pytest.mark.parametrize(("enum", "kinds"), [
    ("Function", native._FUNCTIONS), ("Cost", native._COSTS), ("Kind", native._LAYERS), ("Rule", list(native._RULES)),
])  # fmt: skip
def test_tables_agree(enum: str, kinds: list[type]) -> None:
    """What Python numbers, C++ knows by the same number."""
    assert [flat(kind.__name__) for kind in kinds] == names_in(enum)
    assert [number for number, _ in native._RULES.values()] == list(range(len(native._RULES)))


def test_tables_are_whole() -> None:
    """Every activation, cost and optimiser of the library has its kernel."""
    assert set(native._FUNCTIONS) == set(activations.ACTIVATIONS.values())
    assert set(native._COSTS) == set(costs.COSTS.values())
    assert set(native._RULES) == set(optimizers.OPTIMIZERS.values())


@pytest.mark.parametrize(
    "stem", ["activations", "optimizers", "outputs", "layers/conv", "layers/dense", "layers/dropout", "layers/pool"]
)
def test_twins_lie_side_by_side(stem: str) -> None:
    assert (PACKAGE / f"{stem}.py").exists()
    assert (PACKAGE / f"{stem}.hpp").exists()


@pytest.mark.parametrize("header", [str(path.relative_to(PACKAGE)) for path in HEADERS])
def test_headers_share_nothing_between_instruction_sets(header: str) -> None:
    """No std::, no library but the compiler's own types and vectors; a namespace of its own."""
    text = code(PACKAGE / header)
    assert "std::" not in text
    included = set(re.findall(r"#include <(.*?)>", text))
    assert included <= {"stddef.h", "stdint.h", "immintrin.h", "arm_neon.h"}
    if header not in ("native/arena.hpp", "native/team.hpp", "native/program.hpp"):  # declarations, one for all
        assert "namespace deltarule::DELTARULE_ISA {" in text
