"""Compiles strips.c: `python -m worker.native.build [OUT]`, for this machine, into this folder unless told otherwise.

The compiler is the one that worker/native/requirements.txt pins (Zig brings clang for every target as a wheel), so the
library for a node comes out the same, byte for byte, wherever it is built, and nobody has to install a C compiler.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of machine, as Python names it and as the compiler does."""

    system: str
    """`sys.platform`."""
    machine: str
    """`platform.machine()`."""
    triple: str
    cpu: str

    @property
    def file(self) -> str:
        """The library's file name."""
        return f"strips-{self.system}-{self.machine}.so"


TARGETS = (
    # x86-64-v3 has AVX2, as every Azure VM size in sale does; `worker.native` looks before it loads.
    Target(system="linux", machine="x86_64", triple="x86_64-linux-gnu.2.17", cpu="x86_64_v3"),
    Target(system="linux", machine="aarch64", triple="aarch64-linux-gnu.2.17", cpu="generic"),
    Target(system="darwin", machine="arm64", triple="aarch64-macos.11.0", cpu="apple_m1"),
)


def target(system: str, machine: str) -> Target | None:
    """What to compile for such a machine; None where the library is not made for it."""
    return next((one for one in TARGETS if (one.system, one.machine) == (system, machine)), None)


def build(wanted: Target, folder: Path) -> Path:
    """The compiled library, in `folder`. Raises subprocess.CalledProcessError, with what the compiler said."""
    out = folder / wanted.file
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-target", wanted.triple, f"-mcpu={wanted.cpu}"),
        *("-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-s"),
        *("-o", str(out), str(HERE / "strips.c")),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (our own arguments)
    return out


def main(arguments: list[str]) -> int:
    """Builds for this machine, where the library is made for it."""
    wanted = target(sys.platform, platform.machine())
    if wanted is None:
        sys.stderr.write(f"worker/native: not made for {sys.platform} on {platform.machine()}: PNGs take longer here\n")
        return 0
    try:
        build(wanted, Path(arguments[0]) if arguments else HERE)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"worker/native: the compiler failed:\n{error.stderr}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
