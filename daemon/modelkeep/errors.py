"""Every error that modelkeep raises on purpose.

    ModelkeepError
    ├── SettingsError          the configuration has an unknown key or a bad value
    ├── DataDirectoryBusy      another daemon or import holds the data folder
    ├── CatalogueError         the catalogue cannot be opened or upgraded
    │   ├── CatalogueMissing   there is none where it is looked for
    │   ├── CatalogueLocked    another program holds it
    │   └── CatalogueUnwritable  its disk is full, read-only, or fails
    ├── SourceError            a legacy source cannot be read at all
    ├── ImportStopped          an import was called off because the daemon or the command stops
    ├── ImageError           an image cannot be decoded or is refused
    │   └── ImageTooLarge    it has too many bytes or pixels
    ├── StorageError           a file of our own cannot be written
    ├── HashError              a file could not be hashed
    │   ├── FileChanged        it changed while it was read
    │   ├── FileVanished       it is not there (any more)
    │   ├── NotAModel          it is no model file, and will not be one by waiting
    │   ├── RootAway           its root is not there at this moment
    │   │   └── RootSilent     its disk or server does not answer
    │   ├── HashCancelled      the daemon is stopping
    │   └── WorkerDied         the hashing process was killed
    ├── NoWorkers              no worker process can be started
    ├── NotFound               no model, row or tag of that name
    ├── Conflict               the owner has to choose
    ├── Outdated               it is no longer as the caller knew it
    ├── Busy                   that row is being migrated at this moment
    ├── Overloaded             as many ask for it as may
    ├── OutsideRoots           a path that no root contains
    ├── NotAllowed             a path that only the owner may name
    ├── JournalError           the journal cannot be written or read
    └── DaemonError            the daemon cannot be reached, or answered with an error

The text of each is one sentence for the user: what was wrong and what to do.
"""


class ModelkeepError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(ModelkeepError):
    """The configuration has an unknown key or a bad value."""


class DataDirectoryBusy(ModelkeepError):
    """Another process holds the lock of the data folder."""


class CatalogueError(ModelkeepError):
    """The catalogue cannot be opened, read or upgraded."""


class CatalogueMissing(CatalogueError):
    """There is no catalogue in the data folder."""


class CatalogueLocked(CatalogueError):
    """Another program holds the catalogue's file."""


class CatalogueUnwritable(CatalogueError):
    """The disk of the catalogue is full, cannot be written, or fails."""


class SourceError(ModelkeepError):
    """A legacy source cannot be read at all."""


class ImportStopped(ModelkeepError):
    """An import was called off because the daemon or the command stops."""


class ImageError(ModelkeepError):
    """An image cannot be decoded, is too large, or is no image."""


class ImageTooLarge(ImageError):
    """An image has more bytes or pixels than are taken."""


class StorageError(ModelkeepError):
    """A file of our own cannot be written: the disk is full, or fails."""


class HashError(ModelkeepError):
    """A file could not be hashed."""


class FileChanged(HashError):
    """The file changed while it was read; its digest would be of a half."""


class FileVanished(HashError):
    """The file is not there (any more)."""


class NotAModel(HashError):
    """The file is not named like a model, or holds none."""


class RootAway(HashError):
    """The root of the file is not there at this moment; of the file nobody knows anything."""


class HashCancelled(HashError):
    """Hashing was called off because the daemon stops or pauses."""


class RootSilent(RootAway):
    """The disk or server of a root does not answer."""


class WorkerDied(HashError):
    """The process that was hashing the file was killed."""


class NoWorkers(ModelkeepError):
    """No worker process can be started: a trouble of the daemon, whatever file it was to work on."""


class NotFound(ModelkeepError):
    """There is no model, pending row, tag or image of that name."""


class Conflict(ModelkeepError):
    """The content is in the catalogue already and the two sides differ: the owner has to choose."""


class Outdated(ModelkeepError):
    """Somebody changed it since the caller looked: what was asked for was about another state."""


class Busy(ModelkeepError):
    """That pending row is being migrated at this moment."""


class Overloaded(ModelkeepError):
    """As many ask for something that lasts as may at a time."""


class OutsideRoots(ModelkeepError):
    """A path that lies in none of the configured roots."""


class NotAllowed(ModelkeepError):
    """A path of this machine that only the owner may name."""


class JournalError(ModelkeepError):
    """The journal cannot be written or read."""


class DaemonError(ModelkeepError):
    """The daemon cannot be reached, or answered with an error."""
