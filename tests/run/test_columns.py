"""Records by column are the records that were written, whatever happened to the file."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard

from oodbench.errors import RunFolderError
from oodbench.run import columns, records
from oodbench.run.columns import Episodes, Names
from oodbench.run.records import EpisodeRecord

RECORDS = [
    EpisodeRecord(
        task=task, shift=shift, severity=severity, seed=seed, axis=axis, steps=10 * seed, instruction="lift it",
        success=None if seed == 2 else seed % 2 == 0, failure="dropped" if seed % 2 else None,
        error="lost" if seed == 2 else None, closure_sha256=f"{seed:x}".ljust(64, "a"),
        video="v.mp4" if seed == 1 else None,
    )
    for task in ("put-on", "lift")
    for shift, severity, axis in (
        ("none", 0.0, "id"), ("visual.noise", 3.0, "visual"), ("control.blank", 1.0, "control"),
    )
    for seed in range(4)
]  # fmt: skip


def text(kept) -> bytes:
    return b"".join(record.model_dump_json().encode() + b"\n" for record in kept)


def same(found: Episodes, kept) -> bool:
    """Every column, against the objects."""
    rows = [
        (found.task.at(i), found.shift.at(i), found.axis.at(i), found.failure.at(i), found.severity[i], found.seed[i],
         {1: True, 0: False, -1: None}[int(found.success[i])], found.steps[i])
        for i in range(len(found))
    ]  # fmt: skip
    return rows == [(r.task, r.shift, r.axis, r.failure, r.severity, r.seed, r.success, r.steps) for r in kept]


def test_columns_hold_what_the_records_hold(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(text(RECORDS))
    found = columns.read(path)
    assert same(found, RECORDS)
    assert found.name(0) == "put-on/none/0/0"
    assert [(film.row, film.instruction) for film in found.films] == [
        (i, "lift it") for i, r in enumerate(RECORDS) if r.video
    ]
    rate = found.rate(found.task.is_("lift"))
    assert (rate.successes, rate.n, rate.errors) == (3, 9, 3)
    assert found.shifted.sum() == 8


def test_compressed_lines_are_read_as_plain_ones(tmp_path):
    path = tmp_path / "episodes.jsonl.zst"
    path.write_bytes(zstandard.compress(text(RECORDS)))
    assert same(columns.read(path), RECORDS)
    assert records.read(path) == RECORDS


@pytest.mark.parametrize("block", [50, 700, 2**20])
def test_blocks_end_anywhere(tmp_path, monkeypatch, block):
    monkeypatch.setattr(columns, "BLOCK", block)
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(text(RECORDS))
    assert same(columns.read(path), RECORDS)


@pytest.mark.parametrize("tail", [b'{"task":"li', b'{"task": "lift"}', b"\n\n"])
def test_a_torn_last_line_is_left_out_as_the_records_do(tmp_path, tail):
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(text(RECORDS) + tail)
    assert same(columns.read(path), records.read(path))


def test_of_an_episode_that_was_played_again_the_last_one_counts(tmp_path):
    path = tmp_path / "episodes.jsonl"
    again = RECORDS[2].model_copy(update={"success": True, "error": None, "steps": 7})
    path.write_bytes(text([*RECORDS, again]))
    assert same(columns.read(path), records.read(path))
    assert columns.read(path).steps[2] == 7


def test_another_bad_line_is_named(tmp_path):
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(text(RECORDS[:3]) + b'{"task": 7}\n' + text(RECORDS[3:]))
    with pytest.raises(RunFolderError, match=r"episodes.jsonl:4: not an episode record"):
        columns.read(path)


def test_without_a_file_there_are_no_episodes(tmp_path):
    assert len(columns.read(tmp_path / "episodes.jsonl")) == 0


def test_rows_that_are_chosen_and_joined_keep_their_names_and_films():
    whole = Episodes.of(RECORDS)
    halves = [Episodes.of(RECORDS[12:]), Episodes.of(RECORDS[:12])]
    joined = Episodes.joined(halves)
    assert same(joined, RECORDS[12:] + RECORDS[:12])
    assert [joined.seed[film.row] for film in joined.films] == [1] * 6
    lifted = joined[joined.task.is_("lift")]
    assert same(lifted, [r for r in RECORDS if r.task == "lift"])
    assert len(lifted.films) == 3
    one, other = columns.episode_codes(whole, joined)
    assert sorted(one) == sorted(other)
    assert len(set(one.tolist())) == len(RECORDS)


def test_names_that_are_not_there():
    names = Names.of(["a", None, "b", "a"])
    assert names.is_("c").sum() == 0
    assert list(names) == ["a", None, "b", "a"]
    assert names.present() == ["a", "b"]
    assert names.coded(["b"]).tolist() == [-1, -1, 0, -1]
    assert np.array_equal(names.where(["a", "c"]), [True, False, False, True])
