"""The pages of docs/policies, executed: what they tell a user to type works against the peers that they are about."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner
from vla_eval import api

from oodbench.cli import app
from oodbench.run import records

from .conftest import groot_server, http_server, openpi_server
from .test_faults import free_port
from .test_lerobot import ENV, made  # noqa: F401  (a fixture)
from .test_peers import Model, groot_answer

PAGES = Path(__file__).parents[2] / "docs" / "policies"
THEIRS = ("uv run", "python vla-scripts", "python gr00t", "vla-eval serve", ".venv-lerobot/bin/lerobot-eval")
SHORT = ["--limit", "1", "--task", "put-on", "--shift", "none", "--workers", "0", "--quiet"]
STILL = np.zeros((8, 7))


def blocks(page: str) -> list[tuple[str, str]]:
    """(what stands behind the backticks, content) of each code block."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", (PAGES / f"{page}.md").read_text(), re.M | re.S)


def commands(page: str) -> list[list[str]]:
    """Every oodbench command on the page, in words; each other command must be of the ecosystem that it is about."""
    found = []
    for _, content in (block for block in blocks(page) if not block[0]):
        for line in content.splitlines():
            if line.startswith("oodbench "):
                found.append(shlex.split(line, comments=True)[1:])
            else:
                assert line.startswith(THEIRS), line
    assert found
    return found


def type_in(words: list[str], **replace: str) -> str:
    """Run a command of a page, with a suite cut short and names put in."""
    for old, new in replace.items():
        words = [word.replace(old.replace("_", ":"), new) for word in words]
    if words[0] == "run":
        words = words + SHORT
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, (words, result.output)
    if words[0] == "run":
        played = records.read(Path(words[words.index("--out") + 1]) / "episodes.jsonl")
        assert played
        assert not any(record.error for record in played), played
    return result.output


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_page_is_run_here():
    assert {path.stem for path in PAGES.glob("*.md")} == {
        "README", "own", "openpi", "openvla", "groot", "lerobot", "vla-eval", "transformers",
    }  # fmt: skip


@pytest.mark.slow
def test_openpi():
    with openpi_server(lambda message: {"actions": STILL}) as address:
        for words in commands("openpi"):
            type_in(words, localhost_8000=address)
    assert Path("runs/pi05/report.html").exists()


def test_groot():
    with groot_server(groot_answer([], True)) as address:
        for words in commands("groot"):
            type_in(words, localhost_5555=address)


@pytest.mark.slow
def test_openvla():
    def answer(message):
        return list(STILL) if "full_image" in message else STILL[0]

    with http_server(answer) as address:
        for words in commands("openvla"):
            type_in(words, localhost_8000=address)


@pytest.mark.slow
def test_vla_eval():
    model = Model({"send_wrist_image": True, "send_state": True}, chunk_size=8)
    with api.serve_background(model) as server:
        for words in commands("vla-eval"):
            type_in(words, localhost_8000=f"127.0.0.1:{server.port}")
        config = yaml.safe_load(next(content for head, content in blocks("vla-eval") if head.startswith("yaml")))
        config["benchmarks"][0] |= {"episodes_per_task": 1, "max_steps": 5}
        results = api.run(config, server_url=f"ws://127.0.0.1:{server.port}", no_save=True, docker=False)
    assert results[0]["tasks"][0]["episodes"][0]["metrics"]["success"] is False


def served(words: list[str], port: int) -> subprocess.Popen[bytes]:
    """`oodbench serve ... --port`, in a process of its own, once it listens."""
    words = [str(port) if before == "--port" else word for before, word in zip(["", *words], words, strict=False)]
    server = subprocess.Popen([sys.executable, "-m", "oodbench", *words], stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read() == b"OK\n"
            break
        except OSError:
            time.sleep(0.1)
    return server


def play_page(page: str, **replace: str) -> None:
    port, server = free_port(), None
    try:
        for words in commands(page):
            words = [w.replace("CHECKPOINT", replace.get("CHECKPOINT", "")) for w in words]
            if words[0] == "serve":
                server = served(words, port)
            else:
                type_in(words, localhost_8000=f"127.0.0.1:{port}", **replace)
    finally:
        if server:
            server.kill()
            server.wait()


@pytest.mark.slow
def test_own():
    for head, content in blocks("own"):
        if head.startswith("python "):
            Path(head.split()[1]).write_text(content)
    play_page("own")
    assert Path("runs/mine/report.html").exists()
    here, far = (records.read(Path("runs") / name / "episodes.jsonl") for name in ("other", "served"))
    assert [r.outcome_sha256 for r in here] == [r.outcome_sha256 for r in far]


def tiny_pi0(folder: Path) -> None:
    """PI0 of transformers with random weights and two cameras of 2 x 2 patches, a tokeniser, and statistics."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PI0Config, PI0ForConditionalGeneration, PreTrainedTokenizerFast

    shape = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": 64,
    }
    gemma = {"model_type": "gemma", "hidden_size": 32, "intermediate_size": 64, **shape}
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 224, "patch_size": 112, "vision_use_head": False, "projection_dim": 32,
    }  # fmt: skip
    vlm = {
        "model_type": "paligemma",
        "text_config": gemma,
        "vision_config": vision,
        "image_token_id": 63,
        "projection_dim": 32,
    }
    torch.manual_seed(0)
    config = PI0Config(
        vlm_config=vlm, dit_config=gemma, chunk_size=5, max_state_dim=8, max_action_dim=7, num_inference_steps=2
    )
    PI0ForConditionalGeneration(config).save_pretrained(folder)
    words = {"<unk>": 0, "<bos>": 1, "put": 2, "the": 3, "on": 4, "<image>": 63}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>", additional_special_tokens=["<image>"]
    )
    fast.save_pretrained(folder)
    numbers = {"state": {"mean": [0.0] * 8, "std": [1.0] * 8}, "action": {"mean": [0.0] * 7, "std": [0.05] * 7}}
    (folder / "statistics.json").write_text(json.dumps(numbers))


@pytest.mark.slow
def test_transformers(tmp_path):
    tiny_pi0(tmp_path / "tiny")
    for head, content in blocks("transformers"):
        if head.startswith("python "):
            Path(head.split()[1]).write_text(content)
    play_page("transformers", CHECKPOINT=str(tmp_path / "tiny"))
    here, far = (records.read(Path("runs") / name / "episodes.jsonl") for name in ("pi0", "pi0-served"))
    assert here[0].steps > 50
    assert far[0].scene_sha256 == here[0].scene_sha256


@pytest.mark.lerobot
@pytest.mark.skipif(not (ENV / ".ready").exists(), reason=f"no {ENV.name}; make it with: make lerobot-env")
def test_lerobot(made):  # noqa: F811
    for words in commands("lerobot"):
        if words[0] == "lerobot-env":
            continue  # which is how `make test` made the environment
        words = [
            word.replace("CHECKPOINT", str(made / "act")).replace("env=.venv-lerobot", f"env={ENV}") for word in words
        ]
        type_in(words)


def test_threads_of_servers_are_gone():
    assert threading.active_count() < 50
