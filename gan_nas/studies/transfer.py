"""What was found on one data set, trained on another, beside what was found there.

The papers go from CIFAR-10 to STL-10 (AutoGAN, sec. 4.2, Table 2).
"""

from dataclasses import replace

from gan_nas.data import load_images
from gan_nas.errors import InvalidInput
from gan_nas.metrics.loading import load_backbone
from gan_nas.studies.against import compared
from gan_nas.studies.contest import Contest, ContestConfig, find, seconds_of
from gan_nas.studies.searches import parsed
from gan_nas.studies.study import Findings, StudyTask
from gan_nas.studies.trainings import train_all


class TransferConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = ("autogan", "random:autogan")
    """What searches on either data set; @KEY=VALUE behind it changes a setting."""
    found_on: str = "digits"
    """The other data set: a name, or the path of a folder, zip or npz; trained is on --data."""


class TransferStudy(Contest[TransferConfig]):
    """What `gan-nas study transfer` runs."""

    name = "transfer"
    question = "Is what was found on other data as good as what was found on these?"
    Config = TransferConfig

    def check(self, task: StudyTask[TransferConfig]) -> None:
        """Refuse what is no search, and the same data twice."""
        super().check(task)
        if load_images(task.config.found_on, task.data_root).fingerprint == task.real.fingerprint:
            raise InvalidInput(
                f"found_on: {task.config.found_on} are the images that are trained on, too; name "
                "other ones by --set found_on=DATA or --data"
            )

    def work(self, task: StudyTask[TransferConfig]) -> Findings:
        """Search on both, train all on the study's data, compare."""
        here = parsed(task.config.searches)
        there = {one._replace(elsewhere=task.config.found_on): one for one in here}
        other = _on_other_data(task)
        found = {
            **{search: find(other, search) for search in there},
            **{search: find(task, search) for search in here},
        }
        outcomes = train_all(task, [genome for genomes in found.values() for genome in genomes])
        seconds = {
            **{search: seconds_of(other, search) for search in there},
            **{search: seconds_of(task, search) for search in here},
        }
        return compared(found, outcomes, seconds, there)


STUDY = TransferStudy()


def _on_other_data(task: StudyTask[TransferConfig]) -> StudyTask[TransferConfig]:
    """Return the same task on the other data, with their own judge, in a folder of its own."""
    images = load_images(
        task.config.found_on, task.data_root, stop=task.stop, progress=task.progress
    )
    judge = load_backbone("classifier", images, task.cache, task.device, task.stop, task.progress)
    directory = task.directory / "elsewhere"
    return replace(task, images=images, backbone=judge, directory=directory)
