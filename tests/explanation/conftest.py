"""A browser that reads the pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deltarule.explanation import Explanation

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="there is no Playwright")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`visit(explanation, step)` → its page, open; in the end nothing was complained of and nothing asked for."""
    opened: list[tuple[Any, list[str], str]] = []

    def open_page(explanation: Explanation | str, step: str = "", **settings: Any) -> Any:
        path = tmp_path / f"{len(opened)}.html"
        if isinstance(explanation, str):
            path.write_text(explanation, encoding="utf-8")
        else:
            explanation.save(path)
        settings.setdefault("viewport", {"width": 1300, "height": 900})
        page = chromium.new_page(**settings)
        page.set_default_timeout(10_000)
        said: list[str] = []
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        address = path.as_uri()
        page.on("request", lambda request: said.append(request.url[:80]) if outside(request.url, address) else None)
        page.goto(address + (f"#step={step}" if step else ""))
        if not isinstance(explanation, str):
            page.wait_for_selector("article.step")
        opened.append((page, said, address))
        return page

    yield open_page
    for page, said, _ in opened:
        page.close()
        assert said == []


def outside(url: str, address: str) -> bool:
    """Whether a request leaves the page."""
    return not url.startswith(("data:", "blob:", "about:")) and url.partition("#")[0] != address
