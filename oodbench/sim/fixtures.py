"""Objects with parts that move (cabinets, buttons, knobs), and boards that show glyphs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import mujoco
import numpy as np

from oodbench.errors import AssetError
from oodbench.sim.parts import RGBA, PartBase, Vec3, part_family

if TYPE_CHECKING:
    from oodbench.sim.shapes import Builder

GEOM = mujoco.mjtGeom
FACE_SIZE = 128  # pixels of a board's texture


class Cabinet(PartBase):
    """A box with one drawer that slides out along -x."""

    family: Literal["cabinet"]
    half: Vec3  # half extents of the whole (depth, width, height) (m)
    front: RGBA  # of the drawer's front
    handle: Literal["bar", "knob", "ring", "plate"]
    handle_rgba: RGBA
    handle_at: Vec3  # grasp point in the object's frame
    gap: float = 0.012  # thickness of the walls


class Button(PartBase):
    """A housing with a cap that goes down and stays down, as an emergency stop does."""

    family: Literal["button"]
    half: Vec3  # of the housing (m)
    cap: RGBA
    cap_radius: float
    cap_height: float  # how far the cap stands out when it is up (m)
    square: bool = False


class Knob(PartBase):
    """A plate with a rotary switch: a disc with a bar across, which turns about z and stays."""

    family: Literal["knob"]
    half: Vec3  # of the plate (m)
    disc: RGBA
    radius: float
    bar: Vec3  # half extents of the bar, x its length (m)
    bar_rgba: RGBA


class Board(PartBase):
    """A flat box that shows a glyph on its top."""

    family: Literal["board"]
    half: Vec3


@part_family(Cabinet)
def cabinet(build: Builder, part: Cabinet) -> None:
    """Walls on the body; floor, walls, front and handle of the drawer on a sliding child."""
    depth, width, height = part.half
    gap = part.gap
    build.panel(build.body, part, (depth, width, gap / 2), (0, 0, 2 * height - gap / 2))
    build.panel(build.body, part, (depth, width, gap / 2), (0, 0, gap / 2))
    for side in (1, -1):
        build.panel(build.body, part, (depth, gap / 2, height - gap), (0, side * (width - gap / 2), height))
    build.panel(build.body, part, (gap / 2, width - gap, height - gap), (depth - gap / 2, 0, height))
    drawer = _moving(build, mujoco.mjtJoint.mjJNT_SLIDE, (-1, 0, 0), damping=8.0, frictionloss=0.6, armature=0.1)
    inner = width - 2 * gap
    long = depth - gap
    low, tall = 1.5 * gap + 0.002, height - 1.6 * gap
    wood: RGBA = (0.80, 0.69, 0.52, 1.0)
    pale = part.model_copy(update={"rgba": wood})
    build.panel(drawer, pale, (long - 0.004, inner - 0.004, 0.003), (-0.004, 0, low + 0.003))
    for side in (1, -1):
        build.panel(drawer, pale, (long - 0.004, 0.003, 0.6 * tall), (-0.004, side * (inner - 0.008), low + 0.6 * tall))
    build.panel(drawer, pale, (0.003, inner - 0.008, 0.6 * tall), (long - 0.012, 0, low + 0.6 * tall))
    front = part.model_copy(update={"rgba": part.front})
    build.panel(drawer, front, (0.006, width - 0.002, height - 0.004), (-depth - 0.0065, 0, height))
    _handle(build, drawer, part)


def _handle(build: Builder, drawer: Any, part: Cabinet) -> None:
    metal = part.model_copy(update={"rgba": part.handle_rgba})
    x, y, z = part.handle_at
    root = -part.half[0] - 0.0125
    stem = (root - x) / 2
    middle = (root + x) / 2
    box, cylinder = GEOM.mjGEOM_BOX, GEOM.mjGEOM_CYLINDER
    upright, along_x = quat_of((0, 0, 0)), quat_of((0, 90, 0))
    shapes: list[tuple[int, Vec3, Vec3, Any]]
    match part.handle:
        case "bar":
            shapes = [(cylinder, (0.008, 0.028, 0), (x, y, z), upright)]
            shapes += [(box, (stem, 0.004, 0.004), (middle, y, z + s * 0.02), upright) for s in (1, -1)]
        case "plate":
            shapes = [(box, (stem + 0.008, 0.007, 0.022), (middle - 0.004, y, z), upright)]
        case "knob":
            shapes = [
                (cylinder, (0.014, 0.010, 0), (x, y, z), along_x),
                (cylinder, (0.006, stem, 0), (middle, y, z), along_x),
            ]
        case _:
            shapes = [(box, (0.006, 0.012, 0.004), (x, y, z + s * 0.018), upright) for s in (1, -1)]
            shapes += [(box, (0.006, 0.004, 0.022), (x, y + s * 0.012, z), upright) for s in (1, -1)]
            shapes += [(box, (stem, 0.004, 0.004), (middle, y, z + 0.018), upright)]
    for kind, size, position, quat in shapes:
        build.place(
            drawer, metal, {"type": kind, "size": size}, 0.05 * math.prod(s or 1e-2 for s in size), position, quat
        )


def _moving(build: Builder, kind: Any, axis: Vec3, **joint: float) -> Any:
    """The body that moves on the asset's joint."""
    declared = build.asset.joint
    if declared is None:
        raise AssetError(f"object {build.asset.name!r}: has a part that moves, but no [joint]")
    body = build.body.add_body(name=f"{build.name}/moving")
    turns = kind == mujoco.mjtJoint.mjJNT_HINGE  # an MjSpec takes degrees there
    end = math.degrees(declared.range) if turns else declared.range
    body.add_joint(name=f"{build.name}/joint", type=kind, axis=axis, range=(0, end), limited=True, **joint)
    return body


