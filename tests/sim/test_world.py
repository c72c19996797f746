"""The world plays what the scene says, the same every time, whatever was played before."""

import itertools

import mujoco
import numpy as np
import pytest

from oodbench.errors import OodbenchError
from oodbench.expert import Expert
from oodbench.policies.base import EpisodeInfo
from oodbench.scene import Corruption, Move, Push, Restage
from oodbench.seeding import generator
from oodbench.shift import ShiftSpec
from oodbench.sim.render import Quality
from oodbench.sim.world import World
from oodbench.task import TASKS


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


@pytest.fixture(scope="module")
def scene():
    return TASKS.get("put-on").sample(3)


def _play(world, scene, steps=40, look=False):
    world.reset(scene)
    for action in generator("test").uniform(-1, 1, (steps, 7)):
        if look:
            _ = world.observation(64).image
        world.step(action)
    return world.outcome_sha256()


def _solve(world, scene):
    expert = Expert()
    expert.bind(world)
    world.reset(scene)
    expert.reset(EpisodeInfo(scene.key.task, scene.instruction.text, 0, scene.timing.horizon, 20.0))
    while not world.status.settled and world.steps < scene.timing.horizon:
        world.step(expert.act(world.observation())[0])
    return world.status


def test_in_place_reset_equals_a_fresh_compile(world, scene):
    """What was played before leaves no trace: not in the outcome, not in any field of the model."""
    fresh = _play(World("fast"), scene)
    task = TASKS.get("put-on")
    for text in (
        "visual.lighting@5+visual.camera-pose@5+visual.table-texture@5",
        "execution.object-pose@5+execution.robot-init@5",
        "execution.action-latency@5",
        "execution.friction@5+execution.joint-stiffness@5+visual.robot-colour@5",
        "execution.table-height@5+execution.gripper-force@5+execution.joint-damping@5",
    ):
        _play(world, ShiftSpec.parse(text).apply(scene, task=task))
    heavy = scene.but(dynamics=scene.dynamics.but(object_mass=3.0, object_friction=0.4))
    _play(world, heavy.replace_object("target", tint=(0.2, 0.5, 1.0)))
    assert _play(world, scene) == fresh
    kept = {name: getattr(world.model, name).copy() for name in _arrays(world.model)}
    world.forget()
    world.reset(scene)
    for name, value in kept.items():
        if name != "tex_data":
            assert np.array_equal(value, getattr(world.model, name)), name


def test_worlds_in_one_process_do_not_share_state(world, scene):
    """Two environments of a vector play scenes of one topology side by side."""
    alone = _play(world, scene)
    other = World("fast")
    heavy = scene.but(dynamics=scene.dynamics.but(object_mass=5.0, object_friction=0.2))
    world.reset(scene)
    before = world.render(size=64)
    other.reset(ShiftSpec.parse("visual.lighting@5").apply(heavy, task=TASKS.get("put-on")))
    other.render(size=64)
    assert np.array_equal(world.render(size=64), before)
    for action in generator("test").uniform(-1, 1, (40, 7)):
        world.step(action)
        other.step(-action)
    assert world.outcome_sha256() == alone


def _arrays(model):
    return [n for n in dir(model) if not n.startswith("_") and isinstance(getattr(model, n), np.ndarray)]


def test_looking_does_not_change_what_happens(world, scene):
    assert _play(world, scene, look=True) == _play(world, scene, look=False)


def test_pictures_are_the_same_after_other_scenes(world, scene):
    world.reset(scene)
    first = world.render(size=96)
    other = ShiftSpec.parse("visual.table-texture@5+visual.lighting@4").apply(scene, task=TASKS.get("put-on"))
    world.reset(other)
    assert not np.array_equal(world.render(size=96), first)
    world.reset(TASKS.get("stack").sample(1))
    world.render(size=96)
    world.reset(scene)
    assert np.array_equal(world.render(size=96), first)


def test_observation_is_lazy_upright_and_of_one_moment(world, scene):
    world.reset(scene)
    observation = world.observation(96)
    assert set(observation) == {"image", "wrist_image", "state", "instruction"}
    assert observation.image.shape == (96, 96, 3)
    assert observation.image.dtype == np.uint8
    assert observation.state.shape == (8,)
    assert observation.state.dtype == np.float32
    late = world.observation(96)
    early = world.observation(96)
    _ = early.image
    world.step(np.zeros(7))
    assert early.image.shape == (96, 96, 3), "what was looked at stays"
    with pytest.raises(OodbenchError, match="earlier step"):
        _ = late.image


