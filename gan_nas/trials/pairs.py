"""Judge discriminators by generators trained against them: pairs, one of the trials' each.

EAGAN (Ying et al. 2022), second stage, Algorithm 1. All discriminators share the weights of one
supernet; the generator's genome is one for all, and each discriminator of a generation has a copy
of its weights. The warm-up trains the one generator against discriminators drawn anew for every
cycle of steps, `num_critic` of the discriminator and one of the generator. In a generation each
cycle trains a pair: its path of the supernet and its own generator; all pairs take turns, in an
order drawn anew for each round of them. A generation begins with copies of the best generator of
the last one, which is the paper's weight resetting. What a discriminator is worth are the scores of
its generator.

The published code never copies: what it stores are the live tensors, so that all pairs train and
score one generator. Here weights, statistics and moments of each are its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_supernet, choose_cells
from gan_nas.networks.cost import generator_price
from gan_nas.networks.states import Saved, TensorGroups, load_groups, read_groups
from gan_nas.spaces import eagan
from gan_nas.spaces.genome import Genome, Role
from gan_nas.streams import stream_seed
from gan_nas.training.plan import Builders
from gan_nas.trials.evaluator import Terms
from gan_nas.trials.shared import SharedEvaluator
from gan_nas.trials.supernet import Supernet
from gan_nas.trials.training import steps_of
from gan_nas.trials.trial import Trial

GROUPS = "generator", "generator_optimizer"  # what is a pair's own
BYTES = 3 * 4  # of a weight in float32 and of its two moments


class Pairs(Supernet):
    """All discriminators, in training against a generator, and then against one each."""

    role: ClassVar[Role] = "discriminator"
    build: ClassVar[Builders] = Builders(discriminator=build_supernet)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        first, second = self.terms.fidelities[:2]
        self.generation = second - first
        """Real images of a generation."""
        self.weights: dict[str, TensorGroups] = {}
        """Of the generator of each pair, by its genome's id; of the active one, as it was."""
        self.active: str | None = None
        """The pair whose generator is in place."""
        self.begin = 0
        """The first cycle of the generation."""

    def prepare(self, images: int, paths: Sequence[Genome]) -> bool:
        """Warm up, or train the pairs of a generation, the best one first, for so many images."""
        self.begin = steps_of(self.config, images - self.generation)
        if self.shared.steps < self.begin:
            return self.train(images - self.generation, ())
        if self.shared.steps == self.begin:
            self.reset([path.genome_id for path in paths])
        return self.train(images, paths)

    def reset(self, pairs: Sequence[str]) -> None:
        """Give each pair the generator of the first one, or the one there is after the warm-up."""
        self.put_down()
        best = self.weights.get(pairs[0]) or self._copied()
        self.weights = dict.fromkeys(pairs, best)  # nothing writes into what is kept

    def choose(self, k: int, paths: Sequence[Genome]) -> None:
        """Take up the pair, or in the warm-up the discriminator, of a cycle at its first step."""
        cycle, within = divmod(k, self.config.num_critic)
        if within:
            return
        seed = self.config.seed
        if paths:
            place = (cycle - self.begin) % len(paths)
            order = Random(stream_seed(seed, "pairs", cycle - place))  # noqa: S311
            path = order.sample(paths, len(paths))[place]
            self.take_up(path.genome_id)
            discriminator = path.discriminator
        else:
            random = Random(stream_seed(seed, "path", cycle))  # noqa: S311
            width = self.terms.example.discriminator.width
            discriminator = eagan.SPACE.sample(random, width)
        choose_cells(self.gan.discriminator, discriminator)

    def score(self, trial: Trial) -> dict[str, Any]:
        """Return what an outcome tells of the generator of a trial's pair."""
        self.take_up(trial.genome.genome_id)
        return super().score(trial)

    def saved(self) -> Mapping[str, Saved]:
        """Return both networks, their optimisers, and the generators of all pairs."""
        return {**self.gan.saved(), "pairs": Saved(self._read, self._load)}

    def take_up(self, pair: str) -> None:
        """Put the generator of a pair in place."""
        if self.active != pair:
            self.put_down()
            load_groups(self._own, self.weights[pair])
            self.active = pair

    def put_down(self) -> None:
        """Keep what the generator in place has become."""
        if self.active is not None:
            self.weights[self.active] = self._copied()
            self.active = None

    @property
    def _own(self) -> dict[str, Saved]:
        saved = self.gan.saved()
        return {name: saved[name] for name in GROUPS}

    def _copied(self) -> TensorGroups:
        return {
            group: {name: tensor.clone() for name, tensor in tensors.items()}
            for group, tensors in read_groups(self._own).items()
        }

    def _read(self) -> dict[str, Tensor]:
        self.put_down()
        return {
            f"{pair}/{group}/{name}": tensor
            for pair, groups in self.weights.items()
            for group, tensors in groups.items()
            for name, tensor in tensors.items()
        }

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        self.weights, self.active = {}, None
        for key, tensor in tensors.items():
            pair, group, name = key.split("/")
            groups = self.weights.setdefault(pair, {group: {} for group in GROUPS})
            groups[group][name] = tensor.to(self.terms.device, copy=True)


@dataclass(frozen=True, kw_only=True)
class PairsEvaluator(SharedEvaluator):
    """Scores the generator of a pair."""

    pairs_up: ClassVar[bool] = True
    searches: ClassVar[frozenset[Role]] = frozenset({"discriminator"})
    rests_on: ClassVar[str] = "a generator trained against a path of a supernet"
    kind: ClassVar[type[Supernet]] = Pairs

    @classmethod
    def check(cls, terms: Terms) -> None:
        """Refuse sides that not all discriminators of the supernet can halve."""
        super().check(terms)
        if terms.side % 2 ** (1 + eagan.NUM_CELLS):
            raise InvalidInput(
                f"resolution {terms.side} with evaluator {terms.evaluator}: its discriminators "
                f"halve images up to {1 + eagan.NUM_CELLS} times, take a multiple of "
                f"{2 ** (1 + eagan.NUM_CELLS)}"
            )

    @classmethod
    def memory(cls, terms: Terms, num_together: int) -> int:
        """Return the bytes of the generators that wait: their weights and moments."""
        parameters, _ = generator_price(terms.example.generator, terms.side, terms.channels)
        return num_together * parameters * BYTES

    def trained(self) -> None:
        """Return nothing: a generator is of its pair alone, and has no slots to choose from."""
        return


EVALUATOR = PairsEvaluator
