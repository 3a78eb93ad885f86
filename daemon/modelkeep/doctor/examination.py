"""All checks, in the order in which a person reads them. Nothing is changed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from modelkeep.disk.data_directory import lock_holder
from modelkeep.doctor.database import (
    check_integrity,
    check_log,
    check_revision,
    check_sqlite,
    is_there,
    judge_absence,
)
from modelkeep.doctor.findings import Finding, Severity, are_fine, problem
from modelkeep.doctor.image_folder import check_images, check_leftovers, check_originals, find_defects
from modelkeep.doctor.knowledge import Knowledge, opened, read_knowledge, size_of
from modelkeep.doctor.models import check_models, read_refuted_claims
from modelkeep.doctor.premises import Premises, take_premises
from modelkeep.doctor.queue import check_queue
from modelkeep.doctor.records import check_journal
from modelkeep.doctor.roots import check_limits, check_roots, look_at_roots, read_limits
from modelkeep.doctor.surroundings import (
    check_address,
    check_data_folder,
    check_free_space,
    check_hashing,
    check_lock,
    check_rights,
    check_settings,
)
from modelkeep.errors import ModelkeepError
from modelkeep.pipeline.sha256 import implementation
from modelkeep.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Examination:
    """What all checks say."""

    findings: tuple[Finding, ...]

    @property
    def is_fine(self) -> bool:
        """Whether nothing has to be done."""
        return are_fine(self.findings)

    def as_json(self) -> dict[str, object]:
        """Return the shape of `modelkeep doctor --json`."""
        return {"ok": self.is_fine, "findings": [finding.as_json() for finding in self.findings]}


def examine(settings: Settings) -> Examination:
    """Look at everything that goes wrong on workstations, whether the daemon runs or not.

    Args:
        settings: of the daemon.
    """
    premises = take_premises(settings)
    findings = list(_examine(premises))
    if premises.may_enter and not premises.is_at_work and lock_holder(premises.directory.lock_file):
        # Somebody began to work meanwhile: what was taken for still was not.
        findings = list(_examine(take_premises(settings)))
    return Examination(tuple(findings))


def _examine(premises: Premises) -> Iterator[Finding]:
    for check, function in (
        ("settings", check_settings),
        ("data folder", check_data_folder),
        ("rights", check_rights),
        ("free space", check_free_space),
    ):
        yield from _guarded(check, partial(function, premises))
    yield check_sqlite()
    yield check_hashing(implementation())
    if premises.may_enter:  # else the rights have been told already
        yield from _guarded("daemon", partial(check_lock, premises))
        yield from _guarded("address", partial(check_address, premises))
    if premises.may_enter and premises.directory.path.is_dir():
        knowledge: list[Knowledge] = []
        yield from _guarded("catalogue", partial(_check_catalogue, premises, knowledge.append))
        yield from _guarded("leftovers", partial(check_leftovers, premises))
        knows_models = any(one.models for one in knowledge)
        yield from _guarded("journal", partial(check_journal, premises, knows_models=knows_models))
    yield from _guarded("roots", partial(_check_roots, premises))


def _check_catalogue(premises: Premises, tell: Callable[[Knowledge], None]) -> Iterator[Finding]:
    findings, knowledge = _look_into(premises)
    yield from findings
    if knowledge is not None:
        tell(knowledge)
        yield from _check_content(premises, knowledge)


def catalogue_faults(premises: Premises) -> list[Finding]:
    """Return why the catalogue cannot be relied on; then nothing else may be judged by it."""
    findings = _guarded("catalogue", lambda: _look_into(premises)[0])
    return [finding for finding in findings if finding.severity is Severity.PROBLEM]


def _look_into(premises: Premises) -> tuple[list[Finding], Knowledge | None]:
    """Return what is to be said of the file, and what it holds if it can be relied on."""
    if not is_there(premises):
        return [judge_absence(premises)], None
    with opened(premises) as connection:
        other = check_revision(connection, premises)
        if other is not None:
            return [other], None
        findings = [*check_integrity(connection, size_of(premises.directory.catalogue)), *check_log(premises)]
        is_whole = all(finding.severity is not Severity.PROBLEM for finding in findings)
        return findings, read_knowledge(connection) if is_whole else None


def _check_content(premises: Premises, knowledge: Knowledge) -> Iterator[Finding]:
    claims = partial(read_refuted_claims, premises.directory.journal)
    yield from _guarded("models", lambda: check_models(knowledge, claims()))
    yield from check_queue(premises, knowledge)
    yield from _guarded("images", partial(_check_images, premises, knowledge))


def _check_images(premises: Premises, knowledge: Knowledge) -> Iterator[Finding]:
    defects, shelves = find_defects(premises, knowledge, partial(know, premises))
    yield from check_images(premises, knowledge, defects, shelves)
    yield from check_originals(knowledge, defects)


def know(premises: Premises) -> Knowledge:
    """Return what the catalogue holds.

    Raises:
        CatalogueError: the file cannot be read.
    """
    with opened(premises) as connection:
        return read_knowledge(connection)


def _check_roots(premises: Premises) -> Iterator[Finding]:
    looks, polling = look_at_roots(premises), premises.settings.watch.polling
    yield from check_roots(looks, polling)
    yield from check_limits(looks, polling, read_limits(), is_at_work=premises.is_at_work)


def _guarded(check: str, run: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a check says; one that cannot be made says why, and the others are made all the same."""
    findings: list[Finding] = []
    try:
        findings += run()
    except OSError as error:
        sentence = f"{error.filename or 'something'} cannot be checked: {error.strerror or error}"
        findings.append(problem(check, sentence, "check its permissions and its disk"))
    except ModelkeepError as error:
        findings.append(problem(check, str(error), "check its disk; restore a backup if necessary"))
    return findings
