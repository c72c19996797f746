"""Loading by URI, the check of actions, and what policies are told."""

import dataclasses

import numpy as np
import pytest

from oodbench.errors import PolicyError, UnknownNameError
from oodbench.expert import Expert
from oodbench.policies import EpisodeInfo, PolicySpec
from oodbench.policies.base import check_actions
from oodbench.policies.controls import POLICIES
from oodbench.policies.loading import load_policy, spec_of
from oodbench.run.episode import play, play_scene
from oodbench.run.records import EpisodeRecord
from oodbench.scene import Move
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS

INFO = EpisodeInfo("put-on", "put the carrot on the plate", 5, 10, 20.0)


def test_chunks_single_actions_and_lists_are_accepted():
    assert check_actions(np.zeros((5, 7)), "p").shape == (5, 7)
    assert check_actions(np.zeros(7), "p").shape == (1, 7)
    assert check_actions([[0.0] * 7], "p").dtype == np.float64
    assert check_actions(np.full((1, 7), 1.0005), "p").max() == 1.0


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (np.zeros((1, 6)), r"shape \(1, 6\)"),
        (np.zeros(8), r"shape \(8,\)"),
        (np.zeros((0, 7)), r"shape \(0, 7\)"),
        (np.zeros((2, 3, 7)), r"\(2, 3, 7\)"),
        (np.array([[0, 0, np.inf, 0, 0, 0, 0]]), r"inf at \[0, 2\]"),
        (np.array([[0, 0, 0, 0, 0, 0, 2.0]]), r"2 at \[0, 6\]"),
        (None, "NoneType, not an array"),
        ({"actions": 1}, "dict"),
    ],
)
def test_bad_actions_say_what_is_wrong_with_them(actions, says):
    with pytest.raises(PolicyError, match=says):
        check_actions(actions, "p")


def test_every_kind_of_policy_can_be_loaded(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n"
        "class P:\n"
        "    def __init__(self, gain=1.0, name='x'): self.gain, self.name = gain, name\n"
        "    def reset(self, episode): pass\n"
        "    def act(self, observation): return np.full(7, self.gain)\n"
        "def make_policy(gain=0.5): return P(gain)\n"
        "def act(observation): return np.zeros(7)\n"
        "ready = P(0.25)\n"
    )
    values = {
        f"{path}:P?gain=0.125&name=y": 0.125,
        f"{path}:make_policy?gain=0.75": 0.75,
        f"{path}": None,
        f"{path}:act": 0.0,
        f"{path}:ready": 0.25,
    }
    for uri, value in values.items():
        if value is None:
            continue
        policy = load_policy(uri).make()
        policy.reset(INFO)
        assert policy.act(None)[0] == value
    loaded = load_policy(f"{path}:P")
    assert loaded.name == "P"
    assert len(loaded.files[str(path)]) == 64


def test_a_module_can_be_named():
    assert isinstance(load_policy("oodbench.expert:Expert").make(), Expert)


def test_builtin_policies_and_unknown_ones():
    assert {"expert", "no-op", "random"} <= set(POLICIES.names())
    with pytest.raises(UnknownNameError, match="'random'"):
        load_policy("randm")


def test_what_has_no_act_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class P:\n    def reset(self, episode): pass\n")
    with pytest.raises(PolicyError, match=r"no method act\(\)"):
        load_policy(f"{path}:P").make()
    path.write_text("class P:\n    spec = {'execute': 3}\n    def reset(self, e): pass\n    def act(self, o): pass\n")
    with pytest.raises(PolicyError, match="PolicySpec"):
        spec_of(load_policy(f"{path}:P").make())


def test_policies_are_not_told_about_the_shift():
    fields = {"task", "instruction", "seed", "horizon", "control_hz", "session"}
    assert {field.name for field in dataclasses.fields(EpisodeInfo)} == fields


class Recorder:
    """Notes what it is told and asked."""

    def __init__(self, execute=None, image_size=256):
        self.spec = PolicySpec(execute=execute, image_size=image_size)
        self.infos, self.asked, self.sizes = [], 0, set()

    def reset(self, episode):
        self.infos.append(episode)

    def act(self, observation):
        self.asked += 1
        self.sizes.add(observation.image.shape)
        return np.zeros((10, 7))


@pytest.mark.parametrize(("execute", "asked"), [(None, 16), (4, 40), (10, 16), (99, 16)])
def test_a_chunk_is_executed_as_far_as_the_policy_says(execute, asked):
    policy = Recorder(execute, image_size=32)
    record = play(World("fast"), policy, Episode("put-on", ShiftSpec(), 0), SUITES.get("quick"))
    assert record.steps == 160
    assert policy.asked == asked
    assert policy.sizes == {(32, 32, 3)}


def test_the_policy_seed_is_the_same_under_every_shift_and_differs_between_episodes():
    policy = Recorder(image_size=16)
    world, suite = World("fast"), SUITES.get("quick")
    for shift, seed in (("none", 0), ("visual.lighting@3", 0), ("none", 1)):
        play(world, policy, Episode("stack", ShiftSpec.parse(shift), seed), suite)
    a, b, c = (info.seed for info in policy.infos)
    assert a == b != c


