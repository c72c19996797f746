"""Shifts of all axes in mid-episode: something happens while the robot is at work."""

from __future__ import annotations

import math

import numpy as np

from oodbench.catalogue import OBJECTS, ObjectAsset
from oodbench.scene import Event, Move, Object, Push, Restage, Scene
from oodbench.shift import Context, shift
from oodbench.shifts import placing
from oodbench.shifts.visual_world import background, camera_pose, light_colour, light_intensity, table_texture
from oodbench.task import MOVABLE

EARLY = 5  # control step of RL4VLA's teleport
FALLBACK = 60  # control step at which what waits for the gripper happens at the latest
STEP = 0.03  # m a level
IMPULSE = 1.2  # N s a level
CORNERS = ((-0.38, 0.57), (-0.38, -0.57), (-0.2, 0.57), (-0.2, -0.57), (0.0, 0.57))  # where things wait (m)


def _moved(scene: Scene, id: str, context: Context, step: int, near: str | None, size: float = STEP) -> Scene:
    item = placing.displaced(scene, scene.object(id), size, context, scene.objects)
    move = Move(step=step, near=near, object=id, position=item.position, yaw=item.yaw)
    return scene.but(events=(*scene.events, move))


@shift(
    "execution.object-moved",
    channels=("events",),
    unit="distance by which the object is moved at control step 5: 3 cm a level",
    source="RL4VLA PositionChangeTo-v1 (teleport by over 15 cm at step 5)",
    star_gen="VB-POSE",
    applies=lambda task: task.handles_a_free_thing,
)
def object_moved(scene: Scene, context: Context) -> Scene:
    """The object to be handled is moved as soon as the robot has set out."""
    return _moved(scene, scene.goal.manipulated[0], context, EARLY, None)


@shift(
    "execution.object-snatched",
    channels=("events",),
    unit="distance by which the object is moved when the gripper is 9 cm from it, or at step 60: 3 cm a level",
    source="LIBERO-PRO (near-grasp trigger at 9 cm); LIBERO-MAX (target relocation)",
    star_gen="VB-POSE",
    applies=lambda task: task.handles_a_free_thing and task.handled.kind != "puck",  # beside which the hand is
)
def object_snatched(scene: Scene, context: Context) -> Scene:
    """The object to be handled is moved away from under the gripper."""
    id = scene.goal.manipulated[0]
    return _moved(scene, id, context, FALLBACK, id)


@shift(
    "execution.receptacle-moved",
    channels=("events",),
    unit="distance by which what the object goes to is moved at a random control step in 20..35: 2 cm a level",
    source="LIBERO-MAX (receptacle relocation)",
    star_gen="VB-POSE",
    applies=lambda task: task.place is not None and task.place.kind in MOVABLE,
)
def receptacle_moved(scene: Scene, context: Context) -> Scene:
    """What the object goes to is moved while the robot handles the object."""
    assert context.task.place is not None
    step = int(context.rng.integers(20, 36))
    return _moved(scene, context.task.place.id, context, step, None, 0.02)


@shift(
    "execution.bump",
    channels=("events",),
    unit=f"impulse on the hand, sideways, at a random control step in 8..30: {IMPULSE:g} N s a level",
    source="oodbench (a bystander bumps into the arm); no peer has it",
    star_gen="-",
)
def bump(scene: Scene, context: Context) -> Scene:
    """Somebody bumps into the arm."""
    step, angle = int(context.rng.integers(8, 31)), context.rng.uniform(-math.pi, math.pi)
    impulse = IMPULSE * context.severity * np.array([math.cos(angle), math.sin(angle), 0.0])
    return scene.but(events=(*scene.events, Push(step=step, object="hand", impulse=tuple(impulse))))


@shift(
    "execution.obstacle",
    channels=("objects", "events"),
    unit="height of the obstacle: the lowest of the unseen objects at 1, the tallest at 5; at a random step in 15..30",
    source="LIBERO-MAX (obstacle insertion)",
    star_gen="VB-ISC",
    applies=lambda task: task.handled.kind in ("object", "block"),
)
def obstacle(scene: Scene, context: Context) -> Scene:
    """Something new is put on the table while the robot handles the object; fractional severities round up."""
    labels = {OBJECTS.get(item.asset).label for item in scene.objects}
    pool = sorted(
        (a for a in context.pool.objects_of("object", context.split) if a.label not in labels), key=lambda a: a.height
    )
    fifth = len(pool) / 5
    tall = pool[round(fifth * (context.level - 1)) : round(fifth * context.level)]
    return _arriving(scene, context, placing.shuffled(tall, context), 1, "obstacle", (15, 31))


@shift(
    "semantic.distractor-burst",
    channels=("objects", "events"),
    unit="number of unseen objects that appear at once, at a random control step in 10..25",
    source="LIBERO-MAX (distractor burst)",
    star_gen="V-SC",
)
def distractor_burst(scene: Scene, context: Context) -> Scene:
    """Objects of other categories are put on the table in mid-episode; fractional severities round up."""
    taken = {OBJECTS.get(item.asset).category for item in scene.objects}
    pool = [a for a in context.pool.objects_of("object", context.split) if a.category not in taken and a.height < 0.1]
    return _arriving(scene, context, placing.shuffled(pool, context), context.level, "burst", (10, 26))


def _arriving(
    scene: Scene, context: Context, assets: list[ObjectAsset], count: int, name: str, steps: tuple[int, int]
) -> Scene:
    """The scene with objects that wait in the corners of the table, and are put in free places at one step."""
    step = int(context.rng.integers(*steps))
    arrived = placing.add(scene, context, assets, count, name)
    waiting: list[Object] = []
    events: list[Event] = []
    for item in arrived.objects:
        if item.id.startswith(name):
            x, y = CORNERS[len(events)]
            events.append(Move(step=step, object=item.id, position=item.position, yaw=item.yaw))
            item = item.but(position=(x, y, 0.0))
        waiting.append(item)
    return scene.but(objects=tuple(waiting), events=(*scene.events, *events))


@shift(
    "visual.light-switch",
    channels=("events",),
    unit="as visual.light-intensity and visual.light-colour at this level, from a random control step in 15..35 on",
    source="LIBERO-MAX (illumination switch)",
    star_gen="V-LIGHT",
)
def light_switch(scene: Scene, context: Context) -> Scene:
    """The light changes in mid-episode."""
    after = light_colour.rewrite(light_intensity.rewrite(scene, context), context).lights
    return scene.but(events=(*scene.events, Restage(step=int(context.rng.integers(15, 36)), lights=after)))


@shift(
    "visual.camera-knock",
    channels=("events",),
    unit="as visual.camera-pose at this level, from a random control step in 15..35 on",
    source="LIBERO-MAX (camera shift)",
    star_gen="V-VIEW",
)
def camera_knock(scene: Scene, context: Context) -> Scene:
    """Somebody knocks against the third-person camera in mid-episode."""
    after = camera_pose.rewrite(scene, context).cameras
    return scene.but(events=(*scene.events, Restage(step=int(context.rng.integers(15, 36)), cameras=after)))


@shift(
    "visual.theme-switch",
    channels=("events",),
    unit="as visual.table-texture and visual.background at this level, from a random control step in 15..35 on",
    source="LIBERO-MAX (theme switch)",
    star_gen="V-SCENE",
)
def theme_switch(scene: Scene, context: Context) -> Scene:
    """Table, floor and walls look otherwise from one frame to the next."""
    after = background.rewrite(table_texture.rewrite(scene, context), context).surfaces
    return scene.but(events=(*scene.events, Restage(step=int(context.rng.integers(15, 36)), surfaces=after)))
