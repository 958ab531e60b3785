"""Where a node keeps its files, as Batch lays them out on Linux. Paths are relative to the node's root.

https://learn.microsoft.com/azure/batch/files-and-directories
"""

from pathlib import PurePosixPath

STARTUP = "startup"
SHARED = "shared"
WORKITEMS = "workitems"
STANDARD_OUTPUT = "stdout.txt"
STANDARD_ERROR = "stderr.txt"
WORKING = "wd"


def job_directory(job_id: str) -> str:
    """`workitems/JOB/job-1`; a job that a schedule made has its number there: `workitems/SCHEDULE/job-7`."""
    schedule, colon, job = job_id.rpartition(":")
    return f"{WORKITEMS}/{schedule}/{job}" if colon else f"{WORKITEMS}/{job_id}/job-1"


def task_directory(job_id: str, task_id: str) -> str:
    return f"{job_directory(job_id)}/{task_id}"


def is_inside(path: str) -> bool:
    """Whether a path that a client sent stays where it belongs."""
    parts = PurePosixPath(path).parts
    return not path.startswith("/") and ".." not in parts and "\0" not in path
