"""Kill a run again and again, resume it each time, and compare its weights with those of a run left alone.

    python proofs/kill.py --kills 60                # some minutes
    python proofs/kill.py --kills 4 --epochs 40     # a short form

Half of the kills wait until a checkpoint is being written (a temporary file is there), half come at a random moment.
Each time the run goes on with another number of threads. What it checks: the bits of θ, that every history line is
there once, that no temporary file is left, and that no more than two checkpoints are.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import deltarule as dr

ARGUMENTS = ["--network", "64/96/dropout(0.2)/10", "--validation", "0.2", "--optimizer", "adam", "--schedule", "cosine"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from deltarule.cli import main; main()", "train", *arguments, "--quiet"]


def kill_once(folder: Path, arguments: list[str], moment: float, writing: bool, limit: float) -> bool:
    """Start or resume the run and kill it at a moment, or in the first write after it; False if it ended first."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    began = time.perf_counter()
    try:
        while process.poll() is None:
            passed = time.perf_counter() - began
            if passed > moment and (not writing or any(folder.glob(".*")) or passed > moment + limit):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
            if not writing:
                time.sleep(0.001)
    finally:
        process.kill()
        said = process.communicate()[1].decode()
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}: {said}")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    chance = random.Random(told.seed)
    with tempfile.TemporaryDirectory() as place:
        alone, killed = Path(place, "alone"), Path(place, "killed")
        wanted = ["digits", *ARGUMENTS, "--epochs", str(told.epochs)]
        began = time.perf_counter()
        subprocess.run(command(*wanted, "--output", str(alone)), check=True, stdout=subprocess.DEVNULL)
        duration = time.perf_counter() - began
        kills = in_writes = rounds = 0
        expected = dr.load(alone / "model.safetensors").theta.tobytes()
        while kills < told.kills:
            rounds += 1
            shutil.rmtree(killed, ignore_errors=True)
            arguments = command(*wanted, "--output", str(killed))
            while True:
                writing = chance.random() < 0.5
                moment = chance.uniform(0, min(duration, 2.5))
                if kills >= told.kills or not kill_once(killed, arguments, moment, writing, duration):
                    break
                kills += 1
                in_writes += any(killed.glob(".*")) if killed.exists() else 0
                if (killed / "run.toml").exists():
                    arguments = command("--resume", str(killed), "--threads", str(chance.choice([1, 2, 3])))
            if not (killed / "run.toml").exists() or kills >= told.kills:
                subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
            if dr.load(killed / "model.safetensors").theta.tobytes() != expected:
                raise SystemExit(f"round {rounds}: the weights differ")
            if len(dr.History.from_jsonl(killed / "history.jsonl")) != told.epochs:
                raise SystemExit(f"round {rounds}: the history has not one line an epoch")
            names = sorted(path.name for path in killed.iterdir())
            if any(name.startswith(".") for name in names) or sum(name.startswith("checkpoint") for name in names) > 2:
                raise SystemExit(f"round {rounds}: left behind: {names}")
        print(f"{kills} kills, {in_writes} within a write; {rounds} runs ended with the bits of the one left alone")


if __name__ == "__main__":
    main()
