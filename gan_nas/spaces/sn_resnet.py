"""SN-GAN's residual discriminator (Miyato et al. 2018): one architecture, only its width varies."""

from typing import TYPE_CHECKING, Literal

from gan_nas.spaces.schema import DiscriminatorGenome

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework


class SNResNetDiscriminator(DiscriminatorGenome):
    """SN-GAN's residual discriminator for small images: AutoGAN's, in search and training."""

    space: Literal["sn_resnet"]

    @property
    def framework(self) -> "Framework":
        """Return SN-GAN's own framework."""
        return "hinge-sn"
