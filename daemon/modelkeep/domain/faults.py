"""What the owner can do about a file of our own that cannot be written: the words for it, from the error number."""

import errno
import os
from collections.abc import Mapping
from pathlib import PurePath

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = frozenset({errno.EACCES, errno.EPERM})
UNWRITABLE = FULL | {errno.EROFS}
STORAGE = UNWRITABLE | REFUSED | {errno.EIO, errno.EFBIG, errno.ESTALE}
"""What a disk answers that is full, may not be written, or fails."""

_ADVICE: Mapping[int, str] = {
    **dict.fromkeys(FULL, "make room on the disk of {folder}"),
    **dict.fromkeys(REFUSED, "give the daemon's user the right to write to {folder}"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "move the file of that name away"),
    errno.EROFS: "mount the disk of {folder} so that it can be written",
    errno.EFBIG: "raise the limit of file sizes that modelkeep runs under",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files that modelkeep runs under"),
    errno.ENOMEM: "there is too little free memory",
}
_WORKER_ADVICE: Mapping[int, str] = {
    **dict.fromkeys(REFUSED, "give the daemon's user the right to run what is in {folder}"),
    errno.EAGAIN: "raise the limit of processes that modelkeep runs under (ulimit -u, TasksMax= of its unit)",
    **dict.fromkeys(FULL, "make room in /dev/shm and in the folder of temporary files"),
}
_ADVICE_ELSE = "look at the disk of {folder}"


def explained(error: OSError, what: str, folder: PurePath | None = None) -> str:
    """Return one sentence: what cannot be written, why, where, and what would help.

    Args:
        error: of a file that could not be written.
        what: the subject of the sentence.
        folder: of the file; None: the one that the error names.
    """
    return f"{what} cannot be written: {why(error, folder)}"


def why(error: OSError, folder: PurePath | None = None) -> str:
    """Return the reason why a file cannot be written, and what would help."""
    advice = _ADVICE.get(error.errno or 0, _ADVICE_ELSE).format(folder=folder or _folder_of(error))
    return f"{error.strerror or error}; {advice}"


def why_no_worker(error: OSError) -> str:
    """Return the reason why no process can be started, and what would help."""
    number = error.errno or 0
    advice = _WORKER_ADVICE.get(number) or _ADVICE.get(number)
    reason = error.strerror or str(error)
    return f"{reason}; {advice.format(folder=_folder_of(error))}" if advice else reason


def _folder_of(error: OSError) -> str:
    """Return the folder of the file that could not be written, if the error names one."""
    name = error.filename2 or error.filename
    return str(PurePath(os.fsdecode(name)).parent) if isinstance(name, str | bytes) else "the data folder"
