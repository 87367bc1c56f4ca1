"""Slurm's jobs, by submitit (extra gan-nas[slurm]): one for each trial.

What Slurm is to know beside cores and GPUs it reads from the environment, as sbatch does:
SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT and so on. A job that is preempted, or whose time
is over, is queued again and goes on where its training was saved.

submitit hands work and answers over as pickles of its own, in a folder that is new each time: none
that was there before is read.
"""

import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from gan_nas.trials.remote import Engine, Judge, WorkerLost

JOBS = "jobs"  # folder beside that of the trials
MINUTES = 240  # of a job, unless SBATCH_TIMELIMIT says otherwise; then it is queued again


class SlurmEngine(Engine):
    """Runs each call as a job. The `cluster` local stands for Slurm in tests."""

    def __init__(self, cluster: str = "slurm") -> None:
        self.cluster = cluster

    def start(self, work: Judge, num: int) -> None:
        """Make a folder that the jobs see, too."""
        del num  # no more are submitted at once
        around = work.evaluator.folder.parent / JOBS
        around.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=around))
        self._work, self._jobs = work, list[Any]()
        self._executor = submitit.AutoExecutor(self._folder, cluster=self.cluster)
        self._executor.update_parameters(
            name="gan-nas",
            timeout_min=MINUTES,
            cpus_per_task=work.num_threads,
            gpus_per_node=int(work.evaluator.device.type == "cuda"),
        )

    def submit(self, content: str) -> Any:
        """Submit a job."""
        job = self._executor.submit(Requeued(self._work, content))
        self._jobs.append(job)
        return job

    def ended(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Return those jobs that have ended."""
        found = [job for job in tickets if job.done()]
        if not found:
            time.sleep(seconds)
        return found

    def answer(self, ticket: Any) -> str:
        """Return what a job returned, and remove what submitit kept of it."""
        try:
            answer: str = ticket.result()
        except (FailedJobError, UncompletedJobError) as error:
            raise WorkerLost(f"submitit says, see {ticket.paths.stderr}") from error
        self._jobs.remove(ticket)
        for path in self._folder.glob(f"{ticket.job_id}_*"):
            path.unlink(missing_ok=True)
        return answer

    def cancel(self, ticket: Any) -> None:
        """Cancel a job, which may save before Slurm kills it."""
        with suppress(Exception):  # of a command that another program fails: it ends anyway
            ticket.cancel(check=False)

    def close(self) -> None:
        """Cancel what is under way, and remove the folder unless it tells of a job that failed."""
        for job in self._jobs:
            if not job.done():
                self.cancel(job)
        if not self._jobs:
            shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            self._folder.parent.rmdir()  # where it is empty


class Requeued:
    """A call that is made once more where Slurm ends it before it is done."""

    def __init__(self, work: Judge, content: str) -> None:
        self.work, self.content = work, content

    def __call__(self) -> str:
        """Make it."""
        return self.work(self.content)

    def checkpoint(self) -> Any:
        """Return what submitit is to queue again: the same, which goes on by itself."""
        return submitit.helpers.DelayedSubmission(self)


ENGINE = SlurmEngine
