"""Objects: from an asset's parts to bodies and geoms of a model.

What is seen and what is touched are separate: parts in the role "visual" are pictures only, parts in the role
"collision" are simple solids that physics is robust with. Primitives are both unless they say otherwise.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import mujoco
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from oodbench.catalogue import ObjectAsset
from oodbench.errors import AssetError
from oodbench.sim import meshes

GEOM = mujoco.mjtGeom
VISUAL_GROUP, COLLISION_GROUP = 2, 3
Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
RGBA = tuple[float, float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["visual", "collision", "both"] = "both"
    rgba: RGBA = (0.8, 0.8, 0.8, 1.0)
    position: Vec3 = (0.0, 0.0, 0.0)
    euler: Vec3 = (0.0, 0.0, 0.0)  # degrees, about the fixed axes x, y, z in this order


class Box(_Part):
    family: Literal["box"]
    half: Vec3


class Cylinder(_Part):
    family: Literal["cylinder"]
    radius: float
    half_height: float


class Ellipsoid(_Part):
    family: Literal["ellipsoid"]
    half: Vec3


class Capsule(_Part):
    family: Literal["capsule"]
    radius: float
    half_height: float


class Turned(_Part):
    family: Literal["turned"]
    role: Literal["visual", "collision", "both"] = "visual"
    profile: tuple[Vec2, ...]  # (radius, z), bottom to top
    segments: int = 20
    hollow: bool = False


class Sweep(_Part):
    family: Literal["sweep"]
    role: Literal["visual", "collision", "both"] = "visual"
    path: tuple[Vec3, ...]
    radii: tuple[float, ...]
    segments: int = 12
    flat: float = 1.0


class Slab(_Part):
    """A sheet with round corners."""

    family: Literal["slab"]
    role: Literal["visual", "collision", "both"] = "visual"
    half: Vec2
    corner: float
    height: float
    bevel: float = 0.0


class Star(_Part):
    family: Literal["star"]
    role: Literal["visual", "collision", "both"] = "visual"
    points: int
    outer: float
    inner: float
    height: float
    bevel: float = 0.0


class Prism(_Part):
    family: Literal["prism"]
    sides: int
    radius: float
    height: float


class Ring(_Part):
    """A rim made of boxes, for physics; seen only if it says so."""

    family: Literal["ring"]
    role: Literal["visual", "collision", "both"] = "collision"
    radius: float
    thickness: float
    height: float
    count: int = 12


class Cabinet(_Part):
    """A box with one drawer that slides out along -x."""

    family: Literal["cabinet"]
    half: Vec3  # half extents of the whole (depth, width, height) (m)
    travel: float
    front: RGBA  # of the drawer's front
    handle: Literal["bar", "knob", "ring", "plate"]
    handle_rgba: RGBA
    handle_at: Vec3  # grasp point in the object's frame
    gap: float = 0.012  # thickness of the walls


Part = Annotated[
    Box | Cylinder | Ellipsoid | Capsule | Turned | Sweep | Slab | Star | Prism | Ring | Cabinet,
    Field(discriminator="family"),
]
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])


def parts_of(asset: ObjectAsset) -> tuple[Part, ...]:
    """The asset's parts, validated. Raises AssetError that names the asset and the key."""
    try:
        return _PARTS.validate_python(asset.part)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(piece) for piece in first["loc"])
        raise AssetError(f"object {asset.name!r}: part.{where}: {first['msg']}") from error


def add_object(spec: mujoco.MjSpec, asset: ObjectAsset, name: str) -> Any:
    """Add a body called `name` to the world body of `spec`, with a free joint of that name unless it is fixed.

    The body's origin is the centre of its base, z up. Geoms: "<name>/visual/<i>" and "<name>/collision/<i>"; the latter
    weigh asset.mass together, shared by volume. A cabinet has a slide joint "<name>/drawer".
    """
    body = spec.worldbody.add_body(name=name)
    if not asset.fixed:
        body.add_freejoint(name=name)
    build = _Builder(spec, body, asset, name)
    for part in parts_of(asset):
        build.add(part)
    build.share_mass()
    return body


