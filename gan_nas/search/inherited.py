"""A supernet's weights, cut to one of its architectures."""

import torch
from torch import Tensor

from gan_nas.networks.builder import build_generator, choose_cells
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.states import module_state
from gan_nas.search.method import Trained
from gan_nas.spaces.schema import GeneratorGenome


def inherited_weights(
    trained: Trained, generator: GeneratorGenome, resolution: int, image_channels: int
) -> dict[str, Tensor]:
    """Return the chosen operations' tensors, with what only a derived network has, on the CPU.

    The generator has the supernet's sizes. Norms' weights that a supernet lacks are 1, biases 0;
    statistics start anew. Where its latents were shorter than those of N(0, I) the stem's weight
    makes up for it.
    """
    choose_cells(trained.generator, generator)
    with torch.device("meta"):
        derived = module_state(build_generator(generator, resolution, image_channels))
    tensors = {k: t.detach() for k, t in inherited_state(trained.generator).items()}
    if trained.latent_scale != 1:
        tensors["stem.weight"] = tensors["stem.weight"] * trained.latent_scale
    for name in derived.keys() - tensors.keys():
        one = name.endswith((".norm.weight", ".running_var"))
        assert one or name.endswith((".bias", ".running_mean", ".num_batches_tracked")), name
        tensors[name] = torch.full_like(derived[name], float(one), device="cpu")
    assert tensors.keys() == derived.keys(), "a supernet has nothing that its parts have not"
    return tensors
