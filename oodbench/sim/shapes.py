"""Objects: from an asset's parts to bodies and geoms of a model.

What is seen and what is touched are separate: parts in the role "visual" are pictures only, parts in the role
"collision" are simple solids that physics is robust with. Primitives are both unless they say otherwise.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import mujoco
import numpy as np
from pydantic import ValidationError

from oodbench.catalogue import ObjectAsset
from oodbench.errors import AssetError, UnknownNameError
from oodbench.exact import total
from oodbench.sim import meshes
from oodbench.sim.fixtures import quat_of  # which registers its families, too
from oodbench.sim.parts import FAMILIES, PartBase, Vec2, Vec3, part_family

GEOM = mujoco.mjtGeom
ROLLING = 5.0  # 1/s; so fast does what rolls come to rest, as on a cloth
VISUAL_GROUP, COLLISION_GROUP = 2, 3


class Box(PartBase):
    family: Literal["box"]
    half: Vec3


class Cylinder(PartBase):
    family: Literal["cylinder"]
    radius: float
    half_height: float


class Ellipsoid(PartBase):
    family: Literal["ellipsoid"]
    half: Vec3


class Capsule(PartBase):
    family: Literal["capsule"]
    radius: float
    half_height: float


class Turned(PartBase):
    family: Literal["turned"]
    role: Literal["visual", "collision", "both"] = "visual"
    profile: tuple[Vec2, ...]  # (radius, z), bottom to top
    segments: int = 20
    hollow: bool = False


class Sweep(PartBase):
    family: Literal["sweep"]
    role: Literal["visual", "collision", "both"] = "visual"
    path: tuple[Vec3, ...]
    radii: tuple[float, ...]
    segments: int = 12
    flat: float = 1.0


class Slab(PartBase):
    """A sheet with round corners."""

    family: Literal["slab"]
    role: Literal["visual", "collision", "both"] = "visual"
    half: Vec2
    corner: float
    height: float
    bevel: float = 0.0


class Star(PartBase):
    family: Literal["star"]
    role: Literal["visual", "collision", "both"] = "visual"
    points: int
    outer: float
    inner: float
    height: float
    bevel: float = 0.0


class Prism(PartBase):
    family: Literal["prism"]
    sides: int
    radius: float
    height: float


class Ring(PartBase):
    """A rim made of boxes, for physics; seen only if it says so."""

    family: Literal["ring"]
    role: Literal["visual", "collision", "both"] = "collision"
    radius: float
    thickness: float
    height: float
    count: int = 12


def parts_of(asset: ObjectAsset) -> tuple[PartBase, ...]:
    """The asset's parts, validated. Raises AssetError that names the asset and the key."""
    found = []
    for index, part in enumerate(asset.part):
        where = f"object {asset.name!r}: part.{index}"
        try:
            found.append(FAMILIES.get(str(part.get("family"))).model.model_validate(part))
        except UnknownNameError as error:
            raise AssetError(f"{where}.family: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            keys = ".".join(str(piece) for piece in (part["family"], *first["loc"]))
            raise AssetError(f"{where}.{keys}: {first['msg']}") from error
    return tuple(found)


def add_object(spec: mujoco.MjSpec, asset: ObjectAsset, name: str) -> Any:
    """Add a body called `name` to the world body of `spec`, with a free joint of that name unless it is fixed.

    The body's origin is the centre of its base, z up. Geoms: "<name>/visual/<i>" and "<name>/collision/<i>"; the latter
    weigh asset.mass together, shared by volume. What moves in it moves on the joint "<name>/joint". A
    board has the material and texture "<name>/face".
    """
    body = spec.worldbody.add_body(name=name)
    if not asset.fixed:
        resistance = ROLLING * asset.mass * asset.radius**2
        body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_FREE, damping=resistance)
    build = Builder(spec, body, asset, name)
    for part in parts_of(asset):
        build.add(part)
    build.share_mass()
    return body


