"""AutoGAN: an LSTM controller, a weight-sharing GAN that grows, a beam from stage to stage.

AutoGAN (Gong et al. 2019), Algorithm 1. An iteration trains the shared GAN with architectures
drawn from the controller, then the controller with the shared weights fixed. Before the network
grows, the best K of M drawn architectures become the parents of the next stage's, each with the
LSTM state it was drawn with, and a new controller starts.

Where this differs from the authors' code (each is a field, or pinned by a test):
- real and fake images pass the discriminator together (gan.py);
- unused weights of the supernet have no gradient, so Adam leaves them and their state alone;
- candidates are chosen before a pending dynamic reset, not from a re-initialised generator;
- the baseline lives as long as the level of rewards, not one iteration (`update` legacy: one);
- candidates are distinct (`distinct`), batch-norm statistics are the child's own
  (`norm_statistics`), a score is not split (`num_splits`), the entropy bonus is a bonus (`update`).
Kept from it: optimisers are not reset when the network grows; new cells start with fresh state.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from math import isfinite
from pathlib import Path
from statistics import stdev
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator

from gan_nas.builder import build_discriminator, build_supernet, initialise
from gan_nas.cells import autogan_choices
from gan_nas.configs import Settings
from gan_nas.cost import genome_cost, num_parameters
from gan_nas.data import Images
from gan_nas.data.batches import Batches
from gan_nas.errors import Interrupted, InvalidInput, RunFailed
from gan_nas.gan import GAN, LossWindow, Precision, fresh, reestimated_norms
from gan_nas.genome import Genome, SNResNetDiscriminator, Source
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks import AutoGANNetwork, SNResNet
from gan_nas.progress import Progress, silent
from gan_nas.runs import (
    Checkpoint,
    Run,
    load_module_state,
    load_optimizer_state,
    module_state,
    never,
    optimizer_state,
    stored_config,
)
from gan_nas.scoring import Scorer, generate
from gan_nas.search.controller import Allowed, Controller, LegacyReinforce, Reinforce, State
from gan_nas.search.limits import Limits
from gan_nas.slots import choose
from gan_nas.spaces import (
    NUM_CELLS,
    Tokens,
    count,
    decode,
    decode_cell,
    split_tokens,
    token_sizes,
)
from gan_nas.streams import stream
from gan_nas.timing import StepTimes, time_steps
from gan_nas.versions import versions

TYPICAL = (1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 3)  # an architecture to time steps with
DRAWN_AT_ONCE = 64  # architectures a controller draws in one batch
MOST_DRAWS = 64  # such batches, until a peaked policy is taken to have no more distinct ones
SECONDS_BETWEEN_SAVES = 30  # while the controller learns, whose steps take any time
DEVIATION_SEEDS = 5  # sets of latents the best genome is scored with, to tell noise from signal


class Config(Settings):
    """AutoGAN's settings; the defaults are the paper's, or its code's where it is silent."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and architectures."""
    resolution: int | None = Field(default=None, ge=8, le=512)
    """Side of the last stage's images, a multiple of 8; none takes the data's own."""
    levels: Literal["multi", "single"] = "multi"
    """Search cell by cell with a beam (sec. 3.3), or all cells at once with one controller."""
    iterations: int = Field(default=90, ge=1, le=100_000)
    """Rounds of shared training and controller training."""
    grow_at: tuple[int, int] = (25, 55)
    """Iterations before which the network grows by a cell."""
    width: int = Field(default=128, ge=1, le=2048)
    """Channels of the shared generator (the authors' search script)."""
    discriminator_width: int = Field(default=64, ge=1, le=2048)
    """Channels of the shared discriminator (the authors' search script)."""
    derived_width: int = Field(default=256, ge=1, le=2048)
    """Generator width written into the genomes found; limits are counted at it."""
    derived_discriminator_width: int = Field(default=128, ge=1, le=2048)
    """Discriminator width written into the genomes found."""
    latent_dim: int = Field(default=128, ge=1, le=2048)
    """Length of the latent vector."""
    skip_tap: Literal["post", "pre"] = "post"
    """Read skip features after the skips were added (code) or before (Fig. 2)."""
    discriminator_steps: int = Field(default=11_730, ge=1)
    """Discriminator steps of an iteration: 15 epochs of CIFAR-10 in batches of 64."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Real images in a discriminator step, and as many fakes."""
    generator_batch_size: int = Field(default=128, ge=1, le=2**16)
    """Latents in a generator step."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Discriminator steps for one generator step."""
    generator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the shared generator."""
    discriminator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the shared discriminator."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Adam's first decay, both networks."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Adam's second decay, both networks."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Moving average of the shared weights that children are scored with; 0 scores live ones."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first generator steps n."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    reset_window: int = Field(default=500, ge=2, le=100_000)
    """Losses of each network whose variance triggers the dynamic reset (sec. 3.2)."""
    reset_threshold: float = Field(default=1e-3, ge=0)
    """Variance below which shared training stops and starts anew; 0 never resets."""
    reset_check_every: int = Field(default=50, ge=1)
    """Discriminator steps between looks at the windows: looking waits for the device."""
    controller_steps: int = Field(default=30, ge=1)
    """Controller updates of an iteration."""
    controller_batch_size: int = Field(default=1, ge=1, le=1000)
    """Architectures of a controller update."""
    controller_lr: float = Field(default=3.5e-4, gt=0, le=1)
    """Adam's learning rate of the controller, with decays 0.0 and 0.9."""
    update: Literal["reinforce", "legacy"] = "reinforce"
    """REINFORCE as in sec. 3.3.2, or token by token as the authors' code computes it."""
    entropy_weight: float = Field(default=1e-4, ge=0)
    """Weight of the entropy bonus (the code has 1e-3)."""
    baseline_decay: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the moving-average baseline."""
    normalise_advantage: bool = False
    """Divide the advantage by its running root mean square."""
    num_candidates: int = Field(default=10, ge=1, le=10_000)
    """Architectures drawn (M) when parents or results are chosen."""
    top_k: int = Field(default=5, ge=1, le=1000)
    """Of these, how many are kept (K)."""
    distinct: bool = True
    """Draw distinct candidates; the code lets duplicates fill the beam."""
    reward: Literal["score", "frechet"] = "score"
    """An inception-style score, or one over the Frechet distance."""
    num_scored: int = Field(default=5_000, ge=2, le=10**6)
    """Images a child is scored by; all children see the same latents."""
    num_splits: int = Field(default=1, ge=1, le=100)
    """Parts the score is averaged over; the code has 10, which biases it lower."""
    norm_statistics: Literal["child", "shared"] = "child"
    """Batch-norm statistics of a child: re-estimated for it, or the supernet's running ones."""
    num_norm_latents: int = Field(default=256, ge=2, le=2**16)
    """Latents they are re-estimated from."""
    max_params: int | None = Field(default=None, ge=1)
    """Most parameters of a derived generator."""
    max_macs: int | None = Field(default=None, ge=1)
    """Most multiply-adds of a derived generator, for an image, at the last stage's resolution."""
    num_reference: int | None = Field(default=None, ge=2)
    """Training images of the distance's reference, evenly spaced; none takes all."""
    save_every: int = Field(default=500, ge=1)
    """Discriminator steps between checkpoints: what a crash may lose."""

    @model_validator(mode="after")
    def _grows_in_order(self) -> Self:
        first, second = self.grow_at
        if self.levels == "multi" and not 0 < first < second < self.iterations:
            raise ValueError(
                f"grow_at is {first},{second} with {self.iterations} iterations; it needs "
                "0 < first < second < iterations"
            )
        if self.update == "legacy" and self.controller_batch_size != 1:
            raise ValueError("update=legacy needs controller_batch_size=1")
        return self


