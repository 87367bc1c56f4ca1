from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from gan_nas.configs import FieldHelp, Settings, describe_fields, resolve
from gan_nas.errors import InvalidInput


class Config(Settings):
    """Settings with a field of every kind."""

    steps: int = Field(default=10, ge=1)
    """Generator steps (sec. 4.1)."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    reset: bool = True
    levels: Literal["multi", "single"] = "multi"
    stage: Literal[1, 2] = 1
    max_params: Annotated[int, Field(ge=1)] | None = None
    images: int | Literal["all"] = "all"
    stages: tuple[int, ...] = (4, 8)
    betas: tuple[float, float] = (0.0, 0.9)
    tags: tuple[str, ...] = ()
    backbone: Path | None = None
    note: str = ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("steps=1e5", 100_000),
        ("steps=50_000", 50_000),
        ("learning_rate=1e-3", 1e-3),
        ("reset=no", False),
        ("reset=true", True),
        ("levels=single", "single"),
        ("stage=2", 2),
        ("max_params=none", None),
        ("max_params=4e6", 4_000_000),
        ("images=all", "all"),
        ("images=1e3", 1000),
        ("stages=4, 8, 16", (4, 8, 16)),
        ("stages=(4,)", (4,)),
        ("stages=", ()),
        ("betas=0.5,0.999", (0.5, 0.999)),
        ("tags=a, b", ("a", "b")),
        ("backbone=a/b=c", Path("a/b=c")),
        ("backbone=None", None),
        ("note=none", "none"),
        (" note = two words ", "two words"),
    ],
)
def test_texts_are_read_by_the_type_of_their_field(text: str, value: Any) -> None:
    config = resolve(Config, {}, [text])
    assert getattr(config, text.partition("=")[0].strip()) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps=0", "steps = 0: must be at least 1"),
        ("steps=1.5", "steps = '1.5': must be a whole number"),
        ("steps=many", "steps = 'many': must be a whole number"),
        ("learning_rate=0", "learning_rate = '0': must be more than 0.0"),
        ("learning_rate=nan", "learning_rate = 'nan': must be a finite number"),
        ("reset=perhaps", "reset = 'perhaps': must be true or false"),
        ("levels=double", "levels = 'double': must be 'multi' or 'single'"),
        ("stage=3", "stage = '3': must be 1 or 2"),
        ("max_params=0", "max_params = 0: must be at least 1"),
        ("images=some", "images = 'some': must be a whole number or 'all'"),
        ("stages=4,x", "stages.1 = 'x': must be a whole number"),
        ("betas=0.5", "betas has too few entries"),
        ("step=3", "unknown setting step, did you mean steps?"),
        ("steps", "'steps' is not KEY=VALUE, for example steps=..."),
        ("=3", "'=3' is not KEY=VALUE, for example steps=..."),
    ],
)
def test_a_bad_value_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(Config, {}, [text])
    assert str(caught.value) == sentence


def test_a_name_that_resembles_none_lists_all() -> None:
    with pytest.raises(InvalidInput, match="unknown setting zzz; known are steps, learning_rate"):
        resolve(Config, {}, ["zzz=1"])


def test_option_wins_over_set_over_preset_over_default() -> None:
    assert resolve(Config, {}).steps == 10
    assert resolve(Config, {"steps": 20}).steps == 20
    assert resolve(Config, {"steps": 20}, ["steps=30"]).steps == 30
    assert resolve(Config, {"steps": 20}, ["steps=30", "steps=35"]).steps == 35
    assert resolve(Config, {"steps": 20}, ["steps=30"], {"steps": 40}).steps == 40
    assert resolve(Config, {"steps": 20}, ["steps=30"], {"steps": None}).steps == 30


def test_presets_and_options_are_checked_too() -> None:
    with pytest.raises(InvalidInput, match="did you mean steps"):
        resolve(Config, {"stepz": 20})
    with pytest.raises(InvalidInput, match="steps = -1: must be at least 1"):
        resolve(Config, {}, [], {"steps": -1})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Config().steps = 3  # type: ignore[misc]  # the model is frozen


def test_fields_describe_themselves() -> None:
    described = {field.name: field for field in describe_fields(Config)}
    assert list(described) == list(Config.model_fields)
    assert described["steps"] == FieldHelp(
        "steps", "whole number >= 1", "10", "Generator steps (sec. 4.1)."
    )
    types = {name: (field.type, field.default) for name, field in described.items()}
    assert types["learning_rate"] == ("number > 0, <= 1", "0.0002")
    assert types["reset"] == ("true | false", "true")
    assert types["levels"] == ("multi | single", "multi")
    assert types["max_params"] == ("whole number >= 1 or none", "none")
    assert types["images"] == ("whole number or all", "all")
    assert types["stages"] == ("whole number, ...", "4,8")
    assert types["betas"] == ("number, number", "0.0,0.9")
    assert types["backbone"] == ("path or none", "none")


def test_defaults_can_be_typed_back() -> None:
    for name, _, default, _ in describe_fields(Config):
        assert getattr(resolve(Config, {}, [f"{name}={default}"]), name) == getattr(Config(), name)
