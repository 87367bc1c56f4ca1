"""The table of the best genomes, as search and derive print it."""

from typing import Any

from gan_nas.cli.printing import big, by_importance, duration, remark, short_name, show, table


def show_ranking(result: dict[str, Any]) -> None:
    """Print the top K with rewards, scores and costs, and how far the rewards can be trusted."""
    rows = table("", "genome", "cells", "reward, scores", numbers=["reward, scores"])
    for place, row in enumerate(result["genomes"], start=1):
        size = f"{big(row['parameters'])} params\n{big(row['macs'])} MACs"
        reward = f"{row['reward']:.4g}"
        if place == 1:
            reward += f" ± {result['reward_deviation']:.2g}"
        rows.add_row(
            str(place),
            f"{row['id']}\n{size}",
            "\n".join(row["words"]),
            f"{reward}\n{_lines(row['scores'])}",
            end_section=True,
        )
    rows.add_row("", "real images", "held out", _lines(result["real"]))
    show(rows, "")
    meaning = {"score": "the classifier score", "frechet": "1 / Frechet distance"}
    remark(
        f"The reward is {meaning[result['reward']]} on shared weights. Its deviation ± is that of "
        "the best one over other latents, on the same weights; another search seed moves a reward "
        "far more, so read smaller differences as noise.",
        style="dim",
    )
    remark(f"Found in {duration(result['seconds'])}; the genome files:\n", style="dim")
    show(*(row["file"] for row in result["genomes"]))


def show_retrained(result: dict[str, Any]) -> None:
    """Print the scores of the genomes trained from scratch, the best first, and the winner."""
    real: dict[str, float] = next((row["real"] for row in result["retrained"] if "real" in row), {})
    columns = [
        (name, moment) for name in by_importance(real) for moment in ("untrained", "best", "last")
    ]
    titles = [f"{short_name(name)}\n{moment}" for name, moment in columns]
    rows = table("", "trained alone", *titles, numbers=titles)
    for place, row in enumerate(result["retrained"], start=1):
        if row["outcome"] == "failed":
            rows.add_row(str(place), row["id"], "failed")
            remark(f"{row['id']} failed: {row['why']}", style="yellow")
            continue
        moments = row | {"untrained": row["first"]}
        values = (f"{moments[moment][name]:.4g}" for name, moment in columns)
        rows.add_row(str(place), row["id"], *values)
    rows.add_row("", "real images", *(f"{real[n]:.4g}" if m == "last" else "" for n, m in columns))
    show(rows, "")
    if result["winner"] is not None:
        show(f"winner: {result['winner']} by {result['ranked_by']}, one seed each")


def _lines(scores: dict[str, float]) -> str:
    return "\n".join(f"{short_name(name)} {scores[name]:.4g}" for name in by_importance(scores))
