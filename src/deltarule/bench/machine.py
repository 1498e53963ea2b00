"""What was measured on: the machine, the versions, in words and numbers that a reader can compare."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from deltarule.bench.peer import cores
from deltarule.bench.peers import versions

__all__ = ["describe"]


def describe() -> dict[str, Any]:
    """Processor, cores that may be used, vector units, memory in GiB, system, and versions."""
    cpu = _proc("cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    flags = set((re.search(r"^flags\s*:\s*(.+)$", cpu, re.MULTILINE) or [" ", ""])[1].split())
    vectors = [name for name, flag in (("AVX2", "avx2"), ("AVX-512", "avx512f")) if flag in flags]
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _proc("meminfo"), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": cores(),
        "cores_of_the_machine": os.cpu_count(),
        "vectors": vectors,
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def _proc(name: str) -> str:
    """A file of /proc, empty where there is none."""
    path = Path("/proc") / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
