"""AutoGAN's Algorithm 1, property by property; each deviation from the authors' code is pinned."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from gan_nas.configs import resolve
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.slots import inherited_state
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import read_state
from gan_nas.runs.run import Run, read_log
from gan_nas.search import drive, load_method
from gan_nas.search.autogan.config import PRESETS, Config
from gan_nas.search.autogan.search import AutoGANSearch, State
from gan_nas.search.autogan.shared_gan import choose_tokens, new_shared_gan
from gan_nas.search.retraining import retrain_all
from gan_nas.spaces.genome import read_genome
from gan_nas.training.config import TrainingConfig


def working(directory: Path | None = None, **changes: Any) -> AutoGANSearch:
    """Start a search; with a directory its log is written there."""
    task = tiny.search_task("autogan", **changes)
    if directory is not None:
        run = Run.open(directory, task.config.model_dump(mode="json"))
        task = replace(task, ledger=Ledger(run))
    return AutoGANSearch(task, None)


def pass_through(work: AutoGANSearch, *phases: str) -> None:
    """Go on to the end of these phases."""
    for phase in phases:
        assert work.state.phase == phase
        while work.state.phase == phase and not (phase == "end" and work.finished):
            work.advance()


def test_the_presets_have_the_published_schedules() -> None:
    paper, published = (resolve(Config, PRESETS[name]) for name in ("paper", "published"))
    assert (paper.iterations, paper.grow_at, paper.entropy_weight) == (90, (25, 55), 1e-4)
    assert (published.iterations, published.grow_at) == (65, (15, 35))
    assert published.entropy_weight == 1e-3
    assert paper.discriminator_steps == 15 * -(-50_000 // 64)


def test_each_level_has_its_own_side_controller_and_parents() -> None:
    work = working()
    seen = []
    while work.state.iteration < work.config.iterations:
        tokens = len(work.policy.controller.token_sizes)
        side = work.batches.at(0).shape[-1]
        seen.append((work.state.level, side, tokens, len(work.policy.parents)))
        pass_through(work, "shared", "controller", "end")
    assert seen == [(0, 4, 4, 0), (1, 8, 5, 2), (2, 16, 5, 2), (2, 16, 5, 2)]
    assert [len(tokens) for tokens in work.state.found] == [14, 14]


@pytest.mark.parametrize("level", range(3))
def test_a_search_goes_on_that_called_its_level_a_stage(level: int) -> None:
    state = State(level=level)
    stored = state.model_dump(mode="json")
    older = {name if name != "level" else "stage": value for name, value in stored.items()}
    assert older["stage"] == level
    assert read_state(State, older) == read_state(State, stored) == state


@pytest.mark.parametrize("name", State.model_fields)
def test_state_that_lacks_something_is_refused(name: str) -> None:
    stored = State().model_dump(mode="json")
    with pytest.raises(Incompatible, match=f"it lacks {name};"):
        read_state(State, {key: value for key, value in stored.items() if key != name})


@pytest.mark.parametrize("state", [[None, 0.0, 3], [1.0, 0.5, 0], [1.0, 0.5, -1], [1.0, None, 1]])
def test_what_a_controller_cannot_remember_is_refused(state: list[float | None]) -> None:
    with pytest.raises(ValueError, match="is no baseline"):
        working().policy.reinforce.load_state(state)


def test_children_start_from_a_parents_tokens_and_lstm_state() -> None:
    work = working()
    pass_through(work, "shared", "controller", "end")
    parents = {parent.tokens: parent for parent in work.policy.parents}
    tokens, (h, c) = work.policy._start(20, torch.Generator(device="cpu").manual_seed(0))
    assert set(tokens) == set(parents)
    for row, token in enumerate(tokens):
        assert torch.equal(h[row], parents[token].h)
        assert torch.equal(c[row], parents[token].c)
        assert h[row].abs().sum() > 0
    assert all(c.tokens[:4] in parents for c in work.policy.draw(20, torch.Generator(device="cpu")))


def test_growth_keeps_shared_weights_and_optimiser_state() -> None:
    work = working()
    pass_through(work, "shared", "controller")
    before = {k: t.clone() for k, t in work.gan.saved()["generator_optimizer"].read().items()}
    weights = work.gan.generator.get_parameter("stem.weight").clone()
    controller = work.policy.controller
    pass_through(work, "end")
    after = work.gan.saved()["generator_optimizer"].read()
    assert work.state.level == 1
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(weights, work.gan.generator.get_parameter("stem.weight"))
    assert work.policy.controller is not controller
    assert not any(name.startswith("cells.1.") for name in after)  # fresh when first used


def test_unused_weights_are_left_alone_by_the_optimiser() -> None:
    """PyTorch 1.1's zero gradients moved their state; None does not."""
    work = working(num_critic=1)
    used = (0, 1, 0, 0)  # post-activation, batch norm, bilinear, no shortcut
    choose_tokens(work.gan, used)
    z = work._latents("test", 0, 8)
    before = {k: p.detach().clone() for k, p in work.gan.generator.named_parameters()}
    work.gan.generator_step(z)
    parameters = dict(work.gan.generator.named_parameters())
    active = {id(tensor) for tensor in inherited_state(work.gan.generator).values()}
    names = {name for name, parameter in parameters.items() if id(parameter) in active}
    changed = {name for name in before if not torch.equal(before[name], parameters[name])}
    assert changed <= names
    stateful = {name.rpartition(".")[0] for name in work.gan.saved()["generator_optimizer"].read()}
    assert stateful <= names


