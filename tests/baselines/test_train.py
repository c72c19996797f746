"""The one command: every stage at a tiny size, killed on the way, without robosuite, and evaluated at the end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.demos.frames import Frames
from vla.finetune import DemoFrames, action_loss, align, finetune_loss, prepare_parts, validate
from vla.loop import Schedule, Slice, train
from vla.model import VLA, Config
from vla.recipe import Recipe, load_recipe
from vla.teacher import Teacher, TeacherConfig

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"width": 32, "heads": 2, "mlp": 2, "encoder_layers": 1, "trunk_layers": 2, "stem": (8, 8, 16, 16)}
WORDS = ("<pad>", "<unknown>", "put", "the", "mug")


@pytest.fixture
def data() -> DemoFrames:
    rng = np.random.default_rng(0)
    n = 99
    frames = Frames(
        image=rng.integers(0, 255, (n, 128, 128, 3), np.uint8),
        wrist_image=rng.integers(0, 255, (n, 64, 64, 3), np.uint8),
        state=rng.uniform(0.01, 1, (n, 8)).astype(np.float32),
        chunk=np.sign(rng.standard_normal((n, 8, 7))).astype(np.float32),
        text=np.zeros(n, int),
        episode=np.arange(n) // 3,
        instructions=("put the mug",),
    )
    made = DemoFrames(frames)
    made.prepare(fresh())
    return made


def fresh(seed: int = 0) -> VLA:
    torch.manual_seed(seed)
    return VLA(Config(vocabulary=WORDS, answers=("yes", "no"), **SMALL))  # type: ignore[arg-type]


def teacher() -> Teacher:
    torch.manual_seed(9)
    config = TeacherConfig(width=32, heads=2, mlp=2, layers=1, stem=(8, 8, 16, 16), components=16, classes=("a", "b"))
    return Teacher(config).eval().requires_grad_(False)


def run_arm(recipe: Recipe, data: DemoFrames, steps: int, out: Path, seconds: float = 1e9) -> VLA:
    model, start = fresh(), fresh().eval().requires_grad_(False)
    prepare_parts(model, recipe)
    modules: dict[str, torch.nn.Module] = {"model": model}
    alignment = features = None
    if recipe.align:
        alignment, features = align(model, recipe.align, start, teacher(), data, 0)
        modules["projector"] = alignment.projector
    memory: dict[str, float] = {}
    loss = finetune_loss(model, recipe, data, 8, steps, alignment, features, None, memory)
    train(out, modules, loss, Schedule(steps, 8, 3e-3, 5), Slice(seconds), 0, recipe.name, memory)
    return model


def moved(model: VLA) -> set[str]:
    before = fresh().state_dict()
    return {name.split(".")[0] for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}


@pytest.mark.slow
def test_freeze_leaves_the_vision_alone_and_default_does_not(data: DemoFrames, tmp_path: Path) -> None:
    vision = {"encoder", "projector", "image_positions", "wrist_positions"}
    assert not vision & moved(run_arm(load_recipe("freeze"), data, 25, tmp_path / "freeze"))
    assert vision <= moved(run_arm(load_recipe("default"), data, 25, tmp_path / "default"))


def test_the_parts_that_acting_does_not_use_are_left_alone(data: DemoFrames, tmp_path: Path) -> None:
    changed = moved(run_arm(load_recipe("default"), data, 25, tmp_path))
    assert not {"answer", "pointer"} & changed
    assert {"trunk", "action", "state", "queries"} <= changed


def test_head_first_trains_only_the_new_parts_at_first(data: DemoFrames, tmp_path: Path) -> None:
    recipe = load_recipe("lp-ft").model_copy(update={"head_first": 0.99})
    assert moved(run_arm(recipe, data, 25, tmp_path)) == {"action", "state", "queries"}


@pytest.mark.slow
def test_alignment_brings_the_tokens_to_the_teacher(data: DemoFrames, tmp_path: Path) -> None:
    start = fresh().eval().requires_grad_(False)
    recipe = load_recipe("align")
    assert recipe.align is not None
    strong = recipe.model_copy(update={"align": recipe.align.model_copy(update={"ratio": 50.0})})
    plain = validate(run_arm(load_recipe("default"), data, 75, tmp_path / "default").eval(), data, start, teacher())
    pulled = validate(run_arm(strong, data, 75, tmp_path / "align").eval(), data, start, teacher())
    assert pulled["cosine"] > plain["cosine"] + 0.01
    assert pulled["cosine"] > pulled["cosine_shuffled"]


def test_every_arm_sees_the_same_data_in_the_same_order(
    data: DemoFrames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[np.ndarray]] = {}
    draw = DemoFrames.draw
    for name in ("default", "align", "self-anchor"):
        monkeypatch.setattr(
            DemoFrames,
            "draw",
            lambda self, rng, count, name=name: (
                seen.setdefault(name, []).append(draw(self, rng, count)) or seen[name][-1]
            ),
        )
        run_arm(load_recipe(name), data, 10, tmp_path / name)
    for other in ("align", "self-anchor"):
        assert all(np.array_equal(a, b) for a, b in zip(seen["default"], seen[other], strict=True))


@pytest.mark.slow
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(data: DemoFrames, tmp_path: Path) -> None:
    recipe = load_recipe("align")
    whole = run_arm(recipe, data, 75, tmp_path / "whole")
    for _ in range(3):  # each slice is over after its first 25 steps
        parts = run_arm(recipe, data, 75, tmp_path / "parts", seconds=0.0)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    logs = [list(csv.DictReader((tmp_path / name / "log.csv").open())) for name in ("whole", "parts")]
    assert [row["step"] for row in logs[0]] == [row["step"] for row in logs[1]] == ["25", "50", "75"]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]


def test_episodes_for_validation_are_not_trained_on(data: DemoFrames) -> None:
    assert not set(data.frames.episode[data.held_out]) & set(data.frames.episode[data.train])
    assert len(data.held_out)
    drawn = data.draw(np.random.default_rng(0), 2000)
    assert not set(drawn) & set(data.held_out)


def test_a_perfect_chunk_has_no_motion_loss(data: DemoFrames) -> None:
    model = fresh()
    batch = data.batch(np.arange(4))
    output = model(batch["image"], batch["wrist_image"], batch["words"], batch["state"])
    batch["chunk"] = torch.cat([output.motion.detach(), torch.ones(4, 8, 1)], 2)
    _, logs = action_loss(model, batch)
    assert float(logs["motion"]) == 0.0
    assert float(logs["gripper"]) > 0.0


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_tiny_tier_goes_from_nothing_to_an_evaluated_checkpoint(tmp_path: Path) -> None:
    """Every stage in bf16, in slices, by a Python that has no robosuite; the result is evaluated and looked into."""
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('robosuite', 'fast_simplification', 'trimesh', 'mink'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(hidden), str(ROOT)])}
    command = [sys.executable, str(ROOT / "baselines" / "train.py"), "tiny", "--workers", "0", "--threads", "1"]
    command += ["--jobs", "2", "--out", str(tmp_path / "work"), "--checkpoints", str(tmp_path / "made")]
    slices = 0
    while True:
        done = subprocess.run([*command, "--minutes", "0.2"], capture_output=True, text=True, env=environment)
        slices += 1
        assert done.returncode in (0, 75), done.stderr[-2000:]
        if done.returncode == 0:
            break
        assert slices < 30
    made = sorted(path.name for path in (tmp_path / "made").glob("*.safetensors"))
    assert made == ["align-0.safetensors", "align-1.safetensors", "default-0.safetensors", "default-1.safetensors",
                    "pretrained.safetensors"]  # fmt: skip
    assert all((tmp_path / "made" / name).with_suffix(".csv").exists() for name in made)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "made").iterdir()}
    assert subprocess.run(command, capture_output=True, env=environment).returncode == 0  # nothing left to do
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "made").iterdir()}

    policy = f"{ROOT / 'baselines' / 'policy.py'}:load?checkpoint={tmp_path / 'made'}"
    run = [
        "-m",
        "oodbench",
        "run",
        "smoke",
        "--policy",
        f"{policy}/align-0.safetensors",
        "--limit",
        "1",
        "--task",
        "put-on",
    ]
    played = subprocess.run(
        [sys.executable, *run, "--workers", "0", "--out", str(tmp_path / "run"), "--json"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["errors"] == 0


@pytest.mark.slow
def test_a_tier_that_needs_a_gpu_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = subprocess.run([sys.executable, str(ROOT / "baselines" / "train.py"), "gpu"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs a GPU" in done.stderr
