"""Optuna's samplers and pruners as a strategy."""

from math import inf
from pathlib import Path

import extras
import pytest
import tiny
from landscape import config_of, landscape, searched, strategy_of

from gan_nas.cli import run
from gan_nas.errors import InvalidInput


@extras.needs_optuna
@pytest.mark.parametrize("space", [pytest.param("adversarialnas", marks=pytest.mark.slow), "toy"])
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        *((sampler, "none") for sampler in ("random", "nsga2", "cmaes")),
        *(("tpe", pruner) for pruner in ("median", "halving", "hyperband")),
        pytest.param("gp", "none", marks=pytest.mark.slow),
    ],
)
def test_every_sampler_and_pruner_of_optuna_goes_on_from_its_history(
    sampler: str, pruner: str, space: str, plugin: Path
) -> None:
    config = config_of(
        "optuna", space=space, trials=45, sampler=sampler, pruner=pruner, startup=4, eta=3, rungs=3
    )
    outcomes = searched("optuna", config, landscape(space))
    assert len(outcomes) == 45
    again = strategy_of("optuna", config)
    for outcome in outcomes:
        assert again.ask() == outcome.trial
        again.tell(outcome)
    reached: dict[str, list[int]] = {}
    for outcome in outcomes:
        reached.setdefault(outcome.trial.name, []).append(outcome.trial.images)
    rungs = [100, 300, 900] if pruner != "none" else [900]
    assert all(images == rungs[: len(images)] for images in reached.values())
    assert list(reached) == list(dict.fromkeys(one.trial.name for one in outcomes))
    pruned = sum(len(images) < 3 for images in reached.values())
    assert pruner == "none" or 1 < pruned < len(reached)


@extras.needs_optuna
def test_a_study_is_kept_for_the_dashboard_of_optuna_and_made_anew_on_going_on(
    tmp_path: Path,
) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    config = config_of("optuna", trials=20, pruner="median")
    judge = landscape("autogan")
    outcomes = searched("optuna", config, lambda one: judge(one) if judge(one) < 0.8 else inf)
    for _ in range(2):
        strategy = strategy_of("optuna", config)
        for outcome in outcomes:
            assert strategy.ask() == outcome.trial
            strategy.tell(outcome)
            strategy.export(tmp_path)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    kept = {
        trial.user_attrs["genome"]: trial
        for trial in optuna.load_study(study_name=None, storage=storage).trials
        if "genome" in trial.user_attrs
    }
    last = {one.trial.genome.genome_id: one for one in outcomes}
    assert list(kept) == [name for name in last if name in kept]
    assert len(last) - len(kept) <= 1  # the newest may be going on
    for name, trial in kept.items():
        state, end = trial.state.name, last[name]
        if end.status != "completed":
            assert state == "FAIL"
            continue
        assert state == ("COMPLETE" if end.trial.images == 900 else "PRUNED")
        assert trial.value == end.loss
        assert max(trial.intermediate_values, default=100) in (100, 300)
    assert {trial.state.name for trial in kept.values()} == {"COMPLETE", "PRUNED", "FAIL"}


def test_without_its_extra_optuna_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("gan_nas.search.strategies.optuna.find_spec", lambda name: None)
    for more in ((), ("--dry-run",), ("--space", "degas")):
        assert run(["search", "--method", "optuna", "--run", str(tmp_path / "run"), *more]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "optuna, which is not installed: pip install 'gan-nas[optuna]'" in said.err
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match="needs optuna"):
        tiny.run_search("optuna", tmp_path / "run")
