"""The shapes of the HTTP interface: pure functions from the project's values to JSON objects.

They are a contract with an existing front end; the command line prints them too. Times are milliseconds since 1970,
absent text is empty, never null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelkeep.api.effects import effect
from modelkeep.api.sides import texts_of
from modelkeep.domain import values
from modelkeep.domain.adopting import KeptRecord
from modelkeep.domain.browsing import TypeCount
from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.details import ModelDetails, PendingDetails, Sibling
from modelkeep.domain.duplicates import Duplicate, total_freeable_bytes
from modelkeep.domain.header_meaning import header_meaning
from modelkeep.domain.knowledge import meaning_as_json
from modelkeep.domain.metadata import DERIVED_KEYS
from modelkeep.domain.orphans import Orphan
from modelkeep.domain.planning import Decision, outcomes
from modelkeep.domain.sources import ModelSources
from modelkeep.domain.tag_acts import CarriedTag
from modelkeep.domain.verdicts import Digests, digests_of, verdict, whose

Shape = dict[str, Any]


def tag(known: values.Tag) -> Shape:
    """`Tag`."""
    return {"id": known.id, "name": known.name}


def colored_tag(known: values.Tag) -> Shape:
    """A tag with its colour."""
    return {**tag(known), "color": known.color}


def carried_tag(known: CarriedTag) -> Shape:
    """A tag with its colour, and how many carry it."""
    return {**colored_tag(known.tag), "models": known.models, "pending": known.rows}


def model_listed(model: values.Model, images_count: int) -> Shape:
    """`Model`: one row of a list."""
    return {**model_found(model), "images_count": images_count}


def model_found(model: values.Model) -> Shape:
    """A model that a search found: as in a list, but nobody counted its images."""
    return {
        "sha256": model.sha256,
        "name": model.name,
        "type": model.type,
        "path": model.path,
        "size_bytes": model.size_bytes,
        "created_at": model.created_at,
        "tags": [tag(known) for known in model.tags],
    }


def model_counts(counts: Sequence[TypeCount]) -> Shape:
    """The numbers of models, altogether and of each type."""
    types = [{"type": count.type, "models": count.models} for count in counts]
    return {"total": sum(count.models for count in counts), "types": types}


def model_full(model: values.Model, images_count: int) -> Shape:
    """`ModelFull`."""
    return {**model_found(model), "meta_json": _meta(model.meta, "images_count", images_count)}


def model_details(details: ModelDetails, sources: ModelSources | None = None) -> Shape:
    """A model with everything that belongs to it; `sources`: what other tools know of it."""
    model = details.model
    return {
        "model": model_full(model, details.images_count),
        **model.further_texts,
        "last_used_at": model.last_used_at,
        "images": [
            {"seq": image.seq, "width": image.width, "height": image.height, "source_digest": image.source_digest}
            for image in details.images
        ],
        "locations": [_location(location) for location in details.locations],
        "refused": [{"file": image.file, "reason": image.reason} for image in details.refused],
        "digests": _digests(details.content or ContentRow(model.sha256)),
        "header": _header(details.content or ContentRow(model.sha256)),
        "sources": _sources(sources) if sources is not None else {},
        "siblings": [_sibling(sibling) for sibling in details.siblings],
    }


def _sibling(sibling: Sibling) -> Shape:
    """Another model whose file holds the same tensors under a different header."""
    return {
        "sha256": sibling.sha256,
        "name": sibling.name,
        "path": sibling.path,
        "size_bytes": sibling.size_bytes,
        "state": str(sibling.state),
        "heir": sibling.heir,
    }


def _digests(content: ContentRow) -> Shape:
    """The digests by which tools know a content, by kind; empty where there is none, or none is known yet."""
    return {str(kind): digest for kind, digest in digests_of(content).items()}


def _header(content: ContentRow) -> Shape:
    """What a file's own header says: its keys, and what of them is understood."""
    meaning = header_meaning(content.format, content.header)
    return {
        "format": content.format,
        "keys": content.header,
        "problem": content.problem,
        "meaning": meaning_as_json(meaning),
    }


def _sources(sources: ModelSources) -> Shape:
    """What each tool knows, by the kind of its records."""
    found: Shape = {}
    for kept in sources.records:
        shown = source_record(kept, sources.digests, sources.siblings) | {"how": str(kept.attached[sources.sha256])}
        found.setdefault(kept.record.kind, []).append(shown)
    return found


def source_record(kept: KeptRecord, digests: Digests, siblings: Mapping[str, Digests] | None = None) -> Shape:
    """A source record whole; each claim with what a content with these digests says of it, and of which sibling."""
    record = kept.record
    return {
        "id": kept.id,
        "kind": record.kind,
        "key": record.key,
        "gone": kept.gone,
        "first_seen": kept.first_seen,
        "last_seen": kept.last_seen,
        "standing": str(record.standing),
        "updated_at": record.updated_at,
        "original_path": record.original_path,
        "size_bytes": record.size_bytes,
        "meaning": meaning_as_json(record.meaning),
        "owned": sorted(record.owned),
        "claims": [
            {
                **claim.as_json(),
                "verdict": str(verdict(claim, digests)),
                "of_sibling": whose(claim, digests, siblings or {}),
            }
            for claim in record.claims
        ],
        "images": [{"path": image.path, "rank": str(image.rank)} for image in record.images],
        "remarks": list(record.remarks),
        "raw": record.raw,
    }