def test_random_repeats_itself():
    policy = load_policy("random").make()
    policy.reset(INFO)
    first = policy.act(None)
    policy.reset(INFO)
    assert np.array_equal(policy.act(None), first)
    assert first.shape == (8, 7)


def test_torch_like_tensors_are_taken():
    class Tensor:
        def detach(self):
            return self

        cpu = float = detach

        def numpy(self):
            return np.zeros((2, 7))

    class P:
        def reset(self, episode):
            pass

        def act(self, observation):
            return Tensor()

    record = play(World("fast"), P(), Episode("stack", ShiftSpec(), 0), SUITES.get("quick"))
    assert record.error is None


def _rate(world, policy, task, shift, seeds):
    base, name = TASKS.get(task), load_policy(policy).make()
    wins, choices = 0, []
    for seed in seeds:
        scene = ShiftSpec.parse(shift).apply(base.sample(seed, "controls"), task=base)
        record = EpisodeRecord(task=task, shift=shift, severity=0.0, seed=seed, axis="id")
        done = play_scene(world, name, scene, "settled", record)
        assert done.error is None, done.error
        wins += bool(done.success)
        choices.append(done.choice)
    return wins / len(seeds), choices


@pytest.mark.slow
def test_without_language_one_board_is_as_good_as_another():
    world = World("fast")
    rate, choices = _rate(world, "expert-blind", "think-shape", "none", range(45))
    assert 0.1 < rate < 0.6
    assert len(set(choices)) == 3, "it always goes to the same side"
    assert None not in choices, "it can place"
    assert _rate(world, "expert", "think-shape", "none", range(6))[0] == 1.0


@pytest.mark.slow
def test_the_expert_told_nothing_is_as_good_as_a_guess():
    world = World("fast")
    told, _ = _rate(world, "expert", "lift", "semantic.reference-category@2", range(12))
    blank, _ = _rate(world, "expert", "lift", "semantic.reference-category@2+control.blank@1", range(12))
    assert told == 1.0
    assert blank < 0.8


@pytest.mark.slow
def test_controls_order_on_a_task_that_needs_words():
    """The expert, then one that sees badly, then one that cannot read, then memory, then nothing."""
    world = World("fast")
    shift = "semantic.similar-distractors@3"
    rates = [_rate(world, name, "put-on", shift, range(16))[0] for name in ("expert", "expert-noisy", "expert-blind")]
    assert rates[0] >= 0.9
    assert rates[0] >= rates[1] > rates[2]
    assert _rate(world, "replay", "put-on", shift, range(8))[0] <= 0.25
    assert _rate(world, "no-op", "put-on", shift, range(4))[0] == 0.0


def test_a_slow_expert_needs_longer():
    world = World("fast")
    steps = {}
    for name in ("expert", "expert-slow"):
        policy, task = load_policy(name).make(), TASKS.get("lift")
        record = EpisodeRecord(task="lift", shift="none", severity=0.0, seed=0, axis="id")
        steps[name] = play_scene(world, policy, task.sample(0), "settled", record).steps
    assert steps["expert-slow"] > 2 * steps["expert"]


def test_a_slow_expert_answers_half_a_second_later():
    """A thing that is moved aside is followed ten control steps after that."""
    world, scene = World("fast"), TASKS.get("lift").sample(0)
    base = scene.object("target")
    moved = Move(step=12, object="target", position=np.add(base.position, (0, 0.1, 0)).tolist(), yaw=base.yaw)
    acted = {}
    for name, events in (("left", ()), ("moved", (moved,))):
        expert = load_policy("expert-slow").make()
        world.reset(scene.but(events=events))
        expert.bind(world)
        expert.reset(EpisodeInfo("lift", scene.instruction.text, 0, 120, 20.0))
        acted[name] = []
        for _ in range(30):
            acted[name].append(expert.act(None)[0])
            world.step(acted[name][-1])
    assert not np.any(acted["left"][:10])
    differ = [not np.allclose(a, b) for a, b in zip(acted["left"], acted["moved"], strict=True)]
    assert differ.index(True) == 12 + 1 + 10  # it happens within a step, is there in the next, and answered after ten


def test_replay_plays_the_same_whatever_it_sees():
    policy = load_policy("replay").make()
    acted = []
    for _ in range(2):
        policy.reset(EpisodeInfo("lift", "", 0, 120, 20.0))
        acted.append([policy.act(None) for _ in range(8)])
    assert np.array_equal(acted[0], acted[1])
    assert np.abs(acted[0]).sum() > 0


@pytest.mark.parametrize("severity", [4.0, 5.0])
def test_the_expert_frees_a_finger_that_hangs_on_what_it_let_go(severity):
    """Pushed aside on its way up it hung on the knob until the end."""
    suite, world = SUITES.get("full-2"), World("fast")
    episode = Episode("turn-knob", ShiftSpec.parse("execution.action-bias", severity), 1)
    assert play(world, load_policy("expert").make(), episode, suite).success
