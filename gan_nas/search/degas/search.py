"""DEGAS: search a generator alone, by reconstruction, and prune it; no discriminator takes part.

DEGAS (Doveh & Giryes 2019), sec. 3. The supernet learns, with a latent for every image, to
reconstruct the images (glo.py), while alpha, in turns, learns which operation of each place to
weigh. Pruning then keeps one operation for each map, or two where a residual won. No public code
exists: what the paper leaves open is a field, and `resolved` in degas_config.py answers it; the
answers stand in every run's config. `reconstruct` trains a single genome the same way.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_nas.configs import defaults, resolve
from gan_nas.data import Images
from gan_nas.data.batches import take
from gan_nas.errors import InvalidInput, RunFailed
from gan_nas.networks.builder import build_generator, choose_cells
from gan_nas.networks.cost import generator_cost, num_parameters
from gan_nas.networks.degas import StageNetwork, build_stage_supernet
from gan_nas.networks.states import load_module_state
from gan_nas.progress import Progress, silent
from gan_nas.runs.plots import save_curves, save_edge_history, save_grid
from gan_nas.runs.results import DEGASResult as Result
from gan_nas.runs.results import ReconstructionResult
from gan_nas.runs.run import Checkpoint, Finished, Run, never, read_finished, read_log
from gan_nas.runs.stored import as_written, stored_config, stored_images, stored_settings
from gan_nas.search.adversarialnas.derivation import Limit, say_if_fewer
from gan_nas.search.degas.config import PRESETS as PRESETS
from gan_nas.search.degas.config import Config as Config
from gan_nas.search.degas.config import resolved
from gan_nas.search.degas.glo import GLO, Alpha
from gan_nas.search.degas.latents import starting_bytes
from gan_nas.search.degas.pruning import (
    Prices,
    best_architectures,
    cheapest,
    generator_prices,
    prune,
)
from gan_nas.search.inheritance import Trained
from gan_nas.spaces.degas import (
    NUM_STAGES,
    DEGASGenerator,
    DEGASSpace,
    candidates,
    from_operations,
)
from gan_nas.spaces.frameworks import Framework, discriminator_of
from gan_nas.spaces.genome import Genome, Source, source_text
from gan_nas.streams import stream
from gan_nas.training.forecast import Scale, Work, memory_bytes, search_work
from gan_nas.training.gan import LossWindow, fresh, means
from gan_nas.training.timing import Phase
from gan_nas.versions import versions

NUM_SHOWN = 32  # pairs of original and reconstruction in a picture
SEARCHING_SCORES = False  # the search asks for reconstructions alone
DERIVING_SCORES = False


def search(
    config: Config,
    images: Images,
    directory: Path,
    *,
    device: torch.device,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    again: bool = False,
) -> dict[str, Any]:
    """Search; the same call goes on after an interruption.

    Writes into `directory`: genomes/*.json (the best K), history/*.json (what pruning would have
    kept as the search went), edges.png, curves.png, samples/*.png (originals, each beside its
    reconstruction), log.jsonl, result.json. Returns the result. Raises Interrupted with the state
    saved; RunFailed when a loss is not finite; Incompatible when the directory holds other
    settings; InvalidInput for limits nothing can keep.
    """
    resolution = config.resolution or images.side
    check(config, resolution, images.channels)
    settings = _settings("degas", config, images, resolution, device)
    settings["decisions"] = resolved(config, resolution)
    with Run.open(directory, settings, stop, absent={"config": defaults(Config)}) as run:
        if run.finished:
            return run.result(Result)
        run.begin(again=again)
        network = _fresh_supernet(config, resolution, images.channels, device)
        alpha = Alpha(places(config), device)
        alpha.initialise(stream(config.seed, "alpha"))
        work = _Reconstruction(config, network, alpha, images, resolution, run, device)
        work.train(progress)
        result = work.search_result()
        run.finish(result)
        return result


def reconstruct(
    genome: Genome,
    config: Config,
    images: Images,
    directory: Path,
    *,
    device: torch.device,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    again: bool = False,
) -> dict[str, Any]:
    """Train one genome's generator of any space as the search trains its supernet, without alpha.

    Tells how well an architecture reconstructs, which is what the search selects by. Writes
    curves.png, samples/*.png, log.jsonl and result.json; raises as `search` does.
    """
    resolution = config.resolution or images.side
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    network: nn.Module = _bare_generator(genome, resolution, images.channels)  # raises
    settings = _settings("reconstruct", config, images, resolution, device)
    settings["genome"] = genome.model_dump(mode="json")
    with Run.open(directory, settings, stop, absent={"config": defaults(Config)}) as run:
        if run.finished:
            return run.result(ReconstructionResult)
        run.begin(again=again)
        network = fresh(network, config.seed, "generator weights", device, "default")
        work = _Reconstruction(config, network, None, images, resolution, run, device)
        work.train(progress)
        save_curves(read_log(directory), run.path("curves.png"))
        result = {
            "method": "reconstruct",
            "genome_id": genome.genome_id,
            "name": genome.title,
            "loss": work.loss(),
            "iterations": work.step,
            "seconds": work.seconds,
        }
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
    """Write the best `count` genomes of a finished search, best first; the first is the pruned one.

    Those that the search has found keep their loss. Limits replace the search's. The run is read,
    and nothing but its genomes is written. Raises InvalidInput for a search that has not ended, or
    limits that no architecture keeps.
    """
    stored = stored_config(directory)
    if stored.get("method") != "degas":
        raise InvalidInput(f"{directory} is no search by degas: {stored.get('method')}")
    finished = read_finished(directory, Result, stop)
    update: dict[str, int | None] = {"top_k": count}
    if max_params is not None or max_macs is not None:
        update |= {"max_params": max_params, "max_macs": max_macs}
    config = resolve(Config, stored_settings(directory, stored, Config).model_dump() | update)
    data, side, channels = stored_images(directory, stored)
    check(config, side, channels)
    alpha = Alpha(places(config), device)
    with as_written(directory):
        load_module_state(alpha, finished.checkpoint.tensors["alpha"])
    found = best_genomes(config, alpha, finished, data, side, channels)
    result = finished.result
    losses = {row["id"]: {"loss": row["loss"]} for row in result["genomes"]}
    return result | {"genomes": [row | losses.get(row["id"], {}) for _, row in found]}


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
    network = supernet(config, resolution, images.channels)
    forecast = forecast or work(config, resolution, images.channels, device)
    return {
        "config": config.model_dump(mode="json"),
        "generators": DEGASSpace(config.stem_residual, config.final_normal).count(),
        "supernet_parameters": num_parameters(network),
        "steps": config.iterations,
        "images": config.iterations * config.batch_size,
        "memory_bytes": _memory_bytes(config, forecast, images, resolution),
        "predicted_seconds": sum(phase.seconds for phase in forecast.times()),
    }


def reconstruction_work(
    genome: Genome, config: Config, resolution: int, image_channels: int, device: torch.device
) -> Work:
    """Return the work of `reconstruct`, to forecast and to time."""

    def build(scale: Scale, on: torch.device) -> list[Phase]:
        widths = genome.generator.width, genome.discriminator.width
        resized = genome.resized(*map(scale.of_width, widths))
        side = resolution // scale.side
        return reconstruction_phases(resized, scale.of(config), side, image_channels, on)

    return Work(build, side=resolution, batch_size=config.batch_size, device=device)


def reconstruction_plan(
    genome: Genome,
    config: Config,
    images: Images,
    *,
    device: torch.device,
    forecast: Work | None = None,
) -> dict[str, Any]:
    """Predict what `reconstruct` will cost, as `plan` does for a search."""
    resolution = config.resolution or images.side
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    cost = generator_cost(genome.generator, resolution, images.channels)
    forecast = forecast or reconstruction_work(genome, config, resolution, images.channels, device)
    return {
        "config": config.model_dump(mode="json"),
        "generator": cost._asdict(),
        "steps": config.iterations,
        "images": config.iterations * config.batch_size,
        "memory_bytes": _memory_bytes(config, forecast, images, resolution),
        "predicted_seconds": sum(phase.seconds for phase in forecast.times()),
    }


def _memory_bytes(config: Config, forecast: Work, images: Images, resolution: int) -> int:
    """Predict the memory of a run: its latents, and the larger of its steps and its start."""
    num_images = min(config.num_images or len(images.train), len(images.train))
    start = starting_bytes(config.latent_start, images.channels, resolution)
    steps = memory_bytes(forecast, images, resolution, scores=False, start=start)
    return 4 * num_images * config.latent_dim + steps


def phases(
    config: Config, resolution: int, image_channels: int, device: torch.device
) -> list[Phase]:
    """Return the search's one phase: a step on alpha, and one on weights and latents."""
    network = _fresh_supernet(config, resolution, image_channels, device)
    alpha = Alpha(places(config), device)
    return [_phase(config, network, alpha, resolution, image_channels, device)]


def reconstruction_phases(
    genome: Genome, config: Config, resolution: int, image_channels: int, device: torch.device
) -> list[Phase]:
    """Return the one phase of `reconstruct`: a step on weights and latents."""
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    network: nn.Module = _bare_generator(genome, resolution, image_channels)
    network = fresh(network, config.seed, "generator weights", device, "default")
    return [_phase(config, network, None, resolution, image_channels, device)]


def _phase(
    config: Config,
    network: nn.Module,
    alpha: Alpha | None,
    resolution: int,
    image_channels: int,
    device: torch.device,
) -> Phase:
    random = torch.Generator("cpu" if device.type == "meta" else device).manual_seed(0)
    size = (4 * config.batch_size, image_channels, resolution, resolution)
    noise = torch.randint(256, size, generator=random, device=device, dtype=torch.uint8)
    glo = GLO(config, network, noise, alpha)
    glo.latents.zero_()

    def nothing() -> Tensor:
        return torch.zeros(())

    return Phase(
        f"{'search' if alpha is not None else 'reconstruction'} at {resolution} px",
        nothing if alpha is None else lambda: glo.alpha_step(0),
        lambda: glo.step(0),
        1,
        config.batch_size,
        config.iterations,
        ("alpha", "weights"),  # weights stands for latents too
    )


class _Reconstruction:
    """One run of reconstruction, with alpha or without; all of it is in its checkpoints."""

    def __init__(
        self,
        config: Config,
        network: nn.Module,
        alpha: Alpha | None,
        images: Images,
        resolution: int,
        run: Run,
        device: torch.device,
    ) -> None:
        self.config, self.run, self.images, self.resolution = config, run, images, resolution
        pixels = _chosen(images, config.num_images).at(resolution).to(device).train
        self.glo = GLO(config, network, pixels, alpha)
        self.step = 0
        names = ("weight_loss", "alpha_loss") if alpha is not None else ("weight_loss",)
        self.losses = {name: LossWindow(config.log_every, device) for name in names}
        self._seconds_before, self._started = 0.0, time.monotonic()
        if checkpoint := run.latest():
            with as_written(run.directory):
                self._load(checkpoint)
        else:
            self.glo.start()

    def train(self, progress: Progress) -> None:
        """Make the iterations that are left, and what is due after each."""
        config = self.config
        while self.step < config.iterations:
            self.losses["weight_loss"].push(self.glo.step(self.step))
            if self.glo.alpha is not None:
                self.losses["alpha_loss"].push(self.glo.alpha_step(self.step))
            self.step += 1
            last = self.step == config.iterations
            if self.step % config.log_every == 0 or last:
                self.log(progress)
            if self.step % config.derive_every == 0 or last:
                self.keep()
            if self.step % config.save_every == 0 or last or self.run.stop():
                self.save()

    def log(self, progress: Progress) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        losses = self._losses()
        images = self.step * self.config.batch_size
        lr = self.glo.lr_at(self.step - 1)
        self.run.log(step=self.step, images=images, lr=lr, **losses, seconds=self.seconds)
        what = "search" if self.glo.alpha is not None else "reconstruction"
        progress(f"{what} iterations", self.step, self.config.iterations, losses)

    def keep(self) -> None:
        """Draw reconstructions; keep what pruning would leave now, entropies and a histogram.

        Raises RunFailed rather than drawing NaN.
        """
        self._losses()
        rows = _evenly(len(self.glo.latents), NUM_SHOWN, self.glo.device)
        made = self.glo.reconstruct(rows, self.glo.mixture())
        made = made.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        originals = take(self.glo.batches.images, rows, self.glo.device)
        pairs = torch.stack([originals, made], 1).flatten(0, 1)
        save_grid(pairs, self.run.path("samples", f"{self.step:07d}.png"))
        if self.glo.alpha is None:
            return
        ops = prune(self.glo.alpha.log_probabilities())
        self.run.log(
            event="architecture",
            step=self.step,
            generator=_by_stage(ops),
            histogram=_histogram(ops),
            entropies={"alpha": self.glo.alpha.entropies()},
            seconds=self.seconds,
        )
        genome = _genome(self.config, ops, None)
        genome.save(self.run.path("history", f"{self.step:07d}.json"))

    def save(self) -> None:
        """Write a checkpoint, then stop if asked to; raises RunFailed rather than saving NaN."""
        self._losses()
        if not self.glo.is_finite():
            raise self._diverged("a weight")
        state = {
            "losses": {name: window.count for name, window in self.losses.items()},
            "seconds": self.seconds,
        }
        losses = {name: window.values for name, window in self.losses.items()}
        self.run.save(self.step, state, self.glo.state() | {"losses": losses})
        self.run.check()

    def loss(self, weights: Mapping[str, Tensor] | None = None) -> float:
        """Return the mean loss over evenly spaced images; see GLO.loss_of."""
        return self.glo.loss_of(min(self.config.num_scored, len(self.glo.latents)), weights)

    def search_result(self) -> dict[str, Any]:
        """Write the best K genomes and the pictures; return the table of them."""
        config, alpha, network = self.config, self.glo.alpha, self.glo.network
        assert alpha is not None
        assert isinstance(network, StageNetwork)
        log = read_log(self.run.directory)
        save_curves(log, self.run.path("curves.png"))
        kept = [row for row in log if row.get("event") == "architecture"]
        save_edge_history(kept, self.run.path("edges.png"))
        channels = self.images.channels
        found = best_genomes(config, alpha, self.run, self.images.name, self.resolution, channels)
        mixed = self.loss(self.glo.mixture())
        for generator, row in found:
            choose_cells(network, generator)
            row["loss"] = self.loss()
        entropies = alpha.entropies()
        return {
            "method": "degas",
            "run": str(self.run.directory),
            "resolution": self.resolution,
            "genomes": [row for _, row in found],
            "loss": mixed,
            "entropy": {"alpha": sum(entropies.values()) / len(entropies)},
            "histogram": _histogram(prune(alpha.log_probabilities())),
            "seconds": self.seconds,
        }

    @property
    def seconds(self) -> float:
        """Return the time spent so far, earlier sittings included."""
        return self._seconds_before + time.monotonic() - self._started

    def _losses(self) -> dict[str, float]:
        losses = means(self.losses)
        if not all(map(isfinite, losses.values())):
            raise self._diverged("a loss")
        return losses

    def _diverged(self, what: str) -> RunFailed:
        work = "search" if self.glo.alpha is not None else "reconstruction"
        return RunFailed(
            f"the {work} diverged before iteration {self.step:,}: {what} is not finite; what "
            f"is saved in {self.run.directory} is from before that, try a lower learning rate"
        )

    def _load(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        self.step = checkpoint.step
        self._seconds_before = state["seconds"]
        self.glo.load_state(tensors)
        for name, window in self.losses.items():
            window.values.copy_(tensors["losses"][name])
            window.count = state["losses"][name]


def best_genomes(
    config: Config,
    alpha: Alpha,
    run: Run | Finished,
    data: str,
    resolution: int,
    image_channels: int,
) -> list[tuple[DEGASGenerator, dict[str, Any]]]:
    """Write the best K genomes; return each one's generator and a row: id, file, score, cost."""
    limit = Limit(config.max_params, config.max_macs)
    prices = None
    if limit != Limit(None, None):
        prices = _prices(config, resolution, image_channels)
    found = best_architectures(
        alpha.log_probabilities(), config.top_k, prices=prices, limit=limit if prices else None
    )
    say_if_fewer(len(found), config.top_k, "no more keep within the limits")
    source = Source(where=source_text(f"DEGAS search on {data}, seed {config.seed}"))
    rows = []
    for one in found:
        genome = _genome(config, one.operations, source)
        path = run.path("genomes", f"{genome.genome_id}.json")
        genome.save(path)
        cost = generator_cost(genome.generator, resolution, image_channels)
        row = {
            "id": genome.genome_id,
            "file": str(path),
            "log_odds": one.score,
            "words": genome.generator.words,
            "parameters": cost.parameters,
            "macs": cost.macs,
        }
        rows.append((_generator(config, one.operations), row))
    return rows


def check(config: Config, resolution: int, image_channels: int) -> None:
    """Raise InvalidInput for a resolution that does not suit, or limits that no generator keeps."""
    supernet(config, resolution, image_channels)  # raises
    limit = Limit(config.max_params, config.max_macs)
    if limit == Limit(None, None):
        return
    prices = _prices(config, resolution, image_channels)
    flat = {place: [0.0] * len(ops) for place, ops in places(config).items()}
    if not best_architectures(flat, 1, prices=prices, limit=limit):
        least = cheapest(prices)
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


def places(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the places that a search decides, and their operations."""
    return candidates(config.stem_residual, config.final_normal)


def supernet(config: Config, resolution: int, image_channels: int) -> StageNetwork:
    """Build a search's network without its weights, on the meta device."""
    with torch.device("meta"):
        return build_stage_supernet(
            sizes_of(config, config.width),
            resolution,
            image_channels,
            stem_residual=config.stem_residual,
            final_normal=config.final_normal,
        )


def _fresh_supernet(
    config: Config, resolution: int, image_channels: int, device: torch.device
) -> nn.Module:
    network = supernet(config, resolution, image_channels)
    return fresh(network, config.seed, "supernet weights", device, "default")


def _bare_generator(genome: Genome, resolution: int, image_channels: int) -> nn.Module:
    with torch.device("meta"):
        return build_generator(genome.generator, resolution, image_channels)


def trained(finished: Finished) -> Trained:
    """Return the supernet of a finished search; its latents lay in the unit ball."""
    settings = finished.settings
    config = stored_settings(finished.directory, settings, Config)
    network = supernet(config, settings["image_side"], settings["image_channels"])
    network.to_empty(device="cpu")
    load_module_state(network, finished.checkpoint.tensors["network"])
    scale = config.latent_dim**-0.5
    return Trained(sizes_of(config, config.width), network, None, scale)


def sizes_of(config: Config, width: int) -> DEGASGenerator:
    """Return some generator of the search's sizes at a width."""
    ops: dict[str, str | None] = {place: names[0] for place, names in places(config).items()}
    return from_operations(ops, width, config.latent_dim)


def _prices(config: Config, resolution: int, image_channels: int) -> Prices:
    sizes = sizes_of(config, config.derived_width)
    return generator_prices(
        sizes,
        resolution,
        image_channels,
        stem_residual=config.stem_residual,
        final_normal=config.final_normal,
    )


def _generator(config: Config, ops: Mapping[str, str | None]) -> DEGASGenerator:
    return from_operations(dict(ops), config.derived_width, config.latent_dim)


def _genome(config: Config, ops: Mapping[str, str | None], source: Source | None) -> Genome:
    width = config.derived_discriminator_width
    framework: Framework = "hinge-sn" if config.derived_discriminator == "sn_resnet" else "ctgan"
    discriminator = discriminator_of(framework, width)
    return Genome(generator=_generator(config, ops), discriminator=discriminator, source=source)


def _histogram(ops: Mapping[str, str | None]) -> dict[str, int]:
    """Return how often each operation stands in an architecture."""
    return dict(Counter(op for op in ops.values() if op is not None))


def _by_stage(ops: Mapping[str, str | None]) -> list[dict[str, str]]:
    """Return place -> operation for each stage, for the history's picture."""
    stages: list[dict[str, str]] = [{} for _ in range(NUM_STAGES)]
    for place, op in ops.items():
        index, _, name = place.rpartition(".")
        stages[int(index) if index else -1][name] = op or "none"
    return stages


def _settings(
    method: str, config: Config, images: Images, resolution: int, device: torch.device
) -> dict[str, Any]:
    return {
        "method": method,
        **images.identity([resolution]),
        "image_channels": images.channels,
        "image_side": resolution,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "versions": versions(),
    }


def _chosen(images: Images, num: int | None) -> Images:
    """Return the training images that get a latent."""
    size = len(images.train)
    if num is None or num >= size:
        return images
    from dataclasses import replace

    rows = _evenly(size, num, images.train.device)
    return replace(images, train=images.train[rows], train_labels=None)


def _evenly(size: int, num: int, device: torch.device) -> Tensor:
    """Return `num` of the numbers below `size`, evenly spaced, or all where there are fewer."""
    num = min(num, size)
    return torch.arange(num, device=device) * size // num
