"""Checkpoints in the authors' layouts, of random weights, and what must not be taken for one."""

import copy
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import drawn, plain_state
from golden_adversarialnas import KEYS, our_key
from torch import Tensor

from gan_nas.errors import GanNasError, Incompatible, InvalidInput
from gan_nas.networks.builder import build_generator, build_supernet, choose_cells
from gan_nas.networks.published import import_checkpoint, take_over
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.states import load_module_state
from gan_nas.networks.weights import load_generator
from gan_nas.spaces import autogan
from gan_nas.spaces.adversarialnas import decode_generator
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome, published_genome
from gan_nas.spaces.registry import load_space

TOP1, TOP3 = (1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3), (1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3)
CODES = {
    "derived top1": TOP1,
    "derived top3": TOP3,
    "shared 1": TOP1,
    "shared 2": (0, 2, 2, 1, 0, 2, 2, 0, 1, 0, 2, 2, 1, 3),
    "shared 3": (1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 1, 2),
}
CASES = KEYS["cases"]
LATENTS = torch.randn(5, 120)


def with_statistics(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add what the lists of parameters lack: the buffers of the norm before to-RGB."""
    shape = tuple(tensors["to_rgb.0.weight"].shape)
    return tensors | {
        "to_rgb.0.running_mean": drawn(shape),
        "to_rgb.0.running_var": drawn(shape, "running_var"),
        "to_rgb.0.num_batches_tracked": torch.tensor(7),
    }


def random_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return random weights under AdversarialNAS' names: its convolutions are there twice."""
    named = {name: drawn(tuple(shape), name) for name, shape in published["params"]}
    twice = {
        re.sub(r"\.(conv|dilconv)\.(\w+)$", r".op.1.\2", name): tensor
        for name, tensor in named.items()
        if ".ops." in name
    }
    return with_statistics(named | twice)


FEW = ("derived top3", "shared 2")  # every layout, norm, deconvolution and skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in FEW else pytest.mark.slow) for case in CODES]
)
def test_images_of_autogans_layouts_are_the_plain_networks(case: str, tmp_path: Path) -> None:
    plain, tensors = plain_state(case)
    path = tmp_path / "ckpt.pth"
    torch.save(tensors, path)
    about = import_checkpoint(
        path, load_genome(",".join(map(str, CODES[case]))), tmp_path / "g.safetensors"
    )
    assert autogan.encode(about.genome.generator) == CODES[case]  # type: ignore[arg-type]
    assert (about.genome.generator.width, about.resolution, about.image_channels) == (16, 32, 3)
    generator = load_generator(tmp_path / "g.safetensors").double()
    z = torch.randn(3, 128, dtype=torch.float64)
    with torch.no_grad():
        expected = copy.deepcopy(plain).double()(z, CODES[case])
        torch.testing.assert_close(generator.network(z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param("derivedG_cifar_gf16", "adversarialnas-cifar10", marks=pytest.mark.slow),
        ("derivedG_stl_gf16", "adversarialnas-stl10"),
    ],
)
def test_adversarialnas_derived_layout_is_renamed(case: str, name: str, tmp_path: Path) -> None:
    published = CASES[case]
    tensors = random_state(published)
    path = tmp_path / "ckpt.pth"
    torch.save(tensors, path)
    about = import_checkpoint(path, published_genome(name), tmp_path / "g.safetensors")
    generator = about.genome.generator
    parts, side = (2, 48) if "stl" in case else (3, 32)
    assert (generator.width, generator.latent_dim) == (16, 120)
    assert (generator.model_dump()["num_latent_parts"], about.resolution) == (parts, side)
    imported = load_generator(tmp_path / "g.safetensors").network
    wanted = build_generator(generator, side)
    # our_key's names are those with which the published golden values come out.
    ours = {our_key(n, supernet=False): tensors[n] for n, _ in published["params"]}
    ours |= {k.replace("to_rgb.0", "to_rgb.norm"): t for k, t in tensors.items() if "running" in k}
    load_module_state(wanted, ours | {"to_rgb.norm.num_batches_tracked": torch.tensor(7)})
    with torch.no_grad():
        # Kernels of some CPUs sum in another order where a map lies in memory otherwise.
        torch.testing.assert_close(imported(LATENTS), wanted.eval()(LATENTS), rtol=0, atol=1e-4)


