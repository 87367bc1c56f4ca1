"""Time the Frechet distance against its peers: OMP_NUM_THREADS=1 python tests/bench_scores.py.

OpenBLAS reads the variable, so that it must be set outside.
"""

import argparse

import torch

from gan_nas.bench.scores import time_frechet


def main() -> None:
    """Print CPU seconds, their ratio to ours with the reference cached, and errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = time_frechet(arguments.dim, arguments.seed)
    for row in rows:
        ratio = row.cpu_seconds / rows[0].cpu_seconds
        print(
            f"{row.what:24} {row.cpu_seconds:8.3f} CPU s  {ratio:6.1f}x  "
            f"relative error {row.relative_error:.1e}"
        )


if __name__ == "__main__":
    main()
