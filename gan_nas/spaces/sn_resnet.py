"""SN-GAN's residual discriminator (Miyato et al. 2018): width, outputs, EAGAN's third block."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gan_nas.spaces.blocks import block_drawing
from gan_nas.spaces.drawing import Drawing
from gan_nas.spaces.schema import DiscriminatorGenome

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

FirstOp = Literal["conv_3x3", "conv_5x5", "identity"]
SecondOp = Literal["conv_3x3", "conv_5x5"]
Outputs = Annotated[int, Field(ge=1, le=2048)]


class SNResNetDiscriminator(DiscriminatorGenome):
    """SN-GAN's residual discriminator for small images: AutoGAN's, in search and training."""

    space: Literal["sn_resnet"]
    third_block: tuple[FirstOp, SecondOp] = Field(
        default=("conv_3x3", "conv_3x3"),
        description="the two operations of the third block; EAGAN found identity, conv_3x3 on "
        "CIFAR-10 and conv_5x5, conv_5x5 on STL-10",
    )
    outputs: Outputs = Field(
        default=1, description="scores of an image; several, such as MMD-GAN's 16, are for mmd"
    )

    @property
    def framework(self) -> "Framework":
        """Return SN-GAN's own framework or, for several outputs, MMD-GAN's."""
        return "hinge-sn" if self.outputs == 1 else "mmd"

    @property
    def words(self) -> str:
        """Say what it is and its sizes, outputs where they are several."""
        return super().words + (f", {self.outputs} outputs" if self.outputs > 1 else "")

    @property
    def drawing(self) -> Drawing:
        """Return the four residual blocks; the third one's operations may be others."""
        return block_drawing({2: self.third_block}, "The blocks' end: relu, sum, linear.")