def test_a_standing_loss_triggers_the_reset_and_the_controller_survives_it() -> None:
    work = working(reset_threshold=1e9, iterations=5, grow_at=(2, 3))
    weights = work.gan.generator.get_parameter("stem.weight").clone()
    pass_through(work, "shared")
    assert work.state.reset_pending
    assert work.state.shared_step == 4  # two generator losses fill the window; shared training ends
    trained = work.gan.generator.get_parameter("stem.weight").clone()
    pass_through(work, "controller")
    policy = [p.detach().clone() for p in work.policy.controller.parameters()]
    assert torch.equal(trained, work.gan.generator.get_parameter("stem.weight"))
    pass_through(work, "end")
    fresh = work.gan.generator.get_parameter("stem.weight")
    assert work.state.num_resets == 1
    assert not torch.equal(fresh, trained)
    assert not torch.equal(fresh, weights)  # another initialisation, not the first one again
    assert all(
        torch.equal(a, b) for a, b in zip(policy, work.policy.controller.parameters(), strict=True)
    )
    assert work.d_losses.count == 0
    assert work.gan.saved()["generator_optimizer"].read() == {}


@pytest.mark.parametrize(("num_critic", "reset_check_every"), [(1, 1), (2, 7), (5, 1), (5, 2)])
def test_a_generator_that_has_not_had_its_turn_triggers_no_reset(
    tmp_path: Path, num_critic: int, reset_check_every: int
) -> None:
    """A look at the windows comes before the generator's first loss, or after some of them."""
    work = working(
        tmp_path,
        num_critic=num_critic,
        reset_check_every=reset_check_every,
        reset_window=500,
        discriminator_steps=8,
    )
    pass_through(work, "shared")
    assert not work.state.reset_pending
    assert (work.state.shared_step, work.state.phase) == (8, "controller")
    rows = [row for row in read_log(tmp_path) if row["event"] == "losses"]
    assert rows
    assert all(("g_loss" in row) == (row["step"] >= num_critic) for row in rows)


def test_candidates_are_scored_before_a_pending_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authors' code may choose parents on a generator that was just re-initialised."""
    work = working(reset_threshold=1e9)
    order: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        original = getattr(work, name)

        def call(*args: Any, **named: Any) -> Any:
            order.append(name)
            return original(*args, **named)

        return call

    for name in ("best", "_reset", "_enter_level"):
        monkeypatch.setattr(work, name, noted(name))
    pass_through(work, "shared", "controller", "end")
    assert order == ["best", "_reset", "_enter_level"]


