"""The host's log: one stream, each line with the function and invocation that it belongs to."""

import logging
import sys
from datetime import UTC, datetime

from localcloud.functions.hostjson import HostConfig
from localcloud.functions.invocation import current


class _OfItsCategory(logging.Filter):
    """Lets a record through by the level that host.json gives its category."""

    def __init__(self, config: HostConfig) -> None:
        super().__init__()
        self._config = config

    def filter(self, record: logging.LogRecord) -> bool:
        invocation = current.get()
        if record.name == "azure" or record.name.startswith("azure."):
            return record.levelno >= logging.WARNING  # the SDKs log every request at INFO
        return record.levelno >= self._config.level(f"Function.{invocation.function}" if invocation else "Host")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        invocation = current.get()
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        who = f"{invocation.function} {invocation.id[:8]}" if invocation else "host"
        text = f"{at}Z {record.levelname:<7} [{who}] {record.getMessage()}"
        return text + "\n" + self.formatException(record.exc_info) if record.exc_info else text


def start_logging(config: HostConfig) -> None:
    """Send all logs of this process to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter())
    handler.addFilter(_OfItsCategory(config))
    levels = [config.level("Host"), config.level("Function"), *config.log_levels.values()]
    logging.basicConfig(level=min(levels), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
