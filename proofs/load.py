"""Long use: many short fits, many processes and threads, data larger than memory allows.

python proofs/load.py fits --count 20000       # anonymous memory after warm-up: at most 5 MB more; no thread left
python proofs/load.py crowd --callers 8        # 8 processes of 8 threads each: the bits of one alone
python proofs/load.py mapped --gigabytes 8     # a memory-mapped file, shuffled: at most 500 MB of anonymous memory
"""

from __future__ import annotations

import argparse
import re
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np

import deltarule as dr

MB = 1 << 20


def anonymous() -> int:
    """RssAnon, in bytes."""
    found = re.search(r"^RssAnon:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def fit(seed: int = 0) -> bytes:
    """A short fit, of everything that has a state; θ's bits."""
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(96, 12)).astype(np.float32), rng.integers(0, 3, 96)
    net = dr.Network("12/24/dropout(0.2)/3", seed=seed)
    dr.train(net, X, t, epochs=2, batch_size=16, validation=0.2, schedule="cosine", seed=seed, verbose=False)
    net.predict(X)
    return net.theta.tobytes()


def fits(count: int) -> None:
    for k in range(max(count // 20, 50)):
        fit(k)
    before, threads, began = anonymous(), threading.active_count(), time.perf_counter()
    for k in range(count):
        fit(k)
    grown = (anonymous() - before) / MB
    tasks = len(list(Path("/proc/self/task").iterdir()))
    print(f"{count:,} fits in {time.perf_counter() - began:.0f} s: {grown:+.1f} MB of anonymous memory, {tasks} tasks")
    assert grown <= 5, "memory grows"
    assert threading.active_count() == threads, "threads are left"


def crowd_of_threads(callers: int) -> set[bytes]:
    with ThreadPoolExecutor(callers) as pool:
        return set(pool.map(fit, [0] * callers * 3))


def crowd(callers: int) -> None:
    alone, began = fit(), time.perf_counter()
    with ProcessPoolExecutor(callers) as pool:
        found = set().union(*pool.map(crowd_of_threads, [callers] * callers))
    assert found == {alone}, "somebody's weights differ"
    print(f"{callers} processes of {callers} threads: {callers * callers * 3} fits with the same bits, "
          f"{time.perf_counter() - began:.0f} s")  # fmt: skip


def mapped(gigabytes: float, folder: str | None) -> None:
    n = 1024
    m = int(gigabytes * (1 << 30)) // (4 * n)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place, "X.npy")
        X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(m, n))
        rng = np.random.default_rng(0)
        for k in range(0, m, 1 << 14):
            X[k : k + (1 << 14)] = rng.random((min(1 << 14, m - k), n), dtype=np.float32)
        X.flush()
        del X
        before = anonymous()
        X = np.load(path, mmap_mode="r")
        t = rng.integers(0, 10, m)
        net = dr.Network(f"{n}/32/10")
        most = [0]

        class Watch(dr.Callback):
            def on_slice(self, run: dr.Run) -> None:
                most[0] = max(most[0], anonymous())

        began = time.perf_counter()
        dr.train(net, X, t, epochs=1, batch_size=256, validation=0.05, checkpoint=Path(place, "run"),
                 callbacks=[Watch()], verbose=False)  # fmt: skip
        grown = (max(most[0], anonymous()) - before) / MB
        print(f"{gigabytes:g} GB mapped, {m:,} rows: {time.perf_counter() - began:.0f} s, {grown:.0f} MB more "
              f"of anonymous memory, {anonymous() / MB:.0f} MB in all")  # fmt: skip
        assert max(most[0], anonymous()) <= 500 * MB, "the data were copied"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["fits", "crowd", "mapped"])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--folder", help="where the mapped file lies")
    told = parser.parse_args()
    if told.what == "fits":
        fits(told.count)
    elif told.what == "crowd":
        crowd(told.callers)
    else:
        mapped(told.gigabytes, told.folder)


if __name__ == "__main__":
    main()
