"""Tables of trials: kept in a file, looked up, and made so that a stop changes nothing."""

import json
from collections.abc import Callable
from importlib.resources import files
from math import inf
from pathlib import Path
from shutil import copytree
from typing import Any

import extras
import pytest
import tables
import tiny

from gan_nas.data import Images, load_images
from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.files import seal
from gan_nas.metrics.classifier import Kind, in_domain_classifier
from gan_nas.search import STRATEGIES, drive, load_method
from gan_nas.search.best import FREE
from gan_nas.search.strategies.budget import is_spent, whole
from gan_nas.search.strategies.strategy import Candidates
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.registry import load_space
from gan_nas.trials.agreement import between_seeds, seed_deviation, summarised
from gan_nas.trials.card import card
from gan_nas.trials.checking import Checked, check
from gan_nas.trials.exporting import csv_rows
from gan_nas.trials.lookup import TableEvaluator
from gan_nas.trials.making import OUTCOMES, make, packed, training_of
from gan_nas.trials.recipes import RECIPES, find_recipe, name_of
from gan_nas.trials.table import NAMES, Table, parse_table, read_table, table_names
from gan_nas.trials.trial import Outcome, Trial

MOST_BYTES = 3 << 20


@pytest.fixture(scope="module")
def table() -> Table:
    return tables.made_up()


