"""How long `import deltarule` takes beyond NumPy: medians of fresh processes, in turn.

Run: python bench/import_time.py
"""

import statistics
import subprocess
import sys
import time

RUNS = 21
CASES = {"python": "pass", "numpy": "import numpy", "deltarule": "import deltarule"}

times = {name: [] for name in CASES}
for _ in range(RUNS):
    for name, code in CASES.items():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times[name].append(time.perf_counter() - start)
median = {name: statistics.median(found) for name, found in times.items()}
for name in CASES:
    print(f"{name:<10} {median[name]:.3f} s  (min {min(times[name]):.3f}, max {max(times[name]):.3f})")
print(f"deltarule beyond numpy: {median['deltarule'] - median['numpy']:.3f} s")