def orphan(found: Orphan) -> Shape:
    """A source record without a model, in short, and the models that are offered to it."""
    kept = found.kept
    return {
        "id": kept.id,
        "kind": kept.record.kind,
        "key": kept.record.key,
        "stem": kept.record.stem,
        "title": kept.record.meaning.title,
        "gone": kept.gone,
        "first_seen": kept.first_seen,
        "offers": [
            {"sha256": offer.sha256, "path": offer.path, "by": str(offer.by), "similarity": offer.similarity}
            for offer in found.offers
        ],
    }


def orphan_details(found: Orphan) -> Shape:
    """A source record without a model, whole, and the models that are offered to it."""
    return {**orphan(found), "record": source_record(found.kept, {})}


def pending_listed(pending: values.PendingImport) -> Shape:
    """`Pending`: one row of a list."""
    return {
        "id": pending.id,
        "name": pending.name,
        "image": pending.image,
        "type": pending.type,
        "tags": [tag(known) for known in pending.tags],
    }


def pending_full(pending: values.PendingImport) -> Shape:
    """`PendingFull`."""
    return {
        "id": pending.id,
        "path": pending.path,
        "sha256": pending.sha256,
        "name": pending.name,
        "type": pending.type,
        "size_bytes": pending.size_bytes,
        "created_at": pending.created_at,
        "meta_json": _meta(pending.meta, "images", [pending.image] if pending.image else []),
        "tags": [tag(known) for known in pending.tags],
    }


def queue_row(pending: values.PendingImport) -> Shape:
    """`PendingFull` with where the row stands in the queue."""
    return {
        **pending_full(pending),
        **pending.further_texts,
        "image": pending.image,
        "source": pending.source,
        "state": str(pending.state),
        "attempts": pending.attempts,
        "due_at": pending.due_at,
        "last_error": pending.last_error,
    }


def pending_details(details: PendingDetails, image_digest: str | None = None) -> Shape:
    """Both sides of a row of the queue; `existing` is null when no model has its content.

    Args:
        details: both sides.
        image_digest: of the row's image, None when it has none: the same image is not stored twice.
    """
    return {
        "pending": queue_row(details.pending),
        "existing": model_details(details.existing) if details.existing else None,
        "lost_keys": list(details.lost_keys),
        "offers": list(details.offers),
        "sides": _sides(details),
        "outcomes": _outcomes(details.pending, details.existing, image_digest) if details.existing else {},
    }


def _sides(details: PendingDetails) -> Shape:
    """What both sides say, as texts by name, to be compared."""
    row, existing = queue_row(details.pending), details.existing
    model = model_details(existing) if existing else None
    return {"pending": texts_of(row), "existing": texts_of({**model, **model["model"]}) if model else {}}


def _outcomes(pending: values.PendingImport, existing: ModelDetails, image_digest: str | None) -> Shape:
    """What each strategy would do, by its name."""
    paths = [location.path for location in existing.locations]
    decided = outcomes(pending, existing.model, paths, existing.images, image_digest)
    is_known = any(image.source_digest == image_digest for image in existing.images)
    sides = queue_row(pending), model_details(existing)
    planned = {str(strategy): _outcome(decision, pending, existing) for strategy, decision in decided.items()}
    return {
        name: {**outcome, "effect": effect(*sides, outcome, is_image_known=is_known)}
        for name, outcome in planned.items()
    }


def _outcome(decision: Decision, pending: values.PendingImport, existing: ModelDetails) -> Shape:
    tags = {known.id: known for known in (*existing.model.tags, *(pending.tags if decision.moves_tags else ()))}
    model = (decision.model or existing.model).evolve(tags=tuple(tags.values()))
    numbers = {image.seq for image in existing.images} | ({decision.image_seq} - {None})
    return {
        "action": str(decision.action),
        "model": model_full(model, len(numbers)),
        **model.further_texts,
        "image": decision.image_seq,
        "removes_row": decision.removes_pending,
    }


def duplicates(found: Sequence[Duplicate], families: Sequence[Sequence[values.Model]] = ()) -> Shape:
    """The contents that lie at several places, what could be freed altogether, and which have the same tensors."""
    return {
        "duplicates": [_duplicate(item) for item in found],
        "freeable_bytes": total_freeable_bytes(found),
        "siblings": [[_relative(model) for model in family] for family in families],
    }


def _relative(model: values.Model) -> Shape:
    return {name: getattr(model, name) for name in ("sha256", "name", "type", "path", "size_bytes")}


def _duplicate(found: Duplicate) -> Shape:
    model = found.model
    return {
        "sha256": model.sha256,
        "name": model.name,
        "type": model.type,
        "size_bytes": model.size_bytes,
        "copies": [list(names) for names in found.copies],
        "symbolic_links": list(found.symbolic_links),
        "away": [_location(location) for location in found.away],
        "freeable_bytes": found.freeable_bytes,
    }


def _location(location: values.Location) -> Shape:
    return {
        "path": location.path,
        "state": str(location.state),
        "claimed": location.claimed,
        "size_bytes": location.fingerprint.size_bytes if location.fingerprint else 0,
        "first_seen": location.first_seen,
        "last_seen": location.last_seen,
    }


def _meta(stored: Mapping[str, Any], images_key: str, images: object) -> Shape:
    """Return `meta_json`: the keys that the front end relies on, and every other as it was stored."""
    prompts = stored.get("prompts")
    kept = {key: value for key, value in stored.items() if key not in DERIVED_KEYS}
    return {
        **kept,
        "description": _text(stored.get("description")),
        "community_links": _text(stored.get("community_links")),
        images_key: images,
        "prompts": _prompts(prompts if isinstance(prompts, Mapping) else {}),
    }


def _prompts(stored: Mapping[str, Any]) -> Shape:
    return {**stored, "positive": _text(stored.get("positive")), "negative": _text(stored.get("negative"))}


def _text(value: object) -> object:
    return "" if value is None else value