# demo and small: found by trial on two CPU cores; paper is the defaults, repo the shipped script.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "resolution": 16,
        "iterations": 10,
        "grow_at": (3, 6),
        "width": 16,
        "discriminator_width": 32,
        "derived_width": 16,
        "derived_discriminator_width": 16,
        "discriminator_steps": 150,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "controller_steps": 20,
        "controller_lr": 2e-3,
        "entropy_weight": 0.02,
        "normalise_advantage": True,
        "reward": "frechet",
        "num_scored": 500,
        "num_norm_latents": 128,
        "save_every": 50,
    },
    "paper": {},
    "repo": {"iterations": 65, "grow_at": (15, 35), "entropy_weight": 1e-3},
}
PRESETS["small"] = PRESETS["demo"] | {
    "resolution": None,
    "width": 32,
    "derived_width": 32,
    "derived_discriminator_width": 32,
    "ema_decay": 0.995,
    "num_scored": 1_000,
    "num_reference": 10_000,
}


class StageTime(NamedTuple):
    """What a stage's shared training takes; `seconds` is for all its discriminator steps."""

    side: int
    times: StepTimes
    steps: int
    seconds: float


class Candidate(NamedTuple):
    """An architecture with the LSTM state it was drawn with, each (hidden,)."""

    tokens: Tokens
    h: torch.Tensor
    c: torch.Tensor


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
) -> dict[str, Any]:
    """Search; the same call goes on after an interruption.

    `cache` is a folder where the numbers of real images are kept between runs.

    Writes genomes/*.json, log.jsonl and result.json into `directory` and returns the result: the
    top K genomes with rewards and costs. Raises Interrupted with the state saved; Incompatible
    when the directory holds other settings; InvalidInput for limits nothing can keep.
    """
    with Run.open(directory, _settings(config, images, device, backbone), stop) as run:
        if run.finished:
            return run.result()
        work = _Search(config, images, run, device, backbone, cache, progress)
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
    the search's. Raises InvalidInput for a search that has not ended.
    """
    config = _stored_config(directory)
    with Run.open(directory, _settings(config, images, device, backbone), stop) as run:
        if not run.finished:
            raise InvalidInput(f"the search in {directory} has not ended: run it to its end first")
        if max_params is not None or max_macs is not None:
            limits = {"max_params": max_params, "max_macs": max_macs}
            config = config.model_copy(update=limits)
        work = _Search(config, images, run, device, backbone, cache, progress)
        work.keep_parents_within_limits()
        num = max(config.num_candidates, 2 * count)
        best = work.best(num, count, "derived candidates")
        return work.result([candidate.tokens for candidate in best])


def plan(config: Config, images: Images, *, device: torch.device) -> dict[str, Any]:
    """Predict what `search` will cost: sizes, steps, memory in bytes, seconds on this device.

    The time comes from a few steps of each stage made here and now; scoring is not in it.
    """
    resolution = config.resolution or images.side
    stages = time_stages(config, resolution, images.channels, device, repeats=1)
    genome = _genome(config, (0,) * 14)
    cost = genome_cost(genome, resolution, images.channels)
    steps = config.iterations * config.discriminator_steps
    supernet = _supernet_parameters(config, resolution, images.channels)
    batch = max(2 * config.batch_size, config.generator_batch_size)
    return {
        "config": config.model_dump(mode="json"),
        "space": count(),
        "supernet_parameters": supernet,
        "smallest_generator": cost.generator._asdict(),
        "steps": steps,
        "images": steps * config.batch_size,
        "memory_bytes": 16 * supernet
        + 2 * batch * cost.generator.activation_bytes * config.width // config.derived_width
        + images.train.numel(),
        "predicted_seconds": sum(stage.seconds for stage in stages),
    }


def time_stages(
    config: Config, resolution: int, image_channels: int, device: torch.device, repeats: int
) -> list[StageTime]:
    """Time the shared GAN's steps at each stage, for one typical architecture."""
    gan = _new_gan(config, resolution, image_channels, device, num_resets=0)
    _choose(gan, TYPICAL)
    if config.levels == "single":
        ends = {NUM_CELLS - 1: config.iterations}
    else:
        ends = dict(enumerate((*config.grow_at, config.iterations)))
    stages, begin = [], 0
    for stage, end in ends.items():
        _set_stage(gan, stage)
        side = _side(resolution, stage + 1)
        times = time_steps(
            gan,
            side=side,
            image_channels=image_channels,
            latent_dim=config.latent_dim,
            batch_size=config.batch_size,
            generator_batch_size=config.generator_batch_size,
            repeats=repeats,
        )
        steps = (end - begin) * config.discriminator_steps
        stages.append(StageTime(side, times, steps, steps * times.amortised(config.num_critic)))
        begin = end
    return stages


