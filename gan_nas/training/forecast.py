"""What a run will take, before it starts: memory from a simulation, seconds from a small sample.

The steps are made once on the meta device, at full size, which costs half a second and nothing
else: that tells the bytes alive at once and the multiply-adds. Then a sample of the same work is
timed on the device, with fewer images, smaller ones or narrower networks where the whole would
take a CPU long, and its time is scaled up by the multiply-adds.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import ceil
from typing import NamedTuple, TypeVar

import torch

from gan_nas.configs import Settings
from gan_nas.data import Images
from gan_nas.machine.repeatable import repeatable
from gan_nas.metrics.backbone import BATCH_SIZE
from gan_nas.metrics.classifier import SmallCNN
from gan_nas.networks.simulation import META, LiveBytes
from gan_nas.training.timing import Phase, PhaseTime, StepTimes, seconds_of, time_phase

MOST_MACS = 2e9  # of a sample's two steps: a tenth of a second on a core
MOST_BYTES = 64 << 20  # that a sample keeps alive
SHARE_OF_FREE = 0.25  # of a GPU's memory, that a sample keeps alive there
LEAST_BATCH, LEAST_SIDE, LEAST_WIDTH = 4, 16, 8
REPEATS, BUDGET = 30, 1.0  # steps and seconds that a prediction may take


class Overheads(NamedTuple):
    """Bytes that come on top of those alive, and what these are multiplied by.

    Libraries load more of themselves and pack tensors for their kernels; and malloc cannot use the
    holes between small blocks for larger ones, such as those of scores.
    """

    base: int
    steps: float
    scoring: float


# Fitted by tests/bench_memory.py to within a fifth of 18 runs on a CPU; a GPU's are guesses.
OVERHEADS = {"cpu": Overheads(128 << 20, 1.7, 1.5), "cuda": Overheads(64 << 20, 1.15, 1.15)}
SAVING = 1.6  # bytes while a checkpoint is written over those that stay alive

S = TypeVar("S", bound=Settings)


class Scale(NamedTuple):
    """What a sample's sizes are divided by."""

    batch: int = 1
    side: int = 1
    width: int = 1

    def of_width(self, width: int) -> int:
        """Return a width of the sample."""
        return max(min(width, LEAST_WIDTH), width // self.width)

    def of(self, config: S) -> S:
        """Return settings with the sample's batches and widths."""
        update = {
            name: max(min(value, LEAST_BATCH), value // self.batch)
            for name in ("batch_size", "generator_batch_size")
            if (value := getattr(config, name, None))
        } | {
            name: self.of_width(value)
            for name in ("width", "discriminator_width")
            if (value := getattr(config, name, None))
        }
        if (parts := getattr(config, "micro_batch", None)) is not None:
            shrunk = update["batch_size"] / config.batch_size  # type: ignore[attr-defined]
            update["micro_batch"] = max(1, round(parts * shrunk))  # as many parts as there are
        return config.model_copy(update=update)


class Simulated(NamedTuple):
    """A phase at full size.

    Multiply-adds of its two steps; bytes alive at most in them and while images are generated, and
    those that stay.
    """

    macs: tuple[int, int]
    training: int
    generating: int
    kept: int
    batch_size: int


class Work:
    """The phases of a run, which `build` makes at any scale on any device.

    `side` and `batch_size` are those at full size; `recorded` steps are those of `GAN.record`.
    """

    def __init__(
        self,
        build: Callable[[Scale, torch.device], Sequence[Phase]],
        *,
        side: int,
        batch_size: int,
        device: torch.device,
        recorded: bool = False,
    ) -> None:
        self.build, self.side, self.batch_size, self.device = build, side, batch_size, device
        self.recorded = recorded

    @cached_property
    def simulated(self) -> list[Simulated]:
        """Return all phases as they are at full size."""
        found = []
        with LiveBytes() as live:
            for phase in self.build(Scale(), META):
                live.start()
                phase.generate()
                generating = live.beyond
                macs, beyond = [], []
                for step in (phase.first, phase.second):
                    live.start()
                    macs.append(live.count(step))
                    beyond.append(live.beyond)
                # In the first steps gradients and optimisers' buffers are not there yet.
                # What a GPU records keeps the memory of either step for itself.
                most = sum(beyond) if self.recorded else max(beyond)
                bytes_of_phase = live.now + most, live.now + generating, live.now
                found.append(Simulated((macs[0], macs[1]), *bytes_of_phase, phase.batch_size))
        return found

    @property
    def heaviest(self) -> int:
        """Return the number of the phase with the longest steps."""
        return max(range(len(self.simulated)), key=lambda i: sum(self.simulated[i].macs))

    def sample(self, number: int) -> tuple[Phase, StepTimes]:
        """Return a phase to time, and how often its two steps go into those at full size.

        Both steps have been made once.
        """
        full = self.simulated[number]
        phase = self.build(self.scale_of(full), self.device)[number]
        with LiveBytes() as live:
            macs = live.count(phase.first), live.count(phase.second)
        shares = [
            whole / part if part else 1.0 for whole, part in zip(full.macs, macs, strict=True)
        ]
        return phase, StepTimes(*shares)

    def scale_of(self, full: Simulated) -> Scale:
        """Return the scale of a sample: fewer images first, then smaller ones, then widths.

        On a GPU, which takes as long for small networks as for larger ones, only as far as its
        memory asks for it.
        """
        most_bytes, needed = MOST_BYTES, sum(full.macs) / MOST_MACS
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            most_bytes, needed = round(SHARE_OF_FREE * free), 1.0
        needed = max(needed, full.training / most_bytes, 1.0)
        batch = min(ceil(needed), max(1, self.batch_size // LEAST_BATCH))
        needed /= batch
        side = width = 1
        while needed > 1 and self.side % (16 * side) == 0 and self.side // side > LEAST_SIDE:
            side, needed = 2 * side, needed / 4
        while needed > 1 or full.kept / (side * width) ** 2 > most_bytes:
            width, needed = 2 * width, needed / 4
        return Scale(batch, side, width)

    def times(self) -> list[PhaseTime]:
        """Predict the times of all phases from samples, in about a second."""
        found = []
        for number in range(len(self.simulated)):
            with repeatable(self.device):  # as it will be computed
                phase, shares = self.sample(number)
                timed = time_phase(phase, REPEATS, BUDGET / len(self.simulated))
            times = StepTimes(*(t * s for t, s in zip(timed.times, shares, strict=True)))
            found.append(timed._replace(times=times, batch_size=self.simulated[number].batch_size))
        return found

    def step(self) -> tuple[Callable[[], object], float]:
        """Return a step of the heaviest phase to time, and how often it goes into a whole one."""
        phase, shares = self.sample(self.heaviest)
        seconds = seconds_of(phase)
        whole = sum(t * s for t, s in zip(seconds, shares, strict=True))
        return lambda: seconds_of(phase), whole / sum(seconds)


def memory_bytes(
    work: Work, images: Images, resolution: int, *, scores: bool = True, start: int = 0
) -> int:
    """Predict the most memory that a run takes, beyond the libraries it is made of.

    On a CPU that of the process, on a GPU that of the GPU. Images are held at their own side and at
    that of training; a checkpoint needs a copy of the largest group of tensors and its bytes. What
    scores need (`scores`; by the in-domain classifier) comes on top. `start` are bytes that the run
    takes and frees before its steps.
    """
    pixels = images.train[:1].numel() / images.side**2 * (len(images.train) + len(images.held_out))
    sides = {images.side, resolution}
    data = round(pixels * sum(side**2 for side in sides))
    over = OVERHEADS["cpu" if work.device.type == "cpu" else "cuda"]
    alive = over.steps * max(
        (max(phase.training, phase.generating, SAVING * phase.kept) for phase in work.simulated),
        default=0,
    )
    scoring = over.scoring * _scoring_bytes(images) if scores else 0.0
    # On a GPU what training has freed serves scoring whole, where nothing is recorded.
    apart = work.device.type == "cpu" or work.recorded
    steps = alive + scoring if apart else max(alive, scoring)
    return over.base + round(max(steps, start)) + data


def _scoring_bytes(images: Images) -> int:
    """Return what the in-domain classifier keeps alive at most."""
    live = LiveBytes()
    with live, META, torch.no_grad():
        network = SmallCNN(images.side, images.channels, images.num_classes or 4)
        network(torch.empty(BATCH_SIZE, images.channels, images.side, images.side))
    return live.most
