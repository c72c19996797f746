"""Robots: robosuite's arms and grippers, lightened once into the cache, and read from there ever after.

The cache folder of a robot (robot.xml, meshes, manifest.json) can be copied to a machine without robosuite.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from pydantic import BaseModel, ConfigDict

from oodbench import paths, toml
from oodbench.errors import AssetError
from oodbench.registry import Registry

CACHE_FORMAT = 1  # raise it when what `prepare` writes changes
ROBOSUITE = "1.5.2"
MIN_VERTICES = 60  # below this a mesh is not decimated any further
COLLISION = "_collision.stl"
HULL_VERTICES = 64  # of a collision mesh's convex hull


class RobotAsset(BaseModel):
    """assets/robots/<name>.toml: which parts of robosuite make the robot, and how it is driven."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    arm: str  # robosuite's models/assets/robots/<arm>/robot.xml
    gripper: str  # robosuite's models/assets/grippers/<gripper>.xml
    gripper_body: str
    hand_body: str  # the body of the arm that carries the gripper
    base: tuple[float, float, float]  # of the base in the world frame (m)
    vertices: int  # budget of the visual meshes
    joints: tuple[str, ...]
    stiffness: tuple[float, ...]  # position gain of each joint (N m / rad)
    force: tuple[float, ...]  # torque limit of each joint (N m)
    armature: tuple[float, ...]  # reflected rotor inertia of each joint (kg m^2)
    fingers: tuple[str, ...]  # the two finger joints; the distance between the fingers is the sum of their magnitudes
    finger_bodies: tuple[tuple[str, ...], tuple[str, ...]]  # bodies of the left and of the right finger
    finger_stiffness: float  # N / m
    finger_force: float  # N
    grip_site: str
    opening: float  # between the open fingers (m)


def _load(path: Path) -> RobotAsset:
    return toml.load(path, RobotAsset)


ROBOTS: Registry[RobotAsset] = Registry("robot", paths.data_dir("assets") / "robots", _load, of=RobotAsset)


def folder(name: str) -> Path:
    """The cache folder of a robot, whether it exists or not."""
    return paths.cache_dir() / "robots" / f"{name}-{CACHE_FORMAT}"


def is_prepared(name: str) -> bool:
    return (folder(name) / "manifest.json").is_file()


def cache_sha256(name: str = "panda") -> str:
    """Hash of the cached robot's files, as the manifest says."""
    ensure(name)
    return json.loads((folder(name) / "manifest.json").read_text())["sha256"]


def ensure(name: str) -> Path:
    """The cache folder, prepared from robosuite when it is not there yet (a few seconds, once).

    Raises AssetError with the way out when neither the cache nor robosuite is there.
    """
    if not is_prepared(name):
        prepare(ROBOTS.get(name))
    return folder(name)


@lru_cache(maxsize=8)
def files(name: str) -> dict[str, bytes]:
    """The robot's mesh files by name, read once a process; a spec that the robot is attached to needs them too."""
    return {file.name: file.read_bytes() for file in sorted((ensure(name) / "meshes").iterdir())}


@lru_cache(maxsize=8)
def _xml(name: str) -> str:
    return (ensure(name) / "robot.xml").read_text()


def spec(name: str) -> mujoco.MjSpec:
    """A fresh, editable MjSpec of the robot: arm, gripper, position actuators."""
    robot = mujoco.MjSpec.from_string(_xml(name), assets=files(name))
    for mesh in robot.meshes:
        if mesh.file.endswith(COLLISION):
            mesh.maxhullvert = HULL_VERTICES  # to_xml does not write it
    return robot


def prepare(robot: RobotAsset) -> Path:
    """Write the cache folder of `robot` from the installed robosuite. Safe against a second process doing the same."""
    source = _robosuite_assets()
    target = folder(robot.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise AssetError(f"robot {robot.name!r}: cannot write {target} ({error}); set OODBENCH_CACHE") from error
    try:
        composed, meshes = _compose(robot, source)
        (work / "meshes").mkdir()
        for file, content in meshes.items():
            (work / "meshes" / file).write_bytes(content)
        (work / "robot.xml").write_text(composed)
        (work / "manifest.json").write_text(json.dumps(_manifest(work, robot), indent=1))
        try:
            os.rename(work, target)
        except OSError:
            if not is_prepared(robot.name):
                raise
    except OSError as error:
        raise AssetError(f"robot {robot.name!r}: cannot write {target} ({error}); set OODBENCH_CACHE") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _robosuite_assets() -> Path:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution("robosuite")
    except PackageNotFoundError:
        raise AssetError(
            "the robot's meshes are not prepared and robosuite is not installed; either "
            f"pip install 'oodbench[robosuite]', or copy the folder {paths.cache_dir()} from a machine that has it"
        ) from None
    if found.version != ROBOSUITE:
        raise AssetError(f"robosuite {found.version} is installed; pip install robosuite=={ROBOSUITE}")
    return Path(str(found.locate_file("robosuite/models/assets")))


def _manifest(work: Path, robot: RobotAsset) -> dict[str, Any]:
    digest = hashlib.sha256()
    files = sorted(p for p in work.rglob("*") if p.is_file())
    for file in files:
        digest.update(file.relative_to(work).as_posix().encode() + b"\0" + file.read_bytes())
    return {
        "robot": robot.name,
        "format": CACHE_FORMAT,
        "robosuite": ROBOSUITE,
        "source": {"arm": robot.arm, "gripper": robot.gripper},
        "sha256": digest.hexdigest(),
    }


def _compose(robot: RobotAsset, source: Path) -> tuple[str, dict[str, bytes]]:
    """The robot as MJCF text and its mesh files: arm + gripper, light visuals, position actuators."""
    arm = mujoco.MjSpec.from_file(str(source / "robots" / robot.arm / "robot.xml"))
    hand = mujoco.MjSpec.from_file(str(source / "grippers" / f"{robot.gripper}.xml"))
    budget = robot.vertices / _count_vertices(arm, hand)
    meshes: dict[str, bytes] = {}
    for part, prefix in ((arm, ""), (hand, "gripper_")):
        meshes.update(_lighten(part, budget, prefix))
        for actuator in list(part.actuators):
            part.delete(actuator)
        for camera in list(part.cameras):
            part.delete(camera)
    arm.body(robot.hand_body).add_frame().attach_body(hand.body(robot.gripper_body), "", "")
    for joint, stiffness, force, armature in zip(
        robot.joints, robot.stiffness, robot.force, robot.armature, strict=True
    ):
        item = arm.joint(joint)
        item.armature = armature
        _position_actuator(arm, joint, stiffness, force, (item.range[0], item.range[1]))
    for finger in robot.fingers:
        low, high = arm.joint(finger).range
        _position_actuator(arm, finger, robot.finger_stiffness, robot.finger_force, (low, high))
    for body in arm.bodies[1:]:
        body.gravcomp = 1.0
    arm.modelname = robot.name
    arm.meshdir = ""
    arm.assets = meshes
    arm.compile()
    # attach_body leaves an empty default class behind, which MuJoCo writes but does not read.
    text = re.sub(r"<default>\s*<default/>\s*</default>", "", arm.to_xml())
    mujoco.MjSpec.from_string(text, assets=dict(meshes)).compile()
    return text, meshes


def _position_actuator(
    spec: mujoco.MjSpec, joint: str, stiffness: float, force: float, limits: tuple[float, float]
) -> None:
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=stiffness, dampratio=1.0)
    actuator.ctrlrange = limits
    actuator.ctrllimited = True
    actuator.forcerange = (-force, force)
    actuator.forcelimited = True


