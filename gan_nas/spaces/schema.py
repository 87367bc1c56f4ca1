"""What the models of all spaces share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Width = Annotated[int, Field(ge=1, le=2048, description="channels of every cell")]
LatentDim = Annotated[int, Field(ge=1, le=2048, description="length of the latent vector z")]


class Frozen(BaseModel):
    """A model that is read from JSON and never changed; fields are spoken of by their JSON name."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
    )
