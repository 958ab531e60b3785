"""What every Python peer does: converts the files that standard input names, and tells how long each took.

A request is a path; an answer is a JSON line: seconds, bytes, peak (bytes of memory so far). The file is read and the
PNG made in memory; neither the start of the process nor the disk is measured. Processor time is what counts, of all
threads: on one core it is the wall time of an idle machine, and a busy machine does not falsify it.
"""

import json
import resource
import sys
import time
from collections.abc import Callable


def serve(convert: Callable[[bytes], bytes]) -> None:
    """`convert` turns a JPEG's bytes into a PNG's bytes."""
    for line in sys.stdin:
        with open(line.rstrip("\n"), "rb") as file:
            data = file.read()
        before = time.process_time()
        png = convert(data)
        seconds = time.process_time() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.write(json.dumps({"seconds": seconds, "bytes": len(png), "peak": peak}) + "\n")
        sys.stdout.flush()