def trial(number: int, table: Table, seed: int = 0, images: int | None = None) -> Trial:
    genome = table.recipe.genomes()[number]
    return Trial(genome=genome, images=images or table.moments[-1], seed=seed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"genomes": []}, "no genomes"),
        ({"moments": []}, "fewer than two moments"),
        ({"moments": [0, 4, 4]}, "twice"),
        ({"measures": ["classifier_score"]}, "two distances"),
        ({"judges": []}, "no judge of its own"),
        ({"rows": [{"genome": 288}]}, "row 0 is of a genome that it does not hold"),
        ({"rows": [{"genome": -1}]}, "row 0 is of a genome that it does not hold"),
        ({"rows": [{"scores": [[1.0]]}]}, "row 0 has other scores"),
        ({"rows": [{"scores": [[1.0] * 4] * 99}]}, "row 0 has other scores"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_refused(
    table: Table, changed: dict[str, Any], said: str
) -> None:
    content = table.model_dump(mode="json")
    if "rows" in changed:
        changed = {"rows": [content["rows"][0] | row for row in changed["rows"]]}
    with pytest.raises(InvalidInput, match=said):
        parse_table(seal(content | changed), "it")


def test_a_table_of_failures_can_be_looked_at(table: Table) -> None:
    failed = [
        row.model_copy(update={"status": "diverged", "scores": row.scores[:1]})
        for row in table.rows
    ]
    none = table.model_copy(update={"rows": tuple(failed)})
    summary = summarised(none, 3)
    assert summary.moments[0].median is not None
    assert [moment.median for moment in summary.moments[1:]] == [None] * (len(table.moments) - 1)
    assert card(none)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ("judges=classifier", "at least 2"),
        ("judges=", "at least 2"),
        ("judges=classifier,classifier", "twice"),
        ("space=adversarialnas", "at most 100,000"),
    ],
)
def test_what_no_table_can_hold_is_refused(sets: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        find_recipe("tied-digits", [sets]).genomes()


# Searches


@pytest.mark.parametrize("name", extras.methods(STRATEGIES))
def test_every_strategy_searches_a_table_through_the_driver(
    name: str, table: Table, tmp_path: Path
) -> None:
    file = tmp_path / "a table.json"
    recorded = table.model_copy(update={"data_fingerprint": tiny.digits().fingerprint})
    recorded.save(file)
    values = {"space": "autogan-tied", "evaluator": f"table:{file}", "trials": 6, "rungs": 2}
    values |= {"trial_images": None, "generation_images": 0}
    known = load_method(name).Config.model_fields
    values = {key: value for key, value in values.items() if key in known}
    result = drive.search(name, tiny.search_task(name, **values), tmp_path / "r")
    evaluate = TableEvaluator(table=recorded)
    for row in result.genomes:
        genome = read_genome(Path(row.file))
        images = int(row.values["images"])
        outcome = evaluate(Trial(genome=genome, images=images, seed=0))
        assert row.values["distance"] == outcome.distance
    assert not (tmp_path / "r" / "trials").exists()


def test_a_table_of_other_images_or_of_another_space_is_refused(
    table: Table, tmp_path: Path
) -> None:
    file = tmp_path / "t.json"
    table.save(file)
    for space, evaluator, error, said in (
        ("autogan", f"table:{file}", InvalidInput, "space = autogan and evaluator = table:"),
        ("autogan-tied", f"table:{file}", Incompatible, "the table made-up is of digits"),
        ("autogan-tied", "table", InvalidInput, "name a table, table:NAME or table:FILE"),
        ("autogan-tied", "tabel:x", InvalidInput, "unknown evaluator 'tabel', did you mean table"),
    ):
        with pytest.raises(error, match=said):
            tiny.run_search(
                "random", tmp_path / "run", space=space, evaluator=evaluator, trial_images=None
            )


# Recipes


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_begins_with_seed_0_of_every_genome_and_has_no_trial_twice(name: str) -> None:
    recipe = find_recipe(name)
    planned, number = recipe.planned(), load_space(recipe.space).count()
    assert {one.number for one in planned[:number]} == set(range(number))
    assert {(one.seed, one.framework) for one in planned[:number]} == {(0, recipe.framework)}
    assert len({one.name for one in planned}) == len(planned)
    second = [one for one in planned if one.framework == recipe.second_framework]
    assert {one.number for one in second} == {one.number for one in planned[:29]}
    assert name_of(recipe) == name
    assert name_of(find_recipe(name, ["width=7"])) is None


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_scores_at_every_fidelity_and_can_be_halved(name: str) -> None:
    recipe = find_recipe(name)
    for framework in (recipe.framework, recipe.second_framework):
        assert framework is not None
        config = training_of(recipe, framework)
        assert config.framework == framework
        images = [step * config.batch_size * config.num_critic for step in config.score_at]
        assert images == recipe.fidelities
    assert len(recipe.fidelities) == 6
    for eta in (2, 3):
        assert {recipe.images // eta**rung for rung in range(3)} <= set(recipe.fidelities)


def test_images_that_are_no_steps_are_refused() -> None:
    with pytest.raises(InvalidInput, match="in steps of 16: take 36 times as many"):
        training_of(find_recipe("tied-digits", ["images=1000"]), "hinge-sn")
    with pytest.raises(InvalidInput, match="unknown table 'tied-digit', did you mean tied-digits"):
        find_recipe("tied-digit")


# The file


def test_a_table_comes_back_from_its_file(table: Table, tmp_path: Path) -> None:
    table.save(tmp_path / "a.json")
    assert read_table(tmp_path / "a.json") == table
    assert (tmp_path / "a.json").stat().st_size < MOST_BYTES


def test_a_damaged_file_is_refused(table: Table, tmp_path: Path) -> None:
    text = seal(table.model_dump(mode="json"))
    damaged = text.replace('"seconds": 20.0', '"seconds": 21.0', 1)
    assert damaged != text
    for content in (damaged, text[:-1], "{}", "no JSON", ""):
        with pytest.raises(InvalidInput, match="its hash does not hold"):
            parse_table(content, "a.json")
    newer = seal(table.model_dump(mode="json") | {"format": 2})
    with pytest.raises(Incompatible, match=r"a table of format 2, and this version .* reads 1"):
        parse_table(newer, "a.json")
    content = table.model_dump(mode="json")
    del content["moments"]
    with pytest.raises(InvalidInput, match="is no table: the field moments is missing"):
        parse_table(seal(content), "a.json")
    with pytest.raises(InvalidInput, match="neither a table's file nor one that comes with"):
        read_table(tmp_path / "absent.json")


@pytest.mark.parametrize("name", table_names())
def test_packaged_tables_are_small_and_their_cards_are_theirs(name: str) -> None:
    folder = files(NAMES)
    known = read_table(name)
    assert known.name == name
    ids = [(genome.genome_id, genome.generator_id) for genome in known.recipe.genomes()]
    assert [(entry.id, entry.generator_id) for entry in known.genomes] == ids
    assert len((folder / f"{name}.json").read_bytes()) < MOST_BYTES
    assert (folder / f"{name}.md").read_text("utf-8") == card(known)


# Looking up


def test_a_trial_is_answered_by_what_is_recorded(table: Table) -> None:
    evaluator = TableEvaluator(table=table)
    for row in table.rows[::97]:
        if row.framework != table.recipe.framework or row.status != "completed":
            continue
        for place, images in enumerate(table.moments[1:], start=1):
            asked = trial(row.genome, table, row.seed, images)
            found = evaluator(asked)
            assert found.trial == asked
            assert found.distance == row.scores[place][0]
            assert [score["images"] for score in found.scores] == list(table.moments[: place + 1])
            assert found.scores[-1][tables.MEASURES[3]] == row.scores[place][3]
            share = images / table.moments[-1]
            assert found.processor_seconds == pytest.approx(share * row.processor_seconds)
            assert found.passport is not None
            assert found.passport.seed == row.seed
            assert (found.parameters, found.macs) == (1000 + row.genome, 2000 + row.genome)


def test_a_fidelity_between_two_is_answered_by_the_lower_and_others_are_refused(
    table: Table,
) -> None:
    evaluator = TableEvaluator(table=table)
    lower, upper = table.moments[2:4]
    between = evaluator(trial(3, table, images=upper - 1))
    assert between.distance == evaluator(trial(3, table, images=lower)).distance
    assert between.scores[-1]["images"] == lower
    for images in (1, table.moments[1] - 1, table.moments[-1] + 1):
        with pytest.raises(InvalidInput, match=r"allowed are 512 to 4,608$"):
            evaluator(trial(3, table, images=images))


def test_seeds_are_taken_in_turn_and_widths_are_the_tables(table: Table) -> None:
    evaluator = TableEvaluator(table=table)
    losses = [evaluator(trial(3, table, seed)).loss for seed in range(6)]
    assert losses[:3] == losses[3:]
    assert len(set(losses)) == 3
    asked = trial(3, table)
    wide = asked.model_copy(update={"genome": asked.genome.resized(64, 32)})
    assert evaluator(wide).loss == losses[0]
    assert evaluator(wide).trial == wide


def test_a_failed_trial_is_an_outcome_and_its_early_scores_count(table: Table) -> None:
    evaluator = TableEvaluator(table=table)
    late = evaluator(trial(tables.FAILED, table))
    assert (late.status, late.loss, len(late.scores)) == ("diverged", inf, 3)
    assert evaluator(trial(tables.FAILED, table, images=table.moments[2])).status == "completed"
    early = evaluator(trial(tables.EARLY, table, images=table.moments[1]))
    assert (early.status, early.scores) == ("diverged", ())


def test_what_a_table_does_not_hold_is_told(table: Table) -> None:
    evaluator = TableEvaluator(table=table)
    other = trial(0, table).model_copy(update={"genome": published_genome("autogan-cifar10-top1")})
    with pytest.raises(InvalidInput, match="holds no genome autogan-cifar10-top1"):
        evaluator(other)
    number = table.rows[0].genome
    part = table.model_copy(update={"rows": table.rows[1:288]})
    missing = TableEvaluator(table=part)(trial(number, table))
    assert (missing.status, missing.loss) == ("interrupted", inf)
    second = TableEvaluator(table=table, framework="mmd")
    assert second(trial(number, table)).loss != evaluator(trial(number, table)).loss


@pytest.mark.parametrize("name", extras.methods(STRATEGIES))
def test_every_strategy_searches_a_table(name: str, table: Table) -> None:
    images = table.moments[-1]
    config = load_method(name).Config(space=table.recipe.space, trials=40, trial_images=images)
    space = load_space(config.space)
    choices = Candidates(space, config, lambda genome: FREE)
    strategy = load_method(name).strategy(config, choices, whole(config))  # type: ignore[attr-defined]
    evaluator, outcomes = TableEvaluator(table=table), list[Outcome]()
    while not is_spent(config, outcomes) and (asked := strategy.ask()) is not None:
        outcomes.append(evaluator(asked))
        strategy.tell(outcomes[-1])
    assert len(outcomes) == 40
    assert min(one.loss for one in outcomes) < inf
    for one in outcomes:
        assert {one.trial.images} <= set(table.moments)


# Agreement


def test_agreement_is_one_where_seeds_tell_the_same_and_less_with_noise(table: Table) -> None:
    assert 0.9 < (between_seeds(table) or 0) < 1
    assert 0.01 < (seed_deviation(table) or 0) < 0.03
    first = {row.genome: row.scores for row in table.rows if row.seed == 0}
    same = [row.model_copy(update={"scores": first[row.genome]}) for row in table.rows]
    equal = table.model_copy(update={"rows": tuple(same)})
    assert between_seeds(equal) == pytest.approx(1)
    assert seed_deviation(equal) == pytest.approx(0)
    one_seed = table.model_copy(update={"rows": table.rows[:288]})
    assert (between_seeds(one_seed), seed_deviation(one_seed)) == (None, None)


def test_a_summary_counts_failures_and_ranks_by_means(table: Table) -> None:
    summary = summarised(table, 5)
    assert summary.failed["diverged"] >= 6
    assert [one.mean for one in summary.best] == sorted(one.mean for one in summary.best)
    assert [one.seeds for one in summary.best] == [3] * 5
    assert summary.processor_hours == pytest.approx(len(table.rows) * 10 / 3600)
    assert summary.moments[-1].with_the_end == pytest.approx(1)


def test_a_card_says_how_complete_a_table_is(table: Table) -> None:
    assert "Complete: 951 trials." in card(table)
    part = table.model_copy(update={"rows": table.rows[:300]})
    assert "**Not complete: 300 of 951 trials.**" in card(part)
    assert "CC-BY-4.0" in card(part)


def test_csv_has_a_row_for_each_trial_and_moment(table: Table) -> None:
    rows = list(csv_rows(table))
    assert len(rows) == sum(max(1, len(row.scores)) for row in table.rows)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}


# Making


@pytest.fixture(scope="module")
def images() -> Images:
    return load_images("digits")


@pytest.fixture(scope="module")
def judged(images: Images) -> dict[str, Any]:
    """Who judges a tiny table, and where."""
    kinds: tuple[Kind, ...] = ("classifier", "residual")
    judges = [in_domain_classifier(images, None, tiny.CPU, kind=kind) for kind in kinds]
    return {"judges": judges, "device": tiny.CPU}


@pytest.fixture(scope="module")
def made(images: Images, judged: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("tables") / "tiny"
    assert make(find_recipe("tied-digits", tables.TINY), images, run, **judged) == (3, 3)
    return run


def timeless(table: Table) -> Table:
    rows = [row.model_copy(update={"seconds": 0, "processor_seconds": 0}) for row in table.rows]
    made = {key: value for key, value in table.made.items() if key != "until"}
    return table.model_copy(update={"rows": tuple(rows), "made": made, "name": "tiny"})


def stopper(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.mark.slow
def test_a_table_that_was_stopped_again_and_again_is_the_one_that_was_not(
    made: Path, images: Images, judged: dict[str, Any], tmp_path: Path
) -> None:
    recipe, run, stops = find_recipe("tied-digits", tables.TINY), tmp_path / "tiny", 0
    while True:
        try:
            make(recipe, images, run, stop=stopper(40), **judged)
        except Interrupted:
            stops += 1
        else:
            break
    assert stops >= 2
    assert timeless(packed(run)) == timeless(packed(made))


def test_of_trainings_nothing_but_outcomes_is_kept(made: Path) -> None:
    assert not list((made / "trials").iterdir())
    assert len(list((made / OUTCOMES).iterdir())) == 3
    assert sum(path.stat().st_size for path in (made / OUTCOMES).iterdir()) < 3 * 8_000


def test_a_part_is_packed_and_says_so(made: Path, tmp_path: Path) -> None:
    whole_table = packed(made)
    assert whole_table.is_complete
    assert whole_table.measures == tables.MEASURES
    assert {len(row.scores) for row in whole_table.rows} == {7}
    copy = tmp_path / "part"
    (copy / OUTCOMES).mkdir(parents=True)
    for name in ("config.json", "passports.json"):
        (copy / name).write_text((made / name).read_text())
    with pytest.raises(InvalidInput, match="no trial has ended"):
        packed(copy)
    one = sorted((made / OUTCOMES).iterdir())[0]
    (copy / OUTCOMES / one.name).write_text(one.read_text())
    part = packed(copy)
    outcome = json.loads(one.read_text()) | {"micro_batch": 1}  # memory did not suffice for 2
    (copy / OUTCOMES / one.name).write_text(json.dumps(outcome))
    (halved,) = packed(copy).rows
    assert halved == part.rows[0].model_copy(update={"micro_batch": 1})
    asked = trial(halved.genome, part, halved.seed, part.moments[-1])
    assert TableEvaluator(table=packed(copy))(asked).micro_batch == 1
    assert (len(part.rows), part.planned, part.is_complete) == (1, 3, False)
    assert part.rows[0] in whole_table.rows


@pytest.mark.parametrize("name", ["outcomes", "passports.json", "config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"classifier": 1, "residual": []}'])
def test_what_was_not_written_so_is_refused_in_a_sentence(
    made: Path, tmp_path: Path, name: str, content: str
) -> None:
    copy = copytree(made, tmp_path / "copy")
    path = copy / name
    (min(path.iterdir()) if path.is_dir() else path).write_text(content)
    with pytest.raises((InvalidInput, Incompatible)):
        packed(copy)


def test_another_recipe_is_refused_in_the_same_directory(
    made: Path, images: Images, judged: dict[str, Any]
) -> None:
    other = find_recipe("tied-digits", [*tables.TINY, "seeds=2"])
    with pytest.raises(Incompatible, match=r"recipe\.seeds: 1 -> 2"):
        make(other, images, made, **judged)


def test_a_checked_trial_is_equal_to_the_last_digit_and_others_are_told(
    made: Path, images: Images, judged: dict[str, Any], tmp_path: Path
) -> None:
    def checked(table: Table) -> Checked:
        (one,) = check(table, images, tmp_path / "a", count=1, seed=0, **judged)
        return one

    known = packed(made)
    assert checked(known).is_equal
    assert checked(known).holds
    rows = [
        row.model_copy(update={"scores": tuple((9 * d, *others) for d, *others in row.scores)})
        for row in known.rows
    ]
    false = checked(known.model_copy(update={"rows": tuple(rows)}))
    assert not false.is_equal
    assert not false.holds
    with pytest.raises(Incompatible, match="is not what the table"):
        checked(known.model_copy(update={"data_fingerprint": "other"}))


def test_a_trial_that_fails_is_kept_with_the_scores_before(
    images: Images, judged: dict[str, Any], tmp_path: Path
) -> None:
    texts = [text for text in tables.TINY if not text.startswith("training")]
    hot = "training=batch_size=2,generator_batch_size=2,num_scored=20,generator_lr=1"
    recipe = find_recipe("tied-digits", [*texts, "only=1", "seeds=1", hot])
    make(recipe, images, tmp_path / "hot", **judged)
    row, *_ = packed(tmp_path / "hot").rows
    assert row.status in ("diverged", "collapsed")
    assert row.why
    assert 1 <= len(row.scores) < 7
