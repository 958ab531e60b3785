"""`python -m benchmarks [NAME] [options]`: each benchmark is a module here with `main(arguments) -> int`.

`make bench` runs it without a name: the worker against its peers.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

DEFAULT = "worker"
_PARTS = {"__main__", "azurite", "chart", "contest", "corpus", "filling", "host", "page", "population", "table"}


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted({module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - _PARTS - {"peers"})


def main(arguments: list[str]) -> int:
    """Runs the benchmark that the first argument names."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else DEFAULT
    if name not in names():
        print(f"no benchmark {name!r}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    rest = arguments[1:] if arguments[:1] == [name] else arguments
    return int(importlib.import_module(f"benchmarks.{name}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