def test_upright_means_that_the_robot_is_in_the_upper_half(world, scene):
    world.reset(scene)
    segments = world.render("image", 128, "segmentation")
    robot = np.isin(segments, np.flatnonzero(np.isin(world.built.owner, (-3, -4, -5))))
    rows = np.flatnonzero(robot.any(axis=1))
    assert rows.mean() < 64


def test_segmentation_and_depth_agree_with_the_state(world, scene):
    world.reset(scene)
    segments = world.observation(256).segmentation()
    assert {0, 1} <= set(np.unique(segments))
    depth = world.observation(256).depth()
    rows, columns = np.nonzero(segments == 0)
    camera = np.array(scene.cameras[0].position)
    along = np.array(scene.cameras[0].target) - camera
    along /= np.linalg.norm(along)
    expected = (world.center("target") - camera) @ along
    assert abs(np.median(depth[rows, columns]) - expected) < 0.03


def test_gripper_minus_one_opens_plus_one_closes(world, scene):
    world.reset(scene)
    for _ in range(20):
        world.step(np.array([0, 0, 0, 0, 0, 0, 1.0]))
    assert world.proprioception()[6] < 0.005
    for _ in range(20):
        world.step(np.array([0, 0, 0, 0, 0, 0, -1.0]))
    assert world.proprioception()[6] > 0.035
    assert world.proprioception()[7] < -0.035


def test_action_delay_is_in_whole_control_steps(world, scene):
    world.reset(scene.but(timing=scene.timing.but(action_delay=3)))
    moved = []
    for _ in range(5):
        before = world.grip_position.copy()
        world.step(np.array([1.0, 0, 0, 0, 0, 0, 0]))
        moved.append(bool(np.linalg.norm(world.grip_position - before) > 0.02))
    assert moved == [False, False, False, True, True]


def _after_one(world, scene, x=0.0, y=0.0):
    """Where the hand is after one action."""
    world.reset(scene)
    world.step(np.array([x, y, 0, 0, 0, 0, 0]))
    return world.grip_position.copy()


def test_actuation_gain_and_bias_reach_the_controller(world, scene):
    changed = scene.but(actuation=scene.actuation.but(gain=0.5, bias=(0, 0.2, 0, 0, 0, 0)))
    assert np.allclose(_after_one(world, changed, x=0.8), _after_one(world, scene, x=0.4, y=0.2), atol=1e-9)


def test_sensor_noise_is_seeded_per_frame_and_applies_from_the_first(world, scene):
    noise = Corruption(kind="noise", amount=10.0, cameras=("image",))
    noisy = scene.but(sensors=scene.sensors.but(corruptions=(noise,), state_noise=0.01))
    world.reset(scene)
    clean = world.observation(64).image.astype(float)
    world.reset(noisy)
    first = world.observation(64)
    assert 5 < np.abs(first.image - clean).mean() < 11
    again = world.observation(64)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.state, again.state)
    world.step(np.zeros(7))
    assert not np.array_equal(world.observation(64).image - first.image, np.zeros((64, 64, 3)))


def test_an_event_moves_the_object_at_its_step(world, scene):
    event = Move(step=5, object="target", position=(0.05, -0.2, 0.0), yaw=1.0)
    world.reset(scene.but(events=(event,)))
    for _ in range(5):
        world.step(np.zeros(7))
    assert np.linalg.norm(world.position("target")[:2] - (0.05, -0.2)) > 0.03
    world.step(np.zeros(7))
    assert np.linalg.norm(world.position("target")[:2] - (0.05, -0.2)) < 0.005


def test_an_event_can_wait_for_the_gripper_but_not_for_ever(world, scene):
    away = Move(step=30, near="target", object="target", position=(0.05, -0.3, 0.0), yaw=0.0)
    world.reset(scene.but(events=(away,)))
    expert = Expert()
    expert.bind(world)
    expert.reset(EpisodeInfo("put-on", "", 0, 160, 20.0))
    before = world.grip_distance("target")
    while np.linalg.norm(world.position("target")[:2] - (0.05, -0.3)) > 0.01:
        before = world.grip_distance("target")
        world.step(expert.act(world.observation())[0])
    assert world.steps < 30
    assert before < 0.13, "triggered from afar"
    world.reset(scene.but(events=(away,)))
    for _ in range(31):
        world.step(np.zeros(7))
    assert np.linalg.norm(world.position("target")[:2] - (0.05, -0.3)) < 0.005


