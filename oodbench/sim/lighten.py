"""A robot's files made from robosuite: lighter visual meshes, convex collision meshes, no actuators.

For developers: `python -m oodbench.sim.lighten panda` writes assets/robots/panda/ anew, with robosuite installed
(`pip install 'oodbench[robosuite]'`). Nothing else imports this module.
"""

from __future__ import annotations

import argparse
import math
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
DARK = 0.6  # parts whose colour is darker on average are the robot's dark ones, all others its shell
GRID, CELLS = 0.001, 120  # on which visual meshes are closed: m a cell, or so many cells for what is smaller
GAP = 0.003  # holes up to twice as wide are closed (m)
SMALL = 0.012  # pieces of a shade smaller than a cube of this side, lamps and screws, get the other shade (m)
MIN_TRIANGLES = 40
SMOOTH = 2.0  # standard deviation of the blur that takes away the grid's steps (cells)
VISUAL = 2  # their geom group
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
    meshes: dict[str, bytes] = {}
    for part, prefix in ((arm, ""), (hand, "gripper_")):
        meshes.update(_lighten(part, robot, prefix))
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


def _is_visual(geom: Any) -> bool:
    return geom.type == mujoco.mjtGeom.mjGEOM_MESH and geom.contype == 0 and geom.conaffinity == 0


def _read_mesh(spec: mujoco.MjSpec, name: str) -> Any:
    import trimesh

    return trimesh.load(Path(spec.modelfiledir) / (spec.meshdir or "") / spec.mesh(name).file, force="mesh")


def _lighten(spec: mujoco.MjSpec, robot: RobotAsset, prefix: str) -> dict[str, bytes]:
    """Replace the visual meshes of `spec` by light ones, one a body and shade. Returns mesh files by name."""
    import trimesh

    groups: dict[tuple[str, bool], list[Any]] = defaultdict(list)
    files: dict[str, bytes] = {}
    for geom in list(spec.geoms):
        if _is_visual(geom):
            rgba = spec.material(geom.material).rgba if geom.material else geom.rgba
            mesh = _read_mesh(spec, geom.meshname)
            pose = trimesh.transformations.quaternion_matrix(geom.quat / np.linalg.norm(geom.quat))
            pose[:3, 3] = geom.pos
            mesh.apply_transform(pose)
            groups[geom.parent.name, bool(np.mean(rgba[:3]) < DARK)].append(mesh)
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
    for body in dict.fromkeys(body for body, _ in groups):
        parts = {dark: trimesh.util.concatenate(groups[body, dark]) for dark in (False, True) if groups[body, dark]}
        for dark, solid in _light(parts, robot.triangles[body]).items():
            name = f"{prefix}{body}_{'dark' if dark else 'shell'}"
            files[f"{name}.stl"] = solid.export(file_type="stl")
            spec.add_mesh(name=name, file=f"{name}.stl", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
            spec.body(body).add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=name,
                rgba=(*robot.colours.get(body, robot.dark if dark else robot.shell), 1.0),
                contype=0,
                conaffinity=0,
                group=VISUAL,
                mass=0,
            )
    for geom in spec.geoms:
        if geom.group != VISUAL:
            geom.group = 3
            geom.contype, geom.conaffinity = 1, 0  # touches the world, not itself
    return files


