"""A table in the forms of others: rows of CSV, and a folder as Syne Tune's blackboxes are.

Syne Tune (Salinas et al. 2022): configspace.json, fidelityspace.json, metadata.json,
hyperparameters.parquet, objectives_evaluations.npy (tasks, configurations, seeds, fidelities,
objectives) in float32 and fidelities_values.npy, as its `blackbox_tabular.deserialize` reads them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.files import write_atomically, write_text
from gan_nas.spaces.registry import load_space
from gan_nas.trials.table import RecordedTrial, Table

SECONDS = "elapsed_time"  # of the CPU, until a fidelity: simulations spend it


def csv_rows(table: Table) -> Iterator[dict[str, Any]]:
    """Yield a row for each trial and moment; a failed trial's last row has no scores."""
    for row in table.rows:
        entry = table.genomes[row.genome]
        about = {
            "genome": row.genome,
            "id": entry.id,
            "words": " | ".join(entry.words),
            "parameters": entry.parameters,
            "macs": entry.macs,
            "framework": row.framework,
            "seed": row.seed,
            "status": row.status,
            "micro_batch": row.micro_batch,
        }
        reached = table.moments[: len(row.scores)]
        for place, images in enumerate(reached):
            scores = dict(zip(table.measures, row.scores[place], strict=True))
            yield about | {"images": images, **_spent(table, row, images), **scores}
        if not reached:
            yield about | {"images": 0, **_spent(table, row, 0), **dict.fromkeys(table.measures)}


def write_syne_tune(table: Table, folder: Path) -> None:
    """Write a folder that Syne Tune reads, of the table's first framework; absent trials are NaN.

    Raises MissingResource without pandas and fastparquet, which write Parquet.
    """
    try:
        import fastparquet  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
        import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingResource(
            "Syne Tune's folders hold a Parquet file, which pandas and fastparquet write: "
            "pip install pandas fastparquet, or export to csv"
        ) from error
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty: name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    space = load_space(table.recipe.space)
    generators = list(space.generators(table.recipe.width))
    places = space.places(generators[0])
    columns = {
        place: [_word(space.values(generator)[place]) for generator in generators]
        for place in places
    }
    frame = pd.DataFrame(columns)
    write_atomically(
        folder / "hyperparameters.parquet",
        lambda path: frame.to_parquet(path, index=False, compression="gzip", engine="fastparquet"),
    )
    domains = {
        place: _domain("Categorical", categories=[_word(value) for value in values])
        for place, values in places.items()
    }
    moments = table.moments[1:]
    objectives = [*table.measures, SECONDS]
    values = np.full(
        (1, len(generators), table.recipe.seeds, len(moments), len(objectives)), np.nan, np.float32
    )
    for row in table.rows:
        if row.framework == table.recipe.framework:
            for place, images in enumerate(moments):
                spent = _spent(table, row, images)["processor_seconds"]
                if place + 1 < len(row.scores):
                    values[0, row.genome, row.seed, place] = [*row.scores[place + 1], spent]
    about = {
        "objectives_names": objectives,
        "task_names": [table.name],
        "metric_elapsed_time": SECONDS,
        "metric_default": table.measures[0],
        "time_attr": "images",
    }
    fidelity = {"images": _domain("Integer", lower=1, upper=moments[-1])}
    for name, content in (
        ("configspace", domains),
        ("fidelityspace", fidelity),
        ("metadata", about),
    ):
        write_text(folder / f"{name}.json", json.dumps(content))
    for name, array in (
        ("objectives_evaluations", values),
        ("fidelities_values", np.array(moments)),
    ):
        _save(folder / f"{name}.npy", array)


def _save(path: Path, array: "np.ndarray[Any, Any]") -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    write_atomically(path, write)


def _domain(kind: str, **arguments: Any) -> dict[str, Any]:
    return {
        "domain_cls": kind,
        "domain_kwargs": arguments,
        "sampler_cls": "Uniform",
        "sampler_kwargs": {},
    }


def _word(value: object) -> str:
    """Say a choice as a word: a list of skips by its numbers, none as none."""
    if isinstance(value, tuple):
        return "-".join(map(str, value)) or "none"
    return str(value).lower()


def _spent(table: Table, row: RecordedTrial, images: int) -> dict[str, float]:
    """Return the times until a moment: its share of the whole training's."""
    share = images / table.moments[-1]
    return {
        "seconds": share * row.seconds,
        "processor_seconds": share * row.processor_seconds,
    }
