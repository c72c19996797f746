"""Conventions as data: pictures, state and actions of other ecosystems, against what these do themselves."""

import json

import numpy as np
import pytest
from openpi_client.image_tools import resize_with_pad
from scipy.spatial.transform import Rotation
from vla_eval.rotation import quat_to_axisangle

from oodbench.errors import PolicyError, UnknownNameError
from oodbench.observation import Observation
from oodbench.policies import PolicySpec, preset
from oodbench.policies.base import check_actions
from oodbench.policies.conventions import Converted, observe, picture, state, to_actions
from oodbench.policies.inspection import inspect_policy
from oodbench.policies.spec import PRESETS, Statistics
from oodbench.sim.world import World
from oodbench.task import TASKS

RNG = np.random.default_rng(0)
ACTIONS = RNG.uniform(-1, 1, (8, 7))


@pytest.fixture(scope="module")
def world():
    world = World("fast")
    world.reset(TASKS.get("put-on").sample(3))
    return world


# --- pictures ------------------------------------------------------------------------------------------------------


def test_libero_pictures_are_what_openpi_makes_of_robosuites(world):
    """robosuite's raw pictures are upside down; LIBERO-trained models see them turned by 180 degrees, then resized."""
    upright = world.observation(256).image
    raw = upright[::-1]
    theirs = resize_with_pad(np.ascontiguousarray(raw[::-1, ::-1]), 224, 224)
    assert np.array_equal(observe(world, preset("libero")).image, theirs)
    assert np.array_equal(observe(world, preset("libero")).image, picture(upright, preset("libero")))


def test_orientations():
    image = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = {
        o: picture(image, PolicySpec(image_size=32, orientation=o))
        for o in ("upright", "flipped", "mirrored", "rotated")
    }
    assert np.array_equal(found["upright"], image)
    assert np.array_equal(found["flipped"], image[::-1])
    assert np.array_equal(found["mirrored"], image[:, ::-1])
    assert np.array_equal(found["rotated"], np.rot90(image, 2))


def test_a_centre_crop_enlarges_the_middle():
    image = np.zeros((100, 100, 3), np.uint8)
    image[25:75, 25:75] = 200
    cropped = picture(image, PolicySpec(image_size=100, center_crop=0.5))
    assert (cropped > 100).mean() == pytest.approx(0.5, abs=0.02), "a quarter of the area, of a half that is kept"


def test_pictures_are_drawn_when_they_are_looked_at_and_only_those_that_are_declared(world):
    plain = observe(world, PolicySpec(image_size=64, cameras=("image",)))
    assert isinstance(plain, Observation)
    assert set(plain) == {"image", "state", "instruction"}
    for seen in (plain, observe(world, preset("bridge"))):
        assert seen.image.shape[2] == 3
        with pytest.raises(PolicyError, match=r"looked at 'wrist_image'.*cameras=\('image', 'wrist_image'\)"):
            _ = seen.wrist_image
        with pytest.raises(KeyError):
            seen["wrist_image"]


# --- state ---------------------------------------------------------------------------------------------------------


def test_state_layouts_describe_the_same_pose():
    turn = np.array([3.0, 1.5, 0.2])
    turn *= 3.6 / np.linalg.norm(turn)  # beyond pi, as robosuite gives it
    plain = np.concatenate([[0.1, -0.2, 0.3], turn, [0.03, -0.03]]).astype(np.float32)
    there = Rotation.from_rotvec(turn)
    folded = state(plain, None, PolicySpec(state="pose-fingers-folded"))
    assert np.allclose(folded[3:6], quat_to_axisangle(there.as_quat()), atol=1e-5), "as vla-eval's LIBERO sends it"
    assert np.linalg.norm(folded[3:6]) < np.pi
    euler = state(plain, None, PolicySpec(state="pose-euler-pad-gripper"))
    assert np.allclose(Rotation.from_euler("xyz", euler[3:6]).as_matrix(), there.as_matrix(), atol=1e-5)
    assert np.allclose(euler[6:], [0.0, 0.75])
    quat = state(plain, None, PolicySpec(state="pose-quat-gripper"))
    assert np.allclose(Rotation.from_quat(quat[3:7]).as_matrix(), there.as_matrix(), atol=1e-5)
    joints = state(plain, np.arange(7, dtype=np.float32), PolicySpec(state="joints-gripper"))
    assert np.allclose(joints, [0, 1, 2, 3, 4, 5, 6, 0.25])
    assert np.array_equal(state(plain, None, PolicySpec()), plain)