def _light(parts: dict[bool, Any], triangles: int) -> dict[bool, Any]:
    """Closed meshes of about so many triangles altogether that look like `parts`, which have holes and insides.

    What is inside of all parts is divided on a grid among them, whatever is nearest. The surfaces of these solids are
    then made of fewer triangles; those of meshes that are not closed would come apart on the way.
    """
    import trimesh
    from scipy import ndimage

    points = {
        dark: trimesh.remesh.subdivide_to_size(part.vertices, part.faces, 0.7 * GRID, max_iter=20)[0]
        for dark, part in parts.items()
    }
    everything = np.concatenate(list(points.values()))
    low, size = everything.min(axis=0), np.ptp(everything, axis=0)
    grid = min(GRID, size.max() / CELLS)
    corner, reach = low - 3 * GAP - 4 * grid, math.ceil(GAP / grid)
    shape = tuple(np.ceil((size + 6 * GAP) / grid).astype(int) + 8)

    def away(marked: np.ndarray) -> np.ndarray:
        return ndimage.distance_transform_edt(~marked)

    distances = {dark: np.full(shape, np.inf) for dark in (False, True)}
    for dark, where in points.items():
        marked = np.zeros(shape, bool)
        marked[tuple(((where - corner) / grid).astype(int).T)] = True
        distances[dark] = away(marked)
    regions, _ = ndimage.label(np.minimum(*distances.values()) > reach)
    solid = away(regions == regions[0, 0, 0]) > reach + 0.5
    darkness = np.clip(distances[False] - distances[True], -10, 10)
    is_dark = solid & (ndimage.gaussian_filter(darkness, 2.0) > 0)
    for shade in (is_dark, solid & ~is_dark):  # what is small becomes part of what is around it
        is_dark ^= shade & ~_large(shade, round((SMALL / grid) ** 3))
    surfaces = {}
    for dark, mine in ((False, solid & ~is_dark), (True, is_dark)):
        if mine.any():
            net, faces = _surface_net(ndimage.gaussian_filter(mine.astype(np.float32), SMOOTH))
            surfaces[dark] = trimesh.Trimesh(corner + grid * (net + 0.5), faces, process=False)
    area, made = sum(surface.area for surface in surfaces.values()), {}
    for dark, surface in surfaces.items():
        made[dark] = _fewer(surface, max(MIN_TRIANGLES, round(triangles * surface.area / area)))
    return made


def _fewer(mesh: Any, triangles: int) -> Any:
    """The mesh with about so many triangles. Carefully at first: the more aggressive, the rougher it comes out."""
    import fast_simplification
    import trimesh

    points, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
    for aggressiveness in (3.0, 4.0, 5.0, 6.0, 7.0):
        if len(faces) > triangles:
            points, faces = fast_simplification.simplify(points, faces, target_count=triangles, agg=aggressiveness)
            points, faces = points.astype(np.float32), faces.astype(np.int32)
    return trimesh.Trimesh(points, faces, process=False)


def _large(solid: np.ndarray, cells: int) -> np.ndarray:
    """The pieces of `solid` of at least so many cells."""
    from scipy import ndimage

    pieces, _ = ndimage.label(solid)
    large = np.bincount(pieces.ravel()) >= cells
    large[0] = False
    return large[pieces]


def _surface_net(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a field on a grid crosses 0.5: points (n, 3), in cells, and triangles (m, 3) that face away from more."""
    strides = np.array([field.shape[1] * field.shape[2], field.shape[2], 1])
    flat, sums, counts, quads = field.ravel(), np.zeros((field.size, 3)), np.zeros(field.size), []
    for axis, along in enumerate(np.eye(3, dtype=int)):
        inside = np.moveaxis(field, axis, 0) > 0.5
        crossing = np.moveaxis(np.argwhere(inside[1:] != inside[:-1]), 1, 0)
        start = np.insert(crossing[1:], axis, crossing[0], axis=0).T  # the end of the edge with the lower index
        here = start @ strides
        a, b = flat[here], flat[here + strides[axis]]
        point = start + ((0.5 - a) / (b - a))[:, None] * along
        one, other = strides[(axis + 1) % 3], strides[(axis + 2) % 3]
        around = np.stack([here, here - one, here - one - other, here - other], axis=1)  # the four cells at the edge
        for cell in around.T:
            np.add.at(sums, cell, point)
            np.add.at(counts, cell, 1)
        quads.append(np.where((a > b)[:, None], around, around[:, ::-1]))
    used = np.flatnonzero(counts)
    index = np.zeros(field.size, int)
    index[used] = np.arange(len(used))
    corners = index[np.concatenate(quads)]
    return sums[used] / counts[used, None], np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


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
