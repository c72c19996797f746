"""100,000 mutated messages for the decoder of every protocol: declared errors only, bounded memory, no hang."""

import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.remote.codec import CODECS

FUZZ = Path(__file__).with_name("fuzz.py")
RUNS = 100_000


@pytest.mark.parametrize("name", CODECS)
def test_decoders_survive_mutated_messages(name, tmp_path):
    limits = ("-rss_limit_mb=0", "-timeout=5", "-max_len=4096", "-seed=1")
    command = [sys.executable, str(FUZZ), name, f"-atheris_runs={RUNS}", *limits, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS}" in done.stdout + done.stderr
