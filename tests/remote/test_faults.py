"""Servers that are absent, silent, strange, or die: one clear error, and nothing that was played is lost."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import websockets.sync.server

from oodbench.errors import PolicyError
from oodbench.observation import Snapshot
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import LoadedPolicy, load_policy
from oodbench.remote import transport
from oodbench.remote.codec import ProtocolError
from oodbench.remote.hub import Hub
from oodbench.remote.transport import LostServer, Unreachable
from oodbench.run.folder import RunFolder
from oodbench.run.runner import evaluate

from .conftest import INFO, groot_server, http_server, openpi_server, serve

SEEN = Snapshot({}, np.zeros(8, np.float32), "lift")
SCHEMES = ("oodbench", "openpi", "vla-eval", "groot", "openvla+http")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def play_a_little(uri: str):
    policy = load_policy(uri).make()
    policy.reset(INFO)
    policy.act(Snapshot({"image": np.zeros((224, 224, 3), np.uint8)}, SEEN.state, "x"))


@contextlib.contextmanager
def listener(speak=None):
    """Accepts connections and says `speak`, or nothing at all."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def run():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                kept.append(connection)
                if speak:
                    connection.sendall(speak)

    threading.Thread(target=run, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.close()
    for connection in kept:
        connection.close()


@contextlib.contextmanager
def silent_websocket():
    with websockets.sync.server.serve(lambda c: [None for _ in c], "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def test_a_server_that_speaks_first_is_quoted(monkeypatch):
    from websockets.sync import client

    def never(*_, **__):
        raise TimeoutError("timed out during opening handshake")

    monkeypatch.setattr(client, "connect", never)
    with listener(b"SSH-2.0-OpenSSH_9.6\r\n") as address, pytest.raises(Unreachable, match=r"begins with b'SSH-2\.0"):
        load_policy(f"openpi://{address}?patience=20").make()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_there_is_said_with_the_way_out(scheme):
    began = time.monotonic()
    with pytest.raises(Unreachable, match=rf"{scheme.replace('+', '.')}://127.*no server answers.*start it.*--out"):
        load_policy(f"{scheme}://127.0.0.1:{free_port()}?patience=0.5").make()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_port_that_accepts_and_says_nothing_does_not_hang(scheme):
    began = time.monotonic()
    with listener() as address, pytest.raises(PolicyError, match=address):
        play_a_little(f"{scheme}://{address}?patience=0.5&timeout=0.5")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("scheme", ["oodbench", "openpi", "vla-eval"])
def test_a_websocket_that_says_nothing_does_not_hang(scheme):
    with silent_websocket() as address, pytest.raises(PolicyError, match=address):
        load_policy(f"{scheme}://{address}?patience=0.5&timeout=0.3").make()


@pytest.mark.parametrize("scheme", ["oodbench", "openpi", "vla-eval"])
@pytest.mark.parametrize("other", ["http", "rubbish"])
def test_another_kind_of_server_on_the_port_is_said_at_once(scheme, other):
    there = http_server(lambda m: m) if other == "http" else listener(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    began = time.monotonic()
    with there as address, pytest.raises(Unreachable, match="something else listens there"):
        load_policy(f"{scheme}://{address}?patience=60").make()
    assert time.monotonic() - began < 30, "it does not wait for another kind of server"


def test_the_wrong_one_of_two_protocols_is_said():
    class Any:
        spec = PolicySpec(cameras=())

        def reset(self, episode): ...

        def act(self, observation):
            return np.zeros(7)

    with serve(Any, "openpi") as address:
        with pytest.raises(PolicyError, match="not 'hello'"):
            load_policy(f"oodbench://{address}?patience=1").make()
        with pytest.raises(PolicyError, match="message without"):
            load_policy(f"vla-eval://{address}?patience=1").make()
    with serve(Any, "oodbench") as address, pytest.raises(PolicyError, match=address):
        load_policy(f"openpi://{address}?patience=1&timeout=1").make()
    with listener(b"\x00\x01\x02\r\n\r\n") as address, pytest.raises(Unreachable, match="does not speak HTTP"):
        play_a_little(f"openvla+http://{address}")


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (np.zeros((5, 6)), r"shape \(5, 6\)"),
        (np.full((5, 7), np.nan), r"nan at \[0, 0\]"),
        (np.full((5, 7), 40.0), r"40 at .*lie in \[-1, 1\]"),
        ("left", "str"),
        (None, "without 'actions'"),
    ],
)
def test_rubbish_from_a_server_stops_the_run_with_one_line(actions, says, tmp_path):
    reply = {} if actions is None else {"actions": actions}
    with openpi_server(lambda message: reply) as address, pytest.raises(PolicyError, match=says):
        evaluate(f"openpi://{address}?cameras=", "smoke", out=tmp_path, workers=0, limit=1, tasks=["put-on"])


def test_a_message_that_is_too_large_is_said(monkeypatch):
    with openpi_server(lambda message: {"actions": np.zeros((40_000, 7))}) as address:
        monkeypatch.setattr(transport, "MAX_BYTES", 2**20)
        policy = load_policy(f"openpi://{address}").make()
        policy.reset(INFO)
        with pytest.raises(ProtocolError, match="too large"):
            policy.act(SEEN)


def test_a_server_that_stops_answering_costs_the_episode_and_one_that_comes_back_is_used():
    slow = threading.Event()

    def infer(message):
        if slow.is_set():
            time.sleep(2.0)
        return {"actions": np.zeros((5, 7))}

    with openpi_server(infer) as address:
        policy = load_policy(f"openpi://{address}?timeout=0.5").make()
        policy.reset(INFO)
        assert policy.act(SEEN).shape == (5, 7)
        slow.set()
        with pytest.raises(LostServer, match=r"no answer within 0.5 s"):
            policy.act(SEEN)
        slow.clear()
        policy.reset(INFO)
        assert policy.act(SEEN).shape == (5, 7), "and not the late answer to the question before"


def test_a_groot_server_that_stops_answering_can_be_asked_again():
    slow = threading.Event()

    def answer(endpoint, data):
        if endpoint == "get_action" and slow.is_set():
            slow.clear()
            time.sleep(1.0)
        names = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
        return [{f"action.{key}": np.zeros(4) for key in names}, {}] if endpoint == "get_action" else {}

    pictures = {name: np.zeros((256, 256, 3), np.uint8) for name in ("image", "wrist_image")}
    seen = Snapshot(pictures, SEEN.state, "x")
    with groot_server(answer) as address:
        policy = load_policy(f"groot://{address}?timeout=0.4").make()
        policy.reset(INFO)
        policy.act(seen)
        slow.set()
        with pytest.raises(LostServer):
            policy.act(seen)
        policy.reset(INFO)
        assert policy.act(seen).shape == (4, 7)


POLICY = """
import time
import numpy as np
from oodbench.policies import PolicySpec

class Wander:
    spec = PolicySpec(cameras=(), execute=8)
    def reset(self, episode):
        self.rng = np.random.default_rng(episode.seed)
    def act(self, observation):
        time.sleep(0.04)
        return self.rng.uniform(-1, 1, (8, 7))
"""


def start_server(path, port):
    command = [sys.executable, "-m", "oodbench", "serve", f"{path}:Wander", "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_server_killed_in_mid_episode_and_started_again_loses_and_doubles_nothing(tmp_path):
    path = tmp_path / "wander.py"
    path.write_text(POLICY)
    chosen = {"tasks": ["put-on"], "shifts": ["visual.l*"], "limit": 1}
    here = evaluate(f"{path}:Wander", "quick", out=tmp_path / "here", workers=0, **chosen).records()
    port = free_port()
    server, folder = start_server(path, port), RunFolder(tmp_path / "far")
    far = threading.Thread(
        target=evaluate, args=(f"oodbench://127.0.0.1:{port}?patience=60", "quick"),
        kwargs={"out": folder.path, "workers": 1, "envs": 2, **chosen},
    )  # fmt: skip
    try:
        far.start()
        for killed in range(2):
            until = time.monotonic() + 60
            # An episode is played again once: the second kill waits for those that the first one cut off.
            while time.monotonic() < until and far.is_alive():
                played = folder.records()
                if len(played) >= 1 + 2 * killed and sum(r.attempts == 2 for r in played) >= 2 * killed:
                    break
                time.sleep(0.02)
            time.sleep(0.4)  # into the next episode
            server.kill()
            server.wait()
            server = start_server(path, port)
        far.join(120)
        assert not far.is_alive()
    finally:
        server.kill()
        server.wait()
    lines = (folder.path / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == len(here), "no episode twice"
    there = {record.key: record for record in folder.records()}
    assert {record.key: record.outcome_sha256 for record in here} == {k: r.outcome_sha256 for k, r in there.items()}
    assert not any(record.error for record in there.values())
    assert any(record.attempts == 2 for record in there.values()), "an episode was cut off, and played again"


@pytest.mark.slow
def test_a_server_that_stays_away_stops_the_run_and_the_same_command_goes_on(cli, tmp_path):
    path, port = tmp_path / "wander.py", free_port()
    path.write_text(POLICY)
    args = (
        "run",
        "quick",
        "--policy",
        f"oodbench://127.0.0.1:{port}?patience=1",
        "--task",
        "lift",
        "--shift",
        "visual.*",
    )
    args += ("--limit", 1, "--workers", 1, "--out", "out", "--quiet")
    gone = cli(*args)
    assert gone.returncode == 2
    assert gone.stderr.count("\n") == 1
    assert "no server answers there (connection refused" in gone.stderr
    server = start_server(path, port)
    try:
        args = tuple(str(a).replace("patience=1", "patience=60") if "patience" in str(a) else a for a in args)
        again = cli(*args)
        assert again.returncode == 0, again.stderr
    finally:
        server.kill()
        server.wait()


def test_a_closed_hub_keeps_nobody_waiting():
    """Neither those whose questions were still in the queue, nor those who come later."""
    begun, go_on = threading.Event(), threading.Event()

    class Stuck:
        def reset(self, episode):
            begun.set()
            go_on.wait(30)

        def act(self, observation):
            return np.zeros((1, 7))

    hub = Hub(LoadedPolicy("stuck", "stuck", Stuck))
    said = []

    def ask():
        with pytest.raises(PolicyError, match="was closed") as found:
            hub.act(hub.join(), SEEN)
        said.append(found)

    threading.Thread(target=hub.reset, args=(hub.join(), INFO), daemon=True).start()
    assert begun.wait(5)
    waiting = threading.Thread(target=ask, daemon=True)
    waiting.start()
    while hub._queue.empty():
        time.sleep(0.01)
    hub.close(patience=0.1)
    waiting.join(5)
    ask()
    go_on.set()
    assert len(said) == 2


def test_a_lerobot_policy_that_prints_a_lot_is_not_stopped_by_its_pipe(tmp_path):
    """Its server's words go to a log; a pipe that nobody reads is full after 64 KiB."""
    (tmp_path / "loud.py").write_text(
        "import numpy as np\nfrom oodbench.policies import PolicySpec\n"
        "class Loud:\n"
        "    spec = PolicySpec(cameras=())\n"
        "    def reset(self, episode): pass\n"
        "    def act(self, seen):\n"
        "        print('x' * 200_000, flush=True)\n"
        "        return np.zeros((2, 7))\n"
    )
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    serving = f"-m oodbench serve {tmp_path}/loud.py:Loud --port 0 --until-stdin-closes"
    python.write_text(f"#!/bin/sh\nPYTHONPATH={':'.join(filter(None, sys.path))} exec {sys.executable} {serving}\n")
    python.chmod(0o755)
    policy = load_policy(f"lerobot://any?env={tmp_path}/env&timeout=20").make()
    try:
        policy.reset(INFO)
        assert policy.act(SEEN).shape == (2, 7)
    finally:
        policy.close()
