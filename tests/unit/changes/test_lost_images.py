"""Images of a committed change that are gone: told and closed by the next start, held until then."""

from pathlib import Path

from tests.libraries import sha256_of

from modelkeep.changes.publishing import Publisher
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import TierFile
from modelkeep.images.store import ImageStore
from modelkeep.journal.keeper import JournalKeeper
from modelkeep.journal.reader import read
from modelkeep.journal.writer import JournalWriter


class NoWorker:
    """Renders nothing."""

    workers = 1

    async def run(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def abandon(self) -> bool:
        """Do nothing."""
        return True


A = "a" * 64
FILES = [TierFile("h.webp", f"{A}_0_high.webp"), TierFile("l.webp", f"{A}_0_low.webp")]


def test_a_start_publishes_what_is_left_and_tells_what_is_lost(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images", NoWorker())  # type: ignore[arg-type]
    journal = JournalKeeper(lambda: JournalWriter.open(tmp_path / "journal"))
    publisher = Publisher(store, journal)
    store.staged_path("h.webp").write_bytes(b"high")
    ending = [("recovery.rolled_forward", {"migration": "m"}), ("migration.finished", {"migration": "m"})]
    publisher.add([Committed("m", A, FILES, ending=ending)])
    publisher.publish()
    assert [item.migration for item in publisher.left] == ["m"]
    publisher.publish(gives_up_lost=True)
    journal.close()
    assert publisher.left == []
    assert publisher.pop_finished() == ["m"]
    assert sha256_of(tmp_path / "images" / f"{A}_0_high.webp") == sha256_of(b"high")
    told, finished = read(tmp_path / "journal")
    assert (told["event"], told["error"]) == ("recovery.rolled_forward", f"these images are gone: {A}_0_low.webp")
    assert (finished["event"], "error" in finished) == ("migration.finished", False)
