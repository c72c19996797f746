"""How fast oodbench is: side by side with robosuite in one process, and against the bare physics.

Every figure is a median over alternating repetitions, so that a machine that slows down slows both sides down.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import mujoco
import numpy as np

from oodbench.catalogue import TEXTURES
from oodbench.convention import CONTROL_HZ
from oodbench.errors import AssetError, RenderError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.run.pool import Job, Setup, play_all
from oodbench.seeding import generator
from oodbench.shift import ShiftSpec
from oodbench.sim import textures
from oodbench.sim.build import SUBSTEPS, TEXTURE_SIZE
from oodbench.sim.render import Quality
from oodbench.sim.world import World
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS

EPISODE_STEPS = 100
VERSION_1 = Quality(samples=0, shadow=1024, quads=4, room=True)  # what `standard` was
CAMERAS = ("agentview", "robot0_eye_in_hand")
PEERS = ("PickPlaceCan", "Lift")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """Seconds, one figure a repetition."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


RESETS = 64  # in a row: sixteen scenes of core-2, each with its in-distribution episode and its shifted ones
EPISODES = 4  # in a row: those of one scene of core-2
DRAWN = 0.001  # seconds; a robosuite frame that took less was not drawn (some OpenGL stacks), and is no measurement


class _Ours:
    """The same work as `_Peer`, done by oodbench on put-on."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.world = World("standard")
        self.task = TASKS.get("put-on")
        self.actions = _actions()
        self.seed = 0
        self.suite = SUITES.get("core-2")
        self.upcoming = itertools.cycle(e for e in self.suite.plan() if e.task == self.task.name)
        for texture in TEXTURES:  # drawn once a process, which a run of thousands of episodes does not notice
            textures.render(texture, TEXTURE_SIZE)
        self.resets()

    def resets(self) -> None:
        """Set the world to the next episodes of core-2, in the order in which a run plays them."""
        for _ in range(RESETS):
            self.world.reset(next(self.upcoming).scene(self.suite))

    def reset_new(self) -> None:
        """Set the world to a scene of objects that it has no compiled model for."""
        self.seed += 1
        self.world.forget()
        self.world.reset(self.task.sample(self.seed))

    def step(self, index: int) -> None:
        self.world.step(self.actions[index % len(self.actions)])

    def frame(self) -> None:
        self.world.render("image", self.size)

    def episodes(self, chunk: int) -> None:
        """Play the next episodes of core-2, looking with both cameras at every `chunk`-th step."""
        for _ in range(EPISODES):
            self.world.reset(next(self.upcoming).scene(self.suite))
            for index in range(EPISODE_STEPS):
                if index % chunk == 0:
                    observation = self.world.observation(self.size)
                    _ = observation.image, observation.wrist_image, observation.state
                self.step(index)


class _Peer:
    """robosuite's own Panda environment, with its defaults but for the cameras."""

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self.blind = _robosuite(name, size, cameras=False)
        self.seeing = _robosuite(name, size, cameras=True)
        self.actions = _actions()
        self.blind.reset()
        self.seeing.reset()

    def reset(self) -> None:
        self.blind.reset()

    def step(self, index: int) -> None:
        self.blind.step(self.actions[index % len(self.actions)])

    def frame(self) -> None:
        self.seeing.sim._render_context_offscreen.gl_ctx.make_current()
        self.seeing.sim.render(camera_name=CAMERAS[0], width=self.size, height=self.size)

    def episode(self, chunk: int) -> None:
        """Its step renders every camera, whatever the chunk."""
        del chunk
        self.seeing.reset()
        for index in range(EPISODE_STEPS):
            observation, *_ = self.seeing.step(self.actions[index % len(self.actions)])
        if observation[f"{CAMERAS[0]}_image"].std() < 1.0:
            raise RenderError("robosuite drew an empty picture; its figures would mean nothing")


