"""Sets of training settings that have a name, by framework and, for the hinge loss, by space.

`paper` is what the papers say, `published` what the authors' script and code do on CIFAR-10
(`published-stl10`: on STL-10); `repo` and `repo-stl10` are other names.

AutoGAN, `paper` against `published`, which has 320 epochs:
- steps: the text's round number
- passes, generator_turn: the text is silent; one pass of both halves takes less time, and the
  generator's turn comes when the critic has had all of its steps
- discriminator_init: the Xavier draw that the code asks for, which on a GPU never arrives
- score_every, num_scored, num_splits: fewer images and one split; the code takes 50,000 every 20
  epochs, ten splits

AdversarialNAS, `paper` against `published`, which has 600 epochs of the first scripts (later ones
dropped half of each real batch):
- steps, batch_size, generator_batch_size: the text's about 500 epochs, batches of 40 and 20
- passes, generator_turn: as above
- score_every, num_scored, num_splits: as above; the code scores every fifth epoch

WGAN-GP and CT-GAN, `paper` against `published` (the authors' CT_gan_cifar_resnet.py; DEGAS, which
trains with it, published nothing of its own):
- num_scored, num_splits: as above

MMD-AdversarialNAS, `paper` against `published` (the authors' MGPU_train_arch.py), which has 500
epochs for CIFAR-10:
- passes: as above
- mmd_patience: the text is silent; the code lets the distance that it reports steer the loss
- score_every, num_scored, num_splits: as above; the code scores every fifth epoch

R3GAN, `paper` against `published` (the authors' train.py, with the losses of Trainer.py), which is
not of a class-conditional generator, nor of its authors' networks, nor augmented by more than
mirroring:
- num_scored, num_splits: as above

What no setting repeats: TensorFlow's Inception (`--backbone inception` computes the same features
and logits), the streams of random numbers, and the last, smaller batch of an epoch, where ours run
on into the next one; CT-GAN's generator is scored with the statistics of each batch of samples,
ours with those of one batch (`norm_statistics`).
"""

from typing import Any

# Found by trial on two CPU cores: demo for digits at width 16, small for CIFAR-10 at width 32.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "steps": 1_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 1e-3,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 1_000,
        "save_every": 250,
    },
    "small": {
        "steps": 2_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.995,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 2_000,
        "num_reference": 10_000,
        "save_every": 250,
    },
    "paper": {},
}
AS_REPORTED: dict[str, Any] = {"precision": "float32", "num_scored": 50_000, "num_splits": 10}
# Where a space's authors trained their generators otherwise than the defaults say.
PUBLISHED: dict[str, Any] = AS_REPORTED | {
    "passes": "apart",
    "generator_turn": "first",
    "discriminator_init": "default",
}
PRESETS_OF_SPACES: dict[str, dict[str, dict[str, Any]]] = {
    "autogan": {  # 320 epochs of 782 batches, STL-10: 153 of 1,641, and a fifth of that
        "published": PUBLISHED | {"steps": 50_048, "score_every": 3_128},
        "published-stl10": PUBLISHED | {"steps": 50_215, "score_every": 3_282},
    },
    "adversarialnas": {  # sec. 4.1: about 500 epochs of 2,500 batches; 600 of 1,250, or of 821
        "paper": {
            "steps": 250_000,
            "batch_size": 20,
            "generator_batch_size": 40,
            "discriminator_init": "default",
        },
        "published": PUBLISHED
        | {
            "steps": 150_000,
            "batch_size": 40,
            "generator_batch_size": 80,
            "score_every": 1_250,
        },
        "published-stl10": PUBLISHED
        | {
            "steps": 98_520,
            "batch_size": 128,
            "generator_batch_size": 256,
            "score_every": 821,
        },
    },
}
for _presets in PRESETS_OF_SPACES.values():
    _presets["repo"] = _presets["published"]
    _presets["repo-stl10"] = _presets["published-stl10"]


# WGAN-GP's and CT-GAN's own recipe, whatever the space (the authors' CT_gan_cifar_resnet.py). Their
# generators are scored with the statistics of a batch: re-estimated here. In the two small ones
# the consistency weighs less: dropout is loud in a narrow critic, and at the paper's weight of 2
# it learned to answer the same to everything.
CRITIC_RECIPE: dict[str, Any] = {
    "lr_decay": "linear",
    "ema_decay": 0.0,
    "generator_init": "he",
    "discriminator_init": "he",
    "dequantise": True,
    "norm_statistics": "reestimated",
}
CRITIC_PRESETS: dict[str, dict[str, Any]] = {
    "demo": PRESETS["demo"]
    | CRITIC_RECIPE
    | {
        "steps": 750,
        "num_critic": 2,
        "generator_lr": 5e-4,
        "ema_decay": 0.99,
        "consistency_weight": 0.1,
    },
    "small": PRESETS["small"]
    | CRITIC_RECIPE
    | {"steps": 1_500, "num_critic": 2, "ema_decay": 0.995, "consistency_weight": 0.2},
    "paper": CRITIC_RECIPE | {"steps": 100_000},
}
CRITIC_PRESETS["published"] = CRITIC_PRESETS["paper"] | AS_REPORTED

# MMD-AdversarialNAS': 500 epochs of 391 batches, scored every fifth.
MMD_PRESETS: dict[str, dict[str, Any]] = {
    "demo": PRESETS["demo"],
    "small": PRESETS["small"],
    "paper": {
        "steps": 195_500,
        "batch_size": 128,
        "generator_batch_size": 128,
        "num_critic": 1,
        "discriminator_init": "default",
    },
}
MMD_PRESETS["published"] = (
    MMD_PRESETS["paper"]
    | AS_REPORTED
    | {"passes": "apart", "mmd_patience": 6, "score_every": 1_955}
)

# In demo: 500 steps at gamma 1 came to a distance of 3.9 where 0.05 came to 6.0, and schedules took
# another 1.0 off after 750. These values of small are untried, and those of mmd.
R3GAN_SMALLER: dict[str, Any] = {
    "discriminator_init": "he",
    "gamma": 1.0,
    "final_gamma": 0.1,
    "final_lr_factor": 0.25,
}
# R3GAN's for CIFAR-10, whose schedules end after 39,063 steps; its run goes on until it is stopped.
R3GAN_PRESETS: dict[str, dict[str, Any]] = {
    "demo": PRESETS["demo"] | {"steps": 750} | R3GAN_SMALLER,
    "small": PRESETS["small"] | {"steps": 1_500} | R3GAN_SMALLER,
    "paper": {
        "steps": 100_000,
        "batch_size": 512,
        "generator_batch_size": 512,
        "num_critic": 1,
        "generator_init": "he",
        "discriminator_init": "he",
        "schedule_images": 20_000_000,
        "final_lr_factor": 0.25,
        "final_beta2": 0.99,
        "final_gamma": 0.005,
        "ema_half_life": 5_000_000,
        "augment": "flip",
    },
}
R3GAN_PRESETS["published"] = R3GAN_PRESETS["paper"] | AS_REPORTED

# A framework that is not here has those of the space, with its loss in place of the hinge loss.
PRESETS_OF_FRAMEWORKS: dict[str, dict[str, dict[str, Any]]] = {
    "mmd": MMD_PRESETS,
    "wgan-gp": CRITIC_PRESETS,
    "ctgan": CRITIC_PRESETS,
    "r3gan": R3GAN_PRESETS,
}
