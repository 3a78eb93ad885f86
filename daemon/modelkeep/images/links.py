"""A second name for one of our own images."""

import errno
import os
from pathlib import Path

from modelkeep.disk.durable import write_durably

_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
"""What file systems say that know no hard links (FAT, some network ones), or that have enough of them."""


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file known under a second name; where there are no hard links, make a durable copy of it.

    Raises:
        FileNotFoundError: the file is not there.
        OSError: neither can be done.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        write_durably(target, [source.read_bytes()])
