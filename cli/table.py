"""`gan-nas table`: which tables of trained genomes there are."""

from typing import NamedTuple

from gan_nas.cli import options
from gan_nas.cli.printing import show, show_json, suggest, table
from gan_nas.trials.recipes import RECIPES, find_recipe
from gan_nas.trials.table import read_table, table_names


class Row(NamedTuple):
    """A table, in a line."""

    name: str
    space: str
    data: str
    resolution: int
    images: int
    trials: int
    planned: int


def table_list(as_json: options.Json = False) -> None:
    """List the tables of trained genomes: those that come with gan-nas, and those to be made.

    All trials of a space are recorded in a table, so that a search in it takes seconds.

    Example: gan-nas table
    """
    here = table_names()
    rows = [_row(name, is_here=name in here) for name in dict.fromkeys((*here, *RECIPES))]
    if as_json:
        show_json({"tables": [row._asdict() for row in rows]})
        return
    numbers = ["images a trial", "trials here", "of"]
    lines = table("table", "space", "data", *numbers, numbers=numbers)
    for row in rows:
        data = f"{row.data}, {row.resolution} px"
        counts = (f"{number:,}" for number in (row.images, row.trials, row.planned))
        lines.add_row(row.name, row.space, data, *counts)
    show(lines)
    name = here[0] if here else next(iter(RECIPES))
    suggest(look=("table", "show", name), make=("table", "make", name))


def _row(name: str, *, is_here: bool) -> Row:
    found = read_table(name) if is_here else None
    recipe = found.recipe if found else find_recipe(name)
    trials, planned = len(found.rows) if found else 0, len(recipe.planned())
    about = (recipe.space, recipe.data, recipe.resolution, recipe.images)
    return Row(name, *about, trials, planned)
