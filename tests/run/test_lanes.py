"""Several episodes at once: the same outcomes, whatever the batches are made of, and nobody waits for anybody else."""

import threading
import time

import numpy as np
import pytest

from oodbench.errors import OodbenchError, PolicyError
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import LoadedPolicy
from oodbench.run.lanes import Lanes
from oodbench.run.runner import evaluate
from oodbench.shift import ShiftSpec
from oodbench.suite import SUITES, Episode

CHOSEN = {"tasks": ["put-on", "lift"], "shifts": ["visual.light-*"], "limit": 1}
SOURCE = """
import time
import numpy as np
from oodbench.policies import PolicySpec

class Looks:
    '''A function of picture, state and words, and of how often this episode asked; alone or in batches.'''
    spec = PolicySpec(image_size=32, cameras=("image",), execute=8)
    def __init__(self):
        self.asked = {}
    def reset(self, episode):
        self.asked[episode.session] = 0
    def one(self, seen):
        self.asked[seen.session] += 1
        number = float(seen.image.mean()) + float(np.abs(seen.state).sum()) + len(seen.instruction)
        rng = np.random.default_rng(int(1000 * number) + self.asked[seen.session])
        return rng.uniform(-0.5, 0.5, (8, 7))
    def act(self, seen):
        return self.one(seen)

class Batched(Looks):
    sizes = []
    def act_batch(self, observations):
        with open("sizes.txt", "a") as file:
            file.write(f"{len(observations)}\\n")
        time.sleep(0.02)
        return [self.one(seen) for seen in observations]

class OnlyBatched(Batched):
    act = None

class Few(Batched):
    def act_batch(self, observations):
        return [np.zeros((8, 7))] * (len(observations) - 1)

class Crash(Batched):
    def act_batch(self, observations):
        raise RuntimeError("the lens fell off")
"""


@pytest.fixture
def policies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies.py").write_text(SOURCE)
    return tmp_path / "policies.py"


def outcomes(uri, out, **options):
    records = evaluate(str(uri), "quick", out=out, **CHOSEN | options).records()
    assert not any(record.error for record in records), [record.error for record in records]
    return {record.key: (record.outcome_sha256, record.steps) for record in records}


def test_outcomes_do_not_depend_on_what_a_batch_is_made_of(policies, tmp_path):
    alone = outcomes(f"{policies}:Looks", tmp_path / "a", workers=0)
    assert len(alone) >= 6
    assert outcomes(f"{policies}:Batched", tmp_path / "b", workers=0, envs=5) == alone
    sizes = [int(line) for line in (tmp_path / "sizes.txt").read_text().split()]
    assert max(sizes) > 1
    assert len(set(sizes)) > 1, "batches of several sizes"
    assert outcomes(f"{policies}:Batched", tmp_path / "c", workers=2, envs=3) == alone
    assert outcomes(f"{policies}:OnlyBatched", tmp_path / "d", workers=0) == alone
    assert outcomes(f"{policies}:Looks", tmp_path / "e", workers=1, envs=4) == alone, "an instance a lane"


def test_a_batched_policy_that_answers_too_few_is_told_so(policies, tmp_path):
    with pytest.raises(PolicyError, match=r"act_batch.. returned \d answers to \d observations"):
        evaluate(f"{policies}:Few", "quick", out=tmp_path / "a", workers=0, envs=4, **CHOSEN)


def test_a_batched_policy_that_crashes_is_an_error_of_each_episode(policies, tmp_path):
    records = evaluate(f"{policies}:Crash", "quick", out=tmp_path / "a", workers=1, envs=4, **CHOSEN).records()
    assert all("lens fell off" in (record.error or "") and record.attempts == 2 for record in records)


class Uneven:
    """A client whose server answers one session late."""

    remote = True
    spec = PolicySpec(cameras=(), execute=8)
    count = 0
    began = threading.Event()

    def __init__(self):
        self.slow = Uneven.count == 0
        Uneven.count += 1

    def reset(self, episode):
        pass

    def act(self, seen):
        if self.slow:
            Uneven.began.set()
            time.sleep(1.0)
        return np.zeros((8, 7))


def test_a_slow_answer_holds_up_its_own_episode_only():
    suite = SUITES.get("quick")
    with Lanes(LoadedPolicy("u", "u", Uneven, {}), suite, 3) as lanes:
        for lane in range(3):
            lanes.start(lane, Episode("lift", ShiftSpec.parse("none"), lane), None)
        over, began = [], time.monotonic()
        while len(over) < 2 and time.monotonic() - began < 30:
            over += [lane for lane, _ in lanes.advance()]
    assert sorted(over) == [1, 2]
    assert Uneven.began.is_set()


def test_in_real_time_the_world_goes_on_while_the_policy_thinks(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text(
        "import time\nimport numpy as np\nfrom oodbench.policies import PolicySpec\n"
        "class P:\n"
        "    spec = PolicySpec(cameras=(), execute=8)\n"
        "    def reset(self, episode): self.asked = 0\n"
        "    def act(self, seen):\n"
        "        self.asked += 1\n"
        "        time.sleep(0.21)\n"
        "        return np.zeros((8, 7))\n"
    )
    chosen = {"tasks": ["lift"], "shifts": ["none"], "limit": 1, "workers": 0}
    patient = evaluate(f"{path}:P", "quick", out=tmp_path / "a", **chosen).records()[0]
    assert patient.waited is None
    hurried = evaluate(f"{path}:P", "quick", out=tmp_path / "b", real_time=True, **chosen).records()[0]
    assert hurried.steps == patient.steps, "the horizon is one of the world's time"
    asked = hurried.steps / 12  # 4 steps of waiting, 8 of acting
    assert hurried.waited == pytest.approx(4 * asked, abs=5)
    assert hurried.slowest_answer >= 0.21
    with pytest.raises(OodbenchError, match="another setting of --real-time"):
        evaluate(f"{path}:P", "quick", out=tmp_path / "b", **chosen)
    with pytest.raises(OodbenchError, match="envs=1"):
        evaluate(f"{path}:P", "quick", out=tmp_path / "c", real_time=True, envs=2, **chosen)
