"""Divide events that came together by what is done about them. Pure.

Renames say what became of what is known, so they are followed, in their order. All other events only say "look
there": that is done once for each place, after the renames, and finds what is there by then.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from modelkeep.domain.events import (
    EventsLost,
    FileAppeared,
    FileClosed,
    FileGone,
    FileMoved,
    FolderAppeared,
    FolderExchanged,
    FolderGone,
    FolderMoved,
    SidecarsTouched,
    WatchEvent,
)


@dataclass(slots=True)
class Burst:
    """Events by what is done about them.

    `files` says of each file whether it was closed or moved in as a whole, `written` are those that were closed after
    writing, by all names that they had from then on; `lost` are the roots of which events were lost.
    """

    renames: list[FileMoved | FolderMoved | FolderExchanged] = field(default_factory=list)
    files: dict[str, bool] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)
    gone_files: list[str] = field(default_factory=list)
    gone_folders: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def divide(events: Iterable[WatchEvent]) -> Burst:
    """Return what is to be done about events."""
    burst = Burst()
    for event in events:
        match event:
            case FileMoved() | FolderMoved() | FolderExchanged():
                burst.renames.append(event)
                burst.written |= _renamed(burst.written, event)
            case FileAppeared(path):
                burst.files[path] = burst.files.get(path, False) or event.complete
            case FileClosed(path):
                burst.files[path] = True
                burst.written.add(path)
            case FolderAppeared(path):
                burst.folders.append(path)
            case FileGone(path):
                burst.gone_files.append(path)
            case FolderGone(path):
                burst.gone_folders.append(path)
            case EventsLost(root):
                burst.lost.append(root)
            case SidecarsTouched():
                pass  # they are looked at folder by folder
    return burst


def _renamed(paths: Set[str], rename: FileMoved | FolderMoved | FolderExchanged) -> set[str]:
    """Return the names that a rename, of a file or of a folder above, gave those of these paths that it concerns."""
    steps = [(rename.old, rename.new)]
    if isinstance(rename, FolderExchanged):
        steps.append((rename.new, rename.old))
    return {
        new + path[len(old) :] for old, new in steps for path in paths if path == old or path.startswith(f"{old}/")
    }
