"""Run by the lerobot environment's Python: open a dataset with the real library and hand over what it gives.

open_dataset.py DATASET OUT.npz
"""

import sys
import types

import numpy as np

# torchvision's compiled operators belong to another torch; nothing here uses them, but its import describes them
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

root, out = sys.argv[1:]
dataset = LeRobotDataset(
    "oodbench/demos", root=root, video_backend="pyav", delta_timestamps={"action": [i / 20 for i in range(8)]}
)
items = [dataset[i] for i in range(len(dataset))]
np.savez(
    out,
    episodes=dataset.num_episodes,
    version=dataset.meta.info["codebase_version"],
    task=np.array([item["task"] for item in items]),
    action=np.stack([item["action"].numpy() for item in items]),
    padded=np.stack([item["action_is_pad"].numpy() for item in items]),
    chunk=np.stack([item["chunk"].numpy() for item in items]),
    executed=np.stack([item["action.executed"].numpy() for item in items]),
    state=np.stack([item["observation.state"].numpy() for item in items]),
    episode=np.array([int(item["episode_index"]) for item in items]),
    image=np.stack([item["observation.images.image"].numpy() for item in items]),
    wrist_image=np.stack([item["observation.images.wrist_image"].numpy() for item in items]),
    image_mean=dataset.meta.stats["observation.images.image"]["mean"],
)
