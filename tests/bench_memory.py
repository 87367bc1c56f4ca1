"""Compare the memory that plans predict with what short runs take: python tests/bench_memory.py.

Every run is a process of its own. Predictions rest on two numbers of forecast.py, which this
prints a fit of.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A run: what, at which size, with which settings beside the demo preset's."""

    kind: str
    side: int
    channels: int
    settings: dict[str, Any]
    genome: str = "autogan-cifar10-top1"
    width: int = 16

    @property
    def words(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        genome = f" {self.genome} at width {self.width}" if self.kind.startswith("re") else ""
        return f"{self.kind}{genome}, {self.side} px, {settings or 'demo'}"


def widths(width: int, **more: Any) -> dict[str, Any]:
    return {"width": width, "discriminator_width": width, **more}


BATCHES = {"batch_size": 64, "generator_batch_size": 128}
TOP1, TOP3 = "autogan-cifar10-top1", "autogan-cifar10-top3"
CASES = [
    Case("autogan", 16, 1, {}),
    Case("autogan", 32, 3, widths(64)),
    Case("autogan", 64, 3, widths(32, precision="bf16")),
    Case("autogan", 32, 3, widths(128, **BATCHES)),
    Case("adversarialnas", 16, 1, {}),
    Case("adversarialnas", 32, 3, widths(32)),
    Case("degas", 16, 1, {}),
    Case("degas", 32, 3, {"width": 64}),
    Case("degas", 64, 3, {"width": 32, "precision": "bf16"}),
    Case("reconstruct", 32, 3, {}, TOP1, 64),
    Case("retrain", 16, 1, {}, TOP1, 16),
    Case("retrain", 48, 3, {}, TOP1, 128),
    Case("retrain", 48, 3, {"precision": "bf16"}, TOP1, 128),
    Case("retrain", 48, 3, BATCHES, TOP1, 128),
    Case("retrain", 32, 3, {"framework": "wgan-gp"}, TOP3, 64),
    Case("retrain", 32, 3, {"framework": "ctgan"}, "ctgan-cifar10", 64),
    Case("retrain", 64, 3, {}, "adversarialnas-cifar10", 32),
    Case("retrain", 64, 3, {"framework": "ctgan", "precision": "bf16"}, "ctgan-cifar10", 32),
]


def bytes_of(what: str, case: Case) -> int:
    """Run a case in a process of its own and return the bytes that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-P", str(Path(__file__).with_name("memory_run.py")), what]
        program += [case.kind, str(case.side), str(case.channels), json.dumps(case.settings)]
        program += [case.genome, str(case.width), str(Path(folder) / "run")]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return int(done.stdout.split()[-1])


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose words contain this")
    for case in CASES:
        if parser.parse_args().only in case.words:
            planned, measured = bytes_of("planned", case), bytes_of("measured", case)
            print(
                f"{planned / 2**20:8.0f} MiB planned {measured / 2**20:8.0f} MiB measured "
                f"{planned / measured - 1:+6.0%}  {case.words}",
                flush=True,
            )


if __name__ == "__main__":
    main()
