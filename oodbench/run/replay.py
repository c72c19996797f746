"""Playing an episode of a run, or a scene from a file, once more."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from oodbench.errors import RunFolderError, SpecError
from oodbench.policies.loading import load_policy
from oodbench.run import records
from oodbench.run.episode import play, play_scene
from oodbench.run.info import read_info
from oodbench.run.records import EpisodeRecord
from oodbench.scene import Scene
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import Episode


def replay_scene(path: Path, policy: str, film: Path) -> tuple[Scene, EpisodeRecord]:
    """Play the scene in a JSON file. Raises SpecError when it is not one."""
    try:
        scene = Scene.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValidationError, ValueError) as error:
        raise SpecError(f"{path}: not a scene ({str(error).splitlines()[0]})") from error
    base = EpisodeRecord(task=scene.key.task, shift="scene", severity=0.0, seed=scene.key.seed, axis="id")
    world = World("high")
    return scene, play_scene(world, load_policy(policy).make(), scene, "settled", base, film_path=film)


def replay_episode(folder: Path, name: str | None, policy: str | None, film: Path) -> tuple[Scene, EpisodeRecord, str]:
    """Play an episode of a run again, by default with the run's policy.

    name: task/shift/severity/seed; None takes the run's first. Returns scene, record, and what to say about whether it
    is what the run recorded. Raises RunFolderError when the run has no such episode.
    """
    info = read_info(folder)
    suite = info.suite_to_play()
    kept = records.read(folder / "episodes.jsonl")
    if not kept:
        raise RunFolderError(f"{folder}: holds no episodes yet")
    names = {f"{r.task}/{r.shift}/{r.severity:g}/{r.seed}": r for r in kept}
    if name is not None and name not in names:
        from oodbench.errors import UnknownNameError, nearest

        near = nearest(name, names)
        raise UnknownNameError("episode", name, [near] if near else list(names)[:5])
    old = names[name] if name else kept[0]
    episode = Episode(old.task, ShiftSpec.parse(old.shift, old.severity), old.seed)
    world = World(suite.protocol.quality)
    new = play(world, load_policy(policy or info.policy.uri).make(), episode, suite, film_path=film)
    same = ""
    if policy is None and new.outcome_sha256 == old.outcome_sha256:
        same = ", bit for bit what the run recorded"
    elif policy is None:
        same = ", NOT what the run recorded (a policy that is not deterministic, or other versions)"
    return episode.scene(suite), new, same
