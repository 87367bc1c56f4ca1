"""AdversarialNAS: a differentiable search of generator and discriminator against each other.

AdversarialNAS (Gao et al. 2020), Algorithm 1. An iteration updates beta, the discriminator's
architecture, then its weights, each on its half of a real batch; every num_critic-th also alpha,
the generator's architecture, then its weights. At the end the K generators of highest summed
log-probability under alpha are exactly the best K. With a fixed discriminator this is SingalNAS.

Where the authors' code does otherwise than the paper, or than is sensible, there is a field; the
preset `published` takes its side in each, and adversarialnas_config.py lists them. Two differences
change the time alone: mixed edges run as merged kernels (mixing.py), equal up to rounding; what a
step does not update is frozen, and the discriminator's steps build no generator graph.
Theirs in any case: noise on probabilities, L2 in the gradients of alpha and beta, derivation from
the raw alpha.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from gan_nas.configs import defaults, resolve
from gan_nas.data import Images
from gan_nas.data.batches import Batches
from gan_nas.errors import Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.networks.cost import generator_cost
from gan_nas.progress import Progress, silent
from gan_nas.runs.plots import save_edge_history, save_grid
from gan_nas.runs.results import AdversarialNASResult as Result
from gan_nas.runs.run import Checkpoint, Finished, Run, never, read_finished, read_log
from gan_nas.runs.stored import as_written, stored_config, stored_images, stored_settings
from gan_nas.scoring.scorer import Scorer, generate
from gan_nas.search.adversarialnas.config import PRESETS as PRESETS
from gan_nas.search.adversarialnas.config import Config as Config
from gan_nas.search.adversarialnas.derivation import (
    Found,
    Limit,
    SoftmaxOver,
    best_architectures,
    best_within,
    cheapest,
    derive_published,
    log_probability_of,
    say_if_fewer,
)
from gan_nas.search.adversarialnas.prices import generator_prices
from gan_nas.search.adversarialnas.relaxation import Logits
from gan_nas.search.adversarialnas.super_gan import SuperGAN, networks, sizes_of, supernet_costs
from gan_nas.search.adversarialnas.super_gan import phases as phases
from gan_nas.search.adversarialnas.super_gan import trained as trained
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    count,
)
from gan_nas.spaces.frameworks import default_discriminator
from gan_nas.spaces.genome import Genome, Source, source_text
from gan_nas.spaces.schema import DiscriminatorGenome
from gan_nas.streams import stream
from gan_nas.training.forecast import Work, memory_bytes, search_work
from gan_nas.training.gan import LossWindow, means
from gan_nas.versions import versions

NUM_SHOWN = 64  # images in a sample grid
SEARCHING_SCORES = True
DERIVING_SCORES = False  # derive asks alpha alone


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

    Writes into `directory`: genomes/*.json (the best K), history/*.json (the best one as the search
    went), edges.png (what stood on the edges when), samples/*.png, log.jsonl, result.json. Returns
    the result. Raises Interrupted with the state saved; RunFailed when a loss is not finite;
    Incompatible when the directory holds other settings; InvalidInput for limits nothing can keep.
    """
    resolution = config.resolution or images.side
    check(config, resolution, images.channels)
    settings = {
        "method": "adversarialnas",
        **images.identity([resolution]),
        "image_channels": images.channels,
        "image_side": resolution,
        "backbone": backbone.fingerprint,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
    }
    with Run.open(directory, settings, stop, absent={"config": defaults(Config)}) as run:
        if run.finished:
            return run.result(Result)
        run.begin(again=again)
        keep_judge(directory, backbone, images)
        at_side = images.at(resolution).to(device)
        scorer = Scorer(
            backbone, at_side, resolution, config.num_splits, config.num_reference, cache
        )
        work = _Search(config, scorer, run, device, progress)
        while True:
            if work.score_is_due:
                work.score()
            if work.step == config.iterations:
                break
            work.advance()
        result = work.result()
        run.finish(result)
        return result


