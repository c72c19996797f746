"""`oodbench serve`: a policy for others to ask."""

from __future__ import annotations

import os
import sys
import threading
from typing import Annotated

import typer


def serve(
    policy: Annotated[str, typer.Argument(help="as for `run`")],
    protocol: Annotated[str, typer.Option(help="oodbench, openpi or vla-eval")] = "oodbench",
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for all of this machine's")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8000,
    max_batch: Annotated[int, typer.Option(min=1, help="observations in one call of act_batch")] = 64,
    max_wait: Annotated[float, typer.Option(min=0.0, help="milliseconds that an observation waits for others")] = 5.0,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve a policy over a WebSocket, from an environment or a machine of its own.

    Example: oodbench serve my_policy.py:MyPolicy --port 8000, and elsewhere
    oodbench run quick --policy oodbench://localhost:8000
    """
    from oodbench.policies.loading import load_policy
    from oodbench.remote.hub import Hub
    from oodbench.remote.server import serving

    hub = Hub(load_policy(policy), max_batch, max_wait / 1000)
    with serving(hub, protocol, host, port) as server:
        if until_stdin_closes:
            threading.Thread(target=_watch, args=(server,), daemon=True).start()
        where = f"{host}:{server.socket.getsockname()[1]}"
        typer.echo(f"{policy}: serving on {where} ({protocol})")
        typer.echo(f"ask it with: oodbench run quick --policy {protocol}://{where}")
        sys.stdout.flush()
        server.serve_forever()


def _watch(server: object) -> None:
    """End with the process that started this one."""
    sys.stdin.read()
    server.shutdown()  # type: ignore[attr-defined]
    os._exit(0)