def test_a_push_moves_the_hand_and_lets_it_come_back(world, scene):
    world.reset(scene.but(events=(Push(step=3, object="hand", impulse=(0.0, 4.0, 0.0)),)))
    start, farthest = world.grip_position.copy(), 0.0
    for _ in range(30):
        world.step(np.zeros(7))
        farthest = max(farthest, world.grip_position[1] - start[1])
    assert farthest > 0.005
    assert np.linalg.norm(world.grip_position - start) < 0.003


def test_the_light_can_change_in_mid_episode(world, scene):
    dark = scene.lights.but(ambient=(0.1, 0.1, 0.1), lamps=())
    world.reset(scene.but(events=(Restage(step=2, lights=dark),)))
    means = []
    for _ in range(4):
        means.append(world.render(size=64).mean())
        world.step(np.zeros(7))
    assert means[1] > 2 * means[3]


def test_observations_can_be_late_or_lost(world, scene):
    actions = np.zeros((20, 7))
    actions[:, 1] = 0.5
    world.reset(scene)
    true = [world.observation(64).state]
    for action in actions:
        world.step(action)
        true.append(world.observation(64).state)
    world.reset(scene.but(sensors=scene.sensors.but(delay=3)))
    for step, action in enumerate(actions):
        assert np.array_equal(world.observation(64).state, true[max(0, step - 3)])
        world.step(action)
    late = world.observation(64)
    assert np.abs(late.image.astype(int) - world.render("image", 64).astype(int)).mean() > 0.5, (
        "the picture is not late"
    )
    world.reset(scene.but(sensors=scene.sensors.but(loss=0.5)))
    seen = []
    for action in actions:
        seen.append(world.observation(64).state)
        world.step(action)
    repeats = sum(np.array_equal(a, b) for a, b in itertools.pairwise(seen))
    assert 4 <= repeats <= 15


def test_all_that_is_known_of_the_robot_is_of_one_moment(world, scene):
    """mj_step leaves positions in space where its last physics step began, and joints where it ended."""
    world.reset(scene)
    for _ in range(3):
        world.step(np.array([0.5, 0.5, 0, 0, 0, 0.5, 1.0]))
    seen, joints, hand = world.proprioception(), world.joint_positions(), world.grip_position.copy()
    there = world.render("wrist_image", 48)
    mujoco.mj_forward(world.model, world.data)
    assert np.array_equal(seen, world.proprioception())
    assert np.array_equal(joints, world.joint_positions())
    assert np.array_equal(hand, world.grip_position)
    assert np.array_equal(there, world.render("wrist_image", 48))


def test_late_pictures_show_the_light_and_the_view_of_then(world, scene):
    """A lamp that goes out is seen to go out as late as everything else; and it stays out once it is."""
    camera = scene.cameras[0].but(position=(0.6, 0.3, 0.5))
    dark = Restage(
        step=4, lights=scene.lights.but(ambient=(0.1, 0.1, 0.1), lamps=()), cameras=(camera, scene.cameras[1])
    )
    frames = {}
    for delay in (0, 3):
        world.reset(scene.but(events=(dark,), sensors=scene.sensors.but(delay=delay)))
        frames[delay] = []
        for _ in range(10):
            frames[delay].append((world.observation(48).image, world.observation(48).segmentation()))
            world.step(np.array([0, 0.5, 0, 0, 0, 0, 0]))
            world.render(size=48)  # of now, in between
    for step in range(3, 10):
        for late, then in zip(frames[3][step], frames[0][step - 3], strict=True):
            assert np.array_equal(late, then), step
    assert frames[3][6][0].mean() > 2 * frames[3][9][0].mean()


def test_what_is_beyond_the_range_of_actions_counts_as_its_bound(world, scene):
    """A recorded action may say anything."""
    ends = []
    for gripper, motion in ((1.0, 1.0), (1e9, 55.0)):
        world.reset(scene)
        for _ in range(3):
            world.step(np.array([motion, 0, 0, 0, 0, 0, gripper]))
        ends.append(world.outcome_sha256())
    assert ends[0] == ends[1]
    for wrong in (np.full(7, np.nan), np.array([0, 0, 0, 0, 0, 0, np.inf]), np.zeros(6), np.zeros((1, 7))):
        with pytest.raises(OodbenchError, match="7 finite numbers"):
            world.step(wrong)