def test_candidates_may_be_scored_after_the_reset_as_in_the_code() -> None:
    """Then they are children of a generator that nothing has trained, at the very end too."""
    for iteration in (0, 3):
        work = working(candidates_from="reset", reset_threshold=1e9, num_critic=1)
        work.state.iteration = iteration
        if iteration:
            work.state.level = 2
            work._enter_level(parents=work.policy.candidates(2, "x", 0))
            work.policy.parents = [p._replace(tokens=(0,) * 9) for p in work.policy.parents]
        pass_through(work, "shared")
        assert work.state.reset_pending
        pass_through(work, "controller")
        before = dict(work.state.scores)
        assert before
        pass_through(work, "end")
        assert work.state.num_resets == 1
        fresh = new_shared_gan(work.config, 16, 1, tiny.CPU, num_resets=1)
        assert torch.equal(
            work.gan.generator.get_parameter("stem.weight"),
            fresh.generator.get_parameter("stem.weight"),
        )
        again = [tokens for tokens in before if tokens in work.state.scores]
        assert all(before[tokens] != work.state.scores[tokens] for tokens in again)


def test_fresh_latents_are_those_of_their_occasion_and_the_same_make_rewards_comparable() -> None:
    tokens = (0, 1, 0, 0)
    same = working()
    reward = same.children.rewards("controller", 0)
    assert reward(tokens) == reward(tokens) == same.children.rewards("candidates", 1)(tokens)
    fresh = working(score_latents="fresh")
    occasions = [("controller", 0), ("controller", 1), ("candidates", 0)]
    rewards = [fresh.children.rewards(*occasion) for occasion in occasions]
    drawn = [reward(tokens) for reward in rewards for _ in range(2)]
    assert len(set(drawn)) == 6
    assert fresh.children.rewards("controller", 1)(tokens) == drawn[2]
    assert fresh.children.reward(tokens) == drawn[2]  # the last one stays, for the table of results


def test_losses_that_are_not_finite_start_the_shared_gan_anew() -> None:
    work = working()
    work.gan.generator.get_parameter("stem.weight").data.fill_(float("nan"))
    pass_through(work, "shared")
    assert work.state.reset_pending


def test_a_child_that_diverged_has_the_lowest_reward() -> None:
    work = working()
    work.gan.generator.get_parameter("to_rgb.conv.weight").data.fill_(float("nan"))
    for average in work.gan._averages:
        average.fill_(float("nan"))
    assert work.children.reward((0, 1, 0, 0)) == 0.0


def test_a_child_is_scored_once_while_the_weights_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = working(controller_steps=60, controller_lr=1e-3)
    counted: list[tuple[int, ...]] = []
    original = work.children._score

    def score(tokens: tuple[int, ...], seed: int) -> dict[str, float]:
        counted.append(tokens)
        return original(tokens, seed)

    monkeypatch.setattr(work.children, "_score", score)
    pass_through(work, "shared", "controller")
    assert len(counted) == len(set(counted)) <= 36
    pass_through(work, "end")
    pass_through(work, "shared")
    assert work.state.scores == {}  # other weights, other scores


def test_rewards_do_not_depend_on_what_was_scored_before() -> None:
    work = working()
    pass_through(work, "shared")
    first = work.children.reward((0, 1, 0, 0))
    buffers = {k: t.clone() for k, t in work.gan.generator.named_buffers()}
    work.children.reward((1, 1, 1, 1))
    work.state.scores.clear()
    assert work.children.reward((0, 1, 0, 0)) == first
    after = dict(work.gan.generator.named_buffers())
    assert all(torch.equal(buffers[name], after[name]) for name in buffers)


@pytest.mark.parametrize("statistics", ["child", "shared"])
def test_a_childs_norm_statistics_are_its_own_unless_shared(statistics: str) -> None:
    work = working(norm_statistics=statistics)
    pass_through(work, "shared")
    before = work.children.reward((1, 1, 1, 1))
    for name, buffer in work.gan.generator.named_buffers():
        if name.endswith("running_var"):
            buffer.mul_(100)
    work.state.scores.clear()
    assert (work.children.reward((1, 1, 1, 1)) == before) == (statistics == "child")


