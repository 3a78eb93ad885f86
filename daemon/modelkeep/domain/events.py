"""What the watcher saw, in the project's own words. Foreign events are translated into these once, at the border."""

from modelkeep.domain.frozen import frozen


@frozen
class FileAppeared:
    """A file was created or moved in; `complete` when it came by a rename and is not being written."""

    path: str
    complete: bool = False


@frozen
class FileClosed:
    """A file was closed after writing."""

    path: str


@frozen
class FileMoved:
    """A file was renamed inside the roots."""

    old: str
    new: str


@frozen
class FileGone:
    """A file was deleted or moved out of the roots."""

    path: str


@frozen
class FolderAppeared:
    """A folder was created or moved in; what lies in it has to be looked at."""

    path: str


@frozen
class FolderMoved:
    """A folder was renamed inside the roots, with everything in it."""

    old: str
    new: str


@frozen
class FolderExchanged:
    """Two folders inside the roots have changed places, each with everything in it."""

    old: str
    new: str


@frozen
class FolderGone:
    """A folder was deleted or moved out of the roots."""

    path: str


@frozen
class EventsLost:
    """The kernel dropped events: everything below `root` has to be looked at."""

    root: str


@frozen
class SidecarsTouched:
    """Something happened to files that may belong to models: they appeared, changed, moved or went."""

    paths: tuple[str, ...]


WatchEvent = (
    FileAppeared
    | FileClosed
    | FileMoved
    | FileGone
    | FolderAppeared
    | FolderMoved
    | FolderExchanged
    | FolderGone
    | EventsLost
    | SidecarsTouched
)
