"""Names and calls: how `relu` and `step_decay(0.5, every=5)` become values, and how they are spelled back.

Activations, costs, initialisers, optimisers, schedules and layers are frozen dataclasses with a `name`. One small
grammar serves them all, in Python, on the command line and in files. It is parsed, never evaluated:

    call  = name [ "(" [ item { "," item } ] ")" ]       item = [ name "=" ] value
    value = number | True | False | None | "(" value { "," value } ")" | call

Space, hyphen and underscore are equal in names, and case does not matter.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar

from deltarule.errors import GrammarError, HyperparameterError, UnknownNameError

__all__ = [
    "Call", "Named", "build", "canonical", "find", "marked", "parse_call", "resolve", "spell", "table",
]  # fmt: skip

DEEPEST = 8  # calls within calls; nothing sensible needs more, and hostile files cannot exhaust the stack
LONGEST = 100_000  # characters in a call


@dataclasses.dataclass(frozen=True)
class Named:
    """A value with a name: configuration only, compared by content, spelled as a call."""

    name: ClassVar[str] = ""

    def __str__(self) -> str:
        return spell(self)


N = TypeVar("N", bound=Named)


class Call(NamedTuple):
    """A parsed call; `position` is where its name starts in the text."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    position: int


def canonical(name: str) -> str:
    """The form in which names are compared.

    >>> canonical("Leaky-ReLU") == canonical("leaky_relu") == "leaky relu"
    True
    """
    return re.sub(r"[\s_-]+", " ", name.lower()).strip()


def table(*types: type[N]) -> dict[str, type[N]]:
    """The table of one kind of value: canonical name → class, in the order given."""
    return {t.name: t for t in types}


