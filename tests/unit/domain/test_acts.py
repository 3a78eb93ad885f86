"""What the owner does by hand, decided: after every act each row has its own files, and nothing else is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain.acts import ActKind, ActOrder, ActPlan, plan_act
from modelkeep.domain.details import ModelDetails, RefusedImage
from modelkeep.domain.images import QUALITIES, image_name
from modelkeep.domain.values import ImageRow, Location, LocationState, Model, RenderedImage
from modelkeep.errors import Conflict, NotFound

A = "a" * 64
NEW = RenderedImage({quality: f"new_{quality}.webp" for quality in QUALITIES}, 8, 6, "new")


def known(*seqs: int, places: tuple[Location, ...] = (), refused: tuple[RefusedImage, ...] = ()) -> ModelDetails:
    """Return a model whose images' digests are their first numbers."""
    rows = tuple(ImageRow(A, seq, 10 + seq, 10, f"of {seq}") for seq in seqs)
    return ModelDetails(Model(A, "/m/a.pt", name="Hero"), rows, places, refused)


def files_of(rows: tuple[ImageRow, ...]) -> dict[str, str]:
    """Return what each published file shows, when every row has its own."""
    names = {image_name(row.sha256, row.seq, quality): (row, quality) for row in rows for quality in QUALITIES}
    return {name: f"{row.source_digest} {quality}" for name, (row, quality) in names.items()}


def carried_out(plan: ActPlan, files: dict[str, str]) -> dict[str, str]:
    """Do with a folder what a plan says; its files are renamed in any order, some of them twice."""
    staged = {name: files[published] for name, published in plan.links.items()}
    staged |= {name: f"new {quality}" for quality, name in NEW.staged.items()}
    left = dict(files)
    for file in reversed(plan.files):
        left[file.final] = staged[file.staged]
    return {name: shown for name, shown in left.items() if name not in plan.removed}


@given(st.sets(st.integers(0, 9), min_size=1), st.data())
def test_a_removal_closes_the_gap_and_leaves_each_row_its_files(seqs: set[int], data: st.DataObject) -> None:
    before = known(*sorted(seqs))
    seq = data.draw(st.sampled_from(sorted(seqs)))
    plan = plan_act(ActOrder("m", ActKind.IMAGE_REMOVED, A, seq), before)
    assert [row.source_digest for row in plan.images] == [f"of {each}" for each in sorted(seqs - {seq})]
    assert [row.seq for row in plan.images] == [each - (each > seq) for each in sorted(seqs - {seq})]
    assert carried_out(plan, files_of(before.images)) == files_of(plan.images)
    assert plan.moved_down == sum(each > seq for each in seqs)


@given(st.sets(st.integers(0, 9)))
def test_an_upload_takes_the_next_number(seqs: set[int]) -> None:
    before = known(*sorted(seqs))
    plan = plan_act(ActOrder("m", ActKind.IMAGE_UPLOADED, A, image=NEW), before)
    assert plan.seq == max(seqs, default=-1) + 1
    assert plan.images == (*before.images, ImageRow(A, plan.seq, 8, 6, "new"))
    assert carried_out(plan, files_of(before.images)) == files_of(plan.images)


def test_the_same_image_is_the_one_that_is_there() -> None:
    same = RenderedImage(NEW.staged, 8, 6, "of 1")
    plan = plan_act(ActOrder("m", ActKind.IMAGE_UPLOADED, A, image=same), known(0, 1, 2))
    assert (plan.changes, plan.seq, plan.files, plan.removed) == (False, 1, (), ())


@pytest.mark.parametrize("seqs", [(), (0, 1), (1, 3)])
def test_a_image_that_is_not_there_cannot_be_removed(seqs: tuple[int, ...]) -> None:
    with pytest.raises(NotFound, match="Hero has no image number 2"):
        plan_act(ActOrder("m", ActKind.IMAGE_REMOVED, A, 2), known(*seqs))


def test_a_purge_takes_every_file_along() -> None:
    before = known(
        0, 1, places=(Location("/m/a.pt", A, LocationState.MISSING),), refused=(RefusedImage("7.png", A, "x"),)
    )
    plan = plan_act(ActOrder("m", ActKind.PURGED, A), before)
    assert set(plan.removed) == set(files_of(before.images))
    assert (plan.originals, plan.files, plan.images) == (("7.png",), (), ())


@pytest.mark.parametrize(
    ("state", "said"), [(LocationState.PRESENT, "its file is there: /m/b.pt"), (LocationState.UNREACHABLE, "connect")]
)
def test_a_model_whose_file_is_or_may_be_there_is_not_purged(state: LocationState, said: str) -> None:
    places = (Location("/m/a.pt", A, LocationState.MISSING), Location("/m/b.pt", A, state))
    with pytest.raises(Conflict, match=said):
        plan_act(ActOrder("m", ActKind.PURGED, A), known(0, places=places))
