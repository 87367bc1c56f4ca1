from pathlib import Path

import pytest
import torch

from gan_nas.cli.inputs import (
    compute_on,
    data_for,
    options_again,
    settings,
    whole_number,
)
from gan_nas.configs import DATA_OF_PRESETS
from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.search import FOLDERS, load_method, method_names
from gan_nas.spaces.frameworks import FRAMEWORKS
from gan_nas.spaces.registry import BUILT_IN
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.presets import PRESETS


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, None),
        ("12", 12),
        ("4_405_251", 4_405_251),
        ("4,405,251", 4_405_251),
        ("300k", 300_000),
        ("1.5M", 1_500_000),
        ("2G", 2_000_000_000),
        ("1.765 g", 1_765_000_000),
    ],
)
def test_numbers_may_carry_units(text: str | None, number: int | None) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5X", "M", "1e6", "1.2.3", "1,5M", "1,50", "9" * 400])
def test_other_texts_are_no_numbers(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a number such as"):
        whole_number(text)


def test_devices_are_found_or_refused() -> None:
    assert compute_on("cpu", None) == torch.device("cpu")
    assert compute_on("auto", None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InvalidInput, match="unknown device 'tpu'; allowed are auto, cpu, cuda"):
        compute_on("tpu", None)
    with pytest.raises(MissingResource, match="this machine has no device cuda:99"):
        compute_on("cuda:99", None)


@pytest.mark.parametrize(
    ("kind", "precision", "sets", "expected"),
    [
        ("cuda", "auto", ["precision=float32"], "float32"),
        ("cpu", "bf16", ["precision=float32"], "bf16"),
    ],
)
def test_precision_follows_option_then_set_then_device(
    kind: str, precision: str, sets: list[str], expected: str
) -> None:
    device = torch.device(kind)
    config = settings(TrainingConfig, PRESETS, "demo", sets, precision, device, seed=3)
    assert config.precision == expected
    assert config.seed == 3


def test_only_other_values_than_the_defaults_are_repeated() -> None:
    assert options_again(data="digits", preset="demo", resolution=None) == ()
    again = options_again(data="my images", preset="paper", device="cuda", resolution=32)
    assert again == (
        *("--data", "my images", "--resolution", "32", "--preset", "paper", "--device", "cuda"),
    )
    assert options_again(data="-x", data_root=Path("-y")) == (
        "--data",
        "./-x",
        "--data-root",
        "./-y",
    )


@pytest.mark.parametrize("method", FOLDERS)
def test_auto_precision_is_the_presets_or_the_devices(method: str) -> None:
    """The authors' code computes in float32, on a GPU too."""
    chosen = load_method(method)
    for presets, model in (
        (chosen.presets, chosen.Config),
        (presets_for(method), TrainingConfig),
    ):
        found = {
            (preset, precision, device): settings(
                model, presets, preset, None, precision, torch.device(device)
            ).precision
            for preset in ("paper", "published")
            for precision in ("auto", "bf16", "float32")
            for device in ("cpu", "cuda")
        }
        for (preset, precision, device), value in found.items():
            if precision != "auto":
                assert value == precision
            else:
                fast = preset == "paper" and device == "cuda"
                assert value == ("bf16" if fast else "float32")


@pytest.mark.parametrize("preset", DATA_OF_PRESETS)
def test_a_preset_implies_its_data_and_refuses_digits_where_it_is_not_for_them(preset: str) -> None:
    implied = DATA_OF_PRESETS[preset]
    assert data_for(None, preset) == implied
    assert data_for("stl10", preset) == "stl10"
    assert data_for("my/birds.zip", preset) == "my/birds.zip"
    if implied == "digits":
        assert data_for("digits", preset) == "digits"
    else:
        with pytest.raises(InvalidInput, match=f"the preset {preset} is made for {implied}"):
            data_for("digits", preset)


def test_every_preset_says_which_data_it_is_made_for() -> None:
    names = {name for method in method_names() for name in load_method(method).presets}
    names |= {
        name
        for space in BUILT_IN
        for framework in FRAMEWORKS
        for name in presets_for(space, framework)
    }
    assert names == set(DATA_OF_PRESETS)
