"""The solvability certificate: the controls in every cell, as the README's "How it is validated" shows it.

    python -m tests.validate                # 100 episodes a cell, some minutes
    python -m tests.validate --episodes 20 --task put-on

The expert must succeed in 98 of 100 in-distribution episodes of each task and in 95 of 100 at severity 3 of every shift
(over all tasks); random and no-op in at most 2. Exit code 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from rich.progress import track

SEVERITY = 3.0
FLOOR = {"none": 0.98}
SHIFTED_FLOOR = 0.95
CEILING = 0.02

Row = tuple[str, str, int, str, bool, str]


def play(policy_name: str, job: tuple[str, str, int]) -> Row:
    """One episode: (policy, shift, seed, task, settled, failure)."""
    from oodbench.policies.loading import load_policy
    from oodbench.run.episode import play as play_episode
    from oodbench.shift import ShiftSpec
    from oodbench.suite import SUITES, Episode

    task_name, shift_name, seed = job
    episode = Episode(task_name, ShiftSpec.parse(shift_name, SEVERITY if shift_name != "none" else None), seed)
    record = play_episode(_world(), load_policy(policy_name).make(), episode, SUITES.get("quick"))
    return policy_name, shift_name, seed, task_name, bool(record.success), record.error or record.failure or ""


def _world():
    global _kept
    from oodbench.sim.world import World

    if "_kept" not in globals():
        _kept = World("fast")
    return _kept


def main() -> int:
    from oodbench.shift import SHIFTS
    from oodbench.task import TASKS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--task", action="append")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    tasks = arguments.task or TASKS.names()
    shifts = ["none", *SHIFTS.names()]
    policies = arguments.policy or ["expert", "random", "no-op"]
    jobs = [(task, shift, seed) for seed in range(arguments.episodes) for task in tasks for shift in shifts]
    rates: Counter[tuple[str, str, str]] = Counter()
    failures: list[Row] = []
    for policy in policies:
        with ProcessPoolExecutor(arguments.workers) as pool:
            rows = pool.map(partial(play, policy), jobs, chunksize=len(shifts))
            for row in track(rows, f"{policy:8}", total=len(jobs), disable=not sys.stderr.isatty()):
                rates[policy, row[1], row[3]] += row[4]
                if not row[4] and policy == "expert":
                    failures.append(row)
    print(f"\n| shift (severity {SEVERITY:g}) | " + " | ".join(f"{p}: {t}" for p in policies for t in tasks) + " |")
    print("| --- |" + " ---: |" * (len(policies) * len(tasks)))
    good = True
    for shift in shifts:
        cells = []
        for policy in policies:
            for task in tasks:
                rate = rates[policy, shift, task] / arguments.episodes
                fine = rate >= FLOOR.get(shift, SHIFTED_FLOOR) if policy == "expert" else rate <= CEILING
                good &= fine
                cells.append(f"{rates[policy, shift, task]}" + ("" if fine else " (!)"))
        print(f"| {shift} | " + " | ".join(cells) + " |")
    print(f"\nsuccesses of {arguments.episodes} episodes a cell")
    for row in failures:
        print("expert failed:", row[3], row[1], f"seed {row[2]}:", row[5])
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
