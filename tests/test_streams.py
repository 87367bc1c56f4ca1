import torch

from gan_nas.streams import stream, stream_seed


def test_a_stream_is_a_function_of_seed_purpose_and_counters() -> None:
    def draw(*key: object) -> list[float]:
        return torch.randn(4, generator=stream(*key), device="cpu").tolist()  # type: ignore[arg-type]

    assert draw(0, "latents", 3) == draw(0, "latents", 3)
    others = [draw(1, "latents", 3), draw(0, "order", 3), draw(0, "latents", 4), draw(0, "latents")]
    assert all(draw(0, "latents", 3) != other for other in others)


def test_counters_do_not_run_together() -> None:
    assert stream_seed(0, "a", 1, 23) != stream_seed(0, "a", 12, 3)
