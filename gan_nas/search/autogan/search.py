"""AutoGAN: an LSTM controller, a weight-sharing GAN that grows, a beam from stage to stage.

AutoGAN (Gong et al. 2019), Algorithm 1. An iteration trains the shared GAN with architectures
drawn from the controller, then the controller with the shared weights fixed. Before the network
grows, the best K of M drawn architectures become the parents of the next stage's, each with the
LSTM state it was drawn with, and a new controller starts.

Where the authors' code does otherwise than the paper, or than is sensible, there is a field; the
preset `published` takes its side in each, and autogan_config.py lists them. With REINFORCE the
baseline lives as long as the level of rewards, with `update` legacy for one iteration, as theirs.
Theirs in any case: optimisers are not reset when the network grows; new cells start with fresh
state.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from math import isfinite
from pathlib import Path
from statistics import stdev
from typing import Any, Literal

import torch

from gan_nas.configs import defaults
from gan_nas.data import Images
from gan_nas.data.batches import Batches
from gan_nas.errors import Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.networks.cost import genome_cost
from gan_nas.progress import Progress, silent
from gan_nas.runs.results import AutoGANResult as Result
from gan_nas.runs.run import Checkpoint, Finished, Run, never, read_finished
from gan_nas.runs.stored import as_written, check_settings, stored_config, stored_settings
from gan_nas.scoring.scorer import Scorer, generate
from gan_nas.search.adversarialnas.derivation import say_if_fewer
from gan_nas.search.autogan.config import PRESETS as PRESETS
from gan_nas.search.autogan.config import Config as Config
from gan_nas.search.autogan.limits import Limits
from gan_nas.search.autogan.policy import DRAWN_AT_ONCE, Candidate, Policy
from gan_nas.search.autogan.shared_gan import (
    choose_tokens,
    new_shared_gan,
    set_stage,
    shared_parameters,
    stage_side,
)
from gan_nas.search.autogan.shared_gan import phases as phases
from gan_nas.search.autogan.shared_gan import trained as trained
from gan_nas.spaces.autogan import NUM_CELLS, Tokens, count, decode
from gan_nas.spaces.frameworks import default_discriminator
from gan_nas.spaces.genome import Genome, Source, source_text
from gan_nas.streams import stream, stream_seed
from gan_nas.training.forecast import Work, memory_bytes, search_work
from gan_nas.training.gan import LossWindow, generator_moves, means, reestimated_norms
from gan_nas.versions import versions

SECONDS_BETWEEN_SAVES = 30  # while the controller learns, whose steps take any time
SEARCHING_SCORES = True
DERIVING_SCORES = True  # derive draws architectures and scores their images
DEVIATION_SEEDS = 5  # sets of latents the best genome is scored with, to tell noise from signal


def search(
    config: Config,
    images: Images,
    directory: Path,
    *,
    device: torch.device,
    backbone: Backbone,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    again: bool = False,
) -> dict[str, Any]:
    """Search; the same call goes on after an interruption.

    `cache` is a folder where the numbers of real images are kept between runs.

    Writes genomes/*.json, log.jsonl and result.json into `directory` and returns the result: the
    top K genomes with rewards and costs. Raises Interrupted with the state saved; Incompatible
    when the directory holds other settings; InvalidInput for limits nothing can keep.
    """
    _check(config)  # what is impossible is refused before a run is made
    limits = limits_of(config, images)
    _check_reward(config, images, backbone)
    settings = _settings(config, images, device, backbone)
    with Run.open(directory, settings, stop, absent={"config": defaults(Config)}) as run:
        if run.finished:
            return run.result(Result)
        run.begin(again=again)
        keep_judge(directory, backbone, images)
        work = _Search(config, images, run, device, backbone, cache, progress, limits)
        while work.iteration < config.iterations:
            work.train_shared()
            work.train_controller()
            work.end_iteration()
        result = work.result(work.found)
        run.finish(result)
        return result


def derive(
    directory: Path,
    images: Images,
    *,
    count: int,
    device: torch.device,
    backbone: Backbone,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    max_params: int | None = None,
    max_macs: int | None = None,
) -> dict[str, Any]:
    """Draw architectures from a finished search's policy, score them, keep the best `count`.

    Distinct ones are drawn: M of the search, or twice `count` if that is more. Limits replace
    the search's, and the device may be another one. The run is read, and nothing but its genomes
    is written. Raises InvalidInput for a search that has not ended.
    """
    stored = stored_config(directory)
    if stored.get("method") != "autogan":
        raise InvalidInput(f"{directory} is not a search by autogan: {stored.get('method')}")
    finished = read_finished(directory, Result, stop)
    config = stored_settings(directory, stored, Config)
    check_settings(
        directory,
        stored,
        _settings(config, images, device, backbone),
        absent={"config": defaults(Config)},
        ignoring=("device",),  # nothing is trained any more
    )
    if max_params is not None or max_macs is not None:
        update = {"max_params": max_params, "max_macs": max_macs}
        config = config.model_copy(update=update)
    limits = limits_of(config, images)
    work = _Search(config, images, finished, device, backbone, cache, progress, limits)
    work.policy.keep_parents_within_limits()
    num = max(config.num_candidates, 2 * count)
    best = work.best(num, count, "derived candidates")
    return work.result([candidate.tokens for candidate in best])


def work(config: Config, resolution: int, image_channels: int, device: torch.device) -> Work:
    """Return the work of `search`, to forecast and to time."""
    return search_work(
        phases, config, resolution, image_channels, device, batch_size=config.batch_size
    )


def plan(
    config: Config, images: Images, *, device: torch.device, forecast: Work | None = None
) -> dict[str, Any]:
    """Predict what `search` will cost: sizes, steps, memory in bytes, seconds on this device.

    Nothing is made at full size, see forecast.py; the time is that of the steps, without scoring.
    `forecast` is what `work` returned, where it is there already.
    """
    _check(config)
    limits_of(config, images)
    resolution = config.resolution or images.side
    genome = _genome(config, (0,) * 14)
    cost = genome_cost(genome, resolution, images.channels)
    steps = config.iterations * config.discriminator_steps
    forecast = forecast or work(config, resolution, images.channels, device)
    return {
        "config": config.model_dump(mode="json"),
        "space": count(),
        "supernet_parameters": shared_parameters(config, resolution, images.channels),
        "smallest_generator": cost.generator._asdict(),
        "steps": steps,
        "images": steps * config.batch_size,
        "memory_bytes": memory_bytes(forecast, images, resolution),
        "predicted_seconds": sum(phase.seconds for phase in forecast.times()),
    }


class _Search:
    """The state of one search; all of it is in its checkpoints."""

    def __init__(
        self,
        config: Config,
        images: Images,
        run: Run | Finished,
        device: torch.device,
        backbone: Backbone,
        cache: Path | None,
        progress: Progress,
        limits: Limits | None,
    ) -> None:
        self.config, self.run, self.device = config, run, device
        self.backbone, self.cache, self.progress = backbone, cache, progress
        self.images = images.to(device)
        self.resolution = config.resolution or images.side
        self.limits = limits
        # Where the search is.
        self.iteration = 0
        self.phase: Literal["shared", "controller", "end"] = "shared"
        self.shared_step = 0  # discriminator steps of this iteration
        self.controller_step = 0  # controller updates of this iteration
        self.d_steps, self.g_steps = 0, 0  # of all iterations
        self.stage = NUM_CELLS - 1 if config.levels == "single" else 0
        self.num_resets, self.reset_pending = 0, False
        # What it has learned.
        self.gan = new_shared_gan(config, self.resolution, images.channels, device, num_resets=0)
        self.d_losses = LossWindow(config.reset_window, device)
        self.g_losses = LossWindow(config.reset_window, device)
        self.found: list[Tokens] = []  # the best whole architectures, at the end
        self.scores: dict[Tokens, dict[str, float]] = {}  # of children, while weights are fixed
        self._seconds_before, self._started = 0.0, time.monotonic()
        if checkpoint := run.latest():
            with as_written(run.directory):
                self._load(checkpoint)
        else:
            self._enter_stage(parents=[])
        self._saved = time.monotonic()

    def train_shared(self) -> None:
        """Train the shared GAN, an architecture a step, for an iteration or until a reset."""
        config = self.config
        while self.phase == "shared":
            tokens = self._architecture(self.shared_step)
            choose_tokens(self.gan, tokens)
            z = self._latents("discriminator latents", self.d_steps, config.batch_size)
            self.d_losses.push(self.gan.discriminator_step(self.batches.at(self.d_steps), z))
            self.d_steps += 1
            if generator_moves(self.shared_step, config.num_critic, config.generator_turn):
                z = self._latents("generator latents", self.g_steps, config.generator_batch_size)
                self.g_losses.push(self.gan.generator_step(z))
                self.g_steps += 1
            self.shared_step += 1
            if self.shared_step % config.reset_check_every == 0:
                self._watch_losses()
            if self.reset_pending or self.shared_step == config.discriminator_steps:
                self.phase = "controller"
                self.scores.clear()
                if config.update == "legacy":
                    self.policy.reinforce.restart_baseline()
            due = self.d_steps % config.save_every == 0 or self.phase == "controller"
            if due or self.run.stop():
                self.save()

    def train_controller(self) -> None:
        """Update the controller by the rewards of the architectures it draws."""
        config = self.config
        while self.phase == "controller":
            update = self.iteration * config.controller_steps + self.controller_step
            values = self.policy.learn(self._rewards("controller", update), update)
            self.controller_step += 1
            self._log("controller", update=update, **values)
            self._show({name: values[name] for name in ("reward", "entropy")})
            if self.controller_step == config.controller_steps:
                self.phase = "end"
            if self.run.stop() or time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def end_iteration(self) -> None:
        """Choose parents or results, reset and grow where it is time.

        Candidates are scored before a pending reset, since after it the generator is untrained, or
        after it, as the authors' loop comes to it (`candidates_from`).
        """
        config = self.config
        following = self.iteration + 1
        grows = config.levels == "multi" and following in config.grow_at
        if self.reset_pending and config.candidates_from == "reset":
            self._reset()
        best: list[Candidate] = []
        if grows or following == config.iterations:
            best = self.best(config.num_candidates, config.top_k, "candidates")
        if self.reset_pending and following < config.iterations:
            self._reset()
        if grows:
            self.stage += 1
            self._enter_stage(parents=best)
        else:
            self.found = [candidate.tokens for candidate in best]
        self.iteration, self.phase = following, "shared"
        self.shared_step = self.controller_step = 0
        self.save()

    def best(self, num: int, top_k: int, purpose: str) -> list[Candidate]:
        """Draw `num` candidates from the policy, score them, return the best `top_k` in order."""
        candidates = self.policy.candidates(num, purpose, self.iteration)
        reward = self._rewards(purpose, self.iteration)
        rewards = [reward(candidate.tokens) for candidate in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -rewards[i])
        chosen = [candidates[i] for i in order[:top_k]]
        say_if_fewer(len(chosen), top_k, "the policy offers no more distinct ones")
        self._log(
            purpose,
            num=len(candidates),
            rewards=[rewards[i] for i in order],
            tokens=["".join(map(str, candidates[i].tokens)) for i in order],
        )
        return chosen

    def reward(self, tokens: Tokens) -> float:
        """Return a child's reward; it is scored once while the shared weights stand still."""
        if tokens not in self.scores:
            self._rescore(tokens, self.config.seed)
        return self._reward_of(self.scores[tokens])

    def _rewards(self, purpose: str, number: int) -> Callable[[Tokens], float]:
        """Return what gives architectures drawn for a purpose their rewards, one after the other.

        With fresh latents each is scored anew, on its own of this purpose, number and place.
        """
        if self.config.score_latents == "same":
            return self.reward
        places = itertools.count()

        def reward(tokens: Tokens) -> float:
            place = next(places)
            self._rescore(
                tokens, stream_seed(self.config.seed, f"{purpose} latents", number, place)
            )
            return self._reward_of(self.scores[tokens])

        return reward

    def _rescore(self, tokens: Tokens, seed: int) -> None:
        try:
            self.scores[tokens] = self._score(tokens, seed)
        except Interrupted:
            self.save()
            raise

    def result(self, found: Sequence[Tokens]) -> dict[str, Any]:
        """Write the genomes of whole architectures, best first, and return the table of them."""
        best = found[0]
        seeds = range(self.config.seed + 1, self.config.seed + DEVIATION_SEEDS)
        rewards = [self.reward(best)] + [self._reward_of(self._score(best, s)) for s in seeds]
        rows = []
        for tokens in found:
            reward, scores = self.reward(tokens), self.scores[tokens]
            where = f"AutoGAN search on {self.images.name}, seed {self.config.seed}"
            reported = {f"{name}, shared weights": value for name, value in scores.items()}
            source = Source(where=source_text(where), reported={self.images.name: reported})
            genome = _genome(self.config, tokens, source)
            path = self.run.path("genomes", f"{genome.genome_id}.json")
            genome.save(path)
            cost = genome_cost(genome, self.resolution, self.images.channels).generator
            rows.append(
                {
                    "id": genome.genome_id,
                    "file": str(path),
                    "reward": reward,
                    "scores": scores,
                    "words": genome.generator.words,
                    "parameters": cost.parameters,
                    "macs": cost.macs,
                }
            )
        return {
            "method": "autogan",
            "run": str(self.run.directory),
            "resolution": self.resolution,
            "genomes": rows,
            "reward": self.config.reward,
            "reward_deviation": stdev(rewards),
            "real": self.scorer.real(self.config.num_scored),
            "compared": {
                "num": self.scorer.num_compared(self.config.num_scored),
                "scores": self._score(best, self.config.seed, beside_real=True),
            },
            "passport": self.scorer.passport(
                self.config.num_scored, self.config.seed, self.config.precision
            ).model_dump(mode="json"),
            "resets": self.num_resets,
            "seconds": self._seconds,
        }

    def save(self) -> None:
        """Write a checkpoint, then stop if asked to."""
        state = {
            "iteration": self.iteration,
            "phase": self.phase,
            "shared_step": self.shared_step,
            "controller_step": self.controller_step,
            "d_steps": self.d_steps,
            "g_steps": self.g_steps,
            "stage": self.stage,
            "num_resets": self.num_resets,
            "reset_pending": self.reset_pending,
            "generator_steps": self.gan.generator_steps,
            "d_losses": self.d_losses.count,
            "g_losses": self.g_losses.count,
            "policy": self.policy.state(),
            "found": self.found,
            "scores": [[tokens, scores] for tokens, scores in self.scores.items()],
            "seconds": self._seconds,
        }
        losses = {"d_losses": self.d_losses.values, "g_losses": self.g_losses.values}
        tensors = self.gan.state() | self.policy.tensors() | {"losses": losses}
        self.run.save(self._units, state, tensors)
        self._saved = time.monotonic()
        self.run.check()

    def _load(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        for name in ("iteration", "phase", "shared_step", "controller_step", "d_steps", "g_steps"):
            setattr(self, name, state[name])
        for name in ("stage", "num_resets", "reset_pending"):
            setattr(self, name, state[name])
        self.found = [tuple(tokens) for tokens in state["found"]]
        self.scores = {tuple(tokens): scores for tokens, scores in state["scores"]}
        self.gan.load_state(tensors, state["generator_steps"])
        for window, name in ((self.d_losses, "d_losses"), (self.g_losses, "g_losses")):
            window.values.copy_(tensors["losses"][name])
            window.count = state[name]
        self._enter_stage(parents=[])
        self.policy.load(state["policy"], tensors)
        self._seconds_before = state["seconds"]

    def _enter_stage(self, parents: list[Candidate]) -> None:
        """Set networks and data to the stage, and start a new policy for it."""
        config, stage = self.config, self.stage
        set_stage(self.gan, stage)
        side = stage_side(self.resolution, stage + 1)
        at_side = self.images.at(side)
        self.batches = Batches(at_side.train, config.batch_size, config.seed, device=self.device)
        self.scorer = Scorer(
            self.backbone, at_side, side, config.num_splits, config.num_reference, self.cache
        )
        self.policy = Policy(config, stage, parents, self.limits)
        self._drawn: list[Tokens] = []
        self._block = (-1, -1)

    def _reset(self) -> None:
        """Start the shared GAN anew; the controller and the beam stay (sec. 3.2)."""
        self.num_resets += 1
        self.reset_pending = False
        self.scores.clear()
        self.gan = new_shared_gan(
            self.config, self.resolution, self.images.channels, self.device, self.num_resets
        )
        set_stage(self.gan, self.stage)
        self.d_losses.clear()
        self.g_losses.clear()
        self.policy.reinforce.restart_baseline()
        self._log("reset", number=self.num_resets)

    def _architecture(self, step: int) -> Tokens:
        """Return the architecture of a step of shared training, drawn in blocks."""
        block, place = divmod(step, DRAWN_AT_ONCE)
        if self._block != (self.iteration, block):
            random = stream(self.config.seed, "shared architectures", self.iteration, block)
            self._block = (self.iteration, block)
            self._drawn = [c.tokens for c in self.policy.draw(DRAWN_AT_ONCE, random)]
        return self._drawn[place]

    def _score(self, tokens: Tokens, seed: int, *, beside_real: bool = False) -> dict[str, float]:
        """Score a child on the shared weights; a child whose images are not finite has none.

        `beside_real` takes as many images as there are real ones to stand beside them.
        """
        config, num = self.config, self.config.num_scored
        score = self.scorer.score
        if beside_real and (few := self.scorer.num_compared(num)) < num:
            num, score = few, partial(self.scorer.score_few, num=num)
        choose_tokens(self.gan, tokens)
        with self.gan.averaged() as network:
            z = self._latents("norm latents", 0, config.num_norm_latents)
            own = config.norm_statistics == "child"
            with reestimated_norms(network, z) if own else nullcontext():
                fakes = generate(
                    network,
                    num,
                    config.latent_dim,
                    seed,
                    self.device,
                    stop=self.run.stop,
                )
                try:
                    return score(fakes)
                except RunFailed:
                    return {}

    def _reward_of(self, scores: dict[str, float]) -> float:
        if not scores:
            return 0.0  # diverged: below every score and every 1 / distance
        if self.config.reward == "score":
            return scores[self.backbone.score_name]
        return 1 / max(scores[self.backbone.distance_name], 1e-12)

    def _watch_losses(self) -> None:
        """Trigger the dynamic reset when a loss has stood still (sec. 3.2) or is not finite.

        The paper's text says standard deviation, its settings and code variance: variance it is.
        """
        config = self.config
        windows = {"d_loss": self.d_losses, "g_loss": self.g_losses}
        losses = means(windows, config.reset_check_every)
        variance = min(self.d_losses.variance(), self.g_losses.variance())
        finite = all(isfinite(loss) for loss in losses.values())
        full = self.g_losses.count >= config.reset_window
        self.reset_pending = not finite or (full and variance < config.reset_threshold)
        if self.reset_pending or self.shared_step % config.log_every < config.reset_check_every:
            losses = means(windows, max(config.log_every, config.reset_check_every))
            self._log("shared", step=self.d_steps, **losses)
            self._show(losses)

    def _latents(self, purpose: str, step: int, num: int) -> torch.Tensor:
        random = stream(self.config.seed, purpose, step, device=self.device)
        return torch.randn(num, self.config.latent_dim, generator=random, device=self.device)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    @property
    def _units(self) -> int:
        """Count the work done: a number that only grows, to name checkpoints by."""
        updates = self.iteration * self.config.controller_steps + self.controller_step
        return self.d_steps + updates + self.iteration

    def _log(self, event: str, **values: Any) -> None:
        self.run.log(
            event=event,
            iteration=self.iteration,
            stage=self.stage,
            **values,
            seconds=self._seconds,
        )

    def _show(self, values: dict[str, float]) -> None:
        ends = (*self.config.grow_at, self.config.iterations)
        begin, end = (0, *ends)[self.stage], ends[self.stage]
        if self.config.levels == "single":
            begin = 0
        per_iteration = self.config.discriminator_steps
        done = (self.iteration - begin) * per_iteration + self.shared_step
        if self.phase != "shared":
            done = (self.iteration - begin + 1) * per_iteration
        phase = f"search at {self.scorer.side} px"
        self.progress(phase, done, (end - begin) * per_iteration, values)


def limits_of(config: Config, images: Images) -> Limits | None:
    """Return the limits a search was given; raises InvalidInput when nothing keeps them."""
    if config.max_params is None and config.max_macs is None:
        return None
    sizes = decode((0,) * 14, config.derived_width, config.latent_dim)
    resolution = config.resolution or images.side
    return Limits(config.max_params, config.max_macs, sizes, resolution, images.channels)


def _check(config: Config) -> None:
    """Raise InvalidInput for settings of a search that would not do what they say."""
    if config.top_k > config.num_candidates:
        raise InvalidInput(
            f"top_k {config.top_k} is above num_candidates {config.num_candidates}: K are kept of "
            "M that are drawn, so draw at least as many"
        )
    if config.generator_turn == "last" and config.num_critic > config.discriminator_steps:
        raise InvalidInput(
            f"num_critic {config.num_critic} is above discriminator_steps "
            f"{config.discriminator_steps}: the generator's turn never comes; take more steps, or "
            "generator_turn=first"
        )


def _check_reward(config: Config, images: Images, backbone: Backbone) -> None:
    if config.reward == "score" and not backbone.labelled:
        raise InvalidInput(
            f"reward=score needs a backbone that knows classes and {images.name} has no "
            "labels: use reward=frechet"
        )


def _settings(
    config: Config, images: Images, device: torch.device, backbone: Backbone
) -> dict[str, Any]:
    resolution = config.resolution or images.side
    return {
        "method": "autogan",
        **images.identity([stage_side(resolution, stage) for stage in range(1, NUM_CELLS + 1)]),
        "backbone": backbone.fingerprint,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
    }


def _genome(config: Config, tokens: Tokens, source: Source | None = None) -> Genome:
    """Return the genome of a whole token vector at the derived widths."""
    generator = decode(tokens, config.derived_width, config.latent_dim)
    width = config.derived_discriminator_width
    return Genome(
        generator=generator.model_copy(update={"skip_tap": config.skip_tap}),
        discriminator=default_discriminator("autogan", width),
        source=source,
    )
