"""Environments to try the built wheel in: one for each Python and numpy, with what the wheel depends on and no more.

`python tests/wheel_envs.py` makes all that this machine can (`make test` does); tests/test_wheel.py uses them. They
stay in .venv-wheel/ and are made anew when the dependencies in pyproject.toml change.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-wheel"
NUMPY = {"numpy1": "numpy>=1.26,<2", "numpy2": "numpy>=2"}


class Missing(Exception):
    """This machine has no such Python."""


@dataclass(frozen=True)
class Environment:
    """python: as "3.12". numpy: a key of `NUMPY`."""

    python: str
    numpy: str

    @property
    def folder(self) -> Path:
        return FOLDER / f"{self.python}-{self.numpy}"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def ready(self) -> bool:
        stamp = self.folder / ".ready"
        return stamp.exists() and stamp.read_text() == self._key()

    def make(self) -> Environment:
        """Makes it, unless it is there.

        Raises:
            Missing: There is no such Python.
            CalledProcessError: pip failed.
        """
        if self.ready():
            return self
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.numpy == "numpy1":  # little differs: the rest is linked, which takes no space and hardly any time
            other = Environment(self.python, "numpy2").make().folder
            shutil.copytree(
                other, self.folder, copy_function=_link, symlinks=True, ignore=shutil.ignore_patterns(".ready")
            )
        else:
            subprocess.run([interpreter(self.python), "-m", "venv", self.folder], check=True, capture_output=True)
        # Not compiled: a test run imports a tenth of it.
        pip = [self.bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*pip, NUMPY[self.numpy], *dependencies()], check=True, capture_output=True, text=True)
        (self.folder / ".ready").write_text(self._key())
        return self

    def _key(self) -> str:
        words = "\n".join((NUMPY[self.numpy], *dependencies()))
        return hashlib.sha256(words.encode()).hexdigest()


# numpy 1.26 has no wheels for Python 3.13.
ENVIRONMENTS = tuple(
    Environment(python, numpy)
    for python in ("3.11", "3.12", "3.13")
    for numpy in NUMPY
    if (python, numpy) != ("3.13", "numpy1")
)


def dependencies() -> list[str]:
    """What the light install depends on, with the released suites' MuJoCo."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["pinned"]]


def interpreter(version: str) -> str:
    """A Python of this minor version: of the path, or of pyenv's. Raises Missing."""
    plain = r"[0-9.]+"  # no release candidates
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    installed = sorted(pyenv.glob(f"{version}.*"), key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)])
    found = [str(folder / "bin" / "python") for folder in installed if re.fullmatch(plain, folder.name)][::-1]
    for candidate in (f"python{version}", *found):
        ask = [candidate, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(ask, capture_output=True, text=True)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return candidate
    raise Missing(f"no Python {version} on this machine, neither on the path nor in {pyenv}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def main() -> None:
    def attempt(environment: Environment) -> str:
        try:
            environment.make()
        except Missing as error:
            return f"{environment.folder.name}: {error}; its test will be skipped\n"
        except subprocess.CalledProcessError as error:
            last = (error.stderr or "").strip().splitlines()[-1:]
            return f"{environment.folder.name}: cannot be made: {' '.join(map(str, last)) or error}\n"
        return ""

    with ThreadPoolExecutor(2) as pool:
        for numpy in ("numpy2", "numpy1"):  # the second is made from the first
            for problem in pool.map(attempt, (item for item in ENVIRONMENTS if item.numpy == numpy)):
                print(problem, end="", file=sys.stderr)


if __name__ == "__main__":
    main()
