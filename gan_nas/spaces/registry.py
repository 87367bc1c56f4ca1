"""The spaces there are, by name: those of this package, then those of other distributions."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from gan_nas.errors import Incompatible, InvalidInput, nearest
from gan_nas.plugins import load_plugin, plugin_names
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.eagan import EAGANDiscriminator
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.spaces.space import Space

GROUP = "gan_nas.spaces"
BUILT_IN = ("autogan", "adversarialnas", "degas")  # each a file of this folder
PARTS = ("autogan-tied",)  # as well, with _ for -: their genomes are those of another space
DISCRIMINATORS = ("sn_resnet", "adversarialnas", "ctgan", "eagan")
# Of any space's generators: hand-made, or searched for one of them.
FOR_ANY: dict[str, type[DiscriminatorGenome]] = {
    "sn_resnet": SNResNetDiscriminator,
    "ctgan": CTGANCritic,
    "eagan": EAGANDiscriminator,
}


def space_names() -> tuple[str, ...]:
    """List the names of all spaces, those of other distributions last."""
    own = (*BUILT_IN, *PARTS)
    return (*own, *plugin_names(GROUP, (*own, *DISCRIMINATORS)))


def load_space(name: str) -> Space[Any]:
    """Return a space by name.

    Raises InvalidInput for an unknown name, Incompatible for a distribution that is broken.
    """
    if name in (*BUILT_IN, *PARTS):
        space: Space[Any] = import_module(f"gan_nas.spaces.{name.replace('-', '_')}").SPACE
        return space
    known = space_names()
    if name not in known:
        hint = nearest(name, list(known))
        raise InvalidInput(f"unknown space {name}{hint}; known are {', '.join(known)}")
    space = load_plugin(GROUP, name, Space, "the space")
    if space.name != name:
        raise Incompatible(
            f"the space {name} of another distribution calls itself {space.name}: "
            "its entry point must have its own name"
        )
    return space


def genome_spaces() -> list[str]:
    """List the names of the spaces that genomes state: those that are no part of another."""
    return [name for name in space_names() if name not in PARTS]


def working_spaces() -> Iterator[Space[Any]]:
    """Yield the spaces that genomes state, but for those of other distributions that are broken."""
    for name in genome_spaces():
        try:
            yield load_space(name)
        except Incompatible:  # who asks for it by name is told
            continue


def generator_models() -> dict[str, type[GeneratorGenome]]:
    """Return the models of generators by space."""
    return {space.name: space.Generator for space in working_spaces()}


def discriminator_models() -> dict[str, type[DiscriminatorGenome]]:
    """Return the models of discriminators by their name."""
    searched = {space.name: space.Discriminator for space in working_spaces()}
    names = dict.fromkeys((*DISCRIMINATORS, *searched))
    models = {name: FOR_ANY.get(name) or searched.get(name) for name in names}
    return {name: model for name, model in models.items() if model is not None}


def generator_model(name: str) -> type[GeneratorGenome] | None:
    """Return the model of generators of a space, or None for a space that is not known."""
    return load_space(name).Generator if name in BUILT_IN or name in genome_spaces() else None


def discriminator_model(name: str) -> type[DiscriminatorGenome] | None:
    """Return the model of a kind of discriminators, or None for one that is not known."""
    if name in FOR_ANY:
        return FOR_ANY[name]
    is_known = name in BUILT_IN or name in genome_spaces()
    return load_space(name).Discriminator if is_known else None
