"""Checks of models: their main paths, their locations, and what an older database claimed of them wrongly."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelkeep.doctor.findings import Finding, counted, examples, fine, note, problem
from modelkeep.doctor.knowledge import Knowledge, KnownModel
from modelkeep.domain.naming import in_brief
from modelkeep.journal.records import Damaged, decode
from modelkeep.journal.segments import lines_forward, list_segments

REFUTED = "claim.refuted"
_SHOWN_CLAIMS = 10


@dataclass(frozen=True, slots=True)
class RefutedClaim:
    """An older database said that `claimed` lies at a path; the file there has the hash `found`."""

    path: str
    claimed: str
    found: str


def check_models(knowledge: Knowledge, claims: Iterable[RefutedClaim]) -> Iterator[Finding]:
    """Tell of models that cannot be found, and of values that cannot be read."""
    if knowledge.unreadable:
        sentence = f"{counted(len(knowledge.unreadable), 'value')} cannot be read: {examples(knowledge.unreadable)}"
        yield problem("models", sentence, "another program wrote there; restore a backup, or correct them by hand")
    if knowledge.misplaced:
        names = examples([f"{model}, {model.path}" for model in knowledge.misplaced])
        sentence = f"the main path of {counted(len(knowledge.misplaced), 'model')} is not one of its files"
        remedy = "`modelkeep doctor --repair` sets it to one of the model's files"
        yield problem("models", f"{sentence}: {names}", remedy, repairable=True)
    if not (knowledge.unreadable or knowledge.misplaced):
        yield fine("models", f"{counted(knowledge.models, 'model')}, their paths in order")
    yield from _without_location(knowledge.nowhere, {claim.claimed: claim for claim in claims})


def _without_location(nowhere: Iterable[KnownModel], refuted: Mapping[str, RefutedClaim]) -> Iterator[Finding]:
    models = list(nowhere)
    wrong = [(model, refuted[model.sha256]) for model in models if model.sha256 in refuted]
    for model, claim in wrong[:_SHOWN_CLAIMS]:
        file = f"its file {in_brief(claim.path, 240)} holds {claim.found[:12]}"
        yield note("claims", f"{model} is known only from an older database: {file}", _compare(model, claim))
    if len(wrong) > _SHOWN_CLAIMS:
        yield note(
            "claims",
            f"and {len(wrong) - _SHOWN_CLAIMS:,} more such models",
            "modelkeep journal --event claim.refuted",
        )
    rest = [model for model in models if model.sha256 not in refuted]
    if rest:
        names = examples([_with_successor(model) for model in rest])
        sentence = f"{counted(len(rest), 'model has', 'models have')} no location: {names}"
        yield note("models", sentence, "nothing to do: what is known of them returns with their files")


def _with_successor(model: KnownModel) -> str:
    return f"{model}, whose path holds {model.successor[:12]} now" if model.successor else str(model)


def _compare(model: KnownModel, claim: RefutedClaim) -> str:
    shown, found = model.sha256[:12], claim.found[:12]
    return f"compare what is known of both: `modelkeep models show {shown}` and `modelkeep models show {found}`"


def read_refuted_claims(journal: Path) -> Iterator[RefutedClaim]:
    """Yield what the journal tells of claims that turned out to be wrong, the oldest first.

    Raises:
        JournalError: a segment cannot be read.
    """
    wanted = f'"event":{json.dumps(REFUTED)}'.encode()
    for segment in list_segments(journal):
        for line in lines_forward(segment):
            if wanted in line:  # a million lines are not parsed for a handful
                yield from _claim_of(line)


def _claim_of(line: bytes) -> Iterator[RefutedClaim]:
    try:
        record = decode(line)
    except Damaged:
        return
    if record["event"] == REFUTED:
        yield RefutedClaim(*(str(record.get(key, "")) for key in ("path", "claimed", "found")))
