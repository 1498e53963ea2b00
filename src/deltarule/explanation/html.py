"""The page as one file: template, style, modules and story, and a policy by which it asks for nothing else.

Modules are written as files that import each other, and reach the page as `data:` addresses in an import map; whatever
is not one of them does not run, because the policy names the two scripts that are written in the page by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from posixpath import dirname, join, normpath
from typing import Any

from deltarule.derivation.document import printable

__all__ = ["modules", "page"]

ROOM = "deltarule/"  # the modules' names in the import map begin with it
BOOT = f'import "{ROOM}main";'


def page(story: Mapping[str, Any]) -> str:
    """The page that tells a story."""
    imports = json.dumps({"imports": {ROOM + name: _address(code) for name, code in modules().items()}})
    scripts = " ".join(f"'sha256-{_digest(text)}'" for text in (imports, BOOT))
    policy = f"default-src 'none'; script-src {scripts} data:; style-src 'unsafe-inline'; img-src data: blob:"
    told = json.dumps(story, allow_nan=False).replace("<", r"\u003c")
    title = escape(printable(f"{story['network']}, explained"))
    parts = {"title": title, "policy": escape(policy), "style": _style(), "imports": imports, "boot": BOOT}
    parts["story"] = told
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _parts()["page.html"])


@cache
def modules() -> dict[str, str]:
    """The modules by their paths; they import each other by their names in the import map."""
    return {path.removesuffix(".js"): _mapped(path, text) for path, text in _parts().items() if path.endswith(".js")}


def _mapped(path: str, text: str) -> str:
    """A module whose imports are named as the import map names them.

    >>> _mapped("equations/entries.js", 'import { text } from "../numbers.js";')
    'import { text } from "deltarule/numbers";'
    """
    folder = dirname(path)
    return re.sub(r'from "([./][^"]*)\.js"', lambda found: f'from "{ROOM}{normpath(join(folder, found[1]))}"', text)


@cache
def _style() -> str:
    """The page's style, then that of its parts."""
    styles = [(path, text) for path, text in _parts().items() if path.endswith(".css")]
    return "\n".join(text for _, text in sorted(styles, key=lambda part: "/" in part[0]))


@cache
def _parts() -> dict[str, str]:
    """The files of page/ by their paths in it, sorted."""
    return dict(sorted(_read(files("deltarule.explanation") / "page", "")))


def _read(folder: Any, under: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{under}{entry.name}/")
        else:
            yield under + entry.name, entry.read_text(encoding="utf-8")


def _address(code: str) -> str:
    return f"data:text/javascript;charset=utf-8;base64,{base64.b64encode(code.encode()).decode()}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