def test_of_adversarialnas_supernet_comes_what_the_genome_uses() -> None:
    published = CASES["super_softmax"]["G"]
    tensors = random_state(published)
    matrix = [[0, 1, 3, 4, 6, 4, 1], [2, 1, 0, 1, 5, 5, 0], [2, 2, 6, 0, 3, 2, 0]]
    genome = published_genome("adversarialnas-cifar10").model_copy(
        update={"generator": decode_generator(matrix, 16), "name": None}
    )
    found = take_over(genome, tensors, "a file")
    assert found.layout == "adversarialnas, supernet"
    supernet = build_supernet(genome.generator, 32)
    ours = {
        our_key(n, supernet=True): tensors[n] for n, _ in published["params"] if "alphas" not in n
    }
    ours |= {k.replace("to_rgb.0", "to_rgb.norm"): t for k, t in tensors.items() if "running" in k}
    load_module_state(supernet, ours | {"to_rgb.norm.num_batches_tracked": torch.tensor(7)})
    choose_cells(supernet, genome.generator)
    inherited = inherited_state(supernet)
    assert found.tensors.keys() == inherited.keys()
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, inherited[name]), name


def test_what_reaches_no_output_may_be_there() -> None:
    """The authors keep node 3 of a third cell whose edge 3-4 is none, and skips into it."""
    published = CASES["derivedG_cifar_gf16"]
    matrix = [[1, 1, 1, 0, 3, 3, 1], [1, 1, 0, 1, 3, 3, 3], [0, 1, 0, 3, 3, 0, 0]]
    genome = published_genome("adversarialnas-cifar10").model_copy(
        update={"generator": decode_generator(matrix, 16), "name": None}
    )
    tensors = random_state(published)
    kept = {name: tensor for name, tensor in tensors.items() if "cell3.c4" not in name}
    assert not any("cells.2.skips" in name for name in take_over(genome, kept, "it").tensors)
    with pytest.raises(Incompatible, match=r"it holds 'cell3\.c4\.ops\.0\.conv\.weight', for whic"):
        take_over(genome, tensors, "it")


def changed(tensors: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    """Replace or remove tensors."""
    whole = {name: changes.get(name, tensor) for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in (whole | changes).items() if tensor is not None}


def misfits() -> Iterator[Any]:
    three = torch.zeros(3)
    for change, said, error in (
        ({"cell2.c1.bias": None}, "lacks cell2.c1.bias", Incompatible),
        ({"cell2.c1.bias": three}, r"cell2.c1.bias of shape \(3,\) where .* \(16,\)", Incompatible),
        ({"cell1.skip_in_ops.0.bias": three}, "cell1.skip_in_ops.0.bias", Incompatible),
        ({"cell1.c9.bias\n": three}, r"'cell1.c9.bias\\n'", Incompatible),
        ({"to_rgb.2.weight": None}, "lacks to_rgb.2.weight", InvalidInput),
        ({"l1.weight": torch.zeros(100, 8)}, "no square map of the 16 channels", InvalidInput),
        ({"l1.weight": torch.zeros(0, 8)}, r"shape \(0, 8\)", InvalidInput),
        ({"to_rgb.2.weight": torch.zeros(3, 4096, 1, 1)}, "no square map", InvalidInput),
        ({"l1.weight": torch.zeros(16 * 16, 4096)}, "latent_dim", Incompatible),
    ):
        yield pytest.param(change, said, error, id=next(iter(change)).strip() + said[:9])


@pytest.mark.parametrize(("change", "said", "error"), list(misfits()))
def test_the_first_tensor_that_does_not_fit_is_named(
    change: dict[str, Tensor | None], said: str, error: type[GanNasError]
) -> None:
    _, tensors = plain_state("derived top1")
    with pytest.raises(error, match=said) as caught:
        take_over(published_genome("autogan-cifar10-top1"), changed(tensors, **change), "it")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("autogan-cifar10-top2", "lacks cell3.c_sc.weight, which autogan-cifar10-top2 needs"),
        ("autogan-cifar10-top3", "lacks cell1.n1.weight"),
        ("adversarialnas-cifar10", "lacks cell1.up0.ups.0.c.1.weight"),
        ("0,2,2,1,0,2,2,0,1,0,2,2,1,3", "no post deconv cell such as cell 0"),
    ],
)
def test_another_genome_than_the_checkpoints_is_refused(name: str, said: str) -> None:
    _, tensors = plain_state("derived top1")
    with pytest.raises(Incompatible, match=said):
        take_over(load_genome(name), tensors, "it")