class _Builder:
    def __init__(self, spec: mujoco.MjSpec, body: Any, asset: ObjectAsset, name: str) -> None:
        self.spec, self.body, self.asset, self.name = spec, body, asset, name
        self.seen = 0
        self.solid: list[tuple[Any, float]] = []  # collision geoms and their volumes

    def add(self, part: Part) -> None:
        if isinstance(part, Cabinet):
            self._cabinet(part)
        elif isinstance(part, Ring):
            self._ring(part)
        else:
            shape, volume = self._shape(part)
            self._place(self.body, part, shape, volume, part.position, _quat(part.euler))

    def share_mass(self) -> None:
        total = sum(volume for _, volume in self.solid)
        if not total:
            raise AssetError(f'object {self.asset.name!r}: no part can be touched; give one the role "collision"')
        for geom, volume in self.solid:
            geom.mass = self.asset.mass * volume / total

    def _shape(self, part: Part) -> tuple[dict[str, Any], float]:
        """Arguments of add_geom, and a volume (m^3)."""
        match part:
            case Box():
                return {"type": GEOM.mjGEOM_BOX, "size": part.half}, 8 * math.prod(part.half)
            case Cylinder():
                volume = math.tau * part.radius**2 * part.half_height
                return {"type": GEOM.mjGEOM_CYLINDER, "size": (part.radius, part.half_height, 0)}, volume
            case Capsule():
                volume = math.tau * part.radius**2 * part.half_height + 4.19 * part.radius**3
                return {"type": GEOM.mjGEOM_CAPSULE, "size": (part.radius, part.half_height, 0)}, volume
            case Ellipsoid():
                return {"type": GEOM.mjGEOM_ELLIPSOID, "size": part.half}, 4.19 * math.prod(part.half)
            case Turned():
                mesh = meshes.turned(part.profile, part.segments, part.hollow)
            case Sweep():
                mesh = meshes.sweep(part.path, part.radii, part.segments, part.flat)
            case Slab():
                outline = meshes.rounded_rectangle(part.half, part.corner)
                mesh = meshes.extruded(outline, part.height, part.bevel)
            case Star():
                mesh = meshes.extruded(meshes.star(part.points, part.outer, part.inner), part.height, part.bevel)
            case Prism():
                mesh = meshes.extruded(meshes.star(part.sides, part.radius, part.radius)[::2], part.height)
            case _:
                raise AssetError(f"object {self.asset.name!r}: no geometry for {part.family!r}")
        vertices, faces = mesh
        extent = np.ptp(vertices, axis=0)
        mesh_name = f"{self.name}/mesh/{len(self.spec.meshes)}"
        self.spec.add_mesh(
            name=mesh_name,
            uservert=vertices.ravel(),
            userface=faces.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX,
        )
        return {"type": GEOM.mjGEOM_MESH, "meshname": mesh_name}, float(0.6 * math.prod(extent))

    def _place(
        self,
        body: Any,
        part: _Part,
        shape: dict[str, Any],
        volume: float,
        position: Any,
        quat: Any,
        role: str | None = None,
    ) -> None:
        role = role or part.role
        if role in ("visual", "both"):
            body.add_geom(
                name=f"{self.name}/visual/{self.seen}",
                pos=position,
                quat=quat,
                rgba=part.rgba,
                contype=0,
                conaffinity=0,
                mass=0,
                group=VISUAL_GROUP,
                **shape,
            )
            self.seen += 1
        if role in ("collision", "both"):
            geom = body.add_geom(
                name=f"{self.name}/collision/{len(self.solid)}",
                pos=position,
                quat=quat,
                rgba=part.rgba,
                condim=4,
                friction=self.asset.friction,
                group=COLLISION_GROUP,
                **shape,
            )
            self.solid.append((geom, volume))

    def _ring(self, part: Ring) -> None:
        length = part.radius * math.tan(math.pi / part.count)
        half = (part.thickness / 2, length, part.height / 2)
        for i in range(part.count):
            angle = math.tau * i / part.count
            at = (
                np.array([part.radius * math.cos(angle), part.radius * math.sin(angle), part.height / 2])
                + part.position
            )
            shape = {"type": GEOM.mjGEOM_BOX, "size": half}
            self._place(self.body, part, shape, 8 * math.prod(half), at, _quat((0, 0, math.degrees(angle))))

    def _cabinet(self, part: Cabinet) -> None:
        """Walls on the body; floor, walls, front and handle of the drawer on a sliding child."""
        depth, width, height = part.half
        gap = part.gap
        self._panel(self.body, part, (depth, width, gap / 2), (0, 0, 2 * height - gap / 2))
        self._panel(self.body, part, (depth, width, gap / 2), (0, 0, gap / 2))
        for side in (1, -1):
            self._panel(self.body, part, (depth, gap / 2, height - gap), (0, side * (width - gap / 2), height))
        self._panel(self.body, part, (gap / 2, width - gap, height - gap), (depth - gap / 2, 0, height))
        drawer = self.body.add_body(name=f"{self.name}/drawer-body")
        drawer.add_joint(
            name=f"{self.name}/drawer",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(-1, 0, 0),
            range=(0, part.travel),
            limited=True,
            damping=8.0,
            frictionloss=0.6,
            armature=0.1,
        )
        inner = width - 2 * gap
        long = depth - gap
        low, tall = 1.5 * gap + 0.002, height - 1.6 * gap
        wood: RGBA = (0.80, 0.69, 0.52, 1.0)
        pale = part.model_copy(update={"rgba": wood})
        self._panel(drawer, pale, (long - 0.004, inner - 0.004, 0.003), (-0.004, 0, low + 0.003))
        for side in (1, -1):
            self._panel(
                drawer, pale, (long - 0.004, 0.003, 0.6 * tall), (-0.004, side * (inner - 0.008), low + 0.6 * tall)
            )
        self._panel(drawer, pale, (0.003, inner - 0.008, 0.6 * tall), (long - 0.012, 0, low + 0.6 * tall))
        front = part.model_copy(update={"rgba": part.front})
        self._panel(drawer, front, (0.006, width - 0.002, height - 0.004), (-depth - 0.0065, 0, height))
        self._handle(drawer, part)

    def _handle(self, drawer: Any, part: Cabinet) -> None:
        metal = part.model_copy(update={"rgba": part.handle_rgba})
        x, y, z = part.handle_at
        root = -part.half[0] - 0.0125
        stem = (root - x) / 2
        middle = (root + x) / 2
        box, cylinder = GEOM.mjGEOM_BOX, GEOM.mjGEOM_CYLINDER
        upright, along_x = _quat((0, 0, 0)), _quat((0, 90, 0))
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
            self._place(
                drawer, metal, {"type": kind, "size": size}, 0.05 * math.prod(s or 1e-2 for s in size), position, quat
            )

    def _panel(self, body: Any, part: _Part, half: Vec3, position: Vec3) -> None:
        self._place(
            body, part, {"type": GEOM.mjGEOM_BOX, "size": half}, 8 * math.prod(half), position, _quat((0, 0, 0)), "both"
        )


def _quat(euler: Vec3) -> np.ndarray:
    """Quaternion (w, x, y, z) of rotations (degrees) about the fixed axes x, then y, then z."""
    quat = np.zeros(4)
    mujoco.mju_euler2Quat(quat, np.radians(euler), "XYZ")
    return quat