def _count_vertices(*specs: mujoco.MjSpec) -> int:
    total = 0
    for item in specs:
        visual = [geom for geom in item.geoms if _is_visual(geom)]
        total += sum(len(_read_mesh(item, geom.meshname).vertices) for geom in visual)
    return total


def _is_visual(geom: Any) -> bool:
    return geom.type == mujoco.mjtGeom.mjGEOM_MESH and geom.contype == 0 and geom.conaffinity == 0


def _read_mesh(spec: mujoco.MjSpec, name: str) -> Any:
    import trimesh

    path = Path(spec.modelfiledir) / (spec.meshdir or "") / spec.mesh(name).file
    mesh: Any = trimesh.load(path, force="mesh", process=False)
    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    return mesh


def _lighten(spec: mujoco.MjSpec, budget: float, prefix: str) -> dict[str, bytes]:
    """Replace the visual meshes of `spec` by decimated ones, one a body and colour. Returns mesh files by name."""
    import trimesh

    groups: dict[tuple[str, tuple[float, ...]], list[Any]] = defaultdict(list)
    files: dict[str, bytes] = {}
    for geom in list(spec.geoms):
        if _is_visual(geom):
            rgba = spec.material(geom.material).rgba if geom.material else geom.rgba
            mesh = _read_mesh(spec, geom.meshname)
            pose = trimesh.transformations.quaternion_matrix(geom.quat / np.linalg.norm(geom.quat))
            pose[:3, 3] = geom.pos
            mesh.apply_transform(pose)
            groups[geom.parent.name, tuple(np.round(rgba, 2))].append(mesh)
            spec.delete(geom)
    used = {geom.meshname for geom in spec.geoms if geom.meshname}
    for item in list(spec.meshes):
        if item.name not in used:
            spec.delete(item)
            continue
        solid: Any = trimesh.load(Path(spec.modelfiledir) / item.file, force="mesh")
        item.file = f"{prefix}{item.name}{COLLISION}"
        files[item.file] = solid.convex_hull.export(file_type="stl")
    for material in list(spec.materials):
        spec.delete(material)
    for index, ((body, rgba), parts) in enumerate(groups.items()):
        name = f"{prefix}{body}_visual_{index}"
        files[f"{name}.stl"] = _decimate(trimesh.util.concatenate(parts), budget).export(file_type="stl")
        spec.add_mesh(name=name, file=f"{name}.stl", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
        spec.body(body).add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            rgba=rgba,
            contype=0,
            conaffinity=0,
            group=2,
            mass=0,
        )
    for geom in spec.geoms:
        if not geom.name.endswith(tuple(f"_visual_{i}" for i in range(len(groups)))):
            geom.group = 3
            geom.contype, geom.conaffinity = 1, 0  # touches the world, not itself
    return files


def _decimate(mesh: Any, share: float) -> Any:
    """The mesh with about `share` of its vertices, but not fewer than a recognisable few."""
    import fast_simplification
    import trimesh

    mesh.merge_vertices(merge_norm=True, merge_tex=True)
    keep = max(share, MIN_VERTICES / max(len(mesh.vertices), 1))
    if keep >= 1.0:
        return mesh
    points, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32), target_reduction=1.0 - keep
    )
    return trimesh.Trimesh(points, faces, process=False)


def versions() -> dict[str, str]:
    """What the prepared robots were made from, for provenance: name -> "robosuite 1.5.2 format 1"."""
    found = {}
    for name in ROBOTS.names():
        if is_prepared(name):
            manifest = json.loads((folder(name) / "manifest.json").read_text())
            found[name] = f"robosuite {manifest['robosuite']}, format {manifest['format']}"
    return found
