"""The films that are made: between them they show every place of the program that syncs anything."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from tests.crash.end_state import QUALITIES
from tests.crash.exchange_lives import Exports
from tests.crash.film import Film, Programme
from tests.crash.job import Job
from tests.crash.living import Scene, said
from tests.crash.promises import (
    STRAY,
    broken_by_act,
    broken_by_backup,
    broken_by_catalogue,
    broken_by_exports,
    broken_by_image_of_orphan,
    broken_by_images,
    broken_by_init,
    broken_by_journal,
    broken_by_life,
    broken_by_orphans,
    broken_by_repair_of_a_stray,
    broken_by_repair_of_a_tier,
)
from tests.crash.scenes import false_claim

_FOLDER_OF_ORIGINALS = 4
"""The place of `images/pending` among the folders that an opened data folder makes or finds."""


def _life(scene: Scene) -> Film:
    return Film(scene, lambda job: job)


def _recovery_of_images(scene: Scene) -> Film:
    """A life that ends between its last commit and the last name of an image, and the recovery from it."""
    return Film(scene, _killed_at(f"image.publish.before@{len(QUALITIES)}", armed_by="idle"), _recovered)


def _recovery_of_the_journal(scene: Scene) -> Film:
    """A life that ends right after its last record, which is not on the disk then, and the recovery from it.

    The last migration is planned, committed and finished; those before it share records as threads take turns.
    """
    return Film(scene, _killed_at("journal.append.after@3", armed_by="idle"), _recovered)


def _half_made_folder(scene: Scene) -> Film:
    """Lives that end before the names of the catalogue and of a folder are on the disk, and an import after them."""
    return Film(
        scene,
        _killed_at("catalogue.publish.after@1"),
        _killed_at(f"folder.made@{_FOLDER_OF_ORIGINALS}"),
        lambda job: job.but(until="imported"),
        prepare=lambda job: shutil.rmtree(job.data_dir, ignore_errors=True),
    )


def _false_claim(scene: Scene) -> Film:
    return Film(false_claim(Path(mkdtemp(dir=scene.folder)), scene.nursery), lambda job: job)


def _catalogue(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="catalogue"))


def _init(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="init"))


def _journal(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="journal"))


def _torn_journal(scene: Scene) -> Film:
    def tear(job: Job) -> None:
        scene.live_well(job.but(program="journal", inline=True))
        Path(job.acknowledgements).unlink()
        newest = max((Path(job.data_dir) / "deep" / "journal").iterdir())
        newest.write_bytes(newest.read_bytes()[:-5])

    return Film(scene, lambda job: job.but(program="journal"), prepare=tear)


def _journal_anew(scene: Scene) -> Film:
    """A sync of the journal fails: what it has not brought to the disk is gone for good."""
    failing = ["-e", "inject=fdatasync:error=EIO:when=10"]
    film = Film(scene, lambda job: job.but(program="journal anew"), disturbance=failing)
    assert film.statuses == [0], said(film.job)
    assert [call for call in film.calls if call.failed and call.is_sync], "no sync has failed"
    return film


def _images(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="images", source=str(_first_image(scene))))


def _removal_of_a_image(scene: Scene) -> Film:
    """The owner removes an image, and those after it move down, where no file can have two names."""

    no_links = ["-e", "inject=link,linkat:error=EPERM"]
    removal = Film(
        scene,
        lambda job: job.but(program="remove the first", inline=True),
        prepare=_lived(scene, "library"),
        disturbance=no_links,
    )
    assert removal.statuses == [0], said(removal.job)
    assert [call for call in removal.calls if call.failed and "link" in call.name], "no link was refused"
    return removal


def _orphans(scene: Scene) -> Film:
    image = _first_image(scene)

    def place(job: Job) -> None:
        pending = Path(job.data_dir) / "images" / "pending"
        pending.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, pending / "orphan.png")

    return Film(scene, lambda job: job.but(program="orphans", source=str(image)), prepare=place)


def _exports(scene: Scene) -> Film:
    def prepare(job: Job) -> None:
        Exports(Path(job.data_dir)).prepare()

    return Film(scene, lambda job: job.but(program="exports"), prepare=prepare)


def _archive_import(scene: Scene) -> Film:
    """An archive of models with images, and of a row with one, in an empty data folder."""
    lived = scene.new_job()
    scene.live_well(lived.but(until="idle"))
    archive = Path(lived.output).with_name("all.zip")
    scene.live_well(lived.but(program="archive", source=str(archive)))
    taking = {"program": "archive import", "source": str(archive), "inline": True}
    return Film(scene, lambda job: job.but(**taking), prepare=_lived(scene, "nothing"))


def _image_of_an_orphan(scene: Scene) -> Film:
    keeping = {"program": "image of an orphan", "source": str(_first_image(scene)), "inline": True}
    return Film(scene, lambda job: job.but(**keeping), prepare=_lived(scene, "nothing"))


def _backup(scene: Scene) -> Film:
    return Film(scene, lambda job: job.but(program="backup"), prepare=_lived(scene))


def _repair_of_a_tier(scene: Scene) -> Film:
    return _repair(scene, lambda images: min(images.glob("*_low.webp")).unlink())


def _repair_of_a_stray(scene: Scene) -> Film:
    return _repair(scene, lambda images: shutil.copyfile(min(images.glob("*_low.webp")), images / STRAY))


def _repair(scene: Scene, damage: Callable[[Path], object]) -> Film:
    live = _lived(scene)

    def live_and_damage(job: Job) -> None:
        live(job)
        damage(Path(job.data_dir) / "images")

    return Film(scene, lambda job: job.but(program="repair", inline=True), prepare=live_and_damage)


def _lived(scene: Scene, program: str = "life") -> Callable[[Job], None]:
    """Return what lives a life without a film."""

    def live(job: Job) -> None:
        scene.live_well(job.but(program=program, inline=True))
        Path(job.acknowledgements).unlink()

    return live


def _first_image(scene: Scene) -> Path:
    return next((scene.library.source.parent / "images").glob("model_1_*"))


def _killed_at(point: str, armed_by: str = "") -> Callable[[Job], Job]:
    return lambda job: job.but(inline=True, fail_point=point, armed_by=armed_by)


def _recovered(job: Job) -> Job:
    return job.but(until="recovered")


Filmed = Callable[[str], Film]
"""Returns the film of a programme, which is made but once."""

PROGRAMMES: dict[str, Programme] = {
    "catalogue": Programme(_catalogue, broken_by_catalogue),
    "init": Programme(_init, broken_by_init),
    "journal": Programme(_journal, broken_by_journal),
    "journal anew": Programme(_journal_anew, broken_by_journal),
    "torn journal": Programme(_torn_journal, broken_by_journal),
    "images": Programme(_images, broken_by_images),
    "orphans": Programme(_orphans, broken_by_orphans),
    "exports": Programme(_exports, broken_by_exports),
    "backup": Programme(_backup, broken_by_backup),
    "repair of a tier": Programme(_repair_of_a_tier, broken_by_repair_of_a_tier),
    "repair of a stray": Programme(_repair_of_a_stray, broken_by_repair_of_a_stray),
    "image of an orphan": Programme(_image_of_an_orphan, broken_by_image_of_orphan),
    "false claim": Programme(_false_claim, broken_by_life),
    "half-made folder": Programme(_half_made_folder, broken_by_life),
    "recovery of images": Programme(_recovery_of_images, broken_by_life),
    "recovery of the journal": Programme(_recovery_of_the_journal, broken_by_life),
    "life": Programme(_life, broken_by_life),
    "removal of an image": Programme(_removal_of_a_image, broken_by_act),
    "archive import": Programme(_archive_import, broken_by_act),
}
"""Small ones first: what one of them shows need not be looked for in a whole life."""