@lru_cache(maxsize=512)
def _mesh(part: PartBase) -> meshes.Mesh | None:
    """The mesh of a part that is neither of MuJoCo's solids nor made of several; None of others."""
    match part:
        case Turned():
            return meshes.turned(part.profile, part.segments, part.hollow)
        case Sweep():
            return meshes.sweep(part.path, part.radii, part.segments, part.flat)
        case Slab():
            return meshes.extruded(meshes.rounded_rectangle(part.half, part.corner), part.height, part.bevel)
        case Star():
            return meshes.extruded(meshes.star(part.points, part.outer, part.inner), part.height, part.bevel)
        case Prism():
            return meshes.extruded(meshes.star(part.sides, part.radius, part.radius)[::2], part.height)
    return None


class Builder:
    """Adds the parts of one object to a model: `place` a solid or a mesh, or a `panel`, on `body` or a child of it."""

    def __init__(self, spec: mujoco.MjSpec, body: Any, asset: ObjectAsset, name: str) -> None:
        self.spec, self.body, self.asset, self.name = spec, body, asset, name
        self.seen = 0
        self.solid: list[tuple[Any, float]] = []  # collision geoms and their volumes

    def add(self, part: PartBase) -> None:
        FAMILIES.get(part.family).build(self, part)

    def share_mass(self) -> None:
        whole = total(volume for _, volume in self.solid)
        if not whole and self.asset.fixed:
            return  # a mark on the table
        if not whole:
            raise AssetError(f'object {self.asset.name!r}: no part can be touched; give one the role "collision"')
        for geom, volume in self.solid:
            geom.mass = self.asset.mass * volume / whole

    def _shape(self, part: PartBase) -> tuple[dict[str, Any], float]:
        """Arguments of add_geom, and a volume (m^3)."""
        match part:
            case Box():
                return {"type": GEOM.mjGEOM_BOX, "size": part.half}, 8 * math.prod(part.half)
            case Cylinder():
                volume = math.tau * part.radius**2 * part.half_height
                return {"type": GEOM.mjGEOM_CYLINDER, "size": (part.radius, part.half_height, 0)}, volume
            case Capsule():
                volume = math.tau * part.radius**2 * part.half_height + 4.19 * part.radius**2 * part.radius
                return {"type": GEOM.mjGEOM_CAPSULE, "size": (part.radius, part.half_height, 0)}, volume
            case Ellipsoid():
                return {"type": GEOM.mjGEOM_ELLIPSOID, "size": part.half}, 4.19 * math.prod(part.half)
        mesh = _mesh(part)
        if mesh is None:
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

    def place(
        self,
        body: Any,
        part: PartBase,
        shape: dict[str, Any],
        volume: float,
        position: Any,
        quat: Any,
        role: str | None = None,
        material: str = "",
    ) -> None:
        """Add the geoms of one part to `body`: what is seen of it, and what is touched."""
        role = role or part.role
        if role in ("visual", "both"):
            body.add_geom(
                name=f"{self.name}/visual/{self.seen}",
                pos=position,
                quat=quat,
                rgba=part.rgba,
                material=f"{self.name}/{material}" if material else "",
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
            self.place(self.body, part, shape, 8 * math.prod(half), at, quat_of((0, 0, math.degrees(angle))))

    def panel(self, body: Any, part: PartBase, half: Vec3, position: Vec3) -> None:
        """A box that is seen and touched."""
        self.place(
            body,
            part,
            {"type": GEOM.mjGEOM_BOX, "size": half},
            8 * math.prod(half),
            position,
            quat_of((0, 0, 0)),
            "both",
        )


@part_family(Box, Cylinder, Ellipsoid, Capsule, Turned, Sweep, Slab, Star, Prism)
def _solid(build: Builder, part: PartBase) -> None:
    shape, volume = build._shape(part)
    build.place(build.body, part, shape, volume, part.position, quat_of(part.euler))


@part_family(Ring)
def _ring(build: Builder, part: Ring) -> None:
    build._ring(part)
