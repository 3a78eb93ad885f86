"""Known content that comes to a path of which an older database said something with a hash."""

import pytest

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.domain.claims import Reading
from modelkeep.domain.detection import Rename
from modelkeep.domain.migration import Outcome
from modelkeep.domain.values import Location, LocationState

from .conftest import NOW, ROOTS, A, B, hashed, legacy, migrate, order, take, the_model, the_row


@pytest.mark.parametrize("way", ["rename", "link"])
async def test_it_is_judged_without_being_read(catalogue: Catalogue, way: str) -> None:
    place = await hashed(catalogue, "/m/known.pt", B)
    assert place.fingerprint is not None
    await take(catalogue, legacy("a", claim=A, base="SDXL", tags=["x"]))
    if way == "rename":
        (moved,) = await catalogue.move_paths([Rename("/m/known.pt", "/m/a.pt")], NOW)
        assert moved.pending_id
    else:
        await catalogue.put_locations([Location("/m/a.pt", B, LocationState.PRESENT, place.fingerprint)], NOW)
    row = await the_row(catalogue, "/m/a.pt")
    (result,) = await migrate(catalogue, order(row, B, fingerprint=place.fingerprint))
    assert result.outcome is Outcome.CLAIMED
    reading = Reading(row.path, B, place.fingerprint, pending_id=row.id)
    judgement = await catalogue.judge_claims(reading, None, "", ROOTS, NOW, lambda _: None)
    assert (judgement.confirmed, judgement.refuted) == ("", (A,))
    (result,) = await migrate(catalogue, order(await the_row(catalogue, "/m/a.pt"), B, fingerprint=place.fingerprint))
    assert result.outcome is Outcome.DONE
    for sha256 in (A, B):
        model = await the_model(catalogue, sha256)
        assert (model.base, [tag.name for tag in model.tags]) == ("SDXL", ["x"])


async def test_content_that_has_the_hash_confirms_it(catalogue: Catalogue) -> None:
    place = await hashed(catalogue, "/m/known.pt", A)
    assert place.fingerprint is not None
    await take(catalogue, legacy("a", claim=A, base="SDXL"))
    await catalogue.move_paths([Rename("/m/known.pt", "/m/a.pt")], NOW)
    row = await the_row(catalogue, "/m/a.pt")
    reading = Reading(row.path, A, place.fingerprint, pending_id=row.id)
    judgement = await catalogue.judge_claims(reading, None, "", ROOTS, NOW, lambda _: None)
    assert (judgement.confirmed, judgement.refuted, judgement.row) == (A, (), None)
    (result,) = await migrate(catalogue, order(row, A, fingerprint=place.fingerprint))
    assert result.outcome is Outcome.DONE
    assert await catalogue.pending_imports() == []
