"""What the journal records of an archive that was taken in, and what is left to do after the commit."""

from modelkeep.changes.protocol import Planned
from modelkeep.domain.archive_taking import SOURCE, TakenArchive, TakenModel
from modelkeep.domain.migration import Committed
from modelkeep.domain.values import Action, Record


def planned(taken: TakenArchive) -> Planned:
    """Return what an import of an archive does: each model with images to publish can be resumed by itself."""
    plans: list[Record] = []
    committed: list[Committed] = []
    failed: list[Record] = []
    for model in taken.models:
        if not model.migration:
            continue
        facts = _facts(model)
        files = [dict(file.as_json()) for file in model.files]
        plans.append(("migration.planned", {**facts, "strategy": "auto", "files": files}))
        failed.append(("migration.failed", facts))
        committed.append(Committed(model.migration, model.sha256, model.files, ending=[(_ending(model), facts)]))
    records = ((_ending(model), _facts(model)) for model in taken.models if not model.migration)
    return Planned(plans, records, committed, failed)


def _ending(model: TakenModel) -> str:
    # With images to publish it has a plan, which only an end closes.
    return (
        "migration.conflicted" if model.action is Action.CONFLICTED and not model.migration else "migration.finished"
    )


def _facts(model: TakenModel) -> dict[str, object]:
    return {
        **({"migration": model.migration} if model.migration else {}),
        "path": model.path,
        "sha256": model.sha256,
        "action": model.action.value,
        "source": SOURCE,
        **({"differing": list(model.differing)} if model.differing else {}),
    }