def find(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """The canonical form of `name` if it is known, else an error that suggests the nearest one.

    >>> find("activation", "rely", ["relu", "tanh"])
    Traceback (most recent call last):
    deltarule.errors.UnknownNameError: there is no activation 'rely'; did you mean 'relu'? (known: relu, tanh)
    """
    names = list(known)
    if not isinstance(name, str):
        raise UnknownNameError(f"{kind}: expected a name, not {name!r} (known: {', '.join(names)})")
    wanted = canonical(name)
    if wanted in names:
        return wanted
    squeezed = {n.replace(" ", ""): n for n in names}  # "leakyrelu" is what fingers type
    if wanted.replace(" ", "") in squeezed:
        return squeezed[wanted.replace(" ", "")]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    shown = name if len(name) <= 60 else name[:60] + "…"
    raise UnknownNameError(f"there is no {kind} '{shown}'{where}{hint} (known: {', '.join(names) or 'none'})")


def resolve(kind: str, types: Mapping[str, type[N]], value: N | str) -> N:
    """`value` itself if it is a value already, else what the text names, with its arguments."""
    if isinstance(value, str):
        return build(kind, types, parse_call(value))
    kin = set.intersection(*(set(t.__mro__) for t in types.values())) - set(Named.__mro__)  # their base: users' own too
    if isinstance(value, (*kin, *types.values())):
        return value
    example = next(iter(types.values())).__name__
    raise UnknownNameError(f"{kind}: expected a name or a value such as {example}(), not {value!r}")


def build(kind: str, types: Mapping[str, type[N]], call: Call) -> N:
    """The value that a parsed call names."""
    made = types[find(kind, call.name, types)]
    fields = [f.name for f in dataclasses.fields(made) if f.init]
    positional = [f.name for f in dataclasses.fields(made) if f.init and not f.kw_only]
    if len(call.args) > len(positional):
        most = f"at most {len(positional)}" if positional else "no"
        raise HyperparameterError(f"{kind} '{made.name}' takes {most} arguments, not {len(call.args)}")
    kwargs: dict[str, Any] = {}
    for key, value in call.kwargs.items():
        field = find("argument", key, map(canonical, fields), f" of {kind} '{made.name}'").replace(" ", "_")
        if field in kwargs or field in positional[: len(call.args)]:
            raise HyperparameterError(f"{kind} '{made.name}' is given '{field}' twice")
        kwargs[field] = _plain(value)
    try:
        return made(*map(_plain, call.args), **kwargs)
    except TypeError as error:  # a missing argument, or one of the wrong type
        raise HyperparameterError(f"{kind} '{made.name}': {str(error).partition('() ')[2] or error}") from None


def _plain(value: Any) -> Any:
    """A nested call without arguments is a name; with arguments it is spelled again for its owner to resolve."""
    if isinstance(value, Call):
        return _spell_call(value.name, [_plain(a) for a in value.args], {k: _plain(v) for k, v in value.kwargs.items()})
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def spell(value: Named) -> str:
    """The shortest call that gives `value` back: defaults left out.

    >>> from deltarule.activations import LeakyReLU
    >>> spell(LeakyReLU()), spell(LeakyReLU(0.2))
    ('leaky_relu', 'leaky_relu(0.2)')
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    skipped = False  # once one is left out, the others need their names
    for f in sorted(dataclasses.fields(value), key=lambda f: bool(f.kw_only)):
        given, default = getattr(value, f.name), _default(f)
        if not f.init or (default is not dataclasses.MISSING and given == default):
            skipped = True
        elif f.kw_only or skipped:
            kwargs[f.name] = given
        else:
            args.append(given)
    return _spell_call(value.name, args, kwargs)


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


def _spell_call(name: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    items = [_spell_value(a) for a in args] + [f"{k}={_spell_value(v)}" for k, v in kwargs.items()]
    return name.replace(" ", "_") + (f"({','.join(items)})" if items else "")


def _spell_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ",".join(map(_spell_value, value)) + ")"
    if isinstance(value, str | Named):
        return str(value)
    return repr(value.item() if hasattr(value, "item") else value)  # a NumPy scalar is written as the number it is


def marked(complaint: str, text: str, position: int) -> str:
    """The complaint, and below it the text, or the part of a long one, with a mark under the position.

    >>> print(marked("expected a size here", "784/x/10", 4))
    expected a size here:
        784/x/10
            ^
    """
    start = max(0, position - 60)
    before, after = "…" * (start > 0), "…" * (len(text) > start + 100)
    shown = before + text[start : start + 100] + after
    shown = "".join(c if c.isprintable() else " " for c in shown)  # a tab or line break would move the mark
    return f"{complaint}:\n    {shown}\n    {' ' * (len(before) + position - start)}^"


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*(?:[ _-]+[A-Za-z][A-Za-z0-9]*)*)|(?P<mark>[(),=])|(?P<end>$)|(?P<other>\S))"
)
_CONSTANTS = {"true": True, "false": False, "none": None}


def parse_call(text: str, *, whole: str | None = None, offset: int = 0) -> Call:
    """Parse one call; errors mark the position within `whole`, of which `text` begins at `offset`.

    >>> parse_call("step_decay(0.5, every=5)")[:3]
    ('step decay', (0.5,), {'every': 5})
    """
    return _Parser(text, text if whole is None else whole, offset).parse()


class _Parser:
    """Recursive descent over the tokens of one call."""

    def __init__(self, text: str, whole: str, offset: int) -> None:
        self.whole, self.offset, self.depth, self.at = whole, offset, 0, 0
        if len(text) > LONGEST:
            self.fail(f"more than {LONGEST} characters", LONGEST)
        found = ((m, m.lastgroup or "") for m in _TOKEN.finditer(text))
        self.tokens = [(kind, m[kind], m.start(kind)) for m, kind in found]

    def parse(self) -> Call:
        value = self.value()
        if not isinstance(value, Call):
            self.fail("expected a name here", self.tokens[0][2])
        self.take("end", "expected nothing more here")
        return value

    def value(self) -> Any:
        kind, text, start = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            if not math.isfinite(float(text)):
                self.fail("this number is too large", start)
            return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)
        if kind == "name":
            return _CONSTANTS[text.lower()] if text.lower() in _CONSTANTS else self.call(canonical(text), start)
        if text != "(":
            self.fail("expected a name or a number here", start)
        items = self.items()
        if any(key for key, _ in items):
            self.fail("a tuple holds values only", start)
        return tuple(v for _, v in items)

    def call(self, name: str, start: int) -> Call:
        items: list[tuple[str, Any]] = []
        if self.tokens[self.at][1] == "(":
            self.at += 1
            items = self.items()
        keys = [key for key, _ in items if key]
        if len(keys) != len(set(keys)) or any(key == "" for key, _ in items[len(items) - len(keys) :]):
            self.fail("arguments by name come once each, after the others", start)
        return Call(name, tuple(v for k, v in items if not k), {k: v for k, v in items if k}, self.offset + start)

    def items(self) -> list[tuple[str, Any]]:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"more than {DEEPEST} brackets inside each other", self.tokens[self.at][2])
        found: list[tuple[str, Any]] = []
        while self.tokens[self.at][1] != ")":
            key = ""
            if self.tokens[self.at][0] == "name" and self.tokens[self.at + 1][1] == "=":
                key = canonical(self.tokens[self.at][1]).replace(" ", "_")
                self.at += 2
            found.append((key, self.value()))
            if self.tokens[self.at][1] != ",":
                break
            self.at += 1
        self.take("mark", "expected ',' or ')' here", ")")
        self.depth -= 1
        return found

    def take(self, kind: str, complaint: str, text: str | None = None) -> None:
        if self.tokens[self.at][0] != kind or (text is not None and self.tokens[self.at][1] != text):
            self.fail(complaint, self.tokens[self.at][2])
        self.at += 1

    def fail(self, complaint: str, start: int) -> NoReturn:
        raise GrammarError(marked(complaint, self.whole, self.offset + start))
