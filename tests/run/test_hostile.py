"""A run folder of a stranger is data: it runs nothing, reads nothing outside itself, and keeps to its limits."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zstandard

from oodbench.errors import OodbenchError, RunFolderError, SpecError
from oodbench.report import html, summary
from oodbench.run import columns, files, records, trace
from oodbench.run.folder import RunFolder
from oodbench.run.info import RunInfo, episode_to_play, read_info
from oodbench.run.records import EpisodeRecord
from oodbench.run.replay import replay_episode
from oodbench.run.runner import evaluate
from oodbench.run.trace import Tape, TraceWriter
from oodbench.run.verify import repeat_of, verify
from oodbench.suite import SUITES

MINIMAL = {"policy": {"uri": "x"}, "suite": {"name": "smoke", "version": 1, "sha256": "0" * 64}}
RECORD = EpisodeRecord(task="put-on", shift="none", severity=0.0, seed=0, axis="id", success=False, steps=3)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("played") / "run"
    evaluate("no-op", "smoke", out=folder, tasks=["put-on"], shifts=["none"], limit=1, workers=0)
    return folder


@pytest.fixture
def run(played, tmp_path) -> Path:
    shutil.copytree(played, tmp_path / "run")
    return tmp_path / "run"


def change(run: Path, edit) -> None:
    info = json.loads((run / "run.json").read_text())
    edit(info)
    (run / "run.json").write_text(json.dumps(info))


@contextmanager
def at_most(mebibytes: float):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert peak < mebibytes


# --- policies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["os:system?command=touch ran", "evil.py:make_policy"])
def test_no_policy_of_a_folder_is_loaded(run, monkeypatch, uri):
    monkeypatch.chdir(run.parent)
    Path("evil.py").write_text("open('ran', 'w').close()\ndef make_policy(): open('ran', 'w').close()\n")
    change(run, lambda info: info["policy"].update(uri=uri, files={"evil.py": "0" * 64}))
    assert verify(run, None).passed
    scene, record, said = replay_episode(run, None, None, Path("film.mp4"))
    assert "bit for bit" in said
    assert (scene.key.task, record.success) == ("put-on", False)
    assert Path("film.mp4").stat().st_size > 1000
    from oodbench.cli.run import run as command

    with pytest.raises(SpecError, match="--policy URI") as error:
        command(from_=run)
    assert repr(uri) in str(error.value)
    assert not Path("ran").exists()
    assert [e.task for e in repeat_of(run)[1]] == ["put-on"]


def test_without_a_trace_a_policy_has_to_be_named(run, tmp_path):
    shutil.rmtree(run / "traces")
    report = verify(run, None)
    assert (report.findings, report.passed) == ([], False)
    with pytest.raises(RunFolderError, match="--policy URI"):
        replay_episode(run, None, None, tmp_path / "film.mp4")
    _, _, said = replay_episode(run, None, "no-op", tmp_path / "film.mp4")
    assert said == ", bit for bit what the run recorded"


# --- run.json ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("policy", "expert"),
        ("policy", None),
        ("policy.uri", 3),
        ("policy.uri", "\x1b[2J"),
        ("policy.files", ["a"]),
        ("policy.metadata", {"a": [[[[0] * 300] * 300] * 5]}),
        ("versions", ["mujoco"]),
        ("command", [1, 2]),
        ("command", "rm"),
        ("hardware", []),
        ("wall_seconds", "x"),
        ("wall_seconds", -1.0),
        ("wall_seconds", float("nan")),
        ("plan.episodes", "abc"),
        ("plan.episodes", -3),
        ("plan.episodes", 10**30),
        ("protocol.success", "always"),
        ("format", 99),
        ("suite.content", "x"),
        ("suite.content.cells", {"a": 1}),
        ("suite.name", "x" * 1000),
        ("created", {"a": "b"}),
        ("git", "main"),
    ],
)
def test_a_retyped_field_is_named(run, path, value):
    def edit(info):
        *way, last = path.split(".")
        for key in way:
            info = info[key]
        info[last] = value

    change(run, edit)
    for read in (lambda: read_info(run), lambda: verify(run), lambda: summary.load([run]), lambda: repeat_of(run)):
        with pytest.raises(RunFolderError, match=r"run\.json"):
            read()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"policy": ' * 5000, b"[" * 10**6, b'{"policy": {"uri": "\\ud800"}}'],
)
def test_what_is_no_run_json_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError, match="cannot be read"):
        read_info(tmp_path)


def test_a_huge_run_json_is_not_read(tmp_path):
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(2**32)
    with at_most(5), pytest.raises(RunFolderError, match="at most"):
        read_info(tmp_path)


def test_unknown_fields_are_left_out_and_few_are_needed(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(MINIMAL | {"of_a_later_version": {"a": 1}}))
    info = read_info(tmp_path)
    assert info == RunInfo.model_validate_json(info.text())
    assert info.suite.title == "smoke v1"


def test_a_run_json_is_read_as_it_was_written(played):
    info = read_info(played)
    assert info.suite_to_play() == SUITES.get("smoke")
    assert info.suite_to_play().sha256 == info.suite.sha256
    assert all(suite == _as_foreign(suite).suite_to_play() for suite in SUITES)


def _as_foreign(suite) -> RunInfo:
    said = {
        "name": suite.name,
        "version": suite.version,
        "sha256": suite.sha256,
        "content": suite.model_dump(mode="json"),
    }
    return RunInfo.model_validate(MINIMAL | {"suite": said})


def cells(**change):
    return [{"tasks": ["put-on"], "shifts": ["none"], "severities": [], "episodes": 1} | change]


@pytest.mark.parametrize(
    "blocks",
    [
        cells(tasks=["../../secret.toml"]),
        cells(tasks=["/etc/passwd.toml"]),
        cells(tasks=["nothing-like-it"]),
        cells(shifts=["visual.lighting@3+/x.toml@2"]),
        cells(shifts=["x" * 299]),
        cells(episodes=10**9),
        cells(episodes=10**6),
        cells(episodes="1"),
        cells(tasks=["*"] * 900, shifts=["*"] * 900, severities=[1.0] * 900, episodes=9),
        cells() * 900 + cells(episodes=150_000),
        [cells()[0] | {"nested": [[[0]]]}],
    ],
)
def test_a_hostile_suite_reads_no_files_and_makes_no_plan(run, tmp_path, blocks, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oodbench.task.TASKS._read", lambda path: pytest.fail(f"read {path}"))
    change(run, lambda info: info["suite"]["content"].update(cells=blocks))
    with at_most(60), pytest.raises(RunFolderError):
        verify(run)


@pytest.mark.parametrize(
    "fields", [{"task": "../x.toml"}, {"task": "nothing"}, {"shift": "a.toml"}, {"seed": -1}, {"seed": 2**60}]
)
def test_records_name_only_what_is_installed(run, fields):
    line = json.loads((run / "episodes.jsonl").read_text()) | fields
    (run / "episodes.jsonl").write_text(json.dumps(line) + "\n")
    assert len(verify(run, None).findings) == 1
    with pytest.raises(OodbenchError):
        episode_to_play(line["task"], line["shift"], line["severity"], line["seed"])
    plan = {"task": line["task"], "spec": line["shift"], "seed": line["seed"]}
    (run / "plan.jsonl").write_text(json.dumps(plan) + "\n")
    with pytest.raises(OodbenchError):
        repeat_of(run)


def test_ones_own_task_files_are_read_on_request(tmp_path):
    task = tmp_path / "mine.toml"
    shutil.copy(Path(__file__).resolve().parents[2] / "tasks" / "put-on.toml", task)
    suite = SUITES.get("smoke")
    block = suite.cells[0].model_copy(update={"tasks": (str(task),), "shifts": ("none",), "severities": ()})
    own = _as_foreign(suite.model_copy(update={"cells": (block,)}))
    with pytest.raises(RunFolderError, match=r"by a path, .* say --own"):
        own.suite_to_play()
    assert own.suite_to_play(paths=True).plan()[0].task == str(task)


def test_secrets_stay_out_of_the_folder(tmp_path, monkeypatch):
    mine = tmp_path / "mine.py"
    mine.write_text(
        "class P:\n"
        "    def __init__(self, token): self.token = token\n"
        "    def reset(self, episode): pass\n"
        "    def act(self, observation): raise RuntimeError(f'token={self.token} is not known')\n"
    )
    uri = f"{mine}:P?token=S3CRET"
    monkeypatch.setattr("sys.argv", ["oodbench", "run", "smoke", "--policy", uri, "--api-key", "S3CRET"])
    evaluate(uri, "smoke", out=tmp_path / "run", tasks=["put-on"], shifts=["none"], limit=1, workers=0)
    written = "".join(path.read_text() for path in (tmp_path / "run").glob("*.json*"))
    assert "S3CRET" not in written
    assert "token=***" in written
    assert "token=*** is not known" in records.read(tmp_path / "run" / "episodes.jsonl")[0].error


# --- episodes.jsonl ------------------------------------------------------------------------------------------------

READERS = pytest.mark.parametrize("read", [records.read, columns.read], ids=["records", "columns"])


@READERS
@pytest.mark.parametrize("unit", [b"\0", b"\n", b" ", b'{"task": "'])
def test_a_bomb_of_a_gigabyte_is_refused(tmp_path, read, unit):
    path = tmp_path / "episodes.jsonl.zst"
    packer, block = zstandard.ZstdCompressor(level=1).compressobj(), unit * (2**24 // len(unit))
    with path.open("wb") as file:
        for _ in range(64):
            file.write(packer.compress(block))
        file.write(packer.flush())
    del block
    with (
        at_most(80),
        pytest.raises(RunFolderError, match=r"a line of more than|has more than|unpacks to more than"),
    ):
        read(path)


@READERS
def test_a_long_line_is_refused_in_no_time(tmp_path, read):
    path = tmp_path / "episodes.jsonl"
    with path.open("wb") as file:
        file.truncate(2**30)
    with at_most(80), pytest.raises(RunFolderError, match="a line of more than"):
        read(path)


@READERS
@pytest.mark.parametrize(
    "fields",
    [
        {"axis": "nowhere"},
        {"severity": 1e999},
        {"seed": 2**80},
        {"shift": "\x1b[2J"},
        {"steps": "x"},
        {"task": None},
        {"stages": [[[[]]]]} | {"axis": 3},
    ],
)
def test_bad_values_are_refused(tmp_path, read, fields):
    path = tmp_path / "episodes.jsonl"
    good = json.loads(RECORD.model_dump_json())
    path.write_text(json.dumps(good | fields) + "\n" + json.dumps(good) + "\n")
    if read is records.read and fields == {"seed": 2**80}:
        return  # a whole number to pydantic; whoever plays it refuses it
    with pytest.raises(RunFolderError):
        read(path)


@READERS
def test_frames_and_torn_lines_are_read_alike(tmp_path, read):
    lines = [RECORD.model_copy(update={"seed": i}).model_dump_json().encode() + b"\n" for i in range(3)]
    path = tmp_path / "episodes.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(line) for line in lines))
    assert len(read(path)) == 3
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(b"".join(lines)[:-20])
    assert len(read(path)) == 2
    path.write_bytes(lines[0] + b"{}\n" + lines[1])
    with pytest.raises(RunFolderError, match=r"episodes.jsonl:2: "):
        read(path)


def outside(tmp_path: Path, run: Path, name: str, how: str) -> None:
    """Put something else in the place of a file of the run."""
    path = run / name
    kept = path.read_bytes()
    path.unlink()
    if how == "pipe":
        os.mkfifo(path)
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "folder":
        path.mkdir()
    elif how == "loop":
        path.symlink_to(path)
    else:
        (tmp_path / "secret").write_bytes(kept)
        path.symlink_to(tmp_path / "secret" if how == "link" else "../secret")


@pytest.mark.parametrize("how", ["pipe", "device", "folder", "loop", "link", "relative"])
@pytest.mark.parametrize("name", ["run.json", "episodes.jsonl", "plan.jsonl", "traces"])
def test_only_regular_files_of_the_folder_are_read(run, tmp_path, name, how):
    if name == "traces":
        name = next((run / "traces").iterdir()).relative_to(run).as_posix()
        how = {"relative": "link"}.get(how, how)
    outside(tmp_path, run, name, how)
    with pytest.raises(RunFolderError, match=r"is not a regular file|leads out of its folder|cannot be read"):
        _ = repeat_of(run) if name == "plan.jsonl" else verify(run, None)


def test_a_linked_folder_of_traces_is_not_entered(run, tmp_path):
    (run / "traces").rename(tmp_path / "elsewhere")
    (run / "traces").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match="leads out of its folder"):
        trace.read(run)


# --- traces --------------------------------------------------------------------------------------------------------


def tape(steps: int = 25) -> Tape:
    rng = np.random.default_rng(0)
    actions = list(rng.uniform(-1, 1, (steps, 7)))
    places = list(rng.normal(size=(len(trace.kept_steps(steps)), 4, 3)).astype(np.float32))
    return Tape(actions, [bytes([i % 256] * 4) for i in range(steps)], places)


@pytest.mark.parametrize("steps", [0, 1, 9, 10, 25])
def test_what_is_written_is_read(tmp_path, steps):
    written = tape(steps)
    writer = TraceWriter(tmp_path)
    writer.write(RECORD, written)
    writer.close()
    found = trace.read(tmp_path)[RECORD.key]
    assert np.array_equal(found.actions, np.array(written.actions).reshape(-1, 7))
    assert found.states == written.states
    assert np.array_equal(found.positions.ravel(), np.array(written.positions, np.float32).ravel())


def entry(actions: bytes | None = None, **fields) -> bytes:
    """An entry of three steps, with what is to be wrong about it."""
    packed = zlib.compress(np.zeros((3, 7)).tobytes()) if actions is None else actions
    said = {"format": 2, "key": list(RECORD.key), "steps": 3, "actions": len(packed), "states": 12, "positions": 0}
    return json.dumps(said | fields).encode() + b"\n" + packed + b"0" * 12


@pytest.mark.parametrize(
    "content",
    [
        entry(states=-12),
        entry(actions=zlib.compress(np.zeros((3, 7)).tobytes()), states=-300),
        entry(steps=-1),
        entry(steps=10**12),
        entry(steps=4),
        entry(states=8),
        entry(format=3),
        entry(key=["put-on", "none", 0.0]),
        entry(key=["put-on", "none", float("nan"), 0]),
        entry(key=[1, 2, 3, 4]),
        entry(positions=10**15, things=3),
        entry(things=5),
        entry(things=10**9),
        entry(zlib.compress(b"\0" * 2**26)),
        entry(b"no zlib"),
        entry(zlib.compress(np.full((3, 7), np.nan).tobytes())),
        entry(zlib.compress(np.full((3, 7), -np.inf).tobytes())),
        entry(zlib.compress(np.full((3, 7), 1e9).tobytes())),
        b"\n" * 100,
        b"[]\n" * 100,
        b"x" * 10**6,
        b"[" * 4000 + b"\n",
    ],
)
def test_a_hostile_trace_is_refused_at_once(tmp_path, content):
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "a.bin").write_bytes(entry() + content)
    with at_most(5), pytest.raises(RunFolderError, match="not a trace at byte"):
        _ = dict(trace.read(tmp_path))


def test_torn_entries_and_later_ones_of_the_same_episode(tmp_path):
    (tmp_path / "traces").mkdir()
    whole = entry()
    for length in (1, 20, len(whole) - 1):
        (tmp_path / "traces" / "a.bin").write_bytes(whole + whole[:length])
        assert len(trace.read(tmp_path)) == 1
    assert not trace.read(tmp_path / "nowhere")


def test_a_trace_of_a_bomb_is_a_finding_for_its_episode(run):
    path = next((run / "traces").iterdir())
    key = next(iter(trace.read(run)))
    path.write_bytes(entry(zlib.compress(b"\0" * 2**24), key=list(key)))
    (found,) = verify(run, None).findings
    assert "not a trace" in found.what


# --- films ---------------------------------------------------------------------------------------------------------


def filmed(run: Path, name: str) -> None:
    line = json.loads((run / "episodes.jsonl").read_text()) | {"video": name}
    (run / "episodes.jsonl").write_text(json.dumps(line) + "\n")


@pytest.mark.parametrize("how", ["absolute", "up", "link", "linked folder", "other", "pipe", "folder", "no", "null"])
def test_a_report_shows_only_films_of_its_folder(run, tmp_path, how):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"SECRET" * 100)
    (run / "videos").mkdir()
    name = "videos/a.mp4"
    if how in ("absolute", "up"):
        name = str(secret) if how == "absolute" else "videos/../../secret.mp4"
    elif how == "link":
        (run / name).symlink_to(secret)
    elif how == "linked folder":
        (run / "videos").rmdir()
        (run / "videos").symlink_to(tmp_path)
        name = "videos/secret.mp4"
    elif how == "other":
        name = "episodes.jsonl"
    elif how == "pipe":
        os.mkfifo(run / name)
    elif how == "folder":
        (run / name).mkdir()
    elif how == "null":
        name = "videos/a\0.mp4"
    filmed(run, name)
    assert files.film_path(run, name) is None
    loaded = summary.load([run])
    assert not list(html.films(loaded[0]))
    assert "data:video" not in html.render(loaded, tmp_path / "report.html")


def test_a_report_is_not_written_through_a_link(run, tmp_path):
    from oodbench.cli.report import report

    (tmp_path / "precious").write_text("years")
    (run / "report.html").symlink_to(tmp_path / "precious")
    report([run])
    assert (tmp_path / "precious").read_text() == "years"
    assert "<html" in (run / "report.html").read_text()


def test_a_film_of_the_run_is_shown(run, tmp_path):
    (run / "videos").mkdir()
    (run / "videos" / "a.mp4").write_bytes(b"film")
    filmed(run, "videos/a.mp4")
    assert files.film_path(run, "videos/a.mp4") == run / "videos" / "a.mp4"
    assert "data:video/mp4;base64,ZmlsbQ==" in html.render(summary.load([run]), tmp_path / "report.html")


def test_what_a_server_says_of_itself_is_limited(tmp_path):
    from oodbench.run.info import bearable

    assert bearable({"a": [1, "b"]}) == {"a": [1, "b"]}
    assert "left out" in bearable({"a": "\x1b[2J"})
    assert "left out" in bearable({"a": [0] * 300_000})
    assert RunFolder(tmp_path).episodes_path.name == "episodes.jsonl"
