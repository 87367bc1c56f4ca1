"""The contract of a search space (no torch).

A space is one file that holds SPACE, an object of a class derived from `Space`, beside the frozen
pydantic model of its generators; `gan_nas/networks/` has a file of the same name that says how they
compute (`networks/contract.py`). Other distributions name theirs by entry points of the groups
`gan_nas.spaces` and `gan_nas.networks`.

What a search decides is a place: a field of a network's JSON, named as `diff` names it, such as
"cells.1.up"; with `*` for a number it stands for all of these at once, which are equal in a space
that ties them. All other fields are sizes. From the places follows all that a search needs, of
generators as of discriminators.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

N = TypeVar("N", bound=Frozen)
G = TypeVar("G", bound=GeneratorGenome)

Value = str | bool | tuple[int, ...] | None
Places = Mapping[str, tuple[Value, ...]]  # what may stand at each place, the first as a default
PlaceValues = Mapping[str, Value]  # what stands there


class Architectures(ABC, Generic[N]):
    """A set of networks of one kind: its places, and what is derived from them."""

    name: str

    @abstractmethod
    def example(self, width: int) -> N:
        """Return some network of the papers' other sizes."""

    @abstractmethod
    def places(self, network: N) -> Places:
        """Return what may stand at each place of networks of these sizes, in a fixed order."""

    def count(self) -> int:
        """Count the networks of a size; as in the papers, invalid ones count."""
        return prod(map(len, self.places(self.example(1)).values()))

    def sample(self, random: Random, width: int) -> N:
        """Draw a network uniformly from the valid ones."""
        example = self.example(width)
        places = self.places(example)
        while True:
            values = {place: random.choice(choices) for place, choices in places.items()}
            if self.is_valid(example, values):
                return self.changed(example, values)

    def values(self, network: N) -> dict[str, Value]:
        """Return what stands at each place."""
        content = network.model_dump()
        return {place: _read(content, place) for place in self.places(network)}

    def changed(self, network: N, values: PlaceValues) -> N:
        """Return the network with other values at some places.

        Raises pydantic's ValidationError for what is no network.
        """
        content: Any = network.model_dump()
        for place, value in values.items():
            content = _written(content, place.split("."), value)
        return type(network).model_validate(content)

    def is_valid(self, network: N, values: PlaceValues) -> bool:
        """Tell whether a network of these sizes can have these values."""
        try:
            self.changed(network, values)
        except ValidationError:
            return False
        return True

    def repair(self, network: N, values: PlaceValues, random: Random) -> N:
        """Return a network of these sizes with these values, made valid by as few other ones.

        Places are drawn anew, one more at a time; valid values are left alone.
        """
        places = self.places(network)
        repaired = dict(values)
        while not self.is_valid(network, repaired):
            place = random.choice(list(places))
            repaired[place] = random.choice(places[place])
        return self.changed(network, repaired)

    def neighbours(self, network: N) -> Iterator[N]:
        """Yield every valid network that differs at one place."""
        own = self.values(network)
        for place, choices in self.places(network).items():
            for value in choices:
                if value != own[place] and self.is_valid(network, {place: value}):
                    yield self.changed(network, {place: value})

    def mutate(self, network: N, random: Random) -> N:
        """Draw a neighbour uniformly; there must be one."""
        own = self.values(network)
        changes = [
            (place, value)
            for place, choices in self.places(network).items()
            for value in choices
            if value != own[place]
        ]
        while True:
            place, value = random.choice(changes)
            if self.is_valid(network, {place: value}):
                return self.changed(network, {place: value})

    def graft(self, a: N, b: N, random: Random) -> N | None:
        """Return a with b's value at one place, drawn from all that leave it valid, if there are.

        Both have the same sizes.
        """
        ours, theirs = self.values(a), self.values(b)
        places = [place for place, value in ours.items() if theirs[place] != value]
        random.shuffle(places)
        for place in places:
            if self.is_valid(a, {place: theirs[place]}):
                return self.changed(a, {place: theirs[place]})
        return None

    def crossover(self, a: N, b: N, random: Random) -> N:
        """Return a network of a's sizes with a's or b's value at each place, then repaired."""
        ours, theirs = self.values(a), self.values(b)
        child = {
            place: theirs[place] if place in theirs and random.random() < 0.5 else value
            for place, value in ours.items()
        }
        return self.repair(a, child, random)


class Space(Architectures[G]):
    """A set of generators, with its model and what they are trained against."""

    Generator: type[G]
    Discriminator: type[DiscriminatorGenome] | None = None
    """The model of discriminators of the same name, where they are searched too."""
    sizes: tuple[str, ...] = ("width", "latent_dim")
    """What a supernet and the genomes that inherit its weights have in common."""

    @abstractmethod
    def discriminator(self, width: int) -> DiscriminatorGenome:
        """Return what the papers train generators of this space against, searched or drawn."""

    @property
    def genome_space(self) -> str:
        """Return the space that its genomes name: its own, or the one that it is a part of."""
        return self.example(1).space

    @property
    def framework(self) -> "Framework":
        """Return the framework of the papers: that of their discriminator."""
        return self.discriminator(1).framework

    def generators(self, width: int) -> Iterator[G]:
        """Yield every valid generator, in the order of the places, the last changing fastest."""
        example = self.example(width)
        places = self.places(example)
        for chosen in product(*places.values()):
            values = dict(zip(places, chosen, strict=True))
            if self.is_valid(example, values):
                yield self.changed(example, values)


def _read(content: Any, place: str) -> Any:
    for key in place.replace("*", "0").split("."):
        content = content[int(key) if isinstance(content, tuple) else key]
    return content


def _written(content: Any, keys: list[str], value: Value) -> Any:
    """Return nested content with another value at a path of keys."""
    if not keys:
        return value
    key, *rest = keys
    if key == "*":
        return tuple(_written(item, rest, value) for item in content)
    if isinstance(content, tuple):
        index = int(key)
        return (*content[:index], _written(content[index], rest, value), *content[index + 1 :])
    return content | {key: _written(content[key], rest, value)}
