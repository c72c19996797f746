"""Prints the hashes of all that must have the same bits on every processor: run by test_same_bits.py, under many.

python tests/bits/child.py [FILE]     # as JSON, {group: {name: hash}}
"""

from __future__ import annotations

import ctypes
import glob
import hashlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from oodbench.catalogue import GLYPHS, TEXTURES
from oodbench.demos.record import _kick, demo_scene
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.conventions import state, to_actions
from oodbench.policies.experts import BlindExpert, Expert, NoisyExpert
from oodbench.policies.spec import PRESETS, PolicySpec
from oodbench.scene import Corruption, Scene
from oodbench.seeding import generator
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.sim import glyphs, sensors, textures
from oodbench.sim.kinematics import displaced_posture
from oodbench.sim.robots import spec
from oodbench.sim.world import World
from oodbench.spacing import reach
from oodbench.task import PANDA_HOME, TASKS

STEPS = 30  # of an expert's episode; the whole of it for the first tasks
LONG = ("put-on", "push-to", "turn-knob")
CHUNK = 12  # of actions that a preset converts: whole steps at 5, 15 and 20 Hz
FEW = 5  # steps of a shifted episode
ANGLES = [i / 1000 - 3 for i in range(6000)]


def sha(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def counts(name: str, *shape: int) -> np.ndarray:
    """Numbers in [-1, 1] that no floating-point rounding has a part in but one division."""
    return generator("bits", name).integers(-1000, 1001, shape) / 1000


def scenes() -> dict[str, Scene]:
    """A scene of every task, and one of every shift (of the first task that it applies to)."""
    found = {name: TASKS.get(name).sample(5) for name in TASKS.names()}
    for name in SHIFTS.names():
        task = next(task for task in map(TASKS.get, TASKS.names()) if SHIFTS.get(name).applies(task))
        found[name] = ShiftSpec.parse(f"{name}@3").apply(task.sample(6), task=task)
    return found


def play(world: World, scene: Scene, actions: Iterator[np.ndarray], steps: int) -> str:
    """The hash of every state on the way, of what the robot knows of itself, and of how the episode stands."""
    world.reset(scene)
    digest = hashlib.sha256()
    for _ in range(steps):
        world.step(next(actions))
        digest.update(world.data.qpos.tobytes() + world.data.qvel.tobytes() + world.proprioception().tobytes())
        digest.update(repr(world.status).encode())
        if world.status.settled:
            break
    return digest.hexdigest()[:16]


def asked(world: World, expert: Any, scene: Scene) -> Iterator[np.ndarray]:
    expert.bind(world)
    expert.reset(EpisodeInfo(scene.key.task, scene.instruction.text, 1, scene.timing.horizon, 20.0))
    while True:
        yield expert.act(world.observation())[0]


def outcomes(world: World, all_scenes: dict[str, Scene]) -> Iterator[tuple[str, str]]:
    for name, scene in all_scenes.items():
        if name in TASKS.names():
            steps = 200 if name in LONG else STEPS
            yield f"{name}: expert", play(world, scene, asked(world, Expert(), scene), steps)
            yield f"{name}: random", play(world, scene, iter(counts(name, STEPS, 7)), STEPS // 2)
        elif SHIFTS.get(name).axis == "execution" or "events" in SHIFTS.get(name).channels:
            early = scene.but(events=[event.but(step=1) for event in scene.events])
            yield name, play(world, early, iter(counts(name, FEW, 7)), FEW)
    scene = all_scenes["put-on"]
    for expert in (NoisyExpert(), BlindExpert()):
        yield type(expert).__name__, play(world, scene, asked(world, expert, scene), STEPS)


def models(world: World, all_scenes: dict[str, Scene]) -> Iterator[tuple[str, str]]:
    """Every number of the compiled models, but the pictures in them, which have a group of their own."""
    for name in (*TASKS.names(), "visual.camera-pose", "visual.light-direction", "visual.clutter"):
        world.reset(all_scenes[name])
        fields = [field for field in dir(world.model) if not field.startswith("_") and field != "tex_data"]
        arrays = [getattr(world.model, field) for field in fields]
        yield name, sha(*(array for array in arrays if isinstance(array, np.ndarray)))


def pictures() -> Iterator[tuple[str, str]]:
    """Textures, glyphs, and every corruption of a picture that was drawn without rounding."""
    for texture in TEXTURES:
        yield f"texture {texture.name}", sha(textures.render(texture, 128))
    for concept in GLYPHS:
        for glyph in concept.glyph:
            yield f"glyph {concept.name}/{glyph.name}", sha(glyphs.render(f"{concept.name}/{glyph.name}"))
    rng = generator("bits", "picture")
    image = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    depth = (0.4 + rng.integers(0, 2000, (96, 96)) / 1000).astype(np.float32)
    things = rng.integers(0, 2, (96, 96)).astype(bool)
    view = sensors.View(
        frame=lambda name: generator("bits", name, "frame"),
        episode=lambda name: generator("bits", name),
        depth=lambda: depth,
        things=lambda: things,
    )
    usual = {"noise": 30.0, "jpeg": 70.0, "exposure": -1.3, "contrast": 0.4, "glare": 0.6, "dead-rows": 20.0}
    for kind in sensors.EFFECTS.names():
        amount = usual.get(kind, 0.3 if "overlay" in kind else 1.5)
        corruption = Corruption(kind=kind, amount=amount, cameras=("image",), angle=0.7, texture="pink-marble")
        yield f"sensor {kind}", sha(sensors.corrupt(image.copy(), corruption, view))


def conversions() -> Iterator[tuple[str, str]]:
    """What stands between policies and the world, and whatever else is computed and not rounded."""
    plain = counts("state", 8).astype(np.float32)
    for preset in PRESETS:
        yield f"state {preset.name}", sha(state(plain, counts("joints", 7).astype(np.float32), preset.spec))
        spec = PolicySpec(**(dict(preset.spec) | {"statistics": None, "clip": 100.0}))
        yield f"actions {preset.name}", sha(to_actions(counts("actions", CHUNK, 7), spec, "bits"))
    yield "posture", sha(np.array(displaced_posture("panda", PANDA_HOME, counts("way", 3) / 20, counts("turn", 3) / 5)))
    yield "kicks", sha(*(_kick(generator("bits", "kick", i)) for i in range(20)))
    yield "demo", demo_scene("put-on", 3, 0.25).sha256[:16]
    yield "spacing", sha(*(np.array(reach(name, 2.7)) for name in SHIFTS.names()))
    yield (
        "streams",
        sha(
            *(generator("bits", "normal").standard_normal(20_000), generator("bits", "normal").uniform(size=1000)),
            *(generator("bits", "n").permutation(1000), generator("bits", "n").integers(0, 77, 1000)),
            *(generator("bits", "n").choice(list("abcdefg"), 100), generator("bits", "n").normal(0, 3.0, 1000)),
        ),
    )


def machine() -> dict[str, str]:
    """Which kernels ran: OpenBLAS's, NumPy's vector units, the libm's."""
    folder = Path(np.__file__).parent
    core = "unknown"
    for path in glob.glob(str(folder.parent / "numpy.libs" / "*openblas*")):
        library = ctypes.CDLL(path)
        for name in ("openblas_get_corename64_", "scipy_openblas_get_corename64_"):
            if hasattr(library, name):
                getattr(library, name).restype = ctypes.c_char_p
                core = getattr(library, name)().decode()
    umath = sys.modules.get("numpy._core._multiarray_umath") or sys.modules["numpy.core._multiarray_umath"]
    on = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    libm = sha(np.array([(math.sin(x), math.cos(x), math.atan2(x, 1.7)) for x in ANGLES]))
    return {"openblas": core, "numpy": " ".join(on) or "baseline", "libm": libm}


def bare() -> dict[str, str]:
    """MuJoCo by itself: the robot swings about, and no line of oodbench has a part in it."""
    model = spec("panda").compile()
    data = mujoco.MjData(model)
    for swing in 2 * counts("swings", 100, model.nu):
        data.ctrl[:] = swing
        mujoco.mj_step(model, data, 10)
    return {"robot": sha(data.qpos, data.qvel)}


def main() -> None:
    world, all_scenes = World("fast"), scenes()
    found = {
        "machine": machine(),
        "mujoco": bare(),
        "scenes": {name: scene.sha256[:16] for name, scene in all_scenes.items()},
        "pictures": dict(pictures()),
        "conversions": dict(conversions()),
        "models": dict(models(world, all_scenes)),
        "outcomes": dict(outcomes(world, all_scenes)),
    }
    text = json.dumps(found, indent=1)
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
