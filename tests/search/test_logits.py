"""Rows of logits: what pads a row never weighs, phantoms do, and each place has its own softmax."""

from math import exp, log

import pytest
import torch

from gan_nas.search.logits import Logits, PlaceRow
from gan_nas.streams import stream

CPU = torch.device("cpu")
EVEN = {"a": PlaceRow("first", 3), "b": PlaceRow("second", 5), "c": PlaceRow("first", 3)}
RAGGED = {"a": PlaceRow("logits", 9), "b": PlaceRow("logits", 4), "c": PlaceRow("logits", 1)}


def new(kind: str) -> Logits:
    match kind:
        case "even":
            return Logits(EVEN, device=CPU)
        case "phantoms":
            return Logits(EVEN, num_logits={"first": 5}, device=CPU)
        case _:
            return Logits(RAGGED, device=CPU)


def drawn(kind: str) -> Logits:
    logits = new(kind)
    for name, parameter in logits.named_parameters():  # padding too
        parameter.data = torch.randn(parameter.shape, generator=stream(0, name), device=CPU)
    return logits


EVERY_KIND = pytest.mark.parametrize("kind", ["even", "phantoms", "ragged"])


@EVERY_KIND
def test_places_of_one_parameter_are_its_rows_in_their_order(kind: str) -> None:
    logits = drawn(kind)
    rows = dict(logits.rows(dict(logits.named_parameters())))
    assert list(rows) == ["a", "b", "c"]
    for name, members in logits.sets.items():
        parameter = logits.get_parameter(name)
        assert len(parameter) == len(members)
        for own, place in zip(parameter, members, strict=True):
            assert torch.equal(rows[place], own[: logits.places[place].num_ops])
    assert list(logits.state_dict()) == list(logits.sets)  # masks are not saved


@EVERY_KIND
def test_logits_start_near_zero_by_their_stream_and_padding_at_zero(kind: str) -> None:
    first, again, other = new(kind), new(kind), new(kind)
    for logits, seed in ((first, 0), (again, 0), (other, 1)):
        logits.initialise(stream(seed, "alpha"))
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
        assert not torch.equal(parameter, other.get_parameter(name))
        assert 0 < parameter.abs().max() < 5e-3
    zeros = sum(int((p == 0).sum()) for p in first.parameters())
    assert zeros == (27 - 14 if kind == "ragged" else 0)


@EVERY_KIND
def test_each_place_has_a_softmax_of_its_own(kind: str) -> None:
    logits = drawn(kind)
    for place, row in logits.log_probabilities().items():
        assert len(row) == logits.places[place].num_ops
        assert sum(map(exp, row)) == pytest.approx(1, abs=1e-12)
        weights = logits.weights()[place].detach().double()
        share = float(weights.sum())  # phantoms take the rest
        has_phantoms = kind == "phantoms" and place != "b"
        assert share < 0.99 if has_phantoms else share == pytest.approx(1)
        expected = torch.tensor(row, dtype=torch.float64, device=CPU).exp() * share
        torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)


def test_padding_never_weighs_and_gets_no_gradient() -> None:
    logits = drawn("ragged")
    before = logits.log_probabilities()
    logits.get_parameter("logits").data[1, 4:] = 1000.0
    assert logits.log_probabilities() == before
    torch.stack([row.square().sum() for row in logits.weights().values()]).sum().backward()
    gradient = logits.get_parameter("logits").grad
    assert gradient is not None
    assert not gradient[1, 4:].any()
    assert gradient[0].all()
    assert gradient[1, :4].all()


@EVERY_KIND
def test_the_entropy_of_a_place_is_between_nothing_and_log_n_nats(kind: str) -> None:
    logits = new(kind)
    most = {place: log(row.num_ops) for place, row in logits.places.items()}
    assert logits.entropies() == pytest.approx(most)
    for place, entropy in drawn(kind).entropies().items():
        assert entropy == 0 if most[place] == 0 else 0 < entropy < most[place]
    for parameter in logits.parameters():
        parameter.data[:, 0] = 2000.0
    assert logits.entropies() == dict.fromkeys(most, 0.0)
    assert all(p == -2000 for row in logits.log_probabilities().values() for p in row[1:])