class _Search:
    """The state of one search; all of it is in its checkpoints."""

    def __init__(
        self,
        config: Config,
        images: Images,
        run: Run,
        device: torch.device,
        backbone: Backbone,
        cache: Path | None,
        progress: Progress,
    ) -> None:
        if config.reward == "score" and not backbone.labelled:
            raise InvalidInput(
                f"reward=score needs a backbone that knows classes and {images.name} has no "
                "labels: use reward=frechet"
            )
        self.config, self.run, self.device = config, run, device
        self.backbone, self.cache, self.progress = backbone, cache, progress
        self.images = images.to(device)
        self.resolution = config.resolution or images.side
        self.limits = self._limits()
        # Where the search is.
        self.iteration = 0
        self.phase: Literal["shared", "controller", "end"] = "shared"
        self.shared_step = 0  # discriminator steps of this iteration
        self.controller_step = 0  # controller updates of this iteration
        self.d_steps, self.g_steps = 0, 0  # of all iterations
        self.stage = NUM_CELLS - 1 if config.levels == "single" else 0
        self.num_resets, self.reset_pending = 0, False
        # What it has learned.
        self.gan = _new_gan(config, self.resolution, images.channels, device, num_resets=0)
        self.d_losses = LossWindow(config.reset_window, device)
        self.g_losses = LossWindow(config.reset_window, device)
        self.parents: list[Candidate] = []  # the beam that this stage's architectures start from
        self.found: list[Tokens] = []  # the best whole architectures, at the end
        self.scores: dict[Tokens, dict[str, float]] = {}  # of children, while weights are fixed
        self._enter_stage()
        self._seconds_before, self._started = 0.0, time.monotonic()
        if checkpoint := run.latest():
            self._load(checkpoint)
        self._saved = time.monotonic()

    def train_shared(self) -> None:
        """Train the shared GAN, an architecture a step, for an iteration or until a reset."""
        config = self.config
        while self.phase == "shared":
            tokens = self._architecture(self.shared_step)
            _choose(self.gan, tokens)
            z = self._latents("discriminator latents", self.d_steps, config.batch_size)
            self.d_losses.push(self.gan.discriminator_step(self.batches.at(self.d_steps), z))
            self.d_steps += 1
            self.shared_step += 1
            if self.shared_step % config.num_critic == 0:
                z = self._latents("generator latents", self.g_steps, config.generator_batch_size)
                self.g_losses.push(self.gan.generator_step(z))
                self.g_steps += 1
            if self.shared_step % config.reset_check_every == 0:
                self._watch_losses()
            if self.reset_pending or self.shared_step == config.discriminator_steps:
                self.phase = "controller"
                self.scores.clear()
                if config.update == "legacy":
                    self.reinforce.restart_baseline()
            due = self.d_steps % config.save_every == 0 or self.phase == "controller"
            if due or self.run.stop():
                self.save()

    def train_controller(self) -> None:
        """Update the controller by the rewards of the architectures it draws."""
        config = self.config
        while self.phase == "controller":
            update = self.iteration * config.controller_steps + self.controller_step
            random = stream(config.seed, "controller", update)
            parents, start = self._start(config.controller_batch_size, random)
            allowed = self._allowed(parents)
            actions = self.controller.sample(start, random, allowed).actions
            drawn = [(*p, *a) for p, a in zip(parents, actions.tolist(), strict=True)]
            rewards = [self.reward(tokens) for tokens in drawn]
            rollout = self.controller.evaluate(actions, start, allowed)
            values = self.reinforce.update(rollout, rewards)
            self.controller_step += 1
            mean = sum(rewards) / len(rewards)
            self._log("controller", update=update, reward=mean, **values)
            self._show({"reward": mean, "entropy": values["entropy"]})
            if self.controller_step == config.controller_steps:
                self.phase = "end"
            if self.run.stop() or time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def end_iteration(self) -> None:
        """Choose parents or results, reset and grow where it is time.

        Candidates are scored before a pending reset: after it the generator would be untrained.
        """
        config = self.config
        following = self.iteration + 1
        grows = config.levels == "multi" and following in config.grow_at
        best: list[Candidate] = []
        if grows or following == config.iterations:
            best = self.best(config.num_candidates, config.top_k, "candidates")
        if self.reset_pending and following < config.iterations:
            self._reset()
        if grows:
            self.parents = best
            self.stage += 1
            self._enter_stage()
        else:
            self.found = [candidate.tokens for candidate in best]
        self.iteration, self.phase = following, "shared"
        self.shared_step = self.controller_step = 0
        self.save()

    def best(self, num: int, top_k: int, purpose: str) -> list[Candidate]:
        """Draw `num` candidates from the policy, score them, return the best `top_k` in order."""
        candidates = self._candidates(num, purpose)
        rewards = [self.reward(candidate.tokens) for candidate in candidates]
        order = sorted(range(len(candidates)), key=lambda i: -rewards[i])
        chosen = [candidates[i] for i in order[:top_k]]
        self._log(
            purpose,
            num=len(candidates),
            rewards=[rewards[i] for i in order],
            tokens=["".join(map(str, candidates[i].tokens)) for i in order],
        )
        return chosen

    def keep_parents_within_limits(self) -> None:
        """Drop the parents that no cell can complete; raises InvalidInput when none is left."""
        limits = self.limits
        if limits is None or not self.parents:
            return
        self.parents = [p for p in self.parents if limits.can_complete(p.tokens)]
        if not self.parents:
            raise InvalidInput(
                f"nothing this search could derive keeps within {limits.words}; raise the limit, "
                "or search again with it"
            )

    def reward(self, tokens: Tokens) -> float:
        """Return a child's reward; it is scored once while the shared weights stand still."""
        if tokens not in self.scores:
            try:
                self.scores[tokens] = self._score(tokens, self.config.seed)
            except Interrupted:
                self.save()
                raise
        return self._reward_of(self.scores[tokens])

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
            source = Source(where=where, reported={self.images.name: reported})
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
                    "words": [cell.words for cell in genome.generator.cells],
                    "parameters": cost.parameters,
                    "macs": cost.macs,
                }
            )
        return {
            "method": "autogan",
            "run": str(self.run.directory),
            "genomes": rows,
            "reward": self.config.reward,
            "reward_deviation": stdev(rewards),
            "real": self.scorer.real,
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
            "reinforce": self.reinforce.state(),
            "parents": [parent.tokens for parent in self.parents],
            "found": self.found,
            "scores": [[tokens, scores] for tokens, scores in self.scores.items()],
            "seconds": self._seconds,
        }
        tensors = self.gan.state() | {
            "losses": {"d_losses": self.d_losses.values, "g_losses": self.g_losses.values},
            "controller": module_state(self.controller),
            "controller_optimizer": optimizer_state(
                self.reinforce.optimizer, self.controller.named_parameters()
            ),
            "parents": {
                f"{name}.{i}": tensor
                for i, parent in enumerate(self.parents)
                for name, tensor in (("h", parent.h), ("c", parent.c))
            },
        }
        self.run.save(self._units, state, tensors)
        self._saved = time.monotonic()
        self.run.check()

    def _load(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        for name in ("iteration", "phase", "shared_step", "controller_step", "d_steps", "g_steps"):
            setattr(self, name, state[name])
        for name in ("stage", "num_resets", "reset_pending"):
            setattr(self, name, state[name])
        self.parents = [
            Candidate(tuple(tokens), tensors["parents"][f"h.{i}"], tensors["parents"][f"c.{i}"])
            for i, tokens in enumerate(state["parents"])
        ]
        self.found = [tuple(tokens) for tokens in state["found"]]
        self.scores = {tuple(tokens): scores for tokens, scores in state["scores"]}
        self.gan.load_state(tensors, state["generator_steps"])
        for window, name in ((self.d_losses, "d_losses"), (self.g_losses, "g_losses")):
            window.values.copy_(tensors["losses"][name])
            window.count = state[name]
        self._enter_stage()
        load_module_state(self.controller, tensors["controller"])
        load_optimizer_state(
            self.reinforce.optimizer,
            self.controller.named_parameters(),
            tensors["controller_optimizer"],
        )
        self.reinforce.load_state(state["reinforce"])
        self._seconds_before = state["seconds"]

    def _enter_stage(self) -> None:
        """Set networks and data to the stage, and start a new controller for it."""
        config, stage = self.config, self.stage
        _set_stage(self.gan, stage)
        side = _side(self.resolution, stage + 1)
        at_side = self.images.at(side)
        self.batches = Batches(at_side.train, config.batch_size, config.seed)
        self.scorer = Scorer(
            self.backbone, at_side, side, config.num_splits, config.num_reference, self.cache
        )
        first = 0 if config.levels == "single" else stage
        sizes = [size for i in range(first, stage + 1) for size in token_sizes(i)]
        with torch.device("cpu"):
            self.controller = Controller(sizes)
            initialise(self.controller, stream(config.seed, "controller weights", stage))
            make = Reinforce if config.update == "reinforce" else LegacyReinforce
            self.reinforce = make(
                self.controller,
                lr=config.controller_lr,
                entropy_weight=config.entropy_weight,
                baseline_decay=config.baseline_decay,
                normalise=config.normalise_advantage,
            )
        self._drawn: list[Tokens] = []
        self._block = (-1, -1)

    def _reset(self) -> None:
        """Start the shared GAN anew; the controller and the beam stay (sec. 3.2)."""
        self.num_resets += 1
        self.reset_pending = False
        self.gan = _new_gan(
            self.config, self.resolution, self.images.channels, self.device, self.num_resets
        )
        _set_stage(self.gan, self.stage)
        self.d_losses.clear()
        self.g_losses.clear()
        self.reinforce.restart_baseline()
        self._log("reset", number=self.num_resets)

    def _architecture(self, step: int) -> Tokens:
        """Return the architecture of a step of shared training, drawn in blocks."""
        block, place = divmod(step, DRAWN_AT_ONCE)
        if self._block != (self.iteration, block):
            random = stream(self.config.seed, "shared architectures", self.iteration, block)
            self._block = (self.iteration, block)
            self._drawn = [candidate.tokens for candidate in self._draw(DRAWN_AT_ONCE, random)]
        return self._drawn[place]

    def _candidates(self, num: int, purpose: str) -> list[Candidate]:
        """Draw `num` candidates, fewer when the policy has no more distinct ones to offer."""
        found: list[Candidate] = []
        for block in range(MOST_DRAWS):
            random = stream(self.config.seed, purpose, self.iteration, block)
            for candidate in self._draw(DRAWN_AT_ONCE, random):
                known = self.config.distinct and any(c.tokens == candidate.tokens for c in found)
                if not known:
                    found.append(candidate)
                if len(found) == num:
                    return found
        return found

    def _draw(self, num: int, random: torch.Generator) -> list[Candidate]:
        parents, start = self._start(num, random)
        rollout = self.controller.sample(start, random, self._allowed(parents))
        actions = rollout.actions.tolist()
        return [
            Candidate((*parent, *action), h, c)
            for parent, action, h, c in zip(parents, actions, *rollout.state, strict=True)
        ]

    def _start(self, num: int, random: torch.Generator) -> tuple[list[Tokens], State]:
        """Draw a parent for each sample, uniformly with replacement, and its LSTM state."""
        if not self.parents:
            return [()] * num, self.controller.zero_state(num)
        chosen = torch.randint(len(self.parents), (num,), generator=random, device="cpu")
        parents = [self.parents[i] for i in chosen.tolist()]
        state = torch.stack([p.h for p in parents]), torch.stack([p.c for p in parents])
        return [p.tokens for p in parents], state

    def _allowed(self, parents: list[Tokens]) -> Allowed | None:
        if self.limits is None:
            return None
        masks = self.limits.masks
        return lambda drawn: masks([(*p, *d) for p, d in zip(parents, drawn, strict=True)])

    def _score(self, tokens: Tokens, seed: int) -> dict[str, float]:
        """Score a child on the shared weights; a child whose images are not finite has none."""
        config = self.config
        _choose(self.gan, tokens)
        with self.gan.averaged() as network:
            z = self._latents("norm latents", 0, config.num_norm_latents)
            own = config.norm_statistics == "child"
            with reestimated_norms(network, z) if own else nullcontext():
                fakes = generate(
                    network,
                    config.num_scored,
                    config.latent_dim,
                    seed,
                    self.device,
                    stop=self.run.stop,
                )
                try:
                    return self.scorer.score(fakes)
                except RunFailed:
                    return {}

    def _reward_of(self, scores: dict[str, float]) -> float:
        if not scores:
            return 0.0  # diverged: below every score and every 1 / distance
        if self.config.reward == "score":
            return scores["classifier_score"]
        return 1 / max(scores[f"frechet_distance[{self.backbone.name}]"], 1e-12)

    def _watch_losses(self) -> None:
        """Trigger the dynamic reset when a loss has stood still (sec. 3.2) or is not finite.

        The paper's text says standard deviation, its settings and code variance: variance it is.
        """
        num = self.config.reset_check_every
        losses = {"d_loss": self.d_losses.mean(num), "g_loss": self.g_losses.mean(num)}
        variance = min(self.d_losses.variance(), self.g_losses.variance())
        finite = all(isfinite(loss) for loss in losses.values())
        full = self.g_losses.count >= self.config.reset_window
        self.reset_pending = not finite or (full and variance < self.config.reset_threshold)
        self._log("shared", step=self.d_steps, **losses)
        self._show(losses)

    def _limits(self) -> Limits | None:
        config = self.config
        if config.max_params is None and config.max_macs is None:
            return None
        sizes = _genome(config, (0,) * 14).generator
        channels = self.images.channels
        return Limits(config.max_params, config.max_macs, sizes, self.resolution, channels)

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


def _settings(
    config: Config, images: Images, device: torch.device, backbone: Backbone
) -> dict[str, Any]:
    return {
        "method": "autogan",
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "backbone": backbone.fingerprint,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
    }


def _new_gan(
    config: Config, resolution: int, image_channels: int, device: torch.device, num_resets: int
) -> GAN:
    sizes = decode((0,) * 14, config.width, config.latent_dim)
    sizes = sizes.model_copy(update={"skip_tap": config.skip_tap})
    judge = SNResNetDiscriminator(space="sn_resnet", width=config.discriminator_width)
    with torch.device("meta"):
        generator = build_supernet(sizes, resolution, image_channels)
        discriminator = build_discriminator(judge, resolution, image_channels)
    return GAN(
        fresh(generator, config.seed, f"shared generator weights {num_resets}", device),
        fresh(discriminator, config.seed, f"shared discriminator weights {num_resets}", device),
        generator_lr=config.generator_lr,
        discriminator_lr=config.discriminator_lr,
        betas=(config.beta1, config.beta2),
        ema_decay=config.ema_decay,
        ema_warm_start=config.ema_warm_start,
        precision=config.precision,
    )


def _supernet_parameters(config: Config, resolution: int, image_channels: int) -> int:
    gan = _new_gan(config, resolution, image_channels, torch.device("cpu"), num_resets=0)
    networks = (gan.generator, gan.discriminator)
    return sum(map(num_parameters, networks))


def _genome(config: Config, tokens: Tokens, source: Source | None = None) -> Genome:
    """Return the genome of a whole token vector at the derived widths."""
    generator = decode(tokens, config.derived_width, config.latent_dim)
    width = config.derived_discriminator_width
    return Genome(
        generator=generator.model_copy(update={"skip_tap": config.skip_tap}),
        discriminator=SNResNetDiscriminator(space="sn_resnet", width=width),
        source=source,
    )


def _set_stage(gan: GAN, stage: int) -> None:
    for network in (gan.generator, gan.discriminator):
        assert isinstance(network, AutoGANNetwork | SNResNet)
        network.num_active_cells = stage + 1


def _choose(gan: GAN, tokens: Tokens) -> None:
    """Set the supernet's cells to the tokens of one to three cells."""
    for index, part in enumerate(split_tokens(tokens)):
        choose(gan.generator.get_submodule(f"cells.{index}"), _choices(index, part))


@cache
def _choices(index: int, tokens: Tokens) -> Mapping[str, str]:
    return autogan_choices(decode_cell(index, tokens), index)


def _side(resolution: int, num_cells: int) -> int:
    return resolution >> (NUM_CELLS - num_cells)


def _stored_config(directory: Path) -> Config:
    stored = stored_config(directory)
    if stored.get("method") != "autogan":
        raise InvalidInput(f"{directory} is not a search by autogan: {stored.get('method')}")
    return Config.model_validate(stored["config"])
