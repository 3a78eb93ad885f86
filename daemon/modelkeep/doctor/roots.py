"""Checks of the roots, and of the kernel's limits on watching them."""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelkeep.doctor.findings import Finding, counted, examples, fine, note, warning
from modelkeep.doctor.folders import RootLook, look_at_root
from modelkeep.doctor.premises import Premises

SCAN_SECONDS = 4.0
"""How long all roots together are looked through."""

WATCHES_SHARE_MAX = 0.75
"""The kernel counts the watches of all programs of one user together, so some must be left to the others."""

QUEUED_EVENTS_MIN = 16_384
"""The kernel's default; a smaller queue overflows as soon as many files are copied at once."""

_LIMITS = Path("/proc/sys/fs/inotify")
_WATCHES_ADVISED = 1_048_576


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """The kernel's limits (inotify(7), "/proc interfaces"); 0 where the kernel does not tell.

    `instances_used` is how many instances this user's programs have, as far as this user may see them.
    """

    watches: int
    instances: int
    queued_events: int
    instances_used: int = 0


def look_at_roots(premises: Premises, seconds: float = SCAN_SECONDS) -> list[RootLook]:
    """Look at every root; each has its share of the time, and what one leaves over is the others'."""
    deadline = time.monotonic() + seconds
    looks: list[RootLook] = []
    for root in premises.roots:
        share = (deadline - time.monotonic()) / (len(premises.roots) - len(looks))
        looks.append(look_at_root(root.path, max(share, 0.1)))
    return looks


def check_roots(looks: Sequence[RootLook], polling: str) -> Iterator[Finding]:
    """Tell of each root whether it can be followed, and how."""
    if not looks:
        yield warning("roots", "none is configured, so nothing is watched", "modelkeep init --root DIR")
    for look in looks:
        yield from _check_root(look, polling)


def _remedy_for(unreadable: Sequence[str]) -> str:
    if any(each.endswith(os.strerror(errno.EACCES)) for each in unreadable):
        return "give the daemon's user permission to read and enter them"
    return "models in them are not found until they can be read; what a link leads to may be a root of its own"


def _check_root(look: RootLook, polling: str) -> Iterator[Finding]:
    if look.fault:
        remedy = "nothing is forgotten while it is away; if it is gone for good, remove it from the configuration"
        yield warning("roots", f"{look.path}: {look.fault}", remedy)
        return
    if look.unreadable:
        sentence = (
            f"{look.path}: {counted(len(look.unreadable), 'folder')} cannot be read: {examples(look.unreadable)}"
        )
        yield warning("roots", sentence, _remedy_for(look.unreadable))
    if look.is_network and polling == "never":
        remedy = 'set watch.polling to "auto"; until then only the rescan finds what other machines change'
        yield warning("roots", f"{look.path} is on a network file system ({look.file_system}) and not polled", remedy)
    if look.ignores_case:
        sentence = f"{look.path} ({look.file_system}) ignores upper and lower case"
        yield note(
            "roots",
            sentence,
            "give --map to imports whose paths have other letters: to modelkeep those are other paths",
        )
    how = "polled" if is_polled(look, polling) else "watched"
    scope = counted(look.folders, "folder")
    if not look.is_complete:
        scope = f"at least {scope} (this look stopped after so many; the daemon goes on)"
    yield fine("roots", f"{look.path}: {scope}, {look.file_system or 'unknown file system'}, {how}")


def is_polled(look: RootLook, polling: str) -> bool:
    """Return whether the daemon polls a root instead of having the kernel tell it of changes."""
    return polling == "always" or (polling == "auto" and look.is_network)


def check_limits(
    looks: Sequence[RootLook], polling: str, limits: WatchLimits, *, is_at_work: bool
) -> Iterator[Finding]:
    """Compare the kernel's limits with what the roots need.

    Args:
        looks: the roots.
        polling: `watch.polling`.
        limits: the kernel's.
        is_at_work: whether the daemon has its instance already.
    """
    watched = [look for look in looks if not look.fault and not is_polled(look, polling)]
    folders = sum(look.folders for look in watched)
    at_least = "" if all(look.is_complete for look in watched) else "at least "
    if not watched or not limits.watches:
        return
    findings = [*_judge_watches(limits.watches, folders, at_least)]
    if not is_at_work and limits.instances_used >= limits.instances:
        sentence = f"all {limits.instances} inotify instances of this user are in use, so nothing can be watched"
        findings.append(warning("inotify", sentence, _raise("max_user_instances", max(512, 2 * limits.instances))))
    if limits.queued_events < QUEUED_EVENTS_MIN:
        sentence = f"the kernel queues only {limits.queued_events:,} events; a rescan finds what it drops"
        findings.append(note("inotify", sentence, _raise("max_queued_events", QUEUED_EVENTS_MIN)))
    yield from findings
    if not any(finding.is_wrong for finding in findings):
        yield fine("inotify", f"{limits.watches:,} watches are allowed, {at_least}{folders:,} needed")


def _judge_watches(allowed: int, folders: int, at_least: str) -> Iterator[Finding]:
    remedy = _raise("max_user_watches", max(_WATCHES_ADVISED, 1 << (2 * folders).bit_length()))
    if folders > allowed:
        sentence = f"{at_least}{folders:,} folders are to be watched, and the kernel allows {allowed:,} watches"
        yield warning("inotify", f"{sentence}; changes in the others are found only by the rescan", remedy)
    elif folders > allowed * WATCHES_SHARE_MAX:
        sentence = f"{at_least}{folders:,} of {allowed:,} watches are needed, and other programs need some too"
        yield warning("inotify", sentence, remedy)


def _raise(name: str, value: int) -> str:
    setting = f"fs.inotify.{name}={value}"
    keep = f"echo {setting} | sudo tee /etc/sysctl.d/90-modelkeep-{name.replace('_', '-')}.conf"
    return f"sudo sysctl {setting}   and, to keep it across a restart:   {keep}"


def read_limits(folder: Path = _LIMITS, processes: Path = Path("/proc")) -> WatchLimits:
    """Return the kernel's limits."""
    watches, instances, queued = (
        _number(folder / name) for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    return WatchLimits(watches, instances, queued, _instances_used(processes))


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _instances_used(processes: Path) -> int:
    used = 0
    for process in processes.iterdir():
        try:
            if process.name.isdigit() and process.stat().st_uid == os.geteuid():
                used += sum(_is_inotify(link) for link in (process / "fd").iterdir())
        except OSError:  # it has ended, or keeps its descriptors to itself
            continue
    return used


def _is_inotify(link: Path) -> bool:
    try:
        return str(link.readlink()) in ("anon_inode:inotify", "anon_inode:[inotify]")
    except OSError:
        return False
