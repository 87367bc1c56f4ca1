"""The table of the best genomes, as search and derive print it."""

from typing import Any

from gan_nas.cli.printing import big, duration, remark, show, table

REWARDS = {"score": "classifier score", "frechet": "1 / Frechet distance"}


def show_ranking(result: dict[str, Any]) -> None:
    """Print the top K with rewards and costs, and how far the rewards can be trusted."""
    best, rows = result["genomes"][0], table("", "id", "cells", "reward", "scores", "size")
    for column in rows.columns[3:]:
        column.justify = "right"
    for place, row in enumerate(result["genomes"], start=1):
        scores = "\n".join(f"{_short(name)} {value:.4g}" for name, value in row["scores"].items())
        size = f"{big(row['parameters'])} parameters\n{big(row['macs'])} MACs"
        rows.add_row(
            str(place), row["id"], "\n".join(row["words"]), f"{row['reward']:.4g}", scores, size
        )
        rows.add_section()
    show(rows)
