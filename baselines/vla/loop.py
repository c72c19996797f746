"""A training loop that can be killed at any point: what it needs to go on is on disk, the order of data is fixed."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from oodbench.errors import OodbenchError
from oodbench.progress import Meter
from oodbench.seeding import derive, generator

LOG_EVERY = 25  # steps


@dataclass(frozen=True)
class Schedule:
    """steps: updates in all. lr: peak, after `warmup` steps, then a cosine to a tenth. batch: examples an update."""

    steps: int
    batch: int
    lr: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0))))


@dataclass
class Slice:
    """How long to train before stopping, and how often to write what it takes to go on (seconds)."""

    seconds: float = math.inf
    save_every: float = 60.0
    device: str = "cpu"
    precision: str = "fp32"

    def autocast(self) -> torch.autocast | nullcontext[None]:
        """bf16 is for GPUs: a CPU without units for it is slower with it."""
        return torch.autocast(self.device, torch.bfloat16) if self.precision == "bf16" else nullcontext()


Logs = dict[str, Tensor | float]
Loss = Callable[[int, np.random.Generator], tuple[Tensor, Logs]]


def train(
    out: Path,
    modules: dict[str, nn.Module],
    loss: Loss,
    schedule: Schedule,
    slice_: Slice,
    seed: int,
    label: str,
    memory: dict[str, float] | None = None,
) -> bool:
    """Train the parameters of `modules` that require gradients, for as long as the slice lasts.

    loss(step, rng) gives the loss of one update and what to log. `rng` depends on (seed, step) alone, so that every
    arm sees the same data in the same order, however often it was interrupted. memory: numbers that the loss keeps
    between steps. out: gets log.csv and state.pt. Returns whether all steps are done.
    """
    out.mkdir(parents=True, exist_ok=True)
    trained = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    fused = slice_.device.startswith("cuda")
    optimizer = torch.optim.AdamW(trained, schedule.lr, weight_decay=schedule.weight_decay, fused=fused)
    memory = {} if memory is None else memory
    step = _resume(out, modules, optimizer, memory, slice_.device)
    torch.manual_seed(derive("torch", seed, step) % 2**63)
    began = saved = time.monotonic()
    sums: dict[str, float] = {}
    with Meter(label, schedule.steps, step) as meter:
        while step < schedule.steps:
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            with slice_.autocast():
                value, logs = loss(step, generator("batch", seed, step))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            norm = nn.utils.clip_grad_norm_(trained, schedule.clip)
            if not torch.isfinite(norm):
                raise OodbenchError(f"{label}: the gradient is not finite at step {step}; lower the learning rate")
            optimizer.step()
            step += 1
            logs = {"loss": value.detach(), **logs}
            for name, number in logs.items():
                sums[name] = sums.get(name, 0.0) + float(number)
            if step % LOG_EVERY == 0 or step == schedule.steps:
                since = (step - 1) % LOG_EVERY + 1
                means = {name: total / since for name, total in sums.items()}
                _log(out / "log.csv", {"step": step, "seconds": round(time.monotonic() - began, 1), **means})
                sums = {}
                meter.advance(since, f"loss {means['loss']:.3f}")
            now = time.monotonic()
            if step % LOG_EVERY == 0 and (now - saved > slice_.save_every or step == schedule.steps):
                _save(out, modules, optimizer, memory, step)
                saved = now
            if now - began > slice_.seconds and step % LOG_EVERY == 0:
                break
    _save(out, modules, optimizer, memory, step)
    return step >= schedule.steps


def shifted(pictures: Tensor, by: int, rng: np.random.Generator) -> Tensor:
    """(B, 3, s, s) pictures, all moved by one random number of pixels, at most `by` each way; edges are repeated."""
    dx, dy = (int(n) for n in rng.integers(-by, by + 1, 2))
    size = pictures.shape[-1]
    padded = nn.functional.pad(pictures, (by, by, by, by), mode="replicate")
    return padded[..., by + dy : by + dy + size, by + dx : by + dx + size]


def only(module: nn.Module | nn.Parameter, trainable: bool) -> None:
    """Let a part be trained, or not."""
    for p in [module] if isinstance(module, nn.Parameter) else module.parameters():
        p.requires_grad_(trainable)


def _resume(
    out: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, memory: dict[str, float], device: str
) -> int:
    path = out / "state.pt"
    if not path.exists():
        (out / "log.csv").unlink(missing_ok=True)
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    optimizer.load_state_dict(state["optimizer"])
    memory.update(state["memory"])
    _cut_log(out / "log.csv", state["step"])
    return int(state["step"])


def _save(
    out: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, memory: dict[str, float], step: int
) -> None:
    states = {name: module.state_dict() for name, module in modules.items()}
    part = out / "state.part"
    torch.save({"step": step, "modules": states, "optimizer": optimizer.state_dict(), "memory": memory}, part)
    part.replace(out / "state.pt")


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps that a kill undid."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:1] + [line for line in lines[1:] if float(line.split(",")[0]) <= step]))
