"""Run by the lerobot environment's Python: tiny policies with random weights, and what the real library does with them.

make_policies.py OUT: OUT/act, OUT/diffusion as `save_pretrained` writes them; OUT/expected.npz: an observation, and the
actions that `select_action` gives for it, step by step.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors

SIZE, STEPS = 64, 6
out = Path(sys.argv[1])
torch.manual_seed(0)
pictures = {
    f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, SIZE, SIZE))
    for name in ("image", "wrist_image")
}
features = {
    "input_features": pictures | {"observation.state": PolicyFeature(FeatureType.STATE, (8,))},
    "output_features": {"action": PolicyFeature(FeatureType.ACTION, (7,))},
    "normalization_mapping": dict.fromkeys(("VISUAL", "STATE", "ACTION"), NormalizationMode.MEAN_STD),
    "device": "cpu",
}
policies = {
    "act": ACTPolicy(
        ACTConfig(
            **features, chunk_size=8, n_action_steps=4, dim_model=32, n_heads=2, dim_feedforward=32, n_encoder_layers=1,
            n_decoder_layers=1, n_vae_encoder_layers=1, latent_dim=4, pretrained_backbone_weights=None,
        )
    ),
    "diffusion": DiffusionPolicy(
        DiffusionConfig(
            **features, horizon=8, n_action_steps=4, n_obs_steps=2, crop_shape=None, down_dims=(16, 32), n_groups=4,
            diffusion_step_embed_dim=16, num_train_timesteps=4, num_inference_steps=2, pretrained_backbone_weights=None,
            spatial_softmax_num_keypoints=4,
        )
    ),
}  # fmt: skip
statistics = {key: {"mean": torch.zeros(3, 1, 1), "std": torch.ones(3, 1, 1)} for key in pictures}
statistics |= {"observation.state": {"mean": torch.zeros(8), "std": torch.ones(8)}}
statistics |= {"action": {"mean": torch.linspace(-0.1, 0.1, 7), "std": torch.full((7,), 0.05)}}
random = np.random.default_rng(1)
seen = {
    "image": random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
    "wrist_image": random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
    "state": random.uniform(-1, 1, 8).astype(np.float32),
}
expected = {}
for name, policy in policies.items():
    policy.eval()
    before, after = make_pre_post_processors(policy.config, dataset_stats=statistics)
    for part in (policy, before, after):
        part.save_pretrained(out / name)
    policy.reset()
    torch.manual_seed(5)
    actions = []
    for _ in range(STEPS):
        batch = {
            f"observation.images.{key}": torch.from_numpy(seen[key]).permute(2, 0, 1)[None].float() / 255
            for key in ("image", "wrist_image")
        }
        batch |= {"observation.state": torch.from_numpy(seen["state"])[None], "task": ["lift the mug"]}
        with torch.inference_mode():
            actions.append(after(policy.select_action(before(batch))).numpy()[0])
    expected[name] = np.stack(actions)
np.savez(out / "expected.npz", **seen, **expected)
