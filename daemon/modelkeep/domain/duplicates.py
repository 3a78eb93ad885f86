"""Tell the copies of one content from links to it, and say what could be freed. Pure: reads no disk."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelkeep.domain.fingerprint import Fingerprint
from modelkeep.domain.values import Location, LocationState, Model


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One content at several places.

    `copies` are the files that hold it, each as the names under which it lies (more than one are hard links),
    `symbolic_links` the paths that lead to one of them or to a file elsewhere. `away` are the places of which nothing
    is known for sure: missing, unreachable, with a hash that is not confirmed yet, or with a file that is not, to the
    last detail, the one that was read.
    """

    model: Model
    copies: tuple[tuple[str, ...], ...]
    symbolic_links: tuple[str, ...] = ()
    away: tuple[Location, ...] = ()

    @property
    def freeable_bytes(self) -> int:
        """What is freed when one copy stays: links take no space, and of what is away nothing is known."""
        return self.model.size_bytes * max(0, len(self.copies) - 1)


def find_duplicates(
    contents: Iterable[tuple[Model, Iterable[Location]]],
    is_symbolic_link: Callable[[str], bool],
    fingerprint_of: Callable[[str], Fingerprint | None],
) -> list[Duplicate]:
    """Return the contents that lie, or may lie, at several places; those that free the most come first.

    Args:
        contents: models with all their locations.
        is_symbolic_link: tells of a path whether a symbolic link leads to its file.
        fingerprint_of: looks at the file at a path now; None when there is none.
    """
    found = (_duplicate(model, list(locations), is_symbolic_link, fingerprint_of) for model, locations in contents)
    several = [duplicate for duplicate in found if _is_at_several_places(duplicate)]
    return sorted(several, key=lambda item: (-item.freeable_bytes, -item.model.size_bytes, item.model.name))


def total_freeable_bytes(duplicates: Iterable[Duplicate]) -> int:
    """Return what could be freed altogether."""
    return sum(duplicate.freeable_bytes for duplicate in duplicates)


def _duplicate(
    model: Model,
    locations: list[Location],
    is_symbolic_link: Callable[[str], bool],
    fingerprint_of: Callable[[str], Fingerprint | None],
) -> Duplicate:
    files: dict[tuple[int, int], list[str]] = {}
    links: list[str] = []
    away: list[Location] = []
    for location in sorted(
        locations, key=lambda location: (location.path != model.path, location.first_seen, location.path)
    ):
        is_known = location.state is LocationState.PRESENT and location.is_read and location.fingerprint is not None
        status = fingerprint_of(location.path) if is_known else None
        if status is None or not status.is_untouched_since(location.fingerprint):
            away.append(location)
        elif is_symbolic_link(location.path):
            links.append(location.path)
        else:
            files.setdefault((status.device, status.inode), []).append(location.path)
    return Duplicate(model, tuple(map(tuple, files.values())), tuple(links), tuple(away))


def _is_at_several_places(duplicate: Duplicate) -> bool:
    """Leave out what is at one place only, the others being gone: a missing place is no second one."""
    names = sum(len(names) for names in duplicate.copies) + len(duplicate.symbolic_links)
    return names + sum(location.state is not LocationState.MISSING for location in duplicate.away) > 1
