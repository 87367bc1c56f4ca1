"""Programs for others compute what the generator computes, in every space."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from extras import needs_onnx

import gan_nas as gn
from gan_nas.errors import MissingResource, RunFailed
from gan_nas.exports import onnx
from gan_nas.exports.about import describe
from gan_nas.exports.program import BATCHES, TOLERANCE, check, save_pt2
from gan_nas.networks.weights import Generator, save_generator
from gan_nas.scoring.latents import latents_of_seed
from gan_nas.spaces.adversarialnas import decode_generator
from gan_nas.spaces.autogan import decode
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import BUILT_IN, load_space

# Every operation that has a form of its own: norms, deconvolutions, skips by two and by four.
MORE = {
    "deconv": decode((0, 2, 2, 1, 0, 2, 2, 1, 1, 1, 1, 2, 1, 3), 8),
    "bilinear": decode((1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 2, 0, 1, 3), 8),
    "separable": decode_generator(
        [[2, 0, 1, 2, 3, 4, 5], [1, 2, 6, 0, 1, 0, 2], [2, 2, 3, 1, 4, 0, 0]], 8
    ),
    "two parts": decode_generator([[1, 1, 3, 1, 2, 0, 3]] * 3, 8, 120, 2),
}
SPACES = {space: load_space(space).example(8) for space in BUILT_IN}


def generator_of(model: Any, folder: Path, resolution: int = 32) -> Generator:
    """Return a generator of random weights, and statistics of norms as after some training."""
    discriminator = load_space("autogan").discriminator(8)
    genome = Genome(generator=model, discriminator=discriminator)
    network = gn.build_generator(genome.generator, resolution)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape) * (0.2 if tensor.dim() > 1 else 0.1)
                tensor.copy_(1 + values.abs() if "running_var" in name else values)
    path = folder / "generator.safetensors"
    save_generator(path, network.state_dict(), genome, resolution, 3, {"method": "build"})
    return gn.load_generator(path)


def images(generator: Generator, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents and images."""
    (z,) = latents_of_seed(1, batch, generator.latent_dim)
    with torch.no_grad():
        return z, generator(z)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("name", [*SPACES, *MORE])
def test_onnxruntime_makes_the_same_images_in_batches_of_any_size(
    name: str, tmp_path: Path
) -> None:
    generator = generator_of((SPACES | MORE)[name], tmp_path)
    about = describe(generator, licence="mit")
    paths = [tmp_path / f"{number}.onnx" for number in range(2)]
    for path in paths:
        assert onnx.save_onnx(generator, path, about).difference <= TOLERANCE
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert str(Path(gn.__file__).parent).encode() not in paths[0].read_bytes()
    session = import_module("onnxruntime").InferenceSession(
        str(paths[0]), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].shape == ["batch", generator.latent_dim]
    assert session.get_outputs()[0].shape == ["batch", 3, 32, 32]
    for batch in (*BATCHES, 17):
        z, wanted = images(generator, batch)
        (found,) = session.run(None, {"latents": z.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=TOLERANCE)
    content = json.loads(session.get_modelmeta().custom_metadata_map["gan_nas"])
    assert Genome.model_validate_json(json.dumps(content["genome"])) == generator.genome
    assert (content["sha256"], content["licence"]) == (generator.about.sha256, "mit")


LOADS = """
import sys, json, torch
extra = {"gan_nas.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra).module()
given = torch.load(sys.argv[2], weights_only=True)
for z, wanted in given:
    torch.testing.assert_close(program(z), wanted, rtol=0, atol=1e-5)
assert json.loads(extra["gan_nas.json"])["latent_dim"] == given[0][0].shape[1]
assert not any(name.split(".")[0] == "gan_nas" for name in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SPACES, *MORE])
def test_pt2_runs_without_gan_nas_in_batches_of_any_size(name: str, tmp_path: Path) -> None:
    generator = generator_of((SPACES | MORE)[name], tmp_path)
    path, given = tmp_path / "g.pt2", tmp_path / "given.pt"
    assert save_pt2(generator, path, describe(generator)).difference <= TOLERANCE
    before = path.read_bytes()
    save_pt2(generator, path, describe(generator))
    assert path.read_bytes() == before
    torch.save([images(generator, batch) for batch in (*BATCHES, 17)], given)
    program = [sys.executable, "-P", "-c", LOADS, str(path), str(given)]
    answer = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_an_export_leaves_the_generator_as_it_is(tmp_path: Path) -> None:
    generator = generator_of(SPACES["autogan"], tmp_path)
    kinds = [type(module) for module in generator.network.modules()]
    z, before = images(generator, 3)
    save_pt2(generator, tmp_path / "g.pt2", describe(generator))
    assert [type(module) for module in generator.network.modules()] == kinds
    with torch.no_grad():
        assert torch.equal(generator(z), before)


@pytest.mark.slow
def test_a_program_of_other_images_is_refused(tmp_path: Path) -> None:
    generator = generator_of(SPACES["degas"], tmp_path, 8)
    assert check(generator, generator, "it").difference <= TOLERANCE
    for wrong in (
        lambda z: generator(z) + 1e-3,
        lambda z: generator(z)[:, :1],
        lambda z: generator(z) * torch.nan,
    ):
        with pytest.raises(RunFailed, match="nothing was written"):
            check(generator, wrong, "it")


def test_what_onnx_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    with pytest.raises(MissingResource, match=r"onnx and onnxscript and .*gan-nas\[onnx\]"):
        onnx.check_installed()
