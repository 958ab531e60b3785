"""`python -m localcloud.functions`: the host alone, until SIGTERM. `localcloud up` starts it as a child."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from localcloud.clock import Clock
from localcloud.errors import StartError
from localcloud.functions.host import HostOptions, serve
from localcloud.functions.hostjson import read_host_json
from localcloud.functions.keys import load_keys
from localcloud.functions.log import start_logging
from localcloud.functions.settings import apply_settings
from localcloud.leash import end_with_stdin
from localcloud.loopback import free_port, require_free


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localcloud.functions", description=__doc__)
    parser.add_argument("--app-root", type=Path, default=Path(), help="the folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--keys", type=Path, required=True, help="the file of access keys, made when missing")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than the clock timers run")
    parser.add_argument("--leashed", action="store_true", help="end when stdin ends")
    return parser.parse_args(argv)


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.leashed:
        end_with_stdin()
    root = arguments.app_root.resolve()
    config = read_host_json(root)
    start_logging(config)
    require_free(arguments.port, service="functions", option="--port")
    port = arguments.port or free_port()
    apply_settings(os.environ, root, port=port)
    options = HostOptions(
        app_root=root, config=config, keys=load_keys(arguments.keys), clock=Clock(speed=arguments.speed)
    )
    await serve(options, port=port, stop=stop)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C: 0. A host that cannot start: one line, 2."""
    try:
        asyncio.run(_run(_arguments(argv)))
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # not sys.exit: a sync function that hangs in its thread would keep the process for ever
