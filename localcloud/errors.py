"""What can go wrong when a local service starts, said in one line to the person at the terminal."""


class LocalCloudError(Exception):
    """The family of the local cloud's own errors."""


class StartError(LocalCloudError):
    """A service cannot start, and trying again will not help: the message says what to do. Exit code 2."""


class ServiceFailedError(LocalCloudError):
    """A service inside the supervising process failed (a full disk, a defect). Exit code 1."""


class ChildExitedError(LocalCloudError):
    """A child process ended, or stayed silent, before it was ready."""
