"""Runs of the released layouts, as they were left: tests/fixtures/runs-N/METHOD-STATE.

runs-1 is of version 0.1.0, on one thread, of the digits at width 1 to 4. To save space only the
newest of two checkpoints is there, and curves and edges are not. AutoGAN's controller has 100
hidden units at any width, which is most of the size; it learned nothing (no entropy bonus, one
update an iteration), so that git keeps its weights once.
"""

import json
import shutil
from pathlib import Path

from tiny import CPU, digits

from gan_nas.metrics.loading import load_backbone
from gan_nas.runs.results import SearchResult, TrainingResult
from gan_nas.runs.stored import stored_config, stored_judge, stored_settings
from gan_nas.search.drive import method_of, search
from gan_nas.search.method import Task
from gan_nas.spaces.genome import parse_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.loop import train

FIXTURES = Path(__file__).parent / "fixtures"
LAYOUTS = sorted(path.name for path in FIXTURES.glob("runs-*"))
SEARCHES = ("autogan", "adversarialnas", "degas")


def copy(name: str, to: Path, layout: str = "runs-1") -> Path:
    """Copy a run, with the lock file that git may not have kept."""
    shutil.copytree(FIXTURES / layout / name, to)
    (to / ".lock").touch()
    return to


def resume(run: Path) -> SearchResult | TrainingResult:
    """Go on with a run, as the command that made it would."""
    stored = stored_config(run)
    kept, wanted = stored_judge(run)
    backbone = load_backbone("classifier", digits(), None, CPU, kept=kept, wanted=wanted)
    if stored["method"] == "retrain":
        return train(
            parse_genome(json.dumps(stored["genome"])),
            digits(),
            stored_settings(run, stored, TrainingConfig),
            run,
            resolution=stored["resolution"],
            device=CPU,
            backbone=backbone,
        )
    method = method_of(run)
    config = stored_settings(run, stored, method.Config)
    return search(method, Task(config=config, images=digits(), backbone=backbone), run)
