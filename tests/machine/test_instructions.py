import pytest
import torch

from gan_nas.machine.instructions import BELOW_AMX, VARIABLES, avoid_amx


def test_second_derivatives_in_bf16_are_right_on_this_processor() -> None:
    """What every test's process did at its beginning decides it: conftest.py avoids AMX."""
    random = torch.Generator(device="cpu").manual_seed(0)
    x, w, g = (
        torch.randn(*shape, generator=random, device="cpu")
        for shape in ((8, 1, 8, 8), (64, 1, 3, 3), (8, 64, 8, 8))
    )
    x = x.contiguous(memory_format=torch.channels_last)

    def second(*, precise: bool) -> torch.Tensor:
        a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            y = torch.nn.functional.conv2d(a, b, padding=1)
        (slope,) = torch.autograd.grad(y.float(), a, g, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), b)[0]

    exact = second(precise=True)
    assert float((second(precise=False) - exact).norm() / exact.norm()) < 0.02


@pytest.mark.parametrize("name", VARIABLES)
def test_a_bound_of_the_users_stays(name: str) -> None:
    environment = {name: "AVX2"}
    avoid_amx(environment)
    assert environment == {name: "AVX2"}
    environment = {}
    avoid_amx(environment)
    assert environment == {VARIABLES[0]: BELOW_AMX}
