"""What a checkpoint keeps of a ledger beside tensors: counts of losses, scores, seconds."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gan_nas.errors import Incompatible, explain
from gan_nas.runs.results import MOST, Values

Count = Annotated[int, Field(ge=0, lt=MOST)]
Seconds = Annotated[float, Field(ge=0, lt=MOST)]
WHEN = ("step", "images")


class LedgerState(BaseModel):
    """How far a ledger is."""

    model_config = ConfigDict(allow_inf_nan=False, strict=True)

    losses: dict[str, Count]
    """Of each window, how many it has seen."""
    scores: list[Values] = []
    """Each with its `step` and `images`, the oldest first."""
    seconds: Seconds
    """Of all sittings."""
    processor_seconds: Seconds = 0.0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read what a checkpoint holds; raises Incompatible for what no ledger has written."""
        known = {name: content[name] for name in cls.model_fields if name in content}
        try:
            return cls.model_validate(known | _of_the_first_release(content))
        except ValidationError as error:
            raise Incompatible(
                "the losses and scores of a checkpoint are not as this version of gan-nas writes "
                f"them: {explain(error, list(cls.model_fields))}; use the version it was made with"
            ) from error

    @model_validator(mode="after")
    def _one_after_the_other(self) -> Self:
        """Refuse scores of no step, of different names, or not in their order."""
        for row in self.scores:
            if not all(type(row.get(name)) is int and row[name] >= 0 for name in WHEN):
                raise ValueError("scores must have whole numbers of steps and images")
        for row, following in pairwise(self.scores):
            if row.keys() != following.keys():
                raise ValueError("scores of all steps must have the same names")
            if row["step"] >= following["step"] or row["images"] > following["images"]:
                raise ValueError("scores must stand in the order of their steps")
        return self


def _of_the_first_release(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stood elsewhere then: counts beside the others, AutoGAN's scores of children."""
    counts = {name: count for name, count in content.items() if name.endswith("_losses")}
    scores = content.get("scores")
    of_children = isinstance(scores, list) and bool(scores) and all(map(_is_of_a_child, scores))
    return ({} if "losses" in content else {"losses": counts}) | (
        {"scores": []} if of_children else {}
    )


def _is_of_a_child(row: object) -> bool:
    match row:
        case [list(), dict()]:
            return True
    return False
