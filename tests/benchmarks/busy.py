"""Keeps both cores busy as an import does, with sorting in fresh memory, but touches neither Redis nor SQL.

python -m tests.benchmarks.busy     until it is ended
"""

from threading import Thread

import numpy as np

NUMBERS = 2_000_000
THREADS = 2


def work(seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        np.sort(rng.integers(0, 1 << 63, NUMBERS, dtype=np.uint64))


if __name__ == "__main__":
    for seed in range(1, THREADS):
        Thread(target=work, args=(seed,), daemon=True).start()
    work(0)
