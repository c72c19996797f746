"""From a policy URI to a policy.

A URI is ``name``, ``package.module:attr``, ``path/to/file.py:attr`` or ``scheme://address`` (a policy that runs
elsewhere, see oodbench/remote), each with ``?key=value&...`` behind it. The attribute may be

- a class or a factory: called with the keyword arguments; without any if there are none;
- a function whose only required parameter is called ``observation`` or ``obs``: it is the policy's `act`;
- an object with `reset` and `act` (or `act_batch`): used as it is (and takes no arguments).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from oodbench.errors import OodbenchError, PolicyError, UnknownNameError, nearest
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.policies.controls import POLICIES
from oodbench.registry import Registry

DEFAULT_ATTR = "make_policy"


def _client(name: str) -> Callable[[], Callable[..., Any]]:
    """A client of oodbench.remote, imported when it is first wanted."""
    return lambda: importlib.import_module(f"oodbench.remote.{name}").connect


# Ways to policies that run elsewhere: scheme -> something that gives a factory of (address, **arguments).
SCHEMES: Registry[Callable[[], Callable[..., Any]]] = Registry(
    "policy scheme", group="oodbench.policy_schemes", lazy=True
)
for _scheme, _module in {
    "oodbench": "native", "openpi": "openpi", "vla-eval": "vla_eval", "groot": "groot", "openvla+http": "openvla",
    "lerobot": "lerobot",
}.items():  # fmt: skip
    SCHEMES.add(_scheme, _client(_module))


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that can be made, any number of times. files: what it was loaded from, path -> SHA-256."""

    uri: str
    name: str
    factory: Callable[[], Any]
    files: dict[str, str]

    def make(self) -> Any:
        """A new instance. Raises PolicyError when its constructor fails or it lacks `reset` or `act`."""
        try:
            policy = self.factory()
        except OodbenchError:
            raise
        except Exception as error:
            raise PolicyError(f"policy {self.uri}: cannot be made: {describe(error)}") from error
        for methods in (("reset",), ("act", "act_batch")):
            if not any(callable(getattr(policy, method, None)) for method in methods):
                wanted = "() or ".join(methods)
                raise PolicyError(f"policy {self.uri}: {type(policy).__name__} has no method {wanted}()")
        return policy


def load_policy(uri: str) -> LoadedPolicy:
    """Find what `uri` names. Raises UnknownNameError or PolicyError, in one line that names the way out."""
    location, _, query = uri.partition("?")
    arguments = {key: _value(text) for key, text in parse_qsl(query, keep_blank_values=True)}
    scheme, elsewhere, address = location.partition("://")
    if elsewhere:
        client = SCHEMES.get(scheme)()
        return LoadedPolicy(uri, scheme, lambda: _make(client, {"address": address} | arguments, uri), {})
    head, colon, attr = location.rpartition(":") if ":" in location else (location, "", "")
    if head.endswith(".py"):
        module = _import_file(Path(head), uri)
        files = {head: _sha256(Path(head))}
    elif colon:
        module = _import_module(head, uri)
        source = getattr(module, "__file__", None)
        files = {source: _sha256(Path(source))} if source else {}
    elif "/" in location:
        raise PolicyError(f"policy {uri}: a path must end in .py, with :attr behind it, e.g. my_policy.py:MyPolicy")
    else:
        thing = POLICIES.get(location)
        return LoadedPolicy(uri, location, lambda: _make(thing, arguments, uri), {})
    thing = _attribute(module, attr or DEFAULT_ATTR, uri)
    name = attr if attr and attr != DEFAULT_ATTR else Path(head).stem
    return LoadedPolicy(uri, name, lambda: _make(thing, arguments, uri), files)


def spec_of(policy: Any) -> PolicySpec:
    """What a policy declares, or the defaults. Raises PolicyError when its `spec` is something else."""
    spec = getattr(policy, "spec", None)
    if spec is None:
        return PolicySpec()
    if not isinstance(spec, PolicySpec):
        raise PolicyError(f"policy {type(policy).__name__}: spec must be an oodbench.policies.PolicySpec")
    spec.check(type(policy).__name__)
    return spec


class FunctionPolicy:
    """A policy made of one function of the observation."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.spec = getattr(function, "spec", None) or PolicySpec()

    def reset(self, episode: EpisodeInfo) -> None:
        pass

    def act(self, observation: Any) -> Any:
        return self._function(observation)


def describe(error: BaseException) -> str:
    """One line: the exception, and where in whose file it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "importlib" not in f.filename and f"{Path(__file__).parent}" not in f.filename]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({Path(error.filename).name}:{error.lineno})"
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def _make(thing: Any, arguments: dict[str, Any], uri: str) -> Any:
    if inspect.isfunction(thing) and _is_act(thing):
        if arguments:
            raise PolicyError(f"policy {uri}: a plain act function takes no arguments")
        return FunctionPolicy(thing)
    if not callable(thing) or (hasattr(thing, "act") and not inspect.isclass(thing)):
        return thing
    try:
        inspect.signature(thing).bind(**arguments)
    except TypeError as error:
        known = [p for p in inspect.signature(thing).parameters if p not in ("args", "kwargs")]
        raise PolicyError(f"policy {uri}: {error}; it takes: {', '.join(known) or 'no arguments'}") from None
    except ValueError:  # no signature to be had (a builtin): let the call speak
        pass
    return thing(**arguments)


def _is_act(function: Callable[..., Any]) -> bool:
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    return len(required) == 1 and required[0].name in ("observation", "obs")


def _import_file(path: Path, uri: str) -> ModuleType:
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.py")]) if path.parent.is_dir() else None
        advice = f"; did you mean {path.parent / near}?" if near else ""
        raise PolicyError(f"policy {uri}: no such file: {path}{advice}")
    name = f"oodbench_policy_{path.stem}_{_sha256(path)[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that dataclasses and pickles of the file work
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # a policy file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error
    return module


def _import_module(name: str, uri: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise PolicyError(f"policy {uri}: no module {error.name!r} is installed") from None
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error
    except Exception as error:
        raise PolicyError(f"policy {uri}: fails to import: {describe(error)}") from error


def _attribute(module: ModuleType, attr: str, uri: str) -> Any:
    if not hasattr(module, attr):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UnknownNameError("policy attribute", attr, names, f"(in {uri})")
    return getattr(module, attr)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
