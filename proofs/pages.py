"""How large the pages of `explain` are, and how long they take to make, to open and to step through.

    python proofs/pages.py

Of LeNet-5, a recurrent network with T = 20, and 4/5/3, in Debian's Chromium by Playwright. A page counts as open when
its first step is drawn; of a step, what the page itself takes, layout included.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

import deltarule as dr

ROUNDS = 7
DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
STEPS = """async (count) => {
  const took = [];
  for (let k = 1; k < count; k += 1) {
    const began = performance.now();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    document.body.offsetHeight;
    took.push(performance.now() - began);
    await new Promise((drawn) => requestAnimationFrame(drawn));
  }
  return took;
}"""


def networks() -> dict[str, tuple[dr.Network, Any, Any]]:
    random = np.random.default_rng(0)
    lenet5, sequence = dr.nets.lenet5(), random.normal(size=(20, 6))
    return {
        "LeNet-5": (lenet5, random.random(lenet5.input_shape), 5),
        "seq(6)/rnn(8)/3, T = 20": (dr.Network("seq(6)/rnn(8)/3"), sequence, random.integers(3, size=20)),
        "4/5/3": (dr.Network("4/5/3", activation="sigmoid"), [0.2, -0.4, 1.0, 0.5], 2),
    }


def measure(browser: Any, path: Path, steps: int) -> tuple[list[float], list[float]]:
    """Seconds to open, milliseconds a step."""
    opened, stepped = [], []
    for _ in range(ROUNDS):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("article.step")
        page.evaluate(DRAWN)
        opened.append(time.perf_counter() - began)
        stepped += page.evaluate(STEPS, steps)
        page.close()
    return opened, stepped


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (net, x, t) in networks().items():
            began = time.perf_counter()
            found = dr.explain(net, x, t)
            path = found.save(Path(folder) / "page.html")
            made = time.perf_counter() - began
            opened, stepped = measure(browser, path, len(found.story["steps"]))
            print(
                f"{name}: {path.stat().st_size / 1e6:.2f} MB, made in {made:.1f} s; "
                f"open in {statistics.median(opened):.2f} s (at most {max(opened):.2f}), "
                f"a step {statistics.median(stepped):.0f} ms (at most {max(stepped):.0f})"
            )


if __name__ == "__main__":
    main()
