"""oodbench as a benchmark of the real vla-eval, against one of its own model servers."""

import json

import numpy as np
import pytest
from vla_eval import api
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.specs import GRIPPER_CLOSE_POS, IMAGE_RGB, LANGUAGE, POSITION_DELTA, ROTATION_AA

from oodbench.expert import Expert
from oodbench.interop.vla_eval import OODBenchmark
from oodbench.policies.base import EpisodeInfo
from oodbench.run.runner import evaluate


class Watched(OODBenchmark):
    """Lets the test see the world that vla-eval plays."""

    made: "Watched"

    def __init__(self, **arguments):
        super().__init__(**arguments)
        Watched.made = self


class Told(PredictModelServer):
    """A model server that acts as the expert, in the benchmark's own world."""

    def __init__(self):
        super().__init__()
        self.seen, self.expert = [], Expert()

    async def on_episode_start(self, config, ctx):
        await super().on_episode_start(config, ctx)
        self.expert.bind(Watched.made._world)
        task = config["task"]
        self.expert.reset(EpisodeInfo(task["task"], "", 0, 200, 20.0))

    def predict(self, obs, ctx):
        self.seen.append(obs)
        return {"actions": self.expert.act(None)[0]}

    def get_action_spec(self):
        return {"position": POSITION_DELTA, "rotation": ROTATION_AA, "gripper": GRIPPER_CLOSE_POS}

    def get_observation_spec(self):
        return {"agentview": IMAGE_RGB, "wrist": IMAGE_RGB, "language": LANGUAGE}


@pytest.mark.slow
def test_vla_eval_plays_the_scenes_that_oodbench_run_plays(tmp_path):
    model = Told()
    config = {
        "output_dir": str(tmp_path),
        "benchmarks": [
            {
                "benchmark": "oodbench_watched:Watched",
                "name": "oodbench",
                "episodes_per_task": 2,
                "params": {"suite": "quick", "tasks": ["lift"], "image_size": 64},
            }
        ],
    }
    import sys
    import types

    module = types.ModuleType("oodbench_watched")
    module.Watched = Watched
    sys.modules["oodbench_watched"] = module
    results = api.evaluate(model, config, no_save=True, docker=False)
    assert json.dumps(results, default=str)
    task = results[0]["tasks"][0]
    assert task["task"] == "lift/none"
    episodes = task["episodes"]
    ours = evaluate(
        "expert", "quick", out=tmp_path / "ours", workers=0, limit=2, tasks=["lift"], shifts=["none"]
    ).records()
    assert [e["metrics"]["success"] for e in episodes] == [record.success for record in ours] == [True, True]
    assert [e["steps"] for e in episodes] == [record.steps for record in ours], "but for rounding to float32"
    assert {seen["task_description"] for seen in model.seen} == {record.instruction for record in ours}
    assert model.seen[0]["images"]["agentview"].shape == (64, 64, 3)
    assert np.linalg.norm(model.seen[0]["states"][3:6]) <= np.pi + 1e-6, "folded, as vla-eval's LIBERO sends it"
