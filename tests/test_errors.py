from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from gan_nas import errors
from gan_nas.errors import GanNasError, InvalidInput, explain, nearest, shorten


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    width: int = Field(ge=1, le=8)
    tags: tuple[str, ...] = Field(default=(), max_length=2)


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    leaf: Leaf
    height: int = 1


FIELDS = ["leaf", "height", "width", "tags"]


def sentence(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate_json(text)
    return explain(caught.value, FIELDS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"leaf": {"width": 0}}', "leaf.width = 0: must be at least 1"),
        ('{"leaf": {"width": 9}}', "leaf.width = 9: must be at most 8"),
        ('{"leaf": {"width": true}}', "leaf.width = True: must be a whole number"),
        ('{"leaf": {"width": "1"}}', "leaf.width = '1': must be a whole number"),
        ('{"leaf": {"width": [1]}}', "leaf.width: must be a whole number"),
        ('{"leaf": {"width": 1, "tags": "a"}}', "leaf.tags = 'a': must be a list"),
        ('{"leaf": {"width": 1, "tags": [1]}}', "leaf.tags.0 = 1: must be text"),
        ('{"leaf": {}}', "the field leaf.width is missing"),
        ("[]", "the input must be an object with named fields"),
        ("null", "the input = None: must be an object with named fields"),
        (
            '{"leaf": {"width": 1, "tags": ["a", "b", "c"]}}',
            "leaf.tags: must have at most 2 entries, not 3",
        ),
        (
            '{"leaf": {"width": 1, "widht": 2}}',
            "unknown field leaf.widht, did you mean width?",
        ),
        (
            '{"leaf": {"width": 1, "zzz": 2}}',
            "unknown field leaf.zzz; known are leaf, height, width, tags",
        ),
        ('{"leaf": {"width": 1}, "width": 2}', "the field width does not belong there"),
    ],
)
def test_a_complaint_is_field_value_and_what_is_allowed(text: str, expected: str) -> None:
    assert sentence(text) == expected


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        (float, "x", "must be a number"),
        (float, [1], "must be a number"),
        (int, 1.5, "must be a whole number"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "must be a finite number"),
        (Annotated[int, Field(lt=1)], 1, "must be less than 1"),
        (Annotated[int, Field(le=1)], 2, "must be at most 1"),
        (Annotated[int, Field(multiple_of=8)], 9, "must be a multiple of 8"),
        (Literal["a", "b"], "c", "must be 'a' or 'b'"),
        (Annotated[str, Field(min_length=2)], "a", "must have at least 2 characters"),
        (Annotated[str, Field(max_length=5)], "a" * 99, "must have at most 5 characters"),
        (Annotated[tuple[int, ...], Field(min_length=2)], [1], "must have at least 2 entries"),
        (Annotated[str, Field(pattern="^a$")], "b", "must match ^a$"),
        (list[int], 1, "must be a list"),
        (bool, "x", "must be true or false"),
    ],
)
def test_rules_are_said_in_plain_words(kind: Any, value: object, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        create_model("Model", field=(kind, ...)).model_validate({"field": value})
    said = explain(caught.value, ["field"])
    assert said.startswith("field")
    assert f": {rule}" in said
    assert len(said) < 150


@pytest.mark.parametrize("key", ["z" * 100_000, "two\\nlines", "\\u001b[31m"])
def test_a_hostile_key_cannot_spoil_the_sentence(key: str) -> None:
    said = sentence(f'{{"leaf": {{"width": 1}}, "{key}": 1}}')
    assert said.startswith("unknown field '")
    assert said.isprintable()
    assert len(said) < 150


def test_the_first_of_many_complaints_is_told() -> None:
    keys = ", ".join(f'"k{i}": 1' for i in range(1000))
    assert sentence(f'{{"leaf": {{"width": 1}}, {keys}}}').startswith("unknown field k0;")


def test_long_values_are_cut() -> None:
    assert shorten("a") == "'a'"
    assert len(shorten("a" * 10**6)) == 60
    assert shorten(10**3000).startswith("1000")
    assert shorten([10**3000]).endswith("...")


def test_only_a_close_name_is_suggested() -> None:
    assert nearest("stepz", ["steps", "seed"]) == ", did you mean steps?"
    assert nearest("zzz", ["steps", "seed"]) == ""
    assert nearest("zzz", []) == ""


def test_every_error_is_a_gan_nas_error_with_a_docstring() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = [kind for kind in kinds if issubclass(kind, GanNasError)]
    assert {kind.__name__ for kind in ours} == {
        "GanNasError",
        "InvalidInput",
        "InUse",
        "MissingResource",
        "Incompatible",
        "RunFailed",
        "Interrupted",
        "LostRank",
    }
    for kind in ours:
        assert kind.__doc__
        assert str(kind("a sentence")) == "a sentence"
        assert errors.__doc__ is not None
        assert kind.__name__ in errors.__doc__


def test_bad_input_is_a_value_error_and_no_error_of_the_system() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert not issubclass(GanNasError, OSError)
