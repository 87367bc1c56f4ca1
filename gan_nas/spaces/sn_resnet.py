"""SN-GAN's residual discriminator (Miyato et al. 2018) of any width, and EAGAN's variants."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gan_nas.spaces.schema import DiscriminatorGenome

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

FirstOp = Literal["conv_3x3", "conv_5x5", "identity"]
SecondOp = Literal["conv_3x3", "conv_5x5"]


class SNResNetDiscriminator(DiscriminatorGenome):
    """SN-GAN's residual discriminator for small images: AutoGAN's, in search and training."""

    space: Literal["sn_resnet"]
    third_block: tuple[FirstOp, SecondOp] = Field(
        default=("conv_3x3", "conv_3x3"),
        description="the two operations of the third block; EAGAN found identity, conv_3x3 on "
        "CIFAR-10 and conv_5x5, conv_5x5 on STL-10",
    )

    @property
    def framework(self) -> "Framework":
        """Return SN-GAN's own framework."""
        return "hinge-sn"
