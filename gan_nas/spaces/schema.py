"""What the models of all spaces share: how they are read, and what every network says of itself."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from gan_nas.spaces.drawing import Drawing

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

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


class GeneratorGenome(Frozen, ABC):
    """What a generator is, in any space; a space narrows `space` to its own name and adds fields.

    Fields of a default value may be added later: ids are made of what differs from the defaults.
    """

    space: str
    width: Width
    latent_dim: LatentDim

    legend: ClassVar[str] = ""
    """How to read `words`, in a sentence or two."""

    @property
    @abstractmethod
    def words(self) -> list[str]:
        """Say each cell in a few words, for tables."""

    @property
    @abstractmethod
    def drawing(self) -> Drawing:
        """Return the generator as a graph."""

    @property
    def summary(self) -> list[str]:
        """Say the generator in a few lines: its words, unless there are better ones."""
        return self.words

    @property
    def latents(self) -> str:
        """Say how long the latent vector is and, where it is split, how."""
        return str(self.latent_dim)


class DiscriminatorGenome(Frozen, ABC):
    """What a discriminator is: hand-made and of any width, or searched too."""

    space: str
    width: Width

    legend: ClassVar[str] = ""
    """How to read `summary`, in a sentence or two, where there is more than its words."""

    @property
    @abstractmethod
    def framework(self) -> "Framework":
        """Return the training framework that it was made for."""

    @property
    def words(self) -> str:
        """Say what it is and its sizes."""
        return f"{self.space}, width {self.width}"

    @property
    def summary(self) -> list[str]:
        """Say each cell in a few words; of a hand-made one there is nothing more than its words."""
        return [self.words]

    @property
    def drawing(self) -> Drawing:
        """Return the discriminator as a graph; a hand-made one may have none."""
        return Drawing()
