"""A root, and how it is followed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from modelkeep.domain.naming import Root

SYSCTL = "sudo sysctl fs.inotify.max_user_watches=1048576"
SYSCTL_INSTANCES = "sudo sysctl fs.inotify.max_user_instances=1024"


class RootState(StrEnum):
    """How a root is followed."""

    SCANNING = "scanning"
    WATCHING = "watching"
    POLLING = "polling"
    LIMITED = "limited"
    """The kernel's limit of watches is reached: the rest is found by rescans."""
    UNREACHABLE = "unreachable"


@dataclass(slots=True)
class WatchedRoot:
    """A root and how it is followed.

    `remedy` is the command that raises the limit for which the kernel does not watch it, `reason` why it is
    unreachable or limited. `mount_point` is that of the file system on which it was followed, `not_followed` has
    links and the reasons, and `around_linked` is that of its listing. `mounts` is what was mounted anywhere when that
    was last looked at. While it is lost, `lost_at` is how often the catalogue had changed when all that it knows
    there was noted to be unreachable.
    """

    root: Root
    state: RootState = RootState.SCANNING
    folders: int = 0
    files: int = 0
    reason: str = ""
    remedy: str = ""
    scanned: bool = False
    mounts: frozenset[tuple[int, str]] = frozenset()
    around_linked: Collection[str] = ()
    mount_point: str = ""
    lost_at: int = -1
    not_followed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_lost(self) -> bool:
        """Whether it was noted that the root is not there."""
        return self.state is RootState.UNREACHABLE


def about_links(not_followed: Sequence[tuple[str, str]]) -> str:
    """Return what the owner reads about folders and links that are not followed; empty when there are none."""
    if not not_followed:
        return ""
    (path, reason), *others = not_followed
    return f"{path} is not followed: {reason}" + (f"; {len(others)} more like it" if others else "")
