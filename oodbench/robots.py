"""Robots as data: an arm with its gripper, in the files beside its TOML file; sim/robots.py makes models of them.

Making those files from robosuite is a developer's tool: oodbench/sim/lighten.py.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from oodbench import paths, toml
from oodbench.errors import AssetError
from oodbench.registry import Registry
from oodbench.scene import RGB

MODEL = "robot.xml"
MESHES = "*.stl"
SOURCE = "source.toml"  # what the files were made from


class RobotAsset(BaseModel):
    """assets/robots/<name>.toml: how the robot is driven, and which parts of robosuite its files were made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    arm: str  # robosuite's models/assets/robots/<arm>/robot.xml
    gripper: str  # robosuite's models/assets/grippers/<gripper>.xml
    gripper_body: str
    hand_body: str  # the body of the arm that carries the gripper
    base: tuple[float, float, float]  # of the base in the world frame (m)
    triangles: dict[str, int]  # of the visual meshes of each body
    shell: RGB  # colour of most of the robot
    dark: RGB  # of the parts that are dark at robosuite
    colours: dict[str, RGB] = {}  # of bodies that have another
    joints: tuple[str, ...]
    stiffness: tuple[float, ...]  # position gain of each joint (N m / rad)
    damping: tuple[float, ...]  # velocity gain of each joint (N m s / rad)
    force: tuple[float, ...]  # torque limit of each joint (N m)
    armature: tuple[float, ...]  # reflected rotor inertia of each joint (kg m^2)
    fingers: tuple[str, ...]  # the two finger joints; the distance between the fingers is the sum of their magnitudes
    finger_bodies: tuple[tuple[str, ...], tuple[str, ...]]  # bodies of the left and of the right finger
    finger_stiffness: float  # N / m
    finger_damping: float  # N s / m
    finger_force: float  # N
    grip_site: str
    opening: float  # between the open fingers (m)
    folder: Path = Field(default=Path(), exclude=True)  # of its files: where the TOML file is, under the same name


def load(path: Path) -> RobotAsset:
    """Reads a robot's TOML file; the files of its model are in the folder of the same name beside it.

    Args:
        path: The TOML file.

    Returns:
        The robot.

    Raises:
        SpecError: The file cannot be read or is not a robot's.
    """
    return toml.load(path, RobotAsset).model_copy(update={"folder": path.with_suffix("")})


ROBOTS: Registry[RobotAsset] = Registry("robot", paths.data_dir("assets") / "robots", load, of=RobotAsset)


@lru_cache(maxsize=8)
def files(name: str) -> dict[str, bytes]:
    """The robot's mesh files by name, read once a process; a spec that the robot is attached to needs them too.

    Raises:
        AssetError: A file cannot be read.
    """
    return {file.name: _read(name, file) for file in sorted(ROBOTS.get(name).folder.glob(MESHES))}


@lru_cache(maxsize=8)
def model(name: str) -> str:
    """The robot's MJCF. Raises AssetError when it cannot be read."""
    return _read(name, ROBOTS.get(name).folder / MODEL).decode()


def _read(name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise AssetError(
            f"robot {name!r}: {file} cannot be read ({reason}); it comes with oodbench, so install that anew"
        ) from error


@lru_cache(maxsize=8)
def content_sha256(name: str) -> str:
    """Hash of all that the robot is: the values of its TOML file, its MJCF and its meshes, byte by byte.

    Fields that have their default, comments, and what the files were made from (`SOURCE`) do not count. Computed
    once a process.

    Args:
        name: A robot of `ROBOTS`.

    Returns:
        64 hexadecimal digits.

    Raises:
        AssetError: A file of the robot cannot be read.
        UnknownNameError: There is no such robot.
    """
    values = ROBOTS.get(name).model_dump(mode="json", exclude_defaults=True)
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file, content in {MODEL: model(name).encode(), **files(name)}.items():
        digest.update(f"\0{file}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """What the robots' files were made from, for provenance: name -> "robosuite 1.5.2"."""
    found = {}
    for robot in ROBOTS:
        source = robot.folder / SOURCE
        if source.is_file():
            found[robot.name] = "robosuite " + tomllib.loads(source.read_text(encoding="utf-8"))["robosuite"]
    return found
