"""Read damaged and hostile model and checkpoint files: each gives what it held or a clear error, in time.

    python proofs/fuzz.py --reads 1000000 --seed 0      # about ten minutes
    python proofs/fuzz.py --reads 2000                  # a short form

Kinds: random bytes, truncated, flipped bits, spliced, header lengths, wrong dtypes, overlapping offsets, deep JSON,
huge shapes, hostile metadata. A read that raises anything but FileFormatError, takes a second, or takes memory beyond
twice the file (and 48 MB for what a header may become) ends the proof with the file kept for a look.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

import deltarule as dr
from deltarule import files
from deltarule.errors import DeltaruleError, FileFormatError
from deltarule.training.checkpoint import newest

SLACK = 48 << 20
Chance = random.Random


X, T = np.random.default_rng(0).normal(size=(40, 4)), np.random.default_rng(1).integers(0, 3, 40)


def fit(folder: Path, resume: bool) -> None:
    dr.train(dr.Network("4/5/3"), X, T, epochs=2, checkpoint=folder, resume=resume, verbose=False, validation=0.3,
             schedule="reduce_on_plateau")  # fmt: skip


def originals(place: Path) -> list[tuple[bytes, bool]]:
    """(Content, whether it is a checkpoint): a plain model, one with preprocessing, and two checkpoints."""
    plain = dr.Network("4/5/3")
    table = dr.Network("4/3/3", preprocessing=dr.data.Preprocessing.fit(
        {"age": list(range(12)), "town": ["Graz", "Linz", "Öd"] * 4}, ["no", "yes", "ün"] * 4
    ))  # fmt: skip
    plain.save(place / "plain")
    table.save(place / "table")
    fit(place / "run", False)
    models = [(p.read_bytes(), False) for p in (place / "plain", place / "table")]
    return models + [(p.read_bytes(), True) for p in (place / "run").glob("*.safetensors")]


def signed(content: bytes) -> bytes:
    """The same with the right checksum, where it can be read so far."""
    try:
        arrays = safetensors.numpy.load(content)
        header, data = parts(content)
        text = header["__metadata__"][files.CHECKPOINT.key]
        header["__metadata__"][files.CHECKSUM] = files._digest(text, arrays)
        return joined(header, data)
    except Exception:  # then it stays as it is
        return content


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    n = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + n]), content[8 + n :]


def joined(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# Each takes a whole file and spoils it


def random_bytes(content: bytes, chance: Chance) -> bytes:
    return chance.randbytes(chance.randrange(0, 2000))


def truncated(content: bytes, chance: Chance) -> bytes:
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: Chance) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 8])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def spliced(content: bytes, chance: Chance) -> bytes:
    a, b = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:a] + chance.randbytes(chance.randrange(50)) + content[b:]


def header_length(content: bytes, chance: Chance) -> bytes:
    n = chance.choice(
        [0, 1, 7, 2**63, 2**64 - 1, 2**32, 100_000_001, len(content), len(content) * 2, chance.randrange(2**40)]
    )
    return struct.pack("<Q", n) + content[8:]


def wrong_dtype(content: bytes, chance: Chance) -> bytes:
    header, data = parts(content)
    name = chance.choice([k for k in header if k != "__metadata__"])
    header[name]["dtype"] = chance.choice(["F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "X", 3, None])
    return joined(header, data)


def offsets(content: bytes, chance: Chance) -> bytes:
    header, data = parts(content)
    for name in header:
        if name != "__metadata__" and chance.random() < 0.6:
            places = [0, 8, len(data), len(data) + 8, -1, 2**63, chance.randrange(len(data) + 1)]
            header[name]["data_offsets"] = [chance.choice(places), chance.choice(places)]
    return joined(header, data)


def huge_shape(content: bytes, chance: Chance) -> bytes:
    header, data = parts(content)
    name = chance.choice([k for k in header if k != "__metadata__"])
    big = [[2**40], [2**32, 2**32], [0, 2**60], [2**63], [1] * 100, [10**6, 10**6, 0], [-1], [1.5], []]
    header[name]["shape"] = chance.choice(big)
    return joined(header, data)


def deep_json(content: bytes, chance: Chance) -> bytes:
    header, data = parts(content)
    depth = chance.choice([10, 1000, 100_000])
    opening, closing = chance.choice([("[", "]"), ('{"a":', "}")])
    nested = opening * depth + ("1" if opening != "[" else "") + closing * depth
    if chance.random() < 0.5:
        return joined(nested.encode(), data)
    for key in header["__metadata__"]:
        header["__metadata__"][key] = nested
    return joined(header, data)


NETWORKS = [
    "1000000000/1000000000", "4/" * 5000 + "3", "4/dense(", "4/dropout(1e999)/3", "seq(4)/3",
    "4/99999999999999999999/3", "4/dense(5,__import__('os'))/3", "4/9999999/9999999/3", "", "/", "*", "4/" + "(" * 1000,
]  # fmt: skip


def metadata(content: bytes, chance: Chance) -> bytes:
    """One field of the JSON is another value."""
    header, data = parts(content)
    key = next(k for k in header["__metadata__"] if k != "sha256")
    found = json.loads(header["__metadata__"][key])
    at = found
    while isinstance(at, dict) and at:
        name = chance.choice(list(at))
        if isinstance(at[name], dict) and at[name] and chance.random() < 0.7:
            at = at[name]
            continue
        strange = [
            None,
            True,
            -1,
            2**70,
            1e308,
            "",
            "x" * 1000,
            [],
            {},
            [[]],
            "\\ud800",
            "nan",
            chance.choice(NETWORKS),
            "a\\0b",
        ]
        at[name] = chance.choice(strange)
        break
    header["__metadata__"][key] = json.dumps(found)
    return joined(header, data)


def many_entries(content: bytes, chance: Chance) -> bytes:
    header, data = parts(content)
    for k in range(chance.choice([10, 1000, 9_000, 60_000])):
        header[f"x{k}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data), len(data)]}
    return joined(header, data)


KINDS: list[Callable[[bytes, Chance], bytes]] = [
    random_bytes, truncated, flipped, flipped, flipped, spliced, header_length, wrong_dtype, offsets, huge_shape,
    metadata, metadata,
]  # fmt: skip
RARE = [deep_json, many_entries]  # large


def read(path: Path, checkpoint: bool) -> None:
    if not checkpoint:
        dr.load(path)
    elif newest(path.parent) is not None:
        fit(path.parent, True)


def peak() -> int:
    """The most bytes held since the last question."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    Path("/proc/self/clear_refs").write_text("5")
    return int(found[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reads", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    chance = Chance(told.seed)
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    slowest = 0.0
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        place = Path(folder)
        known = originals(place)
        (place / "hostile").mkdir()
        paths = place / "model", place / "hostile" / "checkpoint-000000000001.safetensors"
        grown = 0
        for k in range(told.reads):
            kind = chance.choice(RARE if k % 500 == 0 else KINDS)
            original, checkpoint = chance.choice(known)
            content = kind(original, chance)
            if checkpoint and chance.random() < 0.6:
                content = signed(content)
            for left in (place / "hostile").iterdir():
                left.unlink()
            paths[checkpoint].write_bytes(content)
            peak()  # what making the file took is not the reader's
            before, began = peak(), time.perf_counter()
            try:
                read(paths[checkpoint], checkpoint)
                result = "read"
            except DeltaruleError as error:
                result = "refused" if isinstance(error, FileFormatError) else "read, and of another training"
            except BaseException as error:  # what else it may be is the question
                fail(content, kind, f"{type(error).__name__}: {error}")
            took, more = time.perf_counter() - began, peak() - before
            slowest, grown = max(slowest, took), max(grown, more)
            if took > 1:
                fail(content, kind, f"took {took:.1f} s")
            if more > 2 * len(content) + SLACK:
                fail(content, kind, f"took {more >> 20} MB for {len(content):,} bytes")
            counts[result] += 1
    print(
        f"{told.reads:,} reads: {dict(counts)}; the slowest took {slowest * 1e3:.0f} ms, the largest {grown >> 20} MB"
    )


def fail(content: bytes, kind: Any, why: str) -> None:
    path = Path(tempfile.gettempdir()) / "hostile-file"
    path.write_bytes(content)
    sys.exit(f"{kind.__name__}: {why}; the file is kept as {path}")


if __name__ == "__main__":
    main()
