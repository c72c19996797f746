"""Execution shifts between command and motion, and between the world and what is known of it."""

from __future__ import annotations

import math

from oodbench.exact import unit
from oodbench.scene import Scene
from oodbench.shift import Context, shift

MOTION = 6


def _sign(context: Context) -> float:
    return math.copysign(1.0, context.rng.random() - 0.5)


@shift(
    "execution.payload",
    channels=("dynamics",),
    unit="mass of the objects: doubles every 2.5 levels, x4 at 5",
    source="REALM B-HOBJ (mass x0.25 to x3); Colosseum (mass)",
    star_gen="B-HOBJ",
    applies=lambda task: task.handles_a_free_thing,
)
def payload(scene: Scene, context: Context) -> Scene:
    """Objects are heavier than they look."""
    return scene.but(dynamics=scene.dynamics.but(object_mass=math.pow(2.0, context.severity / 2.5)))


@shift(
    "execution.friction",
    channels=("dynamics",),
    unit="friction of the objects: 13 % less a level",
    source="Colosseum (friction 0.75 to 1); REALM B-HOBJ",
    star_gen="B-HOBJ",
    applies=lambda task: task.handles_a_free_thing,
)
def friction(scene: Scene, context: Context) -> Scene:
    """Objects are slippery, in the hand and on the table."""
    return scene.but(dynamics=scene.dynamics.but(object_friction=1 - 0.13 * context.severity))


@shift(
    "execution.joint-damping",
    channels=("dynamics",),
    unit="damping added to every joint of the arm: 3 N m s / rad a level",
    source="REALM B-HOBJ (joint damping); sim-to-real domain randomisation",
    star_gen="-",
)
def joint_damping(scene: Scene, context: Context) -> Scene:
    """The arm is sluggish."""
    return scene.but(dynamics=scene.dynamics.but(joint_damping=3 * context.severity))


@shift(
    "execution.joint-stiffness",
    channels=("dynamics",),
    unit="stiffness of the arm's servos: 12 % less a level",
    source="LIBERO-CTRL (actuation gain), on the servos",
    star_gen="-",
)
def joint_stiffness(scene: Scene, context: Context) -> Scene:
    """The arm's servos are weak: it lags, and yields when it meets something."""
    return scene.but(dynamics=scene.dynamics.but(joint_stiffness=1 - 0.12 * context.severity))


@shift(
    "execution.gripper-force",
    channels=("dynamics",),
    unit="force and stiffness of the fingers: 6 % less a level",
    source="sim-to-real domain randomisation; no peer has it",
    star_gen="-",
    applies=lambda task: task.handled.kind not in ("puck", "button"),
)
def gripper_force(scene: Scene, context: Context) -> Scene:
    """The fingers hold weakly."""
    return scene.but(dynamics=scene.dynamics.but(grip_force=1 - 0.06 * context.severity))


@shift(
    "execution.action-noise",
    channels=("actuation",),
    unit="standard deviation of noise on the six motion components: 0.012 of the action range a level",
    source="LIBERO-CTRL (actuation noise)",
    star_gen="-",
)
def action_noise(scene: Scene, context: Context) -> Scene:
    """Every command is executed with noise."""
    return scene.but(actuation=scene.actuation.but(noise=0.012 * context.severity))


@shift(
    "execution.action-bias",
    channels=("actuation",),
    unit="length of a constant added to the six motion components: 0.012 of the action range a level, random direction",
    source="LIBERO-CTRL (actuation bias)",
    star_gen="-",
)
def action_bias(scene: Scene, context: Context) -> Scene:
    """The hand drifts in one direction."""
    bias = 0.012 * context.severity * unit(context.rng.standard_normal(MOTION))
    return scene.but(actuation=scene.actuation.but(bias=tuple(bias)))


