"""The table of the best genomes, as search and derive print it."""

from typing import Any

from gan_nas.cli.printing import (
    big,
    duration,
    lines,
    remark,
    short_name,
    show,
    table,
)
from gan_nas.scoring.protocols import by_importance, describe

RANKED_BY = {"adversarialnas": "log-probability", "degas": "log-odds, loss"}


def show_ranking(result: dict[str, Any]) -> None:
    """Print the top K with what they are ranked by, and costs, and how far that can be trusted."""
    ranked_by = RANKED_BY.get(result["method"], "reward, scores")
    parts = "stages" if result["method"] == "degas" else "cells"
    rows = table("", "genome", parts, ranked_by, numbers=[ranked_by])
    for place, row in enumerate(result["genomes"], start=1):
        size = [f"{big(row['parameters'])} params", f"{big(row['macs'])} MACs"]
        if "reward" in row:
            error = f" ± {result['reward_deviation']:.2g}" if place == 1 else ""
            rank = [f"{row['reward']:.4g}{error}", *_words(row["scores"])]
        else:
            rank = [f"{row.get('log_probability', row.get('log_odds')):.3f}"]
            if "loss" in row:
                rank.append(f"loss {row['loss']:.4g}")
        rows.add_row(
            str(place),
            lines([row["id"], *size]),
            lines(row["words"]),
            lines(rank),
            end_section=True,
        )
    if "supernet" in result:
        scores = {name: result["supernet"][name] for name in result["real"]}
        rows.add_row("", "supernet", "all operations mixed", lines(_words(scores)))
    if "loss" in result:
        rows.add_row("", "supernet", "all operations mixed", f"loss {result['loss']:.4g}")
    if "compared" in result:  # runs of version 0.1 lack it
        beside = result["compared"]
        if beside["num"] < result["passport"]["num_fake"]:
            what = "supernet" if "supernet" in result else "genome 1"
            scores = {
                name: value for name, value in beside["scores"].items() if name in result["real"]
            }
            rows.add_row("", what, f"{beside['num']:,} images only", lines(_words(scores)))
        rows.add_row(
            "", "real images", f"held out: {beside['num']:,}", lines(_words(result["real"]))
        )
    elif "real" in result:
        rows.add_row("", "real images", "held out", lines(_words(result["real"])))
    show(rows, "")
    remark(_trust(result), style="dim")
    remark(f"Found in {duration(result['seconds'])}; the genome files:", style="dim")
    remark("")
    show(*(row["file"] for row in result["genomes"]))


def _trust(result: dict[str, Any]) -> str:
    """Say what the ranking rests on."""
    if "entropy" in result:
        entropies = " and ".join(f"{k} {v:.3f}" for k, v in result["entropy"].items())
        rests_on, no_preference = {
            "adversarialnas": (
                "Log-probabilities are sums over the 21 edges under alpha.",
                "about 1.70 for alpha, 1.87 for beta is no preference at all",
            ),
            "degas": (
                "Log-odds sum the log-probabilities of the operations under alpha, of a residual "
                "less that of the best direct one, so that what pruning keeps comes first. The "
                "loss is that of reconstructions with the shared weights.",
                "2.20 for nine operations, 1.39 for four is no preference at all",
            ),
        }[result["method"]]
        return (
            f"{rests_on} Mean entropy of an edge, in nats: {entropies}; {no_preference}. See "
            "edges.png in the run directory. Nothing was trained alone yet."
        )
    meaning = {"score": "the classifier score", "frechet": "1 / Frechet distance"}
    return (
        f"The reward is {meaning[result['reward']]} on shared weights. Its deviation ± is that of "
        "the best one over other latents, on the same weights; another search seed moves a reward "
        "far more, so read smaller differences as noise."
    )


def show_retrained(result: dict[str, Any]) -> None:
    """Print the scores of the genomes trained alone, the best first, and the winner."""
    real: dict[str, float] = next((row["real"] for row in result["retrained"] if "real" in row), {})
    inherits = any(row.get("inherited_from") for row in result["retrained"])
    first = "inherited" if inherits else "untrained"
    columns = [(name, moment) for name in by_importance(real) for moment in (first, "best", "last")]
    titles = [lines([short_name(name), moment]) for name, moment in columns]
    rows = table("", "trained alone", *titles, numbers=titles)
    for place, row in enumerate(result["retrained"], start=1):
        if row["outcome"] != "completed":
            rows.add_row(str(place), row["id"], row["outcome"])
            remark(f"{row['id']} {row['outcome']}: {row['why']}", style="yellow")
            continue
        moments = row | {first: row["first"]}
        values = (f"{moments[moment][name]:.4g}" for name, moment in columns)
        rows.add_row(str(place), row["id"], *values)

    def at_last(scores: dict[str, float]) -> list[str]:
        return [f"{scores[name]:.4g}" if moment == "last" else "" for name, moment in columns]

    # Distances of fewer images are higher: beside few real images stand few generated ones.
    beside = [row for row in result["retrained"] if "compared" in row]
    for row in beside:
        if row["compared"]["num"] < row["passport"]["num_fake"]:
            few = lines([row["id"], f"{row['compared']['num']:,} images only"])
            rows.add_row("", few, *at_last(row["compared"]["scores"]))
    numbers = {row["compared"]["num"] for row in beside}
    told = [f"{num:,} held out" for num in sorted(numbers)]
    rows.add_row("", lines(["real images", *told]), *at_last(real))
    show(rows, "")
    if result["scored_differently"]:
        show(
            f"Scored differently, do not trust the order: {describe(result['scored_differently'])}"
        )
    if result["winner"] is not None:
        show(f"winner: {result['winner']} by {result['ranked_by']}, one seed each")


def _words(scores: dict[str, float]) -> list[str]:
    return [f"{short_name(name)} {scores[name]:.4g}" for name in by_importance(scores)]
