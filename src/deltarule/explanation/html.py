"""The page as one file: template, style, modules and story, and a policy by which it asks for nothing else.

Modules are written as files that import each other, and reach the page as `data:` addresses in an import map; whatever
is not one of them does not run, because the policy names the two scripts that are written in the page by their hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
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
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("page.html"))


@cache
def modules() -> dict[str, str]:
    """The modules by name; they import each other by their names in the import map."""
    names = sorted(entry.name for entry in _folder().iterdir() if entry.name.endswith(".js"))
    return {
        name.removesuffix(".js"): re.sub(r'from "\./([\w-]+)\.js"', rf'from "{ROOM}\1"', _read(name)) for name in names
    }


@cache
def _style() -> str:
    """The page's style, then that of its parts."""
    names = sorted(entry.name for entry in _folder().iterdir() if entry.name.endswith(".css"))
    return "\n".join(map(_read, sorted(names, key=lambda name: name != "style.css")))


def _folder() -> Any:
    return files("deltarule.explanation") / "page"


@cache
def _read(name: str) -> str:
    text: str = (_folder() / name).read_text(encoding="utf-8")
    return text


def _address(code: str) -> str:
    return f"data:text/javascript;charset=utf-8;base64,{base64.b64encode(code.encode()).decode()}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
