"""Everything that a tier trains, in order; what is done already is not done again.

    python baselines/train.py cpu                 from nothing to fine-tuned checkpoints; can be stopped at any point
    python baselines/train.py cpu --minutes 9     a slice of it
    python baselines/train.py gpu --stage finetune --arm align --seed 3

Work is kept in runs/baselines/<tier>, finished checkpoints and their logs go to baselines/checkpoints/<tier>.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))

from oodbench.concepts import CONCEPTS
from oodbench.demos.frames import FramePlan, load, render_all
from oodbench.demos.record import record_all
from oodbench.demos.store import DemoPlan, DemoStore
from oodbench.errors import OodbenchError, UnknownNameError
from oodbench.seeding import derive
from vla.finetune import DemoFrames, align, finetune_loss, prepare_parts, teach_all, validate
from vla.loop import Slice, train
from vla.model import VLA, Config, parameters
from vla.pictures import PicturePlan
from vla.pictures import load as load_pictures
from vla.pictures import render_all as render_pictures
from vla.pretrain import Lessons, accuracy, questions_loss
from vla.questions import answers, ask_all, vocabulary
from vla.questions import load as load_questions
from vla.recipe import load_recipe
from vla.teacher import Teacher, TeacherConfig, classes, dense_loss, fit_components
from vla.tier import HERE, Tier, load_tier

STOPPED = 75  # exit code: not finished, repeat the command
STAGES = ("demos", "pictures", "pretrain", "teacher", "frames", "finetune")


@dataclass
class Workshop:
    """Where a tier is made."""

    tier: Tier
    out: Path
    checkpoints: Path
    deadline: float
    workers: int
    threads: int

    @property
    def slice(self) -> Slice:
        left = max(0.0, self.deadline - time.monotonic())
        return Slice(seconds=left, device=self.tier.device, precision=self.tier.precision)

    # --- data ------------------------------------------------------------------------------------------------------

    def demos(self) -> DemoStore:
        plan = DemoPlan(tasks=self.tier.tasks, episodes=self.tier.demos, chunk=FramePlan(**self.tier.frames).chunk)
        return record_all(self.out / "demos", plan, self.workers)

    def frames(self) -> None:
        render_all(DemoStore(self.out / "demos"), self.out / "frames", FramePlan(**self.tier.frames), self.workers)

    def pictures(self) -> None:
        counts = self.tier.pictures
        render_pictures(self.out / "pictures", PicturePlan(counts.pretraining, "pretraining"), self.workers)
        render_pictures(self.out / "pictures-teacher", PicturePlan(counts.teacher, "teacher", dense=True), self.workers)
        for concept in CONCEPTS:
            plan = PicturePlan(counts.held_out, f"held-out-{concept}", (concept,))
            render_pictures(self.out / f"pictures-{concept}", plan, self.workers)
        for name in ("pictures", *(f"pictures-{concept}" for concept in CONCEPTS)):
            ask_all(self.out / name, self.workers)

    # --- models ----------------------------------------------------------------------------------------------------

    def fresh(self, seed: int) -> VLA:
        """A model with random weights."""
        torch.manual_seed(derive("model", seed) % 2**63)
        return VLA(Config(vocabulary=vocabulary().listed, answers=answers(), **self.tier.model)).to(self.tier.device)

    def pretrain(self) -> bool:
        out, training = self.out / "pretrain", self.tier.pretrain
        if (self.checkpoints / "pretrained.safetensors").exists():
            return True
        model = self.fresh(0)
        print(f"the model has {parameters(model) / 1e6:.2f} M parameters", flush=True)
        lessons = self._lessons("pictures", model)
        loss = questions_loss(model, lessons, training.batch, training.questions)
        if not train(out, {"model": model}, loss, training.schedule, self.slice, 0, "pretraining"):
            return False
        gate = {c: accuracy(model.eval(), self._lessons(f"pictures-{c}", model)) for c in CONCEPTS}
        self._publish("pretrained", model, out, {"questions": gate, "pictures": len(lessons)})
        return True

    def teacher(self) -> bool:
        out = self.out / "teacher"
        if (out / "teacher.safetensors").exists():
            return True
        torch.manual_seed(derive("teacher", 0) % 2**63)
        teacher = Teacher(TeacherConfig(classes=classes(), **self.tier.teacher)).to(self.tier.device)
        pictures = load_pictures(self.out / "pictures-teacher")
        print(f"the teacher has {parameters(teacher) / 1e6:.2f} M parameters", flush=True)
        loss = dense_loss(teacher, pictures, self.tier.distil.batch, self.tier.device)
        if not train(out, {"teacher": teacher}, loss, self.tier.distil.schedule, self.slice, 1, "teacher"):
            return False
        kept = fit_components(teacher.eval(), pictures, self.tier.device)
        print(f"the features keep {kept:.1%} of the tokens' variance")
        teacher.save(out / "teacher.safetensors")
        return True

    def finetune(self, arm: str, seed: int) -> bool:
        name, recipe, training = f"{arm}-{seed}", load_recipe(arm), self.tier.finetune
        if (self.checkpoints / f"{name}.safetensors").exists():
            return True
        out = self.out / "finetune" / name
        pretrained = VLA.load(self.checkpoints / "pretrained.safetensors").to(self.tier.device).requires_grad_(False)
        teacher = Teacher.load(self.out / "teacher" / "teacher.safetensors").to(self.tier.device)
        model = self.fresh(seed)  # the parts that pretraining never used begin at random, from the seed
        if recipe.init == "pretrained":
            kept = {
                k: v
                for k, v in pretrained.state_dict().items()
                if k.split(".")[0] not in ("state", "action", "queries")
            }
            model.load_state_dict(kept, strict=False)
        data = DemoFrames(load(self.out / "frames"), self.tier.device)
        data.prepare(model)
        prepare_parts(model, recipe)
        modules: dict[str, Any] = {"model": model}
        alignment = features = None
        if recipe.align:
            cache = self._features(teacher, data)
            alignment, features = align(model, recipe.align, pretrained, teacher, data, seed, cache)
            modules["projector"] = alignment.projector
        lessons = self._lessons("pictures", model) if recipe.cotrain else None
        memory: dict[str, float] = {}
        loss = finetune_loss(
            model, recipe, data, training.batch, training.steps, alignment, features, lessons, memory
        )  # fmt: skip
        if not train(out, modules, loss, training.schedule, self.slice, seed, name, memory):
            return False
        if alignment is not None:
            alignment.remove()
        checks = validate(model.eval(), data, pretrained, teacher)
        print(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in checks.items()), flush=True)
        self._publish(name, model, out, {"validation": checks, "recipe": recipe.model_dump(), "seed": seed})
        return True

    def features_ready(self) -> None:
        """Make the teacher's features before several arms ask for them at once."""
        if self.tier.device != "cpu" or (self.out / "teacher" / "features.npy").exists():
            return
        data = DemoFrames(load(self.out / "frames"), self.tier.device)
        data.prepare(self.fresh(0))
        self._features(Teacher.load(self.out / "teacher" / "teacher.safetensors"), data)

    def _features(self, teacher: Teacher, data: DemoFrames) -> torch.Tensor | None:
        """The teacher's features of all frames, kept on disk; on a GPU they are made when they are needed."""
        if self.tier.device != "cpu":
            return None
        path = self.out / "teacher" / "features.npy"
        if not path.exists():
            part = path.with_suffix(".part.npy")
            np.save(part, teach_all(teacher, data).numpy())
            part.replace(path)
        return torch.from_numpy(np.load(path))

    def _lessons(self, folder: str, model: VLA) -> Lessons:
        return Lessons(load_questions(self.out / folder), model, self.tier.device)

    def _publish(self, name: str, model: VLA, out: Path, known: dict[str, Any]) -> None:
        """Copy a finished model and its log to the checkpoints."""
        path = self.checkpoints / f"{name}.safetensors"
        shutil.copy(out / "log.csv", _made(path.with_suffix(".csv")))
        known = {"tier": self.tier.name, "tier_version": self.tier.version, "parameters": parameters(model), **known}
        model.save(path, **known)
        print(f"{path}: sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}", flush=True)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main(
    tier: Annotated[str, typer.Argument(help="cpu, gpu or tiny: a file of baselines/tiers")],
    stage: Annotated[list[str] | None, typer.Option(help=f"only these of {', '.join(STAGES)}")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="only these arms")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="only these seeds")] = None,
    minutes: Annotated[float, typer.Option(min=0.0, help="stop after so long; the same command goes on")] = math.inf,
    workers: Annotated[int, typer.Option(min=0, help="processes that render")] = 2,
    threads: Annotated[int, typer.Option(min=0, help="of torch, per process; 0: all")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="arms and seeds that are fine-tuned at once")] = 1,
    out: Annotated[Path | None, typer.Option(help="work folder")] = None,
    checkpoints: Annotated[Path | None, typer.Option(help="where finished checkpoints go")] = None,
) -> None:
    """Make the reference VLA. Exit code 0: all done; 75: stopped in time, repeat the command to go on."""
    chosen = load_tier(tier)
    for name in stage or ():
        if name not in STAGES:
            raise UnknownNameError("stage", name, STAGES)
    for name in arm or ():
        load_recipe(name)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise OodbenchError(f"tier {tier!r} needs a GPU, and torch sees none here; `cpu` does without")
    if threads:
        torch.set_num_threads(threads)
    root = HERE.parent / "runs" / "baselines" / tier
    shop = Workshop(chosen, out or root, checkpoints or HERE / "checkpoints" / tier, 0.0, workers, threads)
    shop.deadline = time.monotonic() + 60 * minutes
    work: list[tuple[str, Callable[[], object]]] = [
        ("demos", shop.demos), ("pictures", shop.pictures), ("pretrain", shop.pretrain), ("teacher", shop.teacher),
        ("frames", shop.frames),
    ]  # fmt: skip
    for kind, step in work:
        if (not stage or kind in stage) and (time.monotonic() >= shop.deadline or step() is False):
            _stop()
    if not stage or "finetune" in stage:
        arms = [(a, s) for s in (seed if seed is not None else chosen.seeds) for a in (arm or chosen.arms)]
        if jobs == 1 or len(arms) == 1:
            done = [time.monotonic() < shop.deadline and shop.finetune(a, s) for a, s in arms]
        else:
            shop.features_ready()
            with ThreadPoolExecutor(jobs) as pool:
                done = list(pool.map(lambda one: _apart(shop, *one), arms))
        if not all(done):
            _stop()
    print("all done", flush=True)


def _apart(shop: Workshop, arm: str, seed: int) -> bool:
    """Fine-tune one arm in a process of its own. Returns whether it is done; raises OodbenchError when it failed."""
    left = (shop.deadline - time.monotonic()) / 60
    if left <= 0:
        return False
    command = [sys.executable, __file__, shop.tier.name, "--stage", "finetune", "--arm", arm, "--seed", str(seed)]
    command += ["--out", str(shop.out), "--checkpoints", str(shop.checkpoints), "--threads", str(max(1, shop.threads))]
    command += ["--minutes", str(left)] if math.isfinite(left) else []
    code = subprocess.run(command).returncode
    if code not in (0, STOPPED):
        raise OodbenchError(f"fine-tuning {arm}-{seed} failed (exit code {code}); what it says is above")
    return code == 0


def _stop() -> NoReturn:
    print("stopped in time; the same command goes on", flush=True)
    raise SystemExit(STOPPED)


if __name__ == "__main__":
    try:
        typer.run(main)
    except OodbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