def test_candidates_are_distinct_unless_asked_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    work = working()
    assert len({c.tokens for c in work.policy.candidates(30, "x", 0)}) == 30
    assert len(work.best(40, 38, "candidates")) == 36  # there are no more
    assert "the policy offers no more distinct ones" in caplog.text
    repeated = working(distinct=False).policy.candidates(40, "x", 0)
    assert len(repeated) == 40
    assert len({c.tokens for c in repeated}) < 40


def test_as_many_candidates_are_drawn_as_may_be_asked_for() -> None:
    most = next(m.le for m in Config.model_fields["num_candidates"].metadata if hasattr(m, "le"))
    repeated = working(distinct=False, levels="single").policy
    assert len(repeated.candidates(most, "x", 0)) == most
    distinct = working(levels="single").policy.candidates(most, "x", 0)
    assert len(distinct) == most
    assert len({candidate.tokens for candidate in distinct}) == most
    few = working(levels="single").policy.candidates(7, "x", 0)
    assert [c.tokens for c in few] == [c.tokens for c in distinct[:7]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"top_k": 5}, "top_k 5 is above num_candidates 4"),
        ({"num_critic": 7}, "num_critic 7 is above discriminator_steps 6"),
    ],
)
def test_settings_that_could_not_do_what_they_say_are_refused_before_a_run_is_made(
    tmp_path: Path, changes: dict[str, int], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        tiny.run_search("autogan", tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match=sentence):
        drive.plan(load_method("autogan"), tiny.search_task("autogan", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": "single", "iterations": 2, "precision": "bf16"},
        {"reward": "frechet", "update": "legacy", "skip_tap": "pre"},
        {"passes": "apart", "generator_turn": "first", "num_critic": 7, "iterations": 3}
        | {"ema_decay": 0.0, "controller_batch_size": 3, "distinct": False},
    ],
    ids=str,
)
def test_every_variant_runs_to_its_end(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = tiny.run_search("autogan", tmp_path / "run", **changes)
    assert len(result.genomes) == 2
    if changes.get("reward") == "frechet":
        for row in result.genomes:
            distance = row.scores["frechet_distance[classifier]"]
            assert row.values["reward"] == pytest.approx(1 / distance)
    for row in result.genomes:
        genome = read_genome(Path(row.file))
        assert genome.generator.skip_tap == changes.get("skip_tap", "post")


def test_the_single_level_variant_has_one_controller_of_all_tokens() -> None:
    work = working(levels="single")
    assert len(work.policy.controller.token_sizes) == 14
    assert work.batches.at(0).shape[-1] == 16
    assert len(work._architecture(0)) == 14


def test_a_reward_by_classes_needs_a_backbone_that_knows_them(tmp_path: Path) -> None:
    blind = Backbone("rotation", "tiny", 8, 1, labelled=False, network=tiny.Features())
    task = replace(tiny.search_task("autogan"), backbone=blind)
    with pytest.raises(InvalidInput, match="reward=frechet"):
        drive.search("autogan", task, tmp_path)


@pytest.mark.cuda
def test_a_search_and_its_best_genomes_training_on_a_gpu(tmp_path: Path) -> None:
    cuda = torch.device("cuda")
    network = tiny.Features().to(cuda)
    features = Backbone("classifier", "tiny", 8, 1, labelled=True, network=network)
    task = tiny.search_task("autogan", precision="bf16")
    result = drive.search("autogan", replace(task, device=cuda, backbone=features), tmp_path / "s")
    genomes = [read_genome(Path(row.file)) for row in result.genomes]
    trained = retrain_all(
        tmp_path,
        genomes,
        tiny.digits(),
        TrainingConfig.model_validate(tiny.TRAINING | {"precision": "bf16"}),
        resolution=16,
        device=cuda,
        backbone=features,
    )
    assert trained.winner
