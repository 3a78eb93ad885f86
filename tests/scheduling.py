"""Which tests stay together when several processes share them, and in which order they are begun."""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = (
    ("tests/systemd/",),
    ("tests/browser/",),
    ("tests/crash/test_modelled_power_cuts.py", "tests/crash/test_mutation.py"),
)
"""What shares something that takes long to make: a booted box, a browser, films. All else stays together by file."""


def unit_of(nodeid: str) -> str:
    """Return what a test stays together with."""
    return next((starts[0] for starts in TOGETHER if nodeid.startswith(starts)), nodeid.partition("::")[0])


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process the next unit of tests as soon as it has nearly done with its last.

    In the order in which they are collected: those that take long come before the many short ones of `tests/unit`,
    which leave nobody without work at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