def derive(
    directory: Path,
    *,
    count: int,
    device: torch.device,
    stop: Callable[[], bool] = never,
    max_params: int | None = None,
    max_macs: int | None = None,
) -> dict[str, Any]:
    """Write the best `count` genomes of a finished search, best first; nothing is drawn or scored.

    Limits replace the search's. The run is read, and nothing but its genomes is written. Raises
    InvalidInput for a search that has not ended, or limits
    that no architecture keeps.
    """
    stored = stored_config(directory)
    if stored.get("method") != "adversarialnas":
        raise InvalidInput(f"{directory} is no search by adversarialnas: {stored.get('method')}")
    finished = read_finished(directory, Result, stop)
    config = stored_settings(directory, stored, Config)
    update: dict[str, int | None] = {"top_k": count}
    if max_params is not None or max_macs is not None:
        update |= {"max_params": max_params, "max_macs": max_macs}
    config = resolve(Config, config.model_dump() | update)
    data, side, channels = stored_images(directory, stored)
    check(config, side, channels)
    gan = SuperGAN(config, side, channels, device)
    with as_written(directory):
        checkpoint = finished.checkpoint
        gan.load_state(checkpoint.tensors, checkpoint.state["generator_steps"])
    rows = best_genomes(config, gan, finished, data, side, channels)
    return finished.result | {"genomes": rows}


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
    resolution = config.resolution or images.side
    check(config, resolution, images.channels)
    costs = supernet_costs(config, resolution, images.channels)
    forecast = forecast or work(config, resolution, images.channels, device)
    return {
        "config": config.model_dump(mode="json"),
        "generators": count(),
        "discriminators": count(DOWN_CELLS) if config.discriminator == "searched" else 1,
        "supernet_parameters": sum(cost.parameters for cost in costs),
        "steps": config.iterations,
        "images": config.iterations * config.batch_size,
        "memory_bytes": memory_bytes(forecast, images, resolution),
        "predicted_seconds": sum(phase.seconds for phase in forecast.times()),
    }