def test_the_frame_of_a_preset_is_that_of_its_data(world):
    """LIBERO's tables are 0.9 m high; robosuite's hands start above them."""
    z = observe(world, preset("libero")).state[2] - world.observation().state[2]
    assert z == pytest.approx(0.9)


def test_liberos_orientation_is_that_of_robosuites_right_hand():
    """Through a whole episode, to both sides of half a turn: the body's own quaternion by robosuite's formula."""
    from robosuite.utils.transform_utils import quat2axisangle

    from oodbench.expert import Expert
    from oodbench.policies.base import EpisodeInfo

    world, expert = World("fast"), Expert()
    scene = TASKS.get("put-on").sample(1)
    world.reset(scene)
    expert.bind(world)
    expert.reset(EpisodeInfo("put-on", "", 0, 160, 20.0))
    angles = []
    for _ in range(60):
        world.step(expert.act(None)[0])
        w, x, y, z = world.data.xquat[world.built.hand]
        theirs = quat2axisangle(np.array([x, y, z, w]))
        ours = observe(world, preset("libero")).state[3:6]
        assert np.allclose(ours, theirs, atol=2e-4), (ours, theirs)
        angles.append(np.linalg.norm(ours))
    assert min(angles) < np.pi < max(angles)


def test_joints_are_those_of_the_arm(world):
    seen = observe(world, preset("droid"))
    assert isinstance(seen, Converted)
    assert np.allclose(seen.state[:7], world.data.qpos[world.built.arm_qpos], atol=1e-6)


# --- actions -------------------------------------------------------------------------------------------------------


def test_oodbenchs_own_actions_pass_bit_for_bit():
    assert np.array_equal(to_actions(ACTIONS, PolicySpec(), "p"), check_actions(ACTIONS, "p"))
    assert np.array_equal(to_actions(ACTIONS, PolicySpec(execute=3), "p"), ACTIONS[:3])
    assert np.array_equal(to_actions(ACTIONS, preset("libero"), "p"), ACTIONS)


@pytest.mark.parametrize(
    ("gripper", "open_", "closed"),
    [("signed-close", -1, 1), ("signed-open", 1, -1), ("unit-open", 1, 0), ("unit-close", 0, 1)],
)
def test_every_gripper_convention_opens_and_closes(gripper, open_, closed):
    actions = np.zeros((2, 7))
    actions[:, 6] = open_, closed
    for binary in (False, True):
        spec = PolicySpec(gripper=gripper, binary_gripper=binary)
        assert np.array_equal(to_actions(actions, spec, "p")[:, 6], [-1, 1])


def test_rldss_gripper_as_openvla_turns_it_for_libero():
    raw = np.zeros((5, 7))
    raw[:, 6] = [0.0, 0.2, 0.49, 0.8, 1.0]
    theirs = -np.sign(2 * raw[:, 6] - 1)
    assert np.array_equal(to_actions(raw, PolicySpec(gripper="unit-open", binary_gripper=True), "p")[:, 6], theirs)


def test_bridge_actions_are_metres_and_radians_spread_over_four_steps():
    raw = np.array([[0.04, 0.0, -0.02, 0.0, 0.0, 0.4, 1.0], [0.0, 0.08, 0.0, 0.0, 0.0, 0.0, 0.0]])
    steps = to_actions(raw, preset("bridge"), "p")
    assert steps.shape == (8, 7)
    assert np.allclose(0.05 * steps[:4, :3].sum(0), [0.04, 0.0, -0.02])
    assert np.allclose(0.5 * steps[:4, 5].sum(), 0.4)
    assert np.allclose(0.05 * steps[4:, 1], 0.02)
    assert np.array_equal(steps[:, 6], [-1] * 4 + [1] * 4)


def test_droid_actions_cover_the_same_way_at_another_rate():
    raw = np.concatenate([RNG.uniform(-0.3, 0.3, (6, 6)), np.ones((6, 1))], 1)
    raw[:, 3:6] = 0
    steps = to_actions(raw, preset("droid"), "p")
    assert len(steps) == 8
    assert np.allclose(0.05 * steps[:, :3].sum(0), 0.075 * raw[:, :3].sum(0))
    assert (steps[:, 6] == 1).all()
    with pytest.raises(PolicyError, match=r"acts at 15 Hz, oodbench at 20 Hz: 5 of its.*6.67.*multiple of 3"):
        preset("droid", execute=5).check("p")


def test_euler_angles_become_rotation_vectors():
    raw = np.zeros((1, 7))
    raw[0, 3:6] = 0.2, -0.3, 0.4
    spec = PolicySpec(rotation="euler", rotation_scale=1.0)
    turned = 0.5 * to_actions(raw, spec, "p")[0, 3:6]
    assert np.allclose(Rotation.from_rotvec(turned).as_matrix(), Rotation.from_euler("xyz", raw[0, 3:6]).as_matrix())


