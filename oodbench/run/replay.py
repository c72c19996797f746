"""Playing an episode of a run, or a scene from a file, once more."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from oodbench.errors import RunFolderError, SpecError, UnknownNameError, nearest
from oodbench.policies.loading import load_policy
from oodbench.run import files, records, trace
from oodbench.run.episode import play, play_scene
from oodbench.run.info import episode_to_play, read_info
from oodbench.run.records import EpisodeRecord
from oodbench.run.verify import from_actions
from oodbench.run.video import Film
from oodbench.scene import Scene
from oodbench.sim.world import World


def replay_scene(path: Path, policy: str, film: Path) -> tuple[Scene, EpisodeRecord]:
    """Play the scene in a JSON file. Raises SpecError when it is not one."""
    try:
        real = path.resolve(strict=True)
        scene = Scene.model_validate(json.loads(files.read_bytes(real.parent, real.name, files.SCENE_BYTES)))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not a scene ({str(error).splitlines()[0]})") from error
    base = EpisodeRecord(task=scene.key.task, shift="scene", severity=0.0, seed=scene.key.seed, axis="id")
    world = World("high")
    return scene, play_scene(world, load_policy(policy).make(), scene, "settled", base, film_path=film)


def replay_episode(
    folder: Path, name: str | None, policy: str | None, film: Path, *, paths: bool = False
) -> tuple[Scene, EpisodeRecord, str]:
    """Play an episode of a run again, from its recorded actions or with a policy that the user names.

    Args:
        folder: The run folder, anybody's; no policy is loaded because of what it says.
        name: task/shift/severity/seed; None takes the run's first.
        policy: The URI of a policy that plays instead of the recorded actions.
        film: Where to write the video.
        paths: Whether the run may name tasks by paths, which are then read; only for one's own runs.

    Returns:
        The scene, the record, and what to say about whether it is what the run recorded.

    Raises:
        OodbenchError: The run has no such episode, no trace of it, or names what is not installed.
    """
    suite = read_info(folder).suite_to_play(paths=paths)
    kept = records.read(folder / "episodes.jsonl")
    if not kept:
        raise RunFolderError(f"{folder}: holds no episodes yet")
    names = {f"{r.task}/{r.shift}/{r.severity:g}/{r.seed}": r for r in kept}
    if name is not None and name not in names:
        near = nearest(name, names)
        raise UnknownNameError("episode", name, [near] if near else list(names)[:5])
    old = names[name] if name else kept[0]
    episode = episode_to_play(old.task, old.shift, old.severity, old.seed, paths=paths)
    scene, world = episode.scene(suite), World(suite.protocol.quality)
    if policy is not None:
        new = play(world, load_policy(policy).make(), episode, suite, film_path=film)
        same = new.outcome_sha256 == old.outcome_sha256
        return scene, new, ", bit for bit what the run recorded" if same else ", not what the run recorded"
    recorded = trace.read(folder).get(old.key)
    if recorded is None:
        raise RunFolderError(f"{folder}: has no trace of this episode; say which policy is to play it: --policy URI")
    camera = Film(film)
    found = from_actions(world, scene, old, recorded, suite, camera)
    status = world.status
    success = bool(getattr(status, suite.protocol.success))
    camera.close(success=success)
    failure = None if success else status.failure
    new = old.model_copy(update={"success": success, "failure": failure, "steps": world.steps, "error": None})
    said = {
        "same bits": ", bit for bit what the run recorded",
        "same episode": f", what the run recorded within {found.millimetres or 0.0:.2g} mm",
        "another episode": f", NOT what the run recorded ({found.differences[0] if found.differences else ''})",
    }
    return scene, new, said[found.verdict]