def run(size: int = 256, repeats: int = 5, say: Report = lambda text: None) -> dict[str, Any]:
    """Measure everything. Returns ratios (theirs / ours), floors and the medians in milliseconds.

    Raises AssetError when robosuite is not installed.
    """
    say("setting up oodbench")
    ours = _Ours(size)
    result: dict[str, Any] = {"machine": machine(), "image_size": size, "episode_steps": EPISODE_STEPS}
    peers: list[_Peer] = []
    for name in PEERS:
        say(f"setting up robosuite {name}")
        peers.append(peer := _Peer(name, size))  # kept: closing one takes the other's OpenGL with it
        say(f"measuring against {name}")
        # A second robosuite renderer in one process does not always draw when called directly, so one frame is timed
        # against the first peer only; whole episodes, which check their pictures, are timed against both.
        rows = _compare(ours, peer, repeats, with_frame=name == PEERS[0])
        ratios = {key: peer_.median / mine.median for key, (mine, peer_) in rows.items()}
        milliseconds = {
            key: {"oodbench": 1e3 * mine.median, "robosuite": 1e3 * peer_.median} for key, (mine, peer_) in rows.items()
        }
        result.setdefault("peers", {})[name] = {"ratios": ratios, "milliseconds": milliseconds}
    say("measuring the floor")
    result["ratios"] = dict(result["peers"][PEERS[0]]["ratios"])
    result["floor"] = floor(ours.world, repeats)
    result["ratios"]["step_over_floor"] = result["floor"]["step_over_floor"]
    result["reset"] = reset_parts(repeats)
    say("measuring a frame beside version 1's settings")
    result["presets"] = presets(size, repeats)
    result["ratios"]["frame_over_version_1"] = result["presets"]["ratio"]
    return result


def _compare(ours: _Ours, peer: _Peer, repeats: int, with_frame: bool) -> dict[str, tuple[Sample, Sample]]:
    def alternate(
        count: int, mine: Callable[[], None], theirs: Callable[[], None], per: int = 1, per_theirs: int | None = None
    ) -> tuple[Sample, Sample]:
        pairs = [(_timed(mine) / per, _timed(theirs) / (per_theirs or per)) for _ in range(count)]
        return Sample([a for a, _ in pairs]), Sample([b for _, b in pairs])

    def steps(side: _Ours | _Peer) -> Callable[[], None]:
        def work() -> None:
            for i in range(50):
                side.step(i)

        return work

    def frames(side: _Ours | _Peer) -> Callable[[], None]:
        def work() -> None:
            for _ in range(5):
                side.frame()

        return work

    found = {
        "reset": alternate(2 * repeats, ours.resets, peer.reset, RESETS, 1),
        "reset_new": alternate(2 * repeats, ours.reset_new, peer.reset),
    }
    ours.world.reset(ours.task.sample(0))
    peer.reset()
    found["step"] = alternate(2 * repeats, steps(ours), steps(peer), per=50)
    if with_frame:
        ours.frame()
        peer.frame()
        timed = alternate(2 * repeats, frames(ours), frames(peer), per=5)
        if timed[1].median > DRAWN:
            found["frame"] = timed
    for chunk in (1, 8):
        found[f"episode_chunk{chunk}"] = alternate(
            max(3, repeats // 2), partial(ours.episodes, chunk), partial(peer.episode, chunk), EPISODES, 1
        )
    return found


def floor(world: World, repeats: int) -> dict[str, float]:
    """Our control step against the same physics substeps in a bare C loop, from the same states, in milliseconds.

    In the thread's processor time: what else the machine does would count for more than the difference.
    """
    task, actions = TASKS.get("put-on"), _actions()
    mine, bare = [], []
    for repeat in range(2 * repeats):
        world.reset(task.sample(repeat))
        states = []
        start = time.thread_time()
        for action in actions[:50]:
            world.step(action)
        mine.append((time.thread_time() - start) / 50)
        world.reset(task.sample(repeat))
        for action in actions[:50]:  # once more, to note the state and set-points that each step starts from
            world.step(action)
            states.append((world.data.time, world.data.qpos.copy(), world.data.qvel.copy(), world.data.ctrl.copy()))
        model, data = world.model, world.data
        world.reset(task.sample(repeat))
        controls = [state[3] for state in states]
        start = time.thread_time()
        for control in controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data, SUBSTEPS)
        bare.append((time.thread_time() - start) / 50)
        assert np.array_equal(data.qpos, states[-1][1]), "the bare loop did not play the same physics"
    ratio = statistics.median(a / b for a, b in zip(mine, bare, strict=True))
    return {
        "step_over_floor": ratio,
        "step_ms": 1e3 * statistics.median(mine),
        "bare_ms": 1e3 * statistics.median(bare),
    }


