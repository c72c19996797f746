"""The command line: parse, call, print. One module a command; heavy imports happen inside the commands."""

from __future__ import annotations

import sys

import typer

from oodbench import __version__
from oodbench.cli.audit import audit
from oodbench.cli.bench import bench
from oodbench.cli.check import baseline, check
from oodbench.cli.compare import compare
from oodbench.cli.demos import demos
from oodbench.cli.doctor import doctor
from oodbench.cli.inspect import inspect
from oodbench.cli.leaderboard import app as leaderboard
from oodbench.cli.leaderboard import submit
from oodbench.cli.lerobot_env import lerobot_env
from oodbench.cli.list import list_
from oodbench.cli.new_policy import new_policy
from oodbench.cli.plan import plan
from oodbench.cli.probe import probe
from oodbench.cli.real import real
from oodbench.cli.replay import replay
from oodbench.cli.report import report
from oodbench.cli.run import run
from oodbench.cli.serve import serve
from oodbench.cli.verify import verify
from oodbench.cli.view import view
from oodbench.errors import OodbenchError

USAGE_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    name="oodbench",
    help="Out-of-distribution generalisation of robot policies: semantic, visual and execution shifts in MuJoCo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list_)
COMMANDS = (
    run, report, compare, baseline, check, plan, verify, view, replay, audit, inspect, serve, new_policy, probe, doctor,
    bench, lerobot_env, real, submit,
)  # fmt: skip
for _command in COMMANDS:
    app.command()(_command)
app.add_typer(demos, name="demos")
app.add_typer(leaderboard, name="leaderboard")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="print the version")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line. Every OodbenchError becomes one line on stderr and exit code 2."""
    try:
        app(standalone_mode=True)
    except OodbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
