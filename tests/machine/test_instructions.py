import subprocess
import sys

import pytest

from gan_nas.machine.instructions import BELOW_AMX, VARIABLES, avoid_amx

CODE = """
from gan_nas.machine.instructions import avoid_amx
avoid_amx()
import torch
torch.manual_seed(0)
x = torch.randn(8, 1, 8, 8).contiguous(memory_format=torch.channels_last)
w, g = torch.randn(64, 1, 3, 3), torch.randn(8, 64, 8, 8)

def second(precise):
    a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
        y = torch.nn.functional.conv2d(a, b, padding=1)
    slope, = torch.autograd.grad(y.float(), a, g, create_graph=True)
    return torch.autograd.grad(slope.square().sum(), b)[0]

print(float((second(False) - second(True)).norm() / second(True).norm()))
"""


def test_second_derivatives_in_bf16_are_right_on_this_processor() -> None:
    told = subprocess.run(
        [sys.executable, "-P", "-c", CODE], capture_output=True, text=True, check=True
    )
    assert float(told.stdout) < 0.02


@pytest.mark.parametrize("name", VARIABLES)
def test_a_bound_of_the_users_stays(name: str) -> None:
    environment = {name: "AVX2"}
    avoid_amx(environment)
    assert environment == {name: "AVX2"}
    environment = {}
    avoid_amx(environment)
    assert environment == {VARIABLES[0]: BELOW_AMX}
