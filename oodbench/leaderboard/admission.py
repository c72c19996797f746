"""Which entries are admitted: of those, episodes were drawn after they had been handed in, and played again.

Which ones is decided by a salt that is drawn after the entry, and so its digest, was fixed: whoever makes an entry
cannot know them, nor make another until the draw suits him. leaderboard/admitted.toml keeps the salts, so that
everybody can repeat the draw; only maintainers change it.
"""

from __future__ import annotations

import hashlib
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from oodbench.errors import OodbenchError, SpecError
from oodbench.leaderboard.entry import Sha256, name_of, tables_toml
from oodbench.run.records import EpisodeKey

DRAWN = 48  # episodes of an entry that are played again before it is admitted
SALT_BYTES = 16
LIST, FILMS = "admitted.toml", "films"  # beside the entries' folder


class Admission(BaseModel):
    """Of an entry. digest: of its entry.toml. salt: drawn after that. drawn: how many episodes were played again.
    films: of some of those, made by the board: file name -> SHA-256. refused: earlier tries, in which something that
    was drawn was not as recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Sha256 = "0" * 64
    salt: Annotated[str, Field(max_length=200)] = ""
    date: Annotated[str, Field(max_length=10)] = ""
    drawn: int = Field(0, ge=0)
    refused: int = Field(0, ge=0)
    films: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._+@-]{1,200}\.mp4$")], Sha256] = {}


@dataclass
class Admissions:
    """The list of a board. path: of its file, which need not exist. of: <policy>/<suite> -> its admission."""

    path: Path
    of: dict[str, Admission] = field(default_factory=dict)

    def get(self, key: str, digest: str) -> Admission | None:
        """The admission of just this entry: None when it, or an earlier state of it, was never admitted."""
        found = self.of.get(key)
        return found if found and found.salt and found.digest == digest else None

    def films(self, key: str) -> Path:
        """The folder of the films that the board made of an entry."""
        return self.path.parent / FILMS / key

    def put(self, key: str, admission: Admission) -> None:
        """Change the list and its file. Raises OodbenchError when the disk will not take it."""
        self.of[key] = admission
        tables = {}
        for name, one in sorted(self.of.items()):
            content = one.model_dump(exclude_defaults=True)
            films = content.pop("films", {})
            tables[f'"{name}"'] = content
            if films:
                tables[f'"{name}".films'] = films
        part = self.path.with_name(self.path.name + ".part")
        try:
            part.write_text("# Written by `oodbench leaderboard admit`.\n" + tables_toml(tables), encoding="utf-8")
            part.replace(self.path)
        except OSError as error:
            raise OodbenchError(f"{self.path}: cannot be written ({error.strerror})") from error


def read(root: Path) -> Admissions:
    """The list that lies beside the entries' folder `root`. Raises SpecError when it is something else."""
    path = root.absolute().parent / LIST
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Admissions(path, TypeAdapter(dict[str, Admission]).validate_python(content))
    except FileNotFoundError:
        return Admissions(path)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SpecError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read ({error})") from None


def new_salt() -> str:
    """From the system's randomness."""
    return secrets.token_hex(SALT_BYTES)


def draw(keys: Iterable[EpisodeKey], digest: str, salt: str, count: int) -> list[EpisodeKey]:
    """The episodes of an entry to be played again.

    Args:
        keys: Of all its episodes.
        digest: Of its entry.toml.
        salt: Drawn after the digest was known.
        count: How many.

    Returns:
        Those whose names, hashed with salt and digest, come first; a smaller count gives the first of a larger one.
    """

    def place(key: EpisodeKey) -> bytes:
        return hashlib.sha256(f"{salt}\n{digest}\n{name_of(key)}".encode()).digest()

    return sorted(keys, key=place)[:count]
