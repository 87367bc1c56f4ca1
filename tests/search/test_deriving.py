"""What holds of every search method when one derives from it, and of limits on what is found."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import tiny

from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.search import drive, load_method
from gan_nas.search.best import Limit
from gan_nas.search.inheritance import read_supernets
from gan_nas.search.method import Method
from gan_nas.spaces.genome import read_genome

Searches = Callable[[str], tiny.Searched]


def files(directory: Path) -> dict[Path, bytes]:
    """Return what a run consists of, but for its genomes."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if path.parent.name != "genomes"}


def test_derive_goes_on_with_a_finished_search_and_leaves_it_as_it_was(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    directory, result = searched
    before = files(directory)
    rows = tiny.derive(directory, 5)
    assert len({row.id for row in rows}) == len(rows) == 5
    assert tiny.ranking(method, rows) == sorted(tiny.ranking(method, rows), reverse=True)
    assert all(read_genome(Path(row.file)).genome_id == row.id for row in rows)
    (best,) = tiny.derive(directory, 1)
    assert tiny.ranking(method, [best]) <= tiny.ranking(method, rows[:1])
    if "derive" not in method.scores:
        told = [tiny.timeless(row.model_dump()) for row in result.genomes]
        assert [tiny.timeless(row.model_dump()) for row in rows[:2]] == told
        assert best == rows[0]
    else:
        assert tiny.derive(directory, 5) == rows
    assert files(directory) == before


def test_derive_looks_at_images_through_the_searchs_own_backbone(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    alone = partial(drive.derive, searched.directory, count=1)
    if "derive" not in method.scores:
        assert alone().genomes
        return
    with pytest.raises(InvalidInput, match="name the images"):
        alone()
    with pytest.raises(Incompatible, match="backbone: "):
        alone(images=tiny.digits())


def test_only_a_finished_search_is_derived_from(method: Method[Any, Any], tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    with pytest.raises(Interrupted):
        tiny.run_search(method.name, unfinished, lambda: True)
    for read in (partial(tiny.derive, count=2), read_supernets):
        with pytest.raises(InvalidInput, match="has not ended"):
            read(unfinished)
        with pytest.raises(InvalidInput, match="not a run directory"):
            read(tmp_path)


# Limits.


LONG = pytest.param("adversarialnas", marks=pytest.mark.slow)  # its sums are in test_derivation


@pytest.fixture(params=["autogan", LONG, "degas"])
def limited(request: pytest.FixtureRequest) -> Method[Any, Any]:
    """A method that knows what is cheapest; the hill leaves limits to the driver."""
    return load_method(request.param)


def check(method: Method[Any, Any], **limits: int) -> None:
    method.check(tiny.search_task(method.name, **limits))


def smallest(method: Method[Any, Any]) -> Limit:
    """Read the smallest parameters and multiply-adds out of a refusal."""
    with pytest.raises(InvalidInput, match="of width 4 keeps within 1 parameters: ") as refused:
        check(method, max_params=1)
    numbers = re.findall(r"([\d,]+) (?:parameters|multiply-adds)", str(refused.value))
    return Limit(*(int(number.replace(",", "")) for number in numbers[-2:]))


def test_impossible_limits_are_refused_at_once_with_the_smallest_possible(
    limited: Method[Any, Any], searches: Searches, tmp_path: Path
) -> None:
    least = smallest(limited)
    assert least.parameters is not None
    assert least.macs is not None
    check(limited, max_params=least.parameters)
    check(limited, max_macs=least.macs)
    with pytest.raises(InvalidInput, match=f"{least.parameters:,}.*{least.macs:,}"):
        check(limited, max_macs=least.macs - 1)
    with pytest.raises(InvalidInput, match=f"{least.parameters:,}.*{least.macs:,}"):
        tiny.run_search(limited.name, tmp_path / "run", max_params=least.parameters - 1)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match=f"{least.parameters:,}.*{least.macs:,}"):
        tiny.derive(searches(limited.name).directory, 2, Limit(least.parameters - 1, 10**12))


def test_a_search_keeps_its_limits_and_derive_too_unless_it_is_told_others(
    limited: Method[Any, Any], tmp_path: Path
) -> None:
    least = smallest(limited)
    assert least.parameters is not None
    most = least.parameters + least.parameters // 50
    shorter = {} if limited.name == "autogan" else {"iterations": 2}
    rows = tiny.run_search(limited.name, tmp_path / "run", max_params=most, **shorter).genomes
    assert len(rows) == 2
    rows += tiny.derive(tmp_path / "run", 2)
    assert all(row.parameters <= most for row in rows)
    others = tiny.derive(tmp_path / "run", 2, Limit(None, 10**9))
    assert max(row.parameters for row in others) > most


def test_limits_leave_what_keeps_them_in_its_order(
    limited: Method[Any, Any], searches: Searches
) -> None:
    """Against the list without limits, looked through; AutoGAN draws within limits instead."""
    directory, drawn = searches(limited.name).directory, "derive" in limited.scores
    rows = tiny.derive(directory, 6 if drawn else 12)
    limit = Limit(int(median(row.parameters for row in rows)), max(row.macs for row in rows) - 1)
    kept = [row for row in rows if limit.keeps(row.parameters, row.macs)]
    assert 2 <= len(kept) < len(rows)
    found = tiny.derive(directory, len(kept), limit)
    assert all(limit.keeps(row.parameters, row.macs) for row in found)
    assert drawn or found == kept