class _Search:
    """The state of one search; all of it is in its checkpoints."""

    def __init__(
        self, config: Config, scorer: Scorer, run: Run, device: torch.device, progress: Progress
    ) -> None:
        self.config, self.scorer, self.run, self.device = config, scorer, run, device
        self.images, self.progress = scorer.images, progress
        self.gan = SuperGAN(config, scorer.side, self.images.channels, device)
        self.batches = Batches(self.images.train, config.batch_size, config.seed, device=device)
        self.step = 0
        self.scores: list[dict[str, Any]] = []
        names = ("beta_loss", "d_loss", "alpha_loss", "g_loss")
        self.losses = {name: LossWindow(config.log_every, device) for name in names}
        self._seconds_before, self._started = 0.0, time.monotonic()
        if checkpoint := run.latest():
            with as_written(run.directory):
                self._load(checkpoint)
        self.gan.start(max(0, self.step - 1))  # as the last iteration left it

    @property
    def score_is_due(self) -> bool:
        """Tell whether this step is scored and has not been."""
        due = self.step % self.config.score_every == 0 or self.step == self.config.iterations
        return due and self.step > 0 and not (self.scores and self.scores[-1]["step"] == self.step)

    def advance(self) -> None:
        """Make one iteration of Algorithm 1, then what is due: log, history, a checkpoint."""
        config, step = self.config, self.step
        losses = self.gan.iteration(step, self.batches.at(step), self._latents)
        for name, loss in losses.items():
            self.losses[name].push(loss)
        self.step += 1
        last = self.step == config.iterations
        if self.step % config.log_every == 0 or last:
            self.log()
        if self.step % config.derive_every == 0 or last:
            self.derive()
        if self.step % config.save_every == 0 or last or self.run.stop():
            self.save()

    def log(self) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        config, losses = self.config, self._losses()
        images = self.step * config.batch_size
        self.run.log(
            step=self.step, images=images, tau=self.gan.tau, **losses, seconds=self._seconds
        )
        shown = {name: loss for name, loss in losses.items() if name in ("d_loss", "g_loss")}
        if self.scores:
            shown |= {k: v for k, v in self.scores[-1].items() if k not in ("step", "images")}
        self.progress("search iterations", self.step, config.iterations, shown)

    def derive(self) -> None:
        """Keep the best architecture of this moment, and the entropy of every edge."""
        best = ranked(self.config, self.gan.alpha, 1)[0]
        entropies = {"alpha": self.gan.alpha.entropies()}
        architectures = {"generator": list(best.cells)}
        if self.config.discriminator == "searched":
            judge = ranked(self.config, self.gan.beta, 1)[0]
            architectures["discriminator"] = list(judge.cells)
            entropies["beta"] = self.gan.beta.entropies()
        self.run.log(
            event="architecture",
            step=self.step,
            log_probability=best.log_probability,
            **architectures,
            entropies=entropies,
            seconds=self._seconds,
        )
        genome = _genome(self.config, best, _discriminator(self.config, self.gan), None)
        genome.save(self.run.path("history", f"{self.step:07d}.json"))

    def score(self) -> None:
        """Score the averaged supernet, which mixes as in training; saves first when stopped."""
        config = self.config
        first: list[torch.Tensor] = []
        self.gan.generator.restart(self.gan.tau, config.seed, "score noise", self.step)

        def watched() -> Iterator[torch.Tensor]:
            for batch in generate(
                network,
                config.num_scored,
                config.latent_dim,
                config.seed,
                self.device,
                stop=self.run.stop,
            ):
                if not first:
                    first.append(batch)
                yield batch

        try:
            with self.gan.gan.averaged() as network:
                values = self.scorer.score(watched())
        except Interrupted:
            self.save()
            raise
        save_grid(first[0][:NUM_SHOWN].cpu(), self.run.path("samples", f"{self.step:07d}.png"))
        images = self.step * config.batch_size
        self.scores.append({"step": self.step, "images": images, **values})
        self.run.log(**self.scores[-1], seconds=self._seconds)
        if config.average_replaces and self.step < config.iterations:
            self.gan.gan.take_average()

    def _compared(self) -> dict[str, Any]:
        """Score as many of the supernet's images as there are real ones to stand beside them."""
        config = self.config
        num = self.scorer.num_compared(config.num_scored)
        if num == config.num_scored:
            return {"num": num, "scores": self.scores[-1]}
        self.gan.generator.restart(self.gan.tau, config.seed, "score noise", self.step)
        with self.gan.gan.averaged() as network:
            few = generate(
                network, num, config.latent_dim, config.seed, self.device, stop=self.run.stop
            )
            return {"num": num, "scores": self.scorer.score_few(few, config.num_scored)}

    def save(self) -> None:
        """Write a checkpoint, then stop if asked to; raises RunFailed rather than saving NaN."""
        self._losses()
        state = {
            "generator_steps": self.gan.gan.generator_steps,
            "scores": self.scores,
            "losses": {name: window.count for name, window in self.losses.items()},
            "seconds": self._seconds,
        }
        losses = {name: window.values for name, window in self.losses.items()}
        self.run.save(self.step, state, self.gan.state() | {"losses": losses})
        self.run.check()

    def result(self) -> dict[str, Any]:
        """Write the best K genomes and the history's picture; return the table of them."""
        config, side = self.config, self.scorer.side
        log = [row for row in read_log(self.run.directory) if row.get("event") == "architecture"]
        save_edge_history(log, self.run.path("edges.png"))
        logits = {"alpha": self.gan.alpha}
        if config.discriminator == "searched":
            logits["beta"] = self.gan.beta
        rows = best_genomes(
            config, self.gan, self.run, self.images.name, side, self.images.channels
        )
        return {
            "method": "adversarialnas",
            "run": str(self.run.directory),
            "resolution": side,
            "genomes": rows,
            "entropy": {name: _mean(one.entropies()) for name, one in logits.items()},
            "supernet": self.scores[-1],
            "real": self.scorer.real(config.num_scored),
            "compared": self._compared(),
            "passport": self.scorer.passport(
                config.num_scored, config.seed, config.precision
            ).model_dump(mode="json"),
            "seconds": self._seconds,
        }

    def _load(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        self.step = checkpoint.step
        self.scores = state["scores"]
        self._seconds_before = state["seconds"]
        self.gan.load_state(tensors, state["generator_steps"])
        for name, window in self.losses.items():
            window.values.copy_(tensors["losses"][name])
            window.count = state["losses"][name]

    def _losses(self) -> dict[str, float]:
        losses = means(self.losses)
        if not all(map(isfinite, losses.values())):
            raise RunFailed(
                f"the search diverged before iteration {self.step:,}: a loss is not finite; what "
                f"is saved in {self.run.directory} is from before that, try lower learning rates"
            )
        return losses

    def _latents(self, purpose: str, num: int) -> torch.Tensor:
        random = stream(self.config.seed, purpose, self.step, device=self.device)
        return torch.randn(num, self.config.latent_dim, generator=random, device=self.device)

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started


def ranked(config: Config, logits: Logits, count: int) -> list[Found]:
    """Return the architectures of highest log-probability, or the published one and then those."""
    scores = logits.log_probabilities()
    found = best_architectures(logits.cells, scores, count)
    if config.derivation == "exact":
        return found
    softmax_over: SoftmaxOver = "edges" if logits.cells == DOWN_CELLS else "operations"
    cells = tuple(derive_published(logits.cells, *logits.matrices(), softmax_over=softmax_over))
    first = Found(cells, log_probability_of(logits.cells, cells, scores))
    return [first, *(one for one in found if one.cells != cells)][:count]


def best_genomes(
    config: Config,
    gan: SuperGAN,
    run: Run | Finished,
    data: str,
    resolution: int,
    image_channels: int,
) -> list[dict[str, Any]]:
    """Write the best K genomes and return a row for each: id, file, log-probability, cost."""
    limit = Limit(config.max_params, config.max_macs)
    if limit == Limit(None, None):
        found = ranked(config, gan.alpha, config.top_k)
    else:
        scores = gan.alpha.log_probabilities()
        prices = generator_prices(
            sizes_of(config, config.derived_width), resolution, image_channels
        )
        found = best_within(UP_CELLS, scores, config.top_k, prices, limit)
    say_if_fewer(len(found), config.top_k, "no more keep within the limits")
    discriminator = _discriminator(config, gan)
    source = Source(where=source_text(f"AdversarialNAS search on {data}, seed {config.seed}"))
    rows = []
    for one in found:
        genome = _genome(config, one, discriminator, source)
        path = run.path("genomes", f"{genome.genome_id}.json")
        genome.save(path)
        cost = generator_cost(genome.generator, resolution, image_channels)
        rows.append(
            {
                "id": genome.genome_id,
                "file": str(path),
                "log_probability": one.log_probability,
                "words": genome.generator.words,
                "parameters": cost.parameters,
                "macs": cost.macs,
            }
        )
    return rows


def check(config: Config, resolution: int, image_channels: int) -> None:
    """Raise InvalidInput for a resolution that does not suit, or limits that no generator keeps."""
    networks(config, resolution, image_channels)  # raises
    limit = Limit(config.max_params, config.max_macs)
    if limit == Limit(None, None):
        return
    prices = generator_prices(sizes_of(config, config.derived_width), resolution, image_channels)
    flat = [{edge: [0.0] * len(ops) for edge, ops in cell.items()} for cell in prices.ops]
    if not best_within(UP_CELLS, flat, 1, prices, limit):
        least = cheapest(UP_CELLS, prices)
        asked = [
            f"{most:,} {what}"
            for most, what in zip(limit, ("parameters", "multiply-adds"), strict=True)
            if most is not None
        ]
        raise InvalidInput(
            f"no generator of width {config.derived_width} keeps within {' and '.join(asked)}: the "
            f"smallest have {least.parameters:,} parameters, or {least.macs:,} multiply-adds; "
            "raise the limit or lower derived_width"
        )


def _discriminator(config: Config, gan: SuperGAN) -> DiscriminatorGenome:
    """Return the discriminator that goes into the genomes."""
    width = config.derived_discriminator_width
    if config.derived_discriminator == "sn_resnet":
        return default_discriminator("adversarialnas", width)
    cells = ranked(config, gan.beta, 1)[0].cells
    content = {"space": "adversarialnas", "width": width, "cells": cells}
    return AdversarialNASDiscriminator.model_validate(content)


def _genome(
    config: Config, found: Found, discriminator: DiscriminatorGenome, source: Source | None
) -> Genome:
    sizes = sizes_of(config, config.derived_width).model_dump()
    generator = AdversarialNASGenerator.model_validate(sizes | {"cells": found.cells})
    return Genome(generator=generator, discriminator=discriminator, source=source)


def _mean(entropies: Mapping[str, float]) -> float:
    return sum(entropies.values()) / len(entropies)
