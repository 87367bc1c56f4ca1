"""What drives every search: its run directory from the first step to the result, plans, derivation.

The loop itself is that of all long work (runs/loop.py). No method is known here.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gan_nas.configs import defaults, resolve
from gan_nas.data import Images
from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.files import read_text
from gan_nas.machine.repeatable import repeatable
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.metrics.loading import load_backbone
from gan_nas.networks.cost import Cost, network_price
from gan_nas.networks.states import check_finite, load_groups
from gan_nas.progress import Progress, silent
from gan_nas.runs.folders import TRIALS
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import check_step, read_state, work_through
from gan_nas.runs.results import Found, Plan, SearchResult
from gan_nas.runs.run import Finished, never, read_finished
from gan_nas.runs.shared import open_run
from gan_nas.runs.stored import (
    as_written,
    check_settings,
    stored_config,
    stored_images,
    stored_judge,
    stored_settings,
)
from gan_nas.runs.tensorboard import board
from gan_nas.search import load_method, method_names
from gan_nas.search.best import Limit
from gan_nas.search.method import CPU, C, Find, ImageShape, Method, S, Search, Task
from gan_nas.search.pictures import draw_best
from gan_nas.spaces.genome import Genome, Source, source_text
from gan_nas.training.forecast import Work, memory_bytes
from gan_nas.versions import versions


def search(
    method: Method[C, S] | str,
    task: Task[C],
    directory: Path | str,
    *,
    progress: Progress = silent,
    again: bool = False,
    plain: bool = False,
    tensorboard: bool = False,
) -> SearchResult:
    """Search; the same call goes on after an interruption.

    Without a backbone, where the method needs one, the data's classifier is loaded or trained.

    Writes `genomes/*.json`, log.jsonl, result.json and, unless it is to be `plain`, pictures into
    `directory` and, if wanted, events for `tensorboard`, and returns the result. Raises
    Interrupted with the state saved; RunFailed when a loss is not finite, and at once when it did
    so before, unless `again`; Incompatible when the directory holds other settings; InvalidInput
    for limits that nothing can keep.
    """
    directory, ranks = Path(directory), task.ranks
    if isinstance(method, str):
        method = load_method(method)
    task = with_backbone(method, task, "search", directory, progress)
    if isinstance(task.images, Images):
        task.images.check_varied()
    method.check(task)
    if ranks.size > 1:
        _check_shared(method, task)
    absent = absent_of(method, task)
    settings = settings_of(method, task) | {"versions": versions()}
    with (
        repeatable(task.device),
        open_run(directory, settings, task.stop, ranks, absent=absent) as run,
        board(directory, wanted=tensorboard and ranks.is_first) as events,
    ):
        if run.finished:
            return run.result(SearchResult)
        run.begin(again=again)
        if task.backbone is not None and isinstance(task.images, Images):
            ranks.first(partial(keep_judge, directory, task.backbone, task.images))
        config = task.config
        caption = f"{method.title} on {task.images.name}, seed {config.seed}"
        writer = run if ranks.is_first else None
        ledger = Ledger(writer, progress, plain=plain, caption=caption, board=events)
        task = replace(task, ledger=ledger, folder=directory / TRIALS, stop=run.stop)
        start = partial(method.start, task)
        work = work_through(
            run, ledger, method.State, start, save_every=config.save_every, ranks=ranks
        )
        try:
            found = work.found(config.top_k, config.limit, anew=False)
            ledger.caption += f"; best {found[0].genome.title}"
            conclusion = work.conclude(found)
            ledger.curves(conclusion.real)
            draw_best(work, task, found[0])
        except Interrupted:
            run.stop_if_asked()  # all is saved
            raise
        return run.finish(
            SearchResult(
                **dict(conclusion),
                method=method.name,
                run=str(directory),
                resolution=task.side,
                genomes=_rows(method, task, found, directory),
                seconds=ledger.seconds,
            )
        )


def derive(
    directory: Path | str,
    *,
    count: int,
    limit: Limit | None = None,
    images: Images | None = None,
    device: torch.device = CPU,
    backbone: Backbone | None = None,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> SearchResult:
    """Write the best `count` genomes of a finished search and return them, best first.

    A `limit` replaces the search's, and the device may be another one. The run is read, and
    nothing but its genomes is written. Methods that score what they derive need the images.
    Raises InvalidInput for a search that has not ended, or limits that nothing keeps.
    """
    directory = Path(directory)
    method, finished = finished_search(directory)
    stored = finished.settings
    config = searched = stored_settings(directory, stored, method.Config)
    if limit is not None and limit != Limit():
        update = {"max_params": limit.parameters, "max_macs": limit.macs}
        config = resolve(method.Config, config.model_dump() | update)
    scores = "derive" in method.scores
    seen = images if scores else stored_shape(finished)
    if seen is None:
        raise InvalidInput(f"{method.name} scores what it derives: name the images")
    task = Task(
        config=config,
        images=seen,
        device=device,
        backbone=backbone,
        cache=cache,
        stop=stop,
        ledger=Ledger(None, progress),
    )
    task = with_backbone(method, task, "derive", directory, progress)
    if scores:
        # Nothing is trained any more: the device may be another one, and the limits.
        asked = settings_of(method, replace(task, config=searched)) | {"versions": versions()}
        absent = absent_of(method, task)
        check_settings(directory, stored, asked, absent=absent, ignoring=("device",))
    method.check(task)
    work = restored(method, task, finished)
    found = work.found(count, config.limit, anew=True)
    rows = _rows(method, task, found, directory)
    if scores:
        return finished.result.model_copy(update=dict(work.conclude(found)) | {"genomes": rows})
    # What the search has told of the same genomes is still true.
    known = {row.id: row.values for row in finished.result.genomes}
    rows = [row.model_copy(update={"values": known.get(row.id, {}) | row.values}) for row in rows]
    return finished.result.model_copy(update={"genomes": rows})


class FinishedSearch(NamedTuple):
    """A search that has come to its end, and its method."""

    method: Method[Any, Any]
    finished: Finished[SearchResult]


def finished_search(directory: Path) -> FinishedSearch:
    """Read a finished search; raises InvalidInput for any other directory."""
    return FinishedSearch(method_of(directory), read_finished(directory, SearchResult))


def method_of(directory: Path) -> Method[Any, Any]:
    """Return the method that a run directory was searched by; raises InvalidInput for others."""
    name = stored_config(directory).get("method")
    known = method_names()
    if name not in known:
        raise InvalidInput(f"{directory} is a run of {name}, not of a search: {', '.join(known)}")
    return load_method(str(name))


def stored_space(directory: Path) -> str:
    """Return the space that a run directory is searched in; raises InvalidInput for others."""
    method = method_of(directory)
    return method.space_of(stored_settings(directory, stored_config(directory), method.Config))


def stored_shape(finished: Finished[SearchResult]) -> ImageShape:
    """Return what the settings of a search tell of its images."""
    settings = dict(finished.settings)
    # The first release's AutoGAN left them to the result and to the last layer's weights.
    settings.setdefault("image_side", finished.result.resolution)
    if "image_channels" not in settings:
        with as_written(finished.directory):
            last = finished.checkpoint.tensors["generator"]["to_rgb.conv.weight"]
        settings["image_channels"] = len(last)
    return ImageShape(*stored_images(finished.directory, settings))


def restored(method: Method[C, S], task: Task[C], finished: Finished[SearchResult]) -> Search[S]:
    """Return a finished search as it was at its end."""
    checkpoint = finished.checkpoint
    with as_written(finished.directory):
        state = read_state(method.State, checkpoint.state | {"step": checkpoint.step})
        work = method.start(task, state)
        check_step(work.step, checkpoint.step)
        load_groups(work.saved(), checkpoint.tensors)
        check_finite(work.saved(), checkpoint.tensors)
    return work


def plan(method: Method[C, S], task: Task[C], forecast: Work | None = None) -> Plan:
    """Predict what `search` will cost: sizes, steps, memory in bytes, seconds on this device.

    Nothing is made at full size, see forecast.py; the time is that of the steps, without scoring.
    `forecast` is what the method's `work` returned, where it is there already.
    """
    config, images, side, channels = task.config, task.images, task.side, task.channels
    assert isinstance(images, Images), "memory is planned for the images themselves"
    method.check(task)
    forecast = forecast or method.work(config, side, channels, task.device)
    kept, start = method.memory(config, len(images.train), side, channels)
    scores = "search" in method.scores_by(config)
    times = forecast.times()
    return Plan(
        config=config.model_dump(mode="json"),
        sizes={
            name: size._asdict() if isinstance(size, Cost) else size
            for name, size in method.sizes(config, side, channels).items()
        },
        steps=sum(phase.steps for phase in times),
        images=sum(phase.steps * phase.batch_size for phase in times),
        memory_bytes=kept + memory_bytes(forecast, images, side, scores=scores, start=start),
        predicted_seconds=sum(phase.seconds for phase in times),
    )


def with_backbone(
    method: Method[C, S], task: Task[C], what: str, run: Path, progress: Progress = silent
) -> Task[C]:
    """Add the classifier, the run's own or the data's, to a task that needs a backbone."""
    if what not in method.scores_by(task.config):
        return replace(task, backbone=None)
    if task.backbone is not None:
        return task

    assert isinstance(task.images, Images), "scores need the images themselves"
    kept, wanted = stored_judge(run)
    args = task.images, task.cache, task.device, task.stop, progress
    load = partial(load_backbone, "classifier", *args, kept=kept, wanted=wanted)
    backbone = task.ranks.in_turn(load)
    return replace(task, backbone=backbone)


def _rows(
    method: Method[Any, Any], task: Task[Any], found: Sequence[Find], directory: Path
) -> list[Found]:
    """Write genomes that keep the limits, and return a row for each: file, values, cost."""
    rows = []
    where = source_text(f"{method.title} search on {task.images.name}, seed {task.config.seed}")
    for find in found:
        reported = {f"{name}, shared weights": value for name, value in (find.scores or {}).items()}
        source = Source(where=where, reported={task.images.name: reported} if reported else {})
        genome = find.genome.model_copy(update={"source": source})
        searched = getattr(genome, find.role)
        parameters, macs = network_price(searched, task.side, task.channels)
        if not task.config.limit.keeps(parameters, macs):
            continue  # of a method that looks at no limits itself
        path = directory / "genomes" / f"{genome.genome_id}.json"
        task.ranks.first(partial(_keep, genome, path))
        rows.append(
            Found(
                id=genome.genome_id,
                file=str(path),
                words=genome.words_of(find.role),
                parameters=parameters,
                macs=macs,
                values=find.values,
                scores=find.scores or {},
            )
        )
    if not rows:
        within = f" that keeps within {task.config.limit.words}" * (task.config.limit != Limit())
        raise InvalidInput(f"this search found nothing{within}: search longer, or raise a limit")
    return rows


def _keep(genome: Genome, path: Path) -> None:
    """Write a genome unless it is there: what was found is told where nothing can be written."""
    with suppress(InvalidInput):
        if read_text(path) == genome.to_json():
            return
    genome.save(path)


def _check_shared(method: Method[C, S], task: Task[C]) -> None:
    """Raise InvalidInput for a search that several processes cannot make together."""
    batches = method.batches(task.config)
    if not batches:
        raise InvalidInput(
            f"torchrun has started {task.ranks.size} processes, and this search by {method.name} "
            "trains no network that they could share: without torchrun, --jobs N or --executor ray "
            "judges several genomes at once where each is trained alone"
        )
    task.ranks.check(batches)


def settings_of(method: Method[C, S], task: Task[C]) -> dict[str, Any]:
    """Return what a run is made of; another run directory is needed for anything else."""
    assert isinstance(task.images, Images)
    scored = task.backbone.identity if task.backbone is not None else {}
    return {
        "method": method.name,
        **task.images.identity(method.sides(task.config, task.side)),
        "image_channels": task.channels,
        "image_side": task.side,
        **scored,
        "device": task.device.type,
        "config": task.config.model_dump(mode="json"),
        **method.decisions(task.config, task.side),
    }


def absent_of(method: Method[C, S], task: Task[C]) -> dict[str, Any]:
    """Return what settings stood for that older versions did not store."""
    return {
        "config": defaults(method.Config),
        "image_channels": task.channels,
        "image_side": task.side,
    }
