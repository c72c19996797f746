"""Several episodes at once: the same outcomes, whatever the batches are made of, and nobody waits for anybody else."""

import threading
import time

import numpy as np
import pytest

from oodbench.errors import OodbenchError, PolicyError
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import LoadedPolicy
from oodbench.run.episode import Act, Answer, Reset, Rules, scene_turns
from oodbench.run.gl_thread import GLThread
from oodbench.run.lanes import Lanes
from oodbench.run.records import EpisodeRecord
from oodbench.run.runner import evaluate
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS

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

class Deep(Looks):
    '''Looks at depth and segmentation only, which are drawn when they are asked for.'''
    def one(self, seen):
        self.asked[seen.session] += 1
        number = float(seen.depth().mean()) + float((seen.segmentation() >= 0).mean())
        return np.full((8, 7), (number + 0.1 * self.asked[seen.session]) % 0.5)

class DeepBatch(Deep):
    def act_batch(self, observations):
        return [self.one(seen) for seen in observations]

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


@pytest.mark.slow
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


def test_depth_and_segmentation_can_be_looked_at_in_several_environments_at_once(policies, tmp_path):
    """They are drawn by the thread that has OpenGL, whoever asks."""
    alone = outcomes(f"{policies}:Deep", tmp_path / "a", workers=0, shifts=["none"])
    assert len(set(alone.values())) == len(alone) == 2
    for name in ("Deep", "DeepBatch"):
        assert outcomes(f"{policies}:{name}", tmp_path / name, workers=0, shifts=["none"], envs=2) == alone


def test_nobody_waits_for_a_thread_that_is_gone():
    home = GLThread()
    raised = []

    def ask():
        with pytest.raises(OodbenchError, match="over") as found:
            home.call(lambda: 1)
        raised.append(found)

    thread = threading.Thread(target=ask)
    thread.start()
    home.wanted.result(5)
    home.close()
    thread.join(5)
    ask_again = threading.Thread(target=ask)
    ask_again.start()
    ask_again.join(5)
    assert len(raised) == 2
    assert home.call(lambda: 2) == 2, "its own work it does itself"


def test_a_batched_policy_that_answers_too_few_is_told_so(policies, tmp_path):
    with pytest.raises(PolicyError, match=r"act_batch.. returned \d answers to \d observations"):
        evaluate(f"{policies}:Few", "quick", out=tmp_path / "a", workers=0, envs=4, **CHOSEN)


def test_a_batched_policy_that_crashes_is_an_error_of_each_episode(policies, tmp_path):
    few = CHOSEN | {"tasks": ["put-on"], "shifts": ["visual.light-colour", "visual.lighting"]}
    records = evaluate(f"{policies}:Crash", "quick", out=tmp_path / "a", workers=1, envs=4, **few).records()
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
    with Lanes(LoadedPolicy("u", "u", Uneven), suite, 3) as lanes:
        for lane in range(3):
            lanes.start(lane, Episode("lift", ShiftSpec.parse("none"), lane), None)
        over, began = [], time.monotonic()
        while len(over) < 2 and time.monotonic() - began < 30:
            over += [lane for lane, _ in lanes.advance()]
    assert sorted(over) == [1, 2]
    assert Uneven.began.is_set()


@pytest.mark.slow
def test_in_real_time_the_world_goes_on_while_the_policy_thinks(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text(
        "import time\nimport numpy as np\nfrom oodbench.policies import PolicySpec\n"
        "class P:\n"
        "    spec = PolicySpec(cameras=(), execute=20)\n"
        "    def reset(self, episode): self.asked = 0\n"
        "    def act(self, seen):\n"
        "        self.asked += 1\n"
        "        time.sleep(0.21)\n"
        "        return np.zeros((20, 7))\n"
    )
    chosen = {"tasks": ["lift"], "shifts": ["none"], "limit": 1, "workers": 0}
    patient = evaluate(f"{path}:P", "quick", out=tmp_path / "a", **chosen).records()[0]
    assert patient.waited is None
    hurried = evaluate(f"{path}:P", "quick", out=tmp_path / "b", real_time=True, **chosen).records()[0]
    assert hurried.steps == patient.steps, "the horizon is one of the world's time"
    asked = hurried.steps / 24  # 4 steps of waiting, 20 of acting
    assert hurried.waited == pytest.approx(4 * asked, abs=5)
    assert hurried.slowest_answer >= 0.21
    with pytest.raises(OodbenchError, match="another setting of --real-time"):
        evaluate(f"{path}:P", "quick", out=tmp_path / "b", **chosen)
    with pytest.raises(OodbenchError, match="envs=1"):
        evaluate(f"{path}:P", "quick", out=tmp_path / "c", real_time=True, envs=2, **chosen)


@pytest.mark.parametrize("rate", [20.0, 10.0])
def test_thinking_is_charged_at_the_control_rate_of_the_scene(rate):
    """0.35 s are 7 control steps at 20 Hz and 3 at 10 Hz."""
    scene = TASKS.get("lift").sample(0)
    late = int(0.35 * rate)
    scene = scene.but(timing=scene.timing.but(control_hz=rate, horizon=late + 8))
    base = EpisodeRecord(task="lift", shift="none", severity=0, seed=0, axis="id")
    spec, rules = PolicySpec(cameras=()), Rules("settled", real_time=True)
    episode = scene_turns(World("fast"), spec, "slow", scene, rules, base)
    asked = 0
    turn = next(episode)
    assert isinstance(turn, Reset)
    answer = Answer(None, 0.0)
    try:
        while True:
            assert isinstance(episode.send(answer), Act)
            asked, answer = asked + 1, Answer(np.zeros((8, 7)), 0.35)
    except StopIteration as over:
        record = over.value
    assert record.error is None
    assert (asked, record.waited, record.steps) == (1, late, late + 8)
