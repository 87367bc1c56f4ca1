"""SN-GAN's residual discriminator (Miyato et al. 2018): one architecture, only its width varies."""

from typing import Literal

from gan_nas.spaces.schema import Frozen, Width


class SNResNetDiscriminator(Frozen):
    """SN-GAN's residual discriminator for small images: AutoGAN's, in search and training."""

    space: Literal["sn_resnet"]
    width: Width