@shift(
    "execution.action-gain",
    channels=("actuation",),
    unit="factor of the six motion components: 8 % more or less (one sign a seed) a level",
    source="LIBERO-CTRL (actuation gain)",
    star_gen="-",
)
def action_gain(scene: Scene, context: Context) -> Scene:
    """The hand moves more or less than it was told."""
    return scene.but(actuation=scene.actuation.but(gain=1 + 0.08 * _sign(context) * context.severity))


@shift(
    "execution.frame-misalignment",
    channels=("actuation",),
    unit="angle about the vertical between the commands' frame and the robot's: 5 degrees a level, one sign a seed",
    source="LIBERO-CTRL (frame misalignment)",
    star_gen="-",
)
def frame_misalignment(scene: Scene, context: Context) -> Scene:
    """Commands are executed in a turned frame, as after a bad calibration."""
    return scene.but(actuation=scene.actuation.but(frame=math.radians(5) * _sign(context) * context.severity))


@shift(
    "execution.motor-lag",
    channels=("actuation",),
    unit="share of the last motion that stays in the next (a first-order lag): 0.13 a level",
    source="LIBERO-CTRL (first-order lag)",
    star_gen="-",
)
def motor_lag(scene: Scene, context: Context) -> Scene:
    """Motions start and stop late."""
    return scene.but(actuation=scene.actuation.but(lag=0.13 * context.severity))


@shift(
    "execution.lost-actions",
    channels=("actuation",),
    unit="probability that an action is lost: 9 % a level",
    source="oodbench (a flaky link); no peer has it",
    star_gen="-",
)
def lost_actions(scene: Scene, context: Context) -> Scene:
    """Some actions never arrive: the hand stays where it was going."""
    return scene.but(actuation=scene.actuation.but(loss=0.09 * context.severity))


@shift(
    "execution.action-latency",
    channels=("timing",),
    unit="control steps (50 ms at 20 Hz) between an action and its effect",
    source="vla-evaluation-harness (Kinetix under 0 to 500 ms); LIBERO-LQ; here in simulated time",
    star_gen="-",
)
def action_latency(scene: Scene, context: Context) -> Scene:
    """Every action takes effect later; fractional severities round up to whole control steps."""
    return scene.but(timing=scene.timing.but(action_delay=context.level))


@shift(
    "execution.control-rate",
    channels=("timing",),
    unit="length of a control step: 20 % more a level, so that the rate falls from 20 to 10 Hz",
    source="oodbench; the harness's pitfalls list wrong control rates",
    star_gen="-",
)
def control_rate(scene: Scene, context: Context) -> Scene:
    """The control loop is slower than the one that demonstrations were made with."""
    return scene.but(timing=scene.timing.but(control_hz=scene.timing.control_hz / (1 + 0.2 * context.severity)))


@shift(
    "execution.stale-observations",
    channels=("sensors",),
    unit="age of every observation: one control step (50 ms at 20 Hz) a level",
    source="LIBERO-LQ (latency); oodbench puts it on the observations",
    star_gen="-",
)
def stale_observations(scene: Scene, context: Context) -> Scene:
    """What the policy sees is old; fractional severities round up to whole control steps."""
    return scene.but(sensors=scene.sensors.but(delay=context.level))


@shift(
    "execution.dropped-observations",
    channels=("sensors",),
    unit="probability that an observation does not arrive, so that the last one stays: 15 % a level",
    source="oodbench (a flaky link); no peer has it",
    star_gen="-",
)
def dropped_observations(scene: Scene, context: Context) -> Scene:
    """Some observations never arrive."""
    return scene.but(sensors=scene.sensors.but(loss=0.15 * context.severity))


@shift(
    "execution.proprioception-noise",
    channels=("sensors",),
    unit="standard deviation of noise on the state that the policy is given: 5 mm and 5 mrad a level",
    source="LIBERO-plus (sensor noise is visual there); RobustVLA (state noise)",
    star_gen="-",
)
def proprioception_noise(scene: Scene, context: Context) -> Scene:
    """The robot knows badly where its hand is."""
    return scene.but(sensors=scene.sensors.but(state_noise=0.005 * context.severity))
