"""CT-GAN's critic (Wei et al. 2018), WGAN-GP's with dropout: one architecture of any width."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gan_nas.spaces.blocks import block_drawing
from gan_nas.spaces.drawing import Drawing
from gan_nas.spaces.schema import DiscriminatorGenome

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

Rate = Annotated[float, Field(ge=0, lt=1)]


class CTGANCritic(DiscriminatorGenome):
    """CT-GAN's residual critic for small images: no normalisation, dropout that is always on."""

    space: Literal["ctgan"]
    dropout: tuple[Rate, Rate, Rate] = Field(
        default=(0.2, 0.5, 0.5),
        description="rates after the second, third and fourth block; zeros make it WGAN-GP's",
    )

    @property
    def framework(self) -> "Framework":
        """Return CT-GAN's framework or, for a critic without dropout, WGAN-GP's."""
        return "ctgan" if any(self.dropout) else "wgan-gp"

    @property
    def drawing(self) -> Drawing:
        """Return the four residual blocks, and where dropout is."""
        rates = " and ".join(f"{rate:g} after block {1 + i}" for i, rate in enumerate(self.dropout))
        dropout = f" Dropout {rates}." if any(self.dropout) else ""
        return block_drawing({}, f"The blocks' end: relu, mean, linear.{dropout}")
