"""A trial, and its outcome: what a strategy asks for and what an evaluator answers."""

from math import inf
from typing import Literal

from gan_nas.runs.results import Result, Values
from gan_nas.scoring.protocols import Passport
from gan_nas.spaces.genome import Genome

CostName = Literal["parameters", "macs", "latency"]
COSTS: dict[CostName, str] = {  # in words, with their units
    "parameters": "parameters of the generator",
    "macs": "multiply-adds of the generator for an image",
    "latency": "milliseconds of the generator for an image",
}
Status = Literal["completed", "diverged", "collapsed", "out_of_memory", "interrupted", "invalid"]


class Trial(Result):
    """A genome to be judged, at a fidelity and from a seed."""

    genome: Genome
    images: int
    """Real images that the discriminator sees, its own or that of shared weights: the fidelity."""
    seed: int
    """Of weights, data order and latents; on shared weights of latents alone."""

    @property
    def name(self) -> str:
        """Identify genome and seed; a higher fidelity goes on where a lower one ended."""
        return f"{self.genome.genome_id}-{self.seed}"


class Outcome(Result):
    """What came of a trial; a bad end is an outcome, too."""

    trial: Trial
    status: Status
    why: str | None = None
    """How it failed, in a sentence."""
    distance: float | None = None
    """Of the highest fidelity reached, by which trials are compared; lower is better."""
    score: float | None = None
    """Of the same images' classes; higher is better. None where the backbone knows none."""
    scores: tuple[Values, ...] = ()
    """At every fidelity reached, each with its `images`."""
    parameters: int = 0
    """Trained weights of the generator, or of the discriminator where these are searched; 0 where
    it cannot be built."""
    macs: int = 0
    """Multiply-adds of the same network for an image, in the papers' order."""
    latency_ms: float | None = None
    """Milliseconds of the generator for an image, where they were asked for, as
    `training.timing.seconds_of_image` measures them, once."""
    micro_batch: int | None = None
    """Images that passed the networks at once where memory did not suffice for more; gradients of
    parts add up, but batch norms know only a part's statistics. None: as the settings say."""
    seconds: float = 0.0
    """Spent on this genome and seed up to this fidelity, in all sittings; of a failure in the
    last one. On shared weights of this trial alone."""
    processor_seconds: float = 0.0
    """The CPU's share of them: what others do on the machine at the same time hardly changes it."""
    passport: Passport | None = None
    """The protocol behind the scores."""

    @property
    def loss(self) -> float:
        """Return the distance, infinity for a trial that came to no good end."""
        return inf if self.status != "completed" or self.distance is None else self.distance

    def cost(self, name: CostName) -> float:
        """Return what the searched network costs; 0 where that was not counted or measured."""
        costs = {"parameters": self.parameters, "macs": self.macs, "latency": self.latency_ms}
        return costs[name] or 0.0