def reset_parts(repeats: int) -> dict[str, float]:
    """Where a reset's time goes, in milliseconds: sampling, a compiled model that is cached, one that is not."""
    world, task = World(), TASKS.get("put-on")
    parts: dict[str, list[float]] = {"sample_ms": [], "compile_ms": [], "in_place_ms": [], "first_frame_ms": []}
    for seed in range(max(5, repeats)):
        start = time.perf_counter()
        scene = task.sample(1000 + seed)
        parts["sample_ms"].append(time.perf_counter() - start)
        world.forget()
        parts["compile_ms"].append(_timed(partial(world.reset, scene)))
        parts["in_place_ms"].append(_timed(partial(world.reset, scene)))
        parts["first_frame_ms"].append(_timed(lambda: world.render()))
    return {name: 1e3 * statistics.median(values) for name, values in parts.items()}


def presets(size: int, repeats: int) -> dict[str, float]:
    """A third-person frame at the standard preset beside one at version 1's settings, in milliseconds, and the ratio.

    Version 1's: a shadow map of 1024 pixels instead of 448, boxes and planes of 4 x 4 quads a face, and floor and walls
    in the shadow map. The robot's meshes are today's on both sides; version 1's had twice as many triangles.
    """
    standard, version_1 = World("standard"), World(VERSION_1)
    scene = TASKS.get("put-on").sample(0)
    sides: dict[World, list[float]] = {standard: [], version_1: []}
    for world in sides:
        world.reset(scene)
        world.render("image", size)
    for _ in range(12 * repeats):
        for world, seconds in sides.items():
            seconds.append(_timed(partial(world.render, "image", size)))
    now, before = sides.values()
    return {
        "standard_ms": 1e3 * statistics.median(now),
        "version_1_ms": 1e3 * statistics.median(before),
        "ratio": statistics.median(a / b for a, b in zip(now, before, strict=True)),
    }


class Sleeper:
    """A policy that looks at one picture and takes `latency` milliseconds for a batch of any size, as a GPU would."""

    spec = PolicySpec(image_size=224, cameras=("image",), execute=8)

    def __init__(self, latency: float) -> None:
        self._seconds = latency / 1000
        self._actions = 0.2 * _actions()[:8]

    def reset(self, episode: EpisodeInfo) -> None:
        pass

    def act_batch(self, observations: list[Seen]) -> list[np.ndarray]:
        for observation in observations:
            _ = observation.image
        time.sleep(self._seconds)
        return [self._actions] * len(observations)


def batching(latency: float, workers: int = 2, envs: int = 8, episodes: int = 96) -> dict[str, float]:
    """Episodes a second with one environment, and with `workers` x `envs` of them, of a policy that takes `latency` ms.

    Both are counted from when all workers are ready; the first plays a sixteenth of the episodes.
    """
    one = _episode_rate(latency, 1, 1, max(2, episodes // 16))
    many = _episode_rate(latency, workers, envs, episodes)
    return {"one": one, "many": many, "ratio": many / one, "workers": workers, "envs": envs, "latency_ms": latency}


def _episode_rate(latency: float, workers: int, envs: int, episodes: int) -> float:
    suite = SUITES.get("core-2")
    jobs = [Job(Episode("put-on", ShiftSpec.parse("none"), seed)) for seed in range(episodes)]
    ready: list[float] = []
    before = 0
    setup = Setup(f"oodbench.bench:Sleeper?latency={latency}", suite, envs)
    for record in play_all(setup, jobs, workers, 300.0, lambda facts: ready.append(time.perf_counter())):
        assert record.error is None, record.error
        before += len(ready) < workers
    return (episodes - before) / (time.perf_counter() - ready[-1])


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    from oodbench.sim.render import gl_info

    return {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "mujoco": mujoco.__version__,
        "gl": gl_info()["renderer"],
    }


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _actions() -> np.ndarray:
    """Gentle random motion, the same for both sides, (EPISODE_STEPS, 7)."""
    return generator("bench").uniform(-0.3, 0.3, (EPISODE_STEPS, 7))


def _robosuite(name: str, size: int, *, cameras: bool) -> Any:
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            import robosuite
    except ImportError:
        raise AssetError("the benchmark compares with robosuite: pip install 'oodbench[robosuite]'") from None
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    return robosuite.make(
        name,
        robots="Panda",
        has_renderer=False,
        has_offscreen_renderer=cameras,
        use_camera_obs=cameras,
        camera_names=list(CAMERAS),
        camera_heights=size,
        camera_widths=size,
        control_freq=CONTROL_HZ,
        ignore_done=True,
    )
