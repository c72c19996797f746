"""A robot's files made from robosuite: lighter visual meshes, convex collision meshes, no actuators.

For developers: `python -m oodbench.sim.lighten panda` writes assets/robots/panda/ anew, with robosuite installed
(`pip install 'oodbench[robosuite]'`). Nothing else imports this module.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from oodbench.errors import AssetError
from oodbench.robots import MODEL, ROBOTS, SOURCE, RobotAsset

ROBOSUITE = "1.5.2"
MIN_VERTICES = 60  # below this a mesh is not decimated any further
COLLISION = "_collision.stl"
HULL_VERTICES = 64  # of a collision mesh's convex hull
TOOLS = ("mujoco", "trimesh", "fast-simplification", "scipy", "numpy")  # whose versions may change a vertex's last bit


def write(robot: RobotAsset, target: Path) -> None:
    """Writes the files of a robot, made from the installed robosuite, in place of those in `target`.

    Args:
        robot: Which parts of robosuite make it.
        target: The folder, made if it is not there.

    Raises:
        AssetError: robosuite 1.5.2 is not installed, or the folder cannot be written.
    """
    model, meshes = compose(robot)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        work.chmod(0o755)
        for file, content in {MODEL: model.encode(), SOURCE: _source(robot).encode(), **meshes}.items():
            (work / file).write_bytes(content)
        if target.exists():
            shutil.rmtree(target)
        os.rename(work, target)
    except OSError as error:
        raise AssetError(f"robot {robot.name!r}: cannot write {target} ({error.strerror or error})") from error


def _robosuite_assets() -> Path:
    try:
        found = distribution("robosuite")
    except PackageNotFoundError:
        raise AssetError("a robot's files are made from robosuite: pip install 'oodbench[robosuite]'") from None
    if found.version != ROBOSUITE:
        raise AssetError(f"robosuite {found.version} is installed; pip install robosuite=={ROBOSUITE}")
    return Path(str(found.locate_file("robosuite/models/assets")))


def _source(robot: RobotAsset) -> str:
    return "\n".join(
        (
            f"# Made by `python -m oodbench.sim.lighten {robot.name}` from robosuite's files (LICENSE-robosuite).",
            f'robosuite = "{ROBOSUITE}"',
            f'arm = "robots/{robot.arm}/robot.xml"',
            f'gripper = "grippers/{robot.gripper}.xml"',
            *(f'{tool} = "{version(tool)}"' for tool in TOOLS),
            "",
        )
    )


def compose(robot: RobotAsset) -> tuple[str, dict[str, bytes]]:
    """The robot from the installed robosuite: arm and gripper with light visuals, without actuators.

    Returns:
        Its MJCF text, and its mesh files (binary STL, m) by name.

    Raises:
        AssetError: robosuite 1.5.2 is not installed.
    """
    source = _robosuite_assets()
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
    for body in arm.bodies[1:]:
        body.gravcomp = 1.0
    arm.modelname = robot.name
    arm.meshdir = ""
    arm.assets = meshes
    arm.compile()
    # attach_body leaves an empty default class behind, which MuJoCo writes but does not read.
    text = re.sub(r"<default>\s*<default/>\s*</default>\s*", "", arm.to_xml())
    text = text.replace(f'{COLLISION}"', f'{COLLISION}" maxhullvert="{HULL_VERTICES}"')  # nor does it write this
    mujoco.MjSpec.from_string(text, assets=dict(meshes)).compile()
    return text, meshes


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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m oodbench.sim.lighten", description="A robot's files, from robosuite."
    )
    parser.add_argument("robot", choices=ROBOTS.names())
    robot = ROBOTS.get(parser.parse_args().robot)
    write(robot, robot.folder)


if __name__ == "__main__":
    main()
