import itertools
import random

import pytest

from gan_nas.errors import InvalidInput
from gan_nas.spaces.autogan import (
    CHOICES,
    CONVS,
    NORMS,
    NUM_CELLS,
    SPACE,
    UPS,
    Tokens,
    count,
    decode,
    decode_cell,
    encode,
    encode_cell,
    enumerate_cells,
    enumerate_space,
    num_cells_of,
    split_tokens,
    token_sizes,
)
from gan_nas.spaces.published import published_genome

SIZES = tuple(size for index in range(NUM_CELLS) for size in token_sizes(index))

# As the authors print them: conv, norm, up, shortcut, skips of each cell.
PUBLISHED = {
    "autogan-cifar10-top1": "1 0 1 1 / 1 0 0 1 1 / 1 0 1 0 3",
    "autogan-cifar10-top2": "1 0 1 1 / 1 0 1 1 1 / 1 0 1 1 3",
    "autogan-cifar10-top3": "1 1 1 1 / 1 0 0 1 1 / 1 0 1 0 3",
    "sngan-cifar10": "1 1 1 1 / 1 1 1 1 0 / 1 1 1 1 0",
    "ctgan-cifar10": "1 1 1 1 / 1 1 1 1 0 / 1 1 1 1 0",
}


def vector(text: str) -> Tokens:
    return tuple(int(token) for token in text.replace("/", " ").split())


def random_vectors(number: int) -> list[Tokens]:
    draw = random.Random(1)
    return [tuple(draw.randrange(size) for size in SIZES) for _ in range(number)]


@pytest.mark.parametrize(("index", "number"), [(0, 36), (1, 72), (2, 144)])
def test_every_cell_is_enumerated_once_and_survives_the_codec(index: int, number: int) -> None:
    tokens = list(enumerate_cells(index))
    cells = [decode_cell(index, t) for t in tokens]
    assert len(tokens) == len(set(tokens)) == len(set(cells)) == number
    assert [encode_cell(index, cell) for cell in cells] == tokens


def test_the_space_is_as_large_as_the_paper_says() -> None:
    assert [count(n) for n in (1, 2, 3)] == [36, 36 * 72, 36 * 72 * 144]
    assert SPACE.count() == count() == 373_248


def test_the_space_is_enumerated_lazily_and_in_order() -> None:
    first = list(itertools.islice(enumerate_space(), 500))
    assert first[0] == (0,) * 14
    assert first == sorted(set(first))
    assert all(encode(decode(tokens, 1)) == tokens for tokens in first)
    assert {tokens[:4] for tokens in first} == {(0, 0, 0, 0)}  # the last cells change first
    assert len({tokens[9:] for tokens in first[:144]}) == 144


def test_the_enumeration_has_every_vector_once() -> None:
    assert sum(1 for _ in enumerate_space()) == count()
    cells = [list(enumerate_cells(index)) for index in range(NUM_CELLS)]
    last = next(itertools.islice(enumerate_space(), count() - 1, None))
    assert (
        last == tuple(size - 1 for size in SIZES) == tuple(itertools.chain(*(c[-1] for c in cells)))
    )


def test_random_vectors_survive_the_codec() -> None:
    vectors = random_vectors(500)
    generators = [decode(tokens, width=8, latent_dim=16) for tokens in vectors]
    assert [encode(generator) for generator in generators] == vectors
    assert len(set(generators)) == len(set(vectors))
    assert {(g.width, g.latent_dim) for g in generators} == {(8, 16)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_vectors_are_the_published_genomes(name: str) -> None:
    generator = published_genome(name).generator
    assert encode(generator) == vector(PUBLISHED[name])
    assert decode(vector(PUBLISHED[name]), generator.width) == generator


@pytest.mark.parametrize(
    ("index", "token", "skips"),
    [
        (1, 0, ()),
        (1, 1, (0,)),
        (2, 0, ()),
        (2, 1, (1,)),
        (2, 2, (0,)),
        (2, 3, (0, 1)),
    ],
)
def test_the_oldest_cell_is_the_most_significant_skip_bit(
    index: int, token: int, skips: tuple[int, ...]
) -> None:
    tokens = (1, 0, 1, 1, token)
    cell = decode_cell(index, tokens)
    assert cell.skips == skips
    assert encode_cell(index, cell) == tokens


def test_token_numbers_are_those_of_the_published_code() -> None:
    for place, field, words in (
        (0, "conv", ("post", "pre")),
        (1, "norm", ("none", "batch", "instance")),
        (2, "up", ("bilinear", "nearest", "deconv")),
        (3, "shortcut", (False, True)),
    ):
        for token, word in enumerate(words):
            tokens = [0, 0, 0, 0]
            tokens[place] = token
            assert getattr(decode_cell(0, tokens), field) == word


def test_a_vector_is_cut_into_its_cells() -> None:
    tokens = vector(PUBLISHED["autogan-cifar10-top1"])
    assert split_tokens(tokens) == [(1, 0, 1, 1), (1, 0, 0, 1, 1), (1, 0, 1, 0, 3)]
    assert [num_cells_of(tokens[:length]) for length in (4, 9, 14)] == [1, 2, 3]
    assert split_tokens(tokens[:9]) == split_tokens(tokens)[:2]


@pytest.mark.parametrize("place", range(14))
def test_a_token_beyond_its_choices_is_refused(place: int) -> None:
    for token in (-1, SIZES[place], 10**9):
        tokens = [0] * 14
        tokens[place] = token
        with pytest.raises(InvalidInput) as caught:
            decode(tokens, 8)
        said = str(caught.value)
        cell = 0 if place < 4 else 1 if place < 9 else 2
        inside = place - (0, 4, 9)[cell]
        assert said == (
            f"token {inside} of cell {cell} is {token}, allowed are 0 to {SIZES[place] - 1}: it is "
            f"number {place + 1} of 14 and chooses {CHOICES[inside]}"
        )


@pytest.mark.parametrize(("place", "words"), [*enumerate((CONVS, NORMS, UPS, ("no", "yes")))])
def test_a_choice_is_named_by_the_words_of_the_space(place: int, words: tuple[str, ...]) -> None:
    listed = ", ".join(f"{number} {word}" for number, word in enumerate(words))
    assert CHOICES[place].endswith(f"({listed})")


@pytest.mark.parametrize("length", [0, 3, 5, 13, 15])
def test_a_vector_that_ends_inside_a_cell_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput, match=rf"of {length} tokens .* \[4, 9, 14\]"):
        split_tokens([0] * length)


@pytest.mark.parametrize("length", [0, 4, 9, 13, 15])
def test_another_number_of_tokens_is_no_generator(length: int) -> None:
    with pytest.raises(InvalidInput, match=f"a generator has 14 tokens, these are {length}"):
        decode([0] * length, 8)
