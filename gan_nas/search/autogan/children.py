"""AutoGAN's children: architectures with the shared weights, scored for their rewards.

AutoGAN (Gong et al. 2019), sec. 3.3.2. While the weights stand still a child is scored once, on the
same latents as all others; or, as in the authors' code, anew on fresh ones each time
(`score_latents`).
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from statistics import stdev

import torch
from torch import Tensor, nn

from gan_nas.errors import RunFailed
from gan_nas.runs.results import Conclusion
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.search.autogan.config import Config
from gan_nas.search.autogan.shared_gan import choose_tokens
from gan_nas.search.method import Task
from gan_nas.spaces.autogan import Tokens
from gan_nas.streams import stream_seed
from gan_nas.training.gan import GAN, reestimated_norms

DEVIATION_SEEDS = 5  # sets of latents the best genome is scored with, to tell noise from signal

ChildScores = dict[str, dict[str, float]]  # architecture, by `token_string` -> its scores


def token_string(tokens: Tokens) -> str:
    """Write tokens in a row: each is a digit."""
    return "".join(map(str, tokens))


class Children:
    """Gives rewards to architectures of a level; `known` holds the scores while weights stand."""

    def __init__(self, task: Task[Config], gan: GAN, side: int, known: ChildScores) -> None:
        self.task, self.config, self.gan, self.known = task, task.config, gan, known
        self.side = side

    @cached_property
    def scorer(self) -> Scorer:
        """Return what scores images of the level."""
        config = self.config
        return self.task.scorer(self.side, config.num_splits, config.num_reference)

    def scores_of(self, tokens: Tokens) -> dict[str, float]:
        """Return a child's scores; none when its images are not finite."""
        key = token_string(tokens)
        if key not in self.known:
            self.known[key] = self._score(tokens, self.config.seed)
        return self.known[key]

    def reward(self, tokens: Tokens) -> float:
        """Return a child's reward; it is scored once while the shared weights stand still."""
        return self._reward_of(self.scores_of(tokens))

    def rewards(self, purpose: str, number: int) -> Callable[[Tokens], float]:
        """Return what gives architectures drawn for a purpose their rewards, one after the other.

        With fresh latents each is scored anew, on its own of this purpose, number and place.
        """
        if self.config.score_latents == "same":
            return self.reward
        places = itertools.count()

        def reward(tokens: Tokens) -> float:
            purpose_of_latents = f"{purpose} latents"
            seed = stream_seed(self.config.seed, purpose_of_latents, number, next(places))
            self.known[token_string(tokens)] = self._score(tokens, seed)
            return self.reward(tokens)

        return reward

    def conclude(self, best: Tokens, num_resets: int) -> Conclusion:
        """Tell the deviation of the best one's reward over latents, and what real images score."""
        config, scorer = self.config, self.scorer
        seeds = range(config.seed + 1, config.seed + DEVIATION_SEEDS)
        rewards = [self.reward(best)] + [self._reward_of(self._score(best, s)) for s in seeds]
        with self._network(best) as network:
            fakes = partial(self._fakes, network, seed=config.seed)
            compared = scorer.compared(config.num_scored, self.scores_of(best), fakes)
        return Conclusion(
            deviations={"reward": stdev(rewards)},
            real=scorer.real(config.num_scored),
            compared=compared,
            passport=scorer.passport(config.num_scored, config.seed, config.precision),
            facts={"reward": config.reward, "resets": num_resets},
        )

    def samples(self, tokens: Tokens, num: int) -> Tensor:
        """Return a child's images, uint8 (N, C, H, W); raises RunFailed if not finite."""
        config = self.config
        with self._network(tokens) as network:
            made = generate(network, num, config.latent_dim, config.seed, self.task.device)
            return torch.cat(list(made))

    def _score(self, tokens: Tokens, seed: int) -> dict[str, float]:
        with self._network(tokens) as network:
            try:
                return self.scorer.score(self._fakes(network, self.config.num_scored, seed=seed))
            except RunFailed:
                return {}

    @contextmanager
    def _network(self, tokens: Tokens) -> Iterator[nn.Module]:
        """Lend the shared generator, set to a child, with averaged weights and its statistics."""
        config = self.config
        choose_tokens(self.gan, tokens)
        with self.gan.averaged() as network:
            z = self.task.latents(config.num_norm_latents, config.latent_dim, "norm latents", 0)
            own = config.norm_statistics == "child"
            with reestimated_norms(network, z) if own else nullcontext():
                yield network

    def _fakes(self, network: nn.Module, num: int, *, seed: int) -> Iterator[Tensor]:
        task, config = self.task, self.config
        return generate(network, num, config.latent_dim, seed, task.device, stop=task.stop)

    def _reward_of(self, scores: dict[str, float]) -> float:
        if not scores:
            return 0.0  # diverged: below every score and every 1 / distance
        backbone = self.scorer.backbone
        if self.config.reward == "score":
            return scores[backbone.score_name]
        return 1 / max(scores[backbone.distance_name], 1e-12)