def test_statistics_are_undone_as_openvla_does(tmp_path):
    low, high = -RNG.uniform(0.01, 0.05, 7), RNG.uniform(0.01, 0.05, 7)
    mask = [True] * 6 + [False]
    path = tmp_path / "dataset_statistics.json"
    table = {"action": {"q01": low.tolist(), "q99": high.tolist(), "mask": mask}}
    path.write_text(json.dumps({"bridge_orig": table, "fractal": table}))
    theirs = np.where(mask, 0.5 * (ACTIONS + 1) * (high - low) + low, ACTIONS)
    assert np.allclose(Statistics.read(path, "bridge_orig").undo(ACTIONS), theirs)
    with pytest.raises(PolicyError, match="did you mean 'bridge_orig'"):
        Statistics.read(path, "bridge_org")
    with pytest.raises(PolicyError, match="cannot be read"):
        Statistics.read(tmp_path / "no.json")


def test_what_lies_far_outside_is_refused_in_every_preset():
    for each in PRESETS:
        raw = np.full((6, 7), 0.5)
        raw[:, 0] = 40.0
        with pytest.raises(PolicyError, match=r"must lie in \[-1, 1\]"):
            to_actions(raw, each.spec, "p")
    assert to_actions(np.full((1, 7), 1.5), preset("libero"), "p").max() == 1.0, "robosuite clips"
    with pytest.raises(PolicyError):
        to_actions(np.full((1, 7), 1.5), preset("oodbench"), "p")


# --- declarations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"orientaton": "upright"}, "did you mean 'orientation'"),
        ({"orientation": "upsidedown"}, "orientation: .*'upright'.*upsidedown"),
        ({"execute": 0}, "execute: .*greater than or equal to 1"),
        ({"cameras": ("image", "image")}, "names one twice"),
        ({"image_size": 4}, "image_size"),
    ],
)
def test_a_bad_declaration_names_the_field(fields, says):
    with pytest.raises(PolicyError, match=says):
        PolicySpec(**fields)


def test_a_kind_of_action_that_oodbench_does_not_execute_fails_at_the_start_with_both_sides_named(tmp_path):
    path = tmp_path / "velocities.py"
    path.write_text(
        "from oodbench.policies import PolicySpec\n"
        "class P:\n"
        "    spec = PolicySpec(action='joint-velocity')\n"
        "    def reset(self, episode): pass\n"
        "    def act(self, observation): raise AssertionError('never asked')\n"
    )
    with pytest.raises(PolicyError, match=r"'joint-velocity'; oodbench executes 'delta-pose'"):
        inspect_policy(f"{path}:P")


def test_presets_can_be_changed_and_misspelt():
    assert preset("libero", orientation="upright").orientation == "upright"
    with pytest.raises(UnknownNameError, match="'libero'"):
        preset("libro")


def test_inspection_shows_what_the_policy_got_and_what_its_answer_does(tmp_path, cli):
    path = tmp_path / "p.py"
    path.write_text(
        "import numpy as np\n"
        "from oodbench.policies import preset\n"
        "class P:\n"
        "    spec = preset('libero', execute=2)\n"
        "    def reset(self, episode): pass\n"
        "    def act(self, observation):\n"
        "        np.save('seen.npy', observation.image)\n"
        "        return np.tile([0.2, 0, 0, 0, 0, 0, 1.0], (5, 1))\n"
    )
    done = cli("inspect", f"{path}:P", "--out", "seen.png")
    assert done.returncode == 0, done.stderr
    from PIL import Image

    picture_ = np.asarray(Image.open(tmp_path / "seen.png"))
    assert picture_.shape == (224, 448, 3)
    assert np.array_equal(picture_[:, :224], np.load(tmp_path / "seen.npy"))
    assert "+1.00 cm" in done.stdout
    assert "+2.00 cm" in done.stdout, "two of five actions"
    assert "mirrored" in done.stdout
    assert "closes" in done.stdout
    assert "never negative" in done.stdout, "which may mean that 0 and 1 were meant"


@pytest.mark.slow
def test_a_new_policy_runs_and_passes_its_own_test(tmp_path, cli):
    import subprocess
    import sys

    assert cli("new-policy", "mine").returncode == 0
    assert cli("new-policy", "ours", "--batched").returncode == 0
    assert "there already" in cli("new-policy", "mine").stderr
    assert "try 'my_policy'" in cli("new-policy", "my-policy").stderr
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_mine.py", "test_ours.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
