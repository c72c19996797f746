"""A URI names a policy, or it is refused before anything is called; secrets in it are not written down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from oodbench.errors import PolicyError
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.loading import load_policy
from oodbench.redact import redacted, redacted_command, redacted_values
from oodbench.remote.hub import Hub
from oodbench.run.lanes import Lanes
from oodbench.suite import SUITES

MINE = """
import functools, os, subprocess
from os import system
from pathlib import Path
import numpy as np

class P:
    def __init__(self, checkpoint=None, revision=None):
        self.checkpoint, self.revision = checkpoint, revision
        self.steps = 0
    def reset(self, episode): self.steps = 0
    def act(self, observation):
        self.steps += 1
        return np.full(7, min(self.steps, 9) / 10)

class Net:
    '''Callable as a torch module is, and answers batches only.'''
    def __call__(self, *inputs): raise AssertionError("called")
    def reset(self, episode): pass
    def act_batch(self, observations): return [np.zeros(7) for _ in observations]

def build(checkpoint=None): return P(checkpoint)
def act(observation): return np.zeros(7)
ready, net, calm = P(), Net(), P()
calm.stateless = True
def only(): return ready
command = functools.partial(system, "touch ran")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


@pytest.mark.parametrize(
    "uri",
    [
        "os:system?command=touch ran",
        "subprocess:run?args=touch ran&shell=true",
        'builtins:exec?source=open("ran", "w")',
        "posix:system?command=touch ran",
        "mine.py:system?command=touch ran",
        "mine.py:command",
        "mine.py:Path?0=ran",
        "mine.py:os",
        "mine.py:subprocess",
        "json:dump",
    ],
)
def test_what_is_no_policy_is_refused_and_not_called(mine, uri):
    with pytest.raises(PolicyError):
        load_policy(uri).make()
    assert not (mine.parent / "ran").exists()


def test_functions_of_the_package_are_factories_and_others_are_not(mine, tmp_path):
    assert load_policy("mine.py:build?checkpoint=a.pt").make().checkpoint == "a.pt"
    (tmp_path / "other.py").write_text("from shutil import rmtree\nfrom mine import build\n")
    for name in ("rmtree?path=x", "build"):
        with pytest.raises(PolicyError, match="is not a policy; a factory is a function called make_policy"):
            load_policy(f"other.py:{name}").make()


def test_an_object_is_used_as_it_is(mine):
    policy = load_policy("mine.py:net").make()
    assert type(policy).__name__ == "Net"
    with pytest.raises(PolicyError, match=r"made already and takes no arguments .checkpoint."):
        load_policy("mine.py:ready?checkpoint=x.pt").make()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("run+1.pt", "run+1.pt"),
        ("run%2B1%20b.pt", "run+1 b.pt"),
        ("12e4567", "12e4567"),
        ("12e45", "12e45"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("007", "007"),
        ("0.1000000000000000055511", "0.1000000000000000055511"),
        ("[1e999]", "[1e999]"),
        ("12", 12),
        ("-0.50", -0.5),
        ("1e-4", 1e-4),
        ("true", True),
        ("[1, 2.5]", [1, 2.5]),
        ('"12"', "12"),
        ("", ""),
    ],
)
def test_arguments_are_what_was_typed(mine, text, value):
    assert load_policy(f"mine.py:P?revision={text}").make().revision == value


def play(uri: str, envs: int) -> list[str | None]:
    suite = SUITES.get("smoke")
    episodes = [e for e in suite.plan(limit=3) if not e.shift.parts][:3]
    found = {}
    with Lanes(load_policy(uri), suite, envs) as lanes:
        waiting = list(episodes)
        playing = {}
        while waiting or playing:
            for lane in lanes.free():
                if waiting:
                    playing[lane] = waiting.pop(0)
                    lanes.start(lane, playing[lane], None)
            for lane, record in lanes.advance():
                found[record.key] = record.outcome_sha256
                del playing[lane]
    return [found[e.key] for e in episodes]


@pytest.mark.slow
def test_an_object_does_not_mix_episodes_that_are_played_at_once(mine):
    alone = play("mine.py:P", 1)
    assert play("mine.py:P", 3) == alone
    assert play("mine.py:ready", 1) == alone
    for shared in ("ready", "only"):
        with pytest.raises(PolicyError, match=r"is one object, .* give its class or a factory"):
            play(f"mine.py:{shared}", 3)
    assert len(play("mine.py:net", 3)) == 3
    assert len(Lanes(load_policy("mine.py:calm"), SUITES.get("smoke"), 3).free()) == 3


def test_two_clients_do_not_mix_in_an_object(mine):
    info = EpisodeInfo("lift", "lift it", 1, 10, 20.0)
    hub = Hub(load_policy("mine.py:ready"))
    try:
        first, second = hub.join(), hub.join()
        hub.reset(first, info)
        with pytest.raises(PolicyError, match="is one object"):
            hub.reset(second, info)
        hub.leave(first)
        hub.reset(second, info)
    finally:
        hub.close()
    hub = Hub(load_policy("mine.py:P"))
    for _ in range(2):
        hub.reset(hub.join(), info)
    hub.close()
    assert np.all(load_policy("mine.py:act").make().act(None) == 0)


SECRET = "Sw0rdf1sh"


@pytest.mark.parametrize(
    "text",
    [
        f"groot://host:5555?token={SECRET}",
        f"groot://host:5555?version=n1.5&api_key={SECRET}&preset=libero",
        f"mine.py:P?hf_token={SECRET}",
        f"mine.py:P?API-KEY={SECRET}#x",
        f"oodbench://user:{SECRET}@host:80",
        f"http://{SECRET}@host",
        f"Authorization: Bearer {SECRET}",
        f"the server said: password={SECRET}, no",
        f'{{"secret": "{SECRET}"}}',
    ],
)
def test_secrets_are_taken_out(text):
    assert SECRET not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    ["mine.py:P?checkpoint=run+1.pt&monkey=3", "keyboard=1", "put-on/none/0/0: KeyError: 'x'", "oodbench://host:80"],
)
def test_what_is_no_secret_stays(text):
    assert redacted(text) == text


def test_commands_and_tables_lose_theirs():
    assert redacted_command(["run", "--api-token", SECRET, "--out", "x"]) == ["run", "--api-token", "***", "--out", "x"]
    assert SECRET not in json.dumps(redacted_values({"a": [{"api_key": SECRET}], "b": f"x://{SECRET}@h"}))


def test_a_loaded_policy_shows_no_secret_and_uses_it(mine):
    (mine.parent / "mine.py").write_text(MINE.replace("revision=None", "revision=None, token=None") + "\n")
    loaded = load_policy(f"mine.py:P?token={SECRET}")
    assert SECRET not in loaded.uri
    with pytest.raises(PolicyError) as error:
        load_policy(f"mine.py:P?wrong=1&token={SECRET}").make()
    assert SECRET not in str(error.value)