@pytest.mark.parametrize(("rate", "steps"), [(20.0, 5), (10.0, 3), (40.0, 10)])
def test_settling_lasts_a_quarter_of_a_second_at_every_rate(world, scene, rate, steps):
    there = scene.object("receptacle").position
    done = scene.replace_object("target", position=(there[0], there[1], there[2] + 0.03))
    world.reset(done.but(timing=scene.timing.but(control_hz=rate)))
    held = 0
    while not world.status.settled and world.steps < 60:
        world.step(np.zeros(7))
        held = held + 1 if world.status.final and world.speed("target") < 0.03 else 0
    assert held == steps


def test_lost_actions_leave_the_hand_where_it_was_going(world, scene):
    """Two in five are lost, and the way is shorter by about that; at the end it stands where it is."""
    ways = []
    for loss in (0.0, 0.4):
        world.reset(scene.but(actuation=scene.actuation.but(loss=loss)))
        start = world.grip_position.copy()
        for _ in range(40):
            world.step(np.array([0.1, 0, 0, 0, 0, 0, 1.0]))
        ways.append(world.grip_position - start)
    assert 0.45 < ways[1][0] / ways[0][0] < 0.8
    assert np.abs(ways[1][1:]).max() < 0.01


def test_a_turned_frame_turns_motions(world, scene):
    turned = scene.but(actuation=scene.actuation.but(frame=np.pi / 2))
    assert np.allclose(_after_one(world, turned, x=0.8), _after_one(world, scene, y=0.8), atol=1e-9)


def test_a_slower_control_rate_makes_longer_steps(world, scene):
    world.reset(scene)
    world.step(np.zeros(7))
    usual = world.data.time
    world.reset(scene.but(timing=scene.timing.but(control_hz=10.0)))
    world.step(np.zeros(7))
    assert world.data.time == pytest.approx(2 * usual)


def test_a_table_that_rises_leaves_the_picture_of_the_robot_where_it_was(world, scene):
    """Against the camera the robot stays and the table moves."""
    from oodbench.shift import SHIFTS

    shifted = SHIFTS.get("execution.table-height")(scene, 5.0, task=TASKS.get("put-on"))
    rows = []
    for each in (scene, shifted):
        world.reset(each)
        segments = world.render("image", 128, "segmentation")
        robot = np.isin(segments, np.flatnonzero(np.isin(world.built.owner, (-5,))))
        table = np.isin(segments, np.flatnonzero(world.built.owner == -2))
        rows.append((np.flatnonzero(robot.any(axis=1)).max(), np.flatnonzero(table.any(axis=1)).min()))
    assert abs(rows[0][0] - rows[1][0]) <= 3
    assert abs(rows[0][1] - rows[1][1]) >= 4


def test_success_needs_release_and_rest(world, scene):
    """The goal holds while the object is still in the hand, but that is `ever`, not `settled`."""
    seen_before_settled = False
    expert = Expert()
    expert.bind(world)
    world.reset(scene)
    expert.reset(EpisodeInfo("put-on", "", 0, 160, 20.0))
    while not world.status.settled and world.steps < 160:
        world.step(expert.act(world.observation())[0])
        status = world.status
        seen_before_settled |= status.ever and not status.settled
        if status.settled:
            assert not world.touching_gripper("target")
            assert world.touching("target", "receptacle")
    assert world.status.settled
    assert seen_before_settled


@pytest.fixture(scope="module")
def solution(world, scene):
    """The expert's actions in `scene`."""
    expert = Expert()
    expert.bind(world)
    world.reset(scene)
    expert.reset(EpisodeInfo("put-on", "", 0, 160, 20.0))
    found = []
    while not world.status.settled and world.steps < 160:
        found.append(expert.act(world.observation())[0])
        world.step(found[-1])
    return found


def _until(world, scene, solution, stop):
    """Play the solution up to the first moment of which `stop(status)` is true."""
    world.reset(scene)
    for action in solution:
        if stop(world.status):
            return world
        world.step(action)
    raise AssertionError("that never happens")


