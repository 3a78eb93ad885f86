"""What the HTTP interface needs of the daemon."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from modelkeep.api.shapes import Shape
from modelkeep.domain.edits import Edit
from modelkeep.domain.legacy import ImportOrder
from modelkeep.domain.notices import Notice
from modelkeep.domain.values import Action, Strategy, Tag


class Library(Protocol):
    """Whatever is only read; `service.library` says which questions there are, and what they are answered."""

    async def ask(self, path: str, **parameters: Any) -> Any:
        """Return the answer to the question at a path of the interface, as JSON.

        Args:
            path: with the names of parameters in braces.
            parameters: of the path and of the query.

        Raises:
            NotFound: there is no such thing.
        """

    def portions(self, path: str, **parameters: Any) -> AsyncIterator[Sequence[Shape]]:
        """Yield the items of the answer to a question with a list, in portions."""

    def image(self, sha256: str, seq: int, quality: str) -> Path:
        """Return where an image of a model lies, if there is one."""

    async def pending_image(self, pending_id: int, name: str) -> Path | None:
        """Return where the image of a row of the queue lies; with a name, only when it is called so."""


class Backend(Protocol):
    """The daemon as the HTTP interface sees it."""

    @property
    def library(self) -> Library:
        """What answers whatever is only read."""

    @property
    def ready(self) -> bool:
        """Whether start-up is over and the stop has not begun."""

    @property
    def url(self) -> str:
        """Where the HTTP interface is on TCP."""

    async def hash_path(self, path: str, *, migrate: bool) -> tuple[str, Action | None]:
        """Return a file's SHA-256, and what became of its pending row when that was asked for.

        Args:
            path: absolute.
            migrate: also migrate the row by the configured strategy.

        Raises:
            OutsideRoots: no root contains the path, links resolved, and what lies there was not hashed before.
            NotAModel: it is not named like a model.
            FileVanished: there is no such file.
            FileChanged: it changed while it was read.
            Conflict: the owner has to choose.
        """

    async def resolve(self, pending_id: int, strategy: Strategy | None, path: str = "") -> tuple[str, Action]:
        """Hash and migrate a row of the queue; return the hash and what was done.

        Args:
            pending_id: the row.
            strategy: what to do when its content is known; None: a conflict (with `path`: the configured one).
            path: where its file lies now, when that is not where the row says.

        Raises:
            NotFound: there is no such row.
            Busy: it is being migrated at this moment.
            Conflict: no strategy was given and the owner has to choose.
            OutsideRoots: no root contains its file, links resolved, and no scan finds it.
            NotAModel: what lies at `path` is no model.
            HashError: its file could not be hashed.
        """

    async def resolve_in_turn(self, pending_id: int, strategy: Strategy | None) -> tuple[str, Action]:
        """Do the same for a row of a batch: one that is being hashed or migrated is waited for."""

    async def retry(self, pending_ids: Sequence[int] | None) -> int:
        """Make rows due now, None for all that failed or are missing; return how many there were."""

    async def drop(self, pending_id: int) -> None:
        """Forget a row of the queue and its image.

        Raises:
            NotFound: there is no such row.
            Busy: it is being migrated at this moment.
        """

    async def edit(self, sha256: str, edit: Edit, is_current: Callable[[Shape], bool]) -> Shape:
        """Change what a model says; return it as it is then.

        Args:
            sha256: the model.
            edit: what it shall say.
            is_current: tells whether it is still as the caller knows it.

        Raises:
            NotFound: there is no such model, or no such tag.
            Outdated: it is another by now.
            Conflict: it has no file at the path that shall be its main one.
            OutsideRoots: no root contains that path.
        """

    async def add_tags(self, names: Sequence[str]) -> Sequence[Tag]:
        """Make tags, and return them; a name that there is stands for the tag that has it."""

    async def change_tag(self, tag_id: int, name: str | None, color: str | None) -> Tag:
        """Give a tag another name or colour, None for what it has, and return it.

        Raises:
            NotFound: there is no such tag.
            Conflict: another tag has the name.
        """

    async def remove_tag(self, tag_id: int) -> int:
        """Delete a tag, and return how many models carried it.

        Raises:
            NotFound: there is no such tag.
        """

    async def inherit(self, sha256: str, origin: str) -> None:
        """Have a model take over what is known of another with the same tensors.

        Raises:
            NotFound: there is no such model.
            Conflict: they have not the same tensors.
            Busy: images of one of them are being written at this moment.
        """

    async def confirm(self, sha256: str) -> None:
        """Read a model's file for its BLAKE3, unless that is known.

        Raises:
            NotFound: there is no such model.
            Conflict: no file of it is there that is surely the one that was read.
            HashError: the file cannot be read, or is another one by now.
        """

    async def resolve_orphans(self, record_ids: Sequence[int], sha256: str) -> None:
        """Give source records to a model, or drop them when none is named: all of them, or nothing.

        Raises:
            NotFound: one of them is no record without a model, or there is no such model.
        """

    async def purge(self, sha256: str) -> None:
        """Forget a model with everything that belongs to it.

        Raises:
            NotFound: there is no such model.
            Conflict: a file of it is there, or may be.
            Busy: its images are being written at this moment.
            StorageError: the disk does not take it.
        """

    async def add_image(self, sha256: str, image: BinaryIO) -> int:
        """Add an image to a model; return its number, or that of the same one when it is there already.

        Raises:
            NotFound: there is no such model.
            ImageError: it is no image, or cannot be used.
            Busy: its images are being written at this moment.
            StorageError: the disk does not take it.
        """

    async def remove_image(self, sha256: str, seq: int) -> int:
        """Remove an image of a model, have later ones move down, and return how many are left.

        Raises:
            NotFound: there is no such image.
            Conflict: a later image has lost one of its files.
            Busy: its images are being written at this moment.
            StorageError: the disk does not take it.
        """

    async def scan(self) -> dict[str, object]:
        """Look through all roots now; return `{status, scanned, added, pending_ids, skipped}`."""

    async def pause(self) -> None:
        """Stop hashing until `resume`, across restarts too."""

    async def resume(self) -> None:
        """Go on hashing."""

    def notices(self, after: int | None) -> AsyncIterator[Notice]:
        """Return what happens, from now on or after a record of the journal, until the daemon stops.

        Raises:
            Overloaded: as many listen as may.
        """

    def import_source(self, order: ImportOrder) -> AsyncIterator[dict[str, object]]:
        """Run stage 1; yield `{"progress": {phase, done, total}}` and at last `{"report": {…}}`.

        Raises:
            SourceError: before the first value, when the source cannot be read at all.
        """
