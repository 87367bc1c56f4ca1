"""Inception's speed here and now, against torch-fidelity's own extractor."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from gan_nas.metrics.backbone import full_precision
from gan_nas.metrics.inception import StateDict, architecture, inception_from_state
from gan_nas.streams import stream


def time_inception(
    images: Tensor,
    precision: str = "float32",
    *,
    state: StateDict | None = None,
    device: torch.device | str = "cpu",
    repeats: int = 3,
) -> dict[str, Any]:
    """Time one pass over uint8 images (N, 3, H, W), ours and torch-fidelity's by turns.

    Returns seconds an image (of the process's CPU time, on a CPU; medians), their ratio, and the
    largest differences of features and logits, relative to the largest value. Theirs are computed
    in float32, without the TF32 that PyTorch allows convolutions on a GPU. Without a `state`
    the weights are `seeded_state`'s: the speed is the same, but the differences of bf16 must be
    measured again with the real ones.
    """
    random = state is None
    state = seeded_state() if state is None else state
    device = torch.device(device)
    images = images.to(device)
    theirs = fidelity_extractor(state).to(device)
    ours = inception_from_state(state, device, precision=precision)

    def reference(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(), full_precision(device):
            parts = [theirs(part) for part in torch.split(x, ours.batch_size)]
        features, logits = zip(*parts, strict=True)
        return torch.cat(features), torch.cat(logits)

    expected, actual = reference(images), ours.embed(images)  # these warm up, too
    seconds = [(_seconds(reference, images), _seconds(ours.embed, images)) for _ in range(repeats)]
    before, after = (median(column) / len(images) for column in zip(*seconds, strict=True))
    errors = [
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(actual, expected, strict=True)
    ]
    return {
        "precision": precision,
        "weights": "random" if random else "given",
        "images": len(images),
        "side": images.shape[-1],
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch_fidelity_seconds": before,
        "seconds": after,
        "ratio": median(theirs / ours for theirs, ours in seconds),
        "features_error": errors[0],
        "logits_error": errors[1],
    }


def fidelity_extractor(state: StateDict) -> nn.Module:
    """Return torch-fidelity's own network with these tensors, on the CPU."""
    network = architecture()
    nn.Module.load_state_dict(network, {k: v.clone() for k, v in state.items()}, assign=True)
    return network.requires_grad_(False).eval()


def seeded_state(seed: int = 0) -> dict[str, Tensor]:
    """Fill Inception's tensors with noise that keeps activations in range (He et al. 2015)."""
    state: dict[str, Tensor] = {}
    for name, tensor in architecture().state_dict().items():
        values = torch.zeros(tensor.shape, dtype=tensor.dtype, device="cpu")
        noise = stream(seed, f"inception {name}")
        match name.rpartition(".")[2]:
            case "running_var":
                values.uniform_(0.5, 1.5, generator=noise)
            case "weight" if tensor.ndim == 1:
                values.uniform_(0.7, 1.3, generator=noise)
            case "weight":
                values.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=noise)
            case "bias" | "running_mean":
                values.normal_(0, 0.2, generator=noise)
        state[name] = values
    return state


def _seconds(work: Callable[[Tensor], object], images: Tensor) -> float:
    """Return the CPU time of `work`, or the GPU's wall-clock time."""
    if images.device.type == "cpu":
        started = time.process_time()
        work(images)
        return time.process_time() - started
    torch.cuda.synchronize(images.device)
    started = time.perf_counter()
    work(images)
    torch.cuda.synchronize(images.device)
    return time.perf_counter() - started