def _after(stage):
    return lambda status: status.stages[stage] is not None


def _then(world, *motions):
    """Go on with (steps, dz, gripper)."""
    for steps, dz, gripper in motions:
        for _ in range(steps):
            world.step(np.array([0, 0, dz, 0, 0, 0, gripper], float))
    return world.status.failure


def test_a_hand_that_went_nowhere_never_reached(world, scene):
    world.reset(scene)
    assert world.status.failure == "never-reached"


def test_failures_are_told_apart_by_how_far_the_hand_got(world, scene, solution):
    assert _until(world, scene, solution, _after("reached")).status.failure == "not-grasped"
    assert _until(world, scene, solution, _after("grasped")).status.failure == "not-moved"
    assert _until(world, scene, solution, _after("moved")).status.failure == "timeout"


def test_dropping_is_told_from_putting_in_the_wrong_place(world, scene, solution):
    _until(world, scene, solution, _after("moved"))
    assert _then(world, (8, 1.0, 1.0), (12, 0.0, -1.0)) == "dropped"
    _until(world, scene, solution, _after("moved"))
    assert _then(world, (12, -0.1, 1.0), (12, 0.0, -1.0), (8, 0.5, -1.0)) == "wrong-place"


def test_a_goal_that_holds_but_not_yet_at_rest_is_not_released(world, scene, solution):
    _until(world, scene, solution, lambda status: status.final)
    assert world.status.failure == "not-released"


def test_taking_the_wrong_object_is_said_before_all_else(world, scene, solution):
    """The same motions, but the other thing was asked for."""
    goal = scene.goal
    other = [stage.but(condition=stage.condition.replace("target", "receptacle")) for stage in goal.stages[:3]]
    asked = goal.but(manipulated=("receptacle",), success=("raised(receptacle, 0.1)",), stages=tuple(other))
    _until(world, scene.but(goal=asked), solution, lambda status: world.held("target"))
    assert _then(world, (8, 1.0, 1.0)) == "wrong-object"


@pytest.mark.parametrize("name", TASKS.names())
def test_the_expert_solves_every_task(world, name):
    for seed in range(3):
        status = _solve(world, TASKS.get(name).sample(100 + seed))
        assert status.settled, status
        steps = list(status.stages.values())
        assert None not in steps
        assert steps == sorted(steps)
        if world.scene.goal.options:
            assert status.choice == world.scene.goal.success[0]


def test_stepping_before_reset_is_refused():
    with pytest.raises(OodbenchError, match="reset"):
        World("fast").step(np.zeros(7))


def test_a_button_that_nobody_touches_stays_up(world):
    world.reset(TASKS.get("press-button").sample(0))
    for _ in range(120):
        world.step(np.zeros(7))
    assert world.joint("target") < 0.01
    assert world.joint("other") < 0.01


def test_floor_and_walls_cast_no_shadow():
    """All lamps are inside of the room; a wall's shadow map would say otherwise where the light falls in aslant."""
    task = TASKS.get("two-step")
    scene = ShiftSpec.parse("visual.shadows@3").apply(task.sample(2), task=task)
    pictures = {}
    for room in (False, True):
        world = World(Quality(samples=0, shadow=448, room=room))
        world.reset(scene)
        pictures[room] = world.render(size=128).astype(int)
    corner = np.s_[:40, :8]  # the wall
    assert pictures[True][corner].min() < 0.7 * pictures[False][corner].min()
    assert np.array_equal(pictures[True][64:], pictures[False][64:]), "what stands on the table has its shadow"


def test_a_turned_knob_is_seen_to_turn_by_a_quarter(world):
    world.reset(TASKS.get("turn-knob").sample(0))
    bars = [i for i in range(world.model.ngeom) if world.model.geom(i).bodyid[0] == world.model.body("knob/moving").id]
    before = world.data.geom_xmat[bars[0]].reshape(3, 3)[:, 0].copy()
    place = world.model.jnt_qposadr[world.built.joint["knob"]]
    world.data.qpos[place] = world.model.jnt_range[world.built.joint["knob"]][1]
    mujoco.mj_forward(world.model, world.data)
    after = world.data.geom_xmat[bars[0]].reshape(3, 3)[:, 0]
    assert world.joint("knob") == pytest.approx(1.0)
    assert abs(np.dot(before, after)) < 0.01