@part_family(Button)
def button(build: Builder, part: Button) -> None:
    z = part.half[2]
    build.panel(build.body, part, part.half, (0, 0, z))
    collar = part.model_copy(update={"rgba": (0.12, 0.12, 0.13, 1.0)})
    ring = {"type": GEOM.mjGEOM_CYLINDER, "size": (part.cap_radius + 0.005, 0.002, 0)}
    build.place(build.body, collar, ring, 1e-6, (0, 0, 2 * z + 0.001), quat_of((0, 0, 0)), "visual")
    cap = _moving(build, mujoco.mjtJoint.mjJNT_SLIDE, (0, 0, -1), damping=40.0, frictionloss=3.0, armature=0.2)
    cap.gravcomp = 1.0  # MuJoCo's friction is soft: under its own weight the cap would sink by a tenth in 3 seconds
    colour = part.model_copy(update={"rgba": part.cap})
    half, radius = part.cap_height / 2, part.cap_radius
    shape: dict[str, Any] = {"type": GEOM.mjGEOM_CYLINDER, "size": (radius, half, 0)}
    if part.square:
        shape = {"type": GEOM.mjGEOM_BOX, "size": (radius, radius, half)}
    build.place(cap, colour, shape, 1e-5, (0, 0, 2 * z + half), quat_of((0, 0, 0)), "both")
    build.spec.add_exclude(bodyname1=build.name, bodyname2=f"{build.name}/moving")  # the cap goes into the housing


@part_family(Knob)
def knob(build: Builder, part: Knob) -> None:
    z = 2 * part.half[2]
    build.panel(build.body, part, part.half, (0, 0, part.half[2]))
    marks = part.model_copy(update={"rgba": (0.95, 0.95, 0.95, 1.0)})
    for turn in (0.0, 90.0):  # where the bar points at the start and at the end
        angle = math.radians(turn)
        at = ((part.radius + 0.012) * math.cos(angle), (part.radius + 0.012) * math.sin(angle), z + 0.0005)
        tick = {"type": GEOM.mjGEOM_BOX, "size": (0.007, 0.003, 0.0005)}
        build.place(build.body, marks, tick, 1e-6, at, quat_of((0, 0, turn)), "visual")
    turning = _moving(build, mujoco.mjtJoint.mjJNT_HINGE, (0, 0, 1), damping=0.02, frictionloss=0.05, armature=0.001)
    disc = part.model_copy(update={"rgba": part.disc})
    shape = {"type": GEOM.mjGEOM_CYLINDER, "size": (part.radius, 0.005, 0)}
    build.place(turning, disc, shape, 1e-5, (0, 0, z + 0.006), quat_of((0, 0, 0)), "both")
    bar = part.model_copy(update={"rgba": part.bar_rgba})
    shape = {"type": GEOM.mjGEOM_BOX, "size": part.bar}
    build.place(turning, bar, shape, 1e-5, (0, 0, z + 0.011 + part.bar[2]), quat_of((0, 0, 0)), "both")
    tip = part.model_copy(update={"rgba": (0.95, 0.95, 0.95, 1.0)})
    shape = {"type": GEOM.mjGEOM_BOX, "size": (0.006, part.bar[1] * 0.5, 0.0006)}
    at = (part.bar[0] - 0.008, 0, z + 0.011 + 2 * part.bar[2])
    build.place(turning, tip, shape, 1e-6, at, quat_of((0, 0, 0)), "visual")


@part_family(Board)
def board(build: Builder, part: Board) -> None:
    texture = build.spec.add_texture(
        name=f"{build.name}/face",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=FACE_SIZE,
        height=FACE_SIZE,
        nchannel=3,
    )
    material = build.spec.add_material(name=f"{build.name}/face", specular=0.1, shininess=0.2)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name
    x, y, z = part.half
    whole, body = {"type": GEOM.mjGEOM_BOX, "size": part.half}, 8 * math.prod(part.half)
    build.place(build.body, part, whole, body, (0, 0, z), quat_of((0, 0, 0)), "both")
    white = part.model_copy(update={"rgba": (1.0, 1.0, 1.0, 1.0)})
    sheet = {"type": GEOM.mjGEOM_BOX, "size": (x - 0.002, y - 0.002, 0.0004)}
    build.place(build.body, white, sheet, body, (0, 0, 2 * z), quat_of((0, 0, 0)), "visual", "face")


def quat_of(euler: Vec3) -> np.ndarray:
    """Quaternion (w, x, y, z) of rotations (degrees) about the fixed axes x, then y, then z."""
    quat = np.zeros(4)
    mujoco.mju_euler2Quat(quat, [math.radians(angle) for angle in euler], "XYZ")
    return quat
