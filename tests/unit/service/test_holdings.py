"""What is found when the data folder is opened."""

from pathlib import Path

from modelkeep.journal.reader import read
from modelkeep.service.holdings import open_holdings
from modelkeep.settings.model import Settings


async def test_a_catalogue_that_is_gone_is_told_and_a_first_one_is_not(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    for _ in range(2):
        async with open_holdings(settings, "a test") as holdings:
            holdings.journal.append("daemon.started")
            directory = holdings.directory
    assert not [record for record in read(directory.journal) if record["event"] == "catalogue.lost"]

    directory.catalogue.unlink()
    async with open_holdings(settings, "a test"):
        (told,) = [record for record in read(directory.journal) if record["event"] == "catalogue.lost"]
    assert "modelkeep.db was gone, though the journal goes up to record 2: a new one was made" in str(told["error"])
