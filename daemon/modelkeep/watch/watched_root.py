"""A root, and how it is followed."""

from collections.abc import Collection, Iterator, Sequence
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
    links and the reasons, `unreadable` folders and theirs, and `around_linked` is that of its listing. `mounts` is
    what was mounted anywhere when that was last looked at. While it is lost, `lost_at` is how often the catalogue had
    changed when all that it knows there was noted to be unreachable.
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
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    @property
    def omissions(self) -> str:
        """What the owner reads about folders and links of which nothing is known; empty when there are none."""
        unread, not_followed = self.unreadable, self.not_followed
        return "; ".join([*_first_of(unread, "cannot be read"), *_first_of(not_followed, "is not followed")])

    @property
    def is_lost(self) -> bool:
        """Whether it was noted that the root is not there."""
        return self.state is RootState.UNREACHABLE


def _first_of(found: Sequence[tuple[str, str]], what: str) -> Iterator[str]:
    if found:
        (path, reason), *others = found
        yield f"{path} {what}: {reason}" + (f"; {len(others)} more like it" if others else "")