def test_a_genome_whose_authors_publish_nothing_is_refused(tmp_path: Path) -> None:
    genome = load_genome("autogan-cifar10-top1")
    other = json.loads(genome.to_json())
    other["generator"] = load_space("degas").example(8).model_dump(mode="json")
    stranger = Genome.model_validate_json(json.dumps(other | {"name": "mine"}))
    with pytest.raises(Incompatible, match="mine is of the space degas"):
        import_checkpoint(tmp_path / "absent.pth", stranger, tmp_path / "g.safetensors")


def test_the_average_is_taken_and_the_rest_of_a_checkpoint_is_left(tmp_path: Path) -> None:
    _, live = plain_state("derived top1")
    average = {name: tensor + 1 for name, tensor in live.items()}
    genome = published_genome("autogan-cifar10-top1")
    path = tmp_path / "ckpt.pth"
    parallel = {f"module.{name}": tensor for name, tensor in average.items()}
    rest = {
        "epoch": 3,
        "best_fid": np.float64(12.4),
        "scores": [np.float32(8.5), np.int64(1)],
        "path_helper": {"prefix": "logs"},
        "dis_state_dict": {"l5.weight": torch.zeros(2)},
        "gen_state_dict": live,
    }
    torch.save(rest | {"avg_gen_state_dict": parallel}, path)
    about = import_checkpoint(path, genome, tmp_path / "average.safetensors")
    assert (about.lineage["state"], about.lineage["layout"]) == (
        "avg_gen_state_dict",
        "autogan, derived",
    )
    torch.save(rest, path, _use_new_zipfile_serialization=False)
    assert import_checkpoint(path, genome, tmp_path / "live.safetensors").sha256 != about.sha256
    for name, tensors in (("average", average), ("live", live)):
        network = load_generator(tmp_path / f"{name}.safetensors").network
        assert torch.equal(network.state_dict()["stem.weight"], tensors["l1.weight"])


@pytest.mark.parametrize("before", [None, 0, 3, 4])
def test_pickles_of_very_many_things_are_refused(before: int | None, tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pth"
    torch.save({"l1.weight": torch.zeros(1), "epochs": [[i] for i in range(200_000)]}, path)
    if before is not None:  # PyTorch's older format: one pickle after the other
        nested = b"\x80\x02" + b"]" * 2_000_000 + b"a" * 1_999_999 + b"."
        path.write_bytes(b"\x80\x02K\x01." * before + nested)
    with pytest.raises(InvalidInput, match="more than 400,000 things"):
        import_checkpoint(path, published_genome("autogan-cifar10-top1"), tmp_path / "g")


def test_a_file_that_grows_when_it_is_read_or_lacks_its_end_is_refused(tmp_path: Path) -> None:
    path, packed, cut = (tmp_path / name for name in ("ckpt.pth", "packed.pth", "cut.pth"))
    torch.save({"l1.weight": torch.zeros(1000, 1000)}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in plain.namelist():
            new.writestr(name, plain.read(name))
    cut.write_bytes(path.read_bytes()[:-1000])
    genome = published_genome("autogan-cifar10-top1")
    for hostile, said in ((packed, "is packed"), (cut, "is damaged")):
        with pytest.raises(InvalidInput, match=said):
            import_checkpoint(hostile, genome, tmp_path / "g.safetensors")
    assert not (tmp_path / "g.safetensors").exists()
