"""What a record of the journal means, as a sentence without its subject: "hashed: 6.4 GB in 4.3 s". Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelkeep.cli.wording import count, duration, local_time, size

Record = Mapping[str, Any]

HASH_DIGITS = 12

_MAIN = frozenset({"seq", "ts", "event", "crc", "path", "sha256", "migration", "error"})
"""Fields that are shown elsewhere, or that only recovery needs."""

_BECAME = {
    "created": "became a model",
    "merged": "merged into its model",
    "overridden": "replaced what its model said",
    "deleted": "row dropped, its model stays as it was",
    "image_removed": "image removed",
    "image_uploaded": "image added",
    "purged": "model forgotten, with all that was known of it",
    "edited": "edited",
    "inherited": "took over what was known of the same weights under another header",
    "tags_added": "tags made",
    "tag_changed": "tag changed",
    "tag_removed": "tag removed",
}
"""What was done, by the action of a migration."""

_INTENDED = {
    "created": "to become a model",
    "merged": "to be merged into its model",
    "overridden": "to replace what its model says",
    "deleted": "row to be dropped",
    "image_removed": "image to be removed",
    "image_uploaded": "image to be added",
    "purged": "model to be forgotten",
    "edited": "to be edited",
    "inherited": "to take over what is known of the same weights under another header",
    "tags_added": "tags to be made",
    "tag_changed": "tag to be changed",
    "tag_removed": "tag to be removed",
}


def sentence(record: Record) -> str:
    """Return what happened; an event that has no words of its own is shown with all its fields."""
    words = _SENTENCES.get(str(record.get("event", "")))
    try:
        text = words(record) if words else ""
    except (TypeError, ValueError, KeyError, AttributeError):  # fields of another version
        text = ""
    text = text or others(record)
    error = str(record.get("error") or "")
    return ": ".join(filter(None, (text, error))) if error not in text else text


def others(record: Record) -> str:
    """Return the fields of a record that have no sentence, in words."""
    said = [
        f"{key.replace('_', ' ')} {_value(value)}"
        for key, value in record.items()
        if key not in _MAIN and value not in ("", None, [], {}) and not _is_object(value)
    ]
    return ", ".join(said)


def what_became(record: Record, plan: Record | None = None) -> str:
    """Return what a migration did, with what became of tags and images where its plan is known."""
    known = plan or record
    done = _BECAME.get(str(record.get("action", "")), f"done: {record.get('action', '')}")
    about = _mapping(known.get("pending"))
    tags = [str(tag) for tag in _list(about.get("tags"))] if record.get("action") != "deleted" else []
    moved = record.get("moved_down")
    return "; ".join(
        filter(
            None,
            (
                _origin(record) + done + _number(record) + _by(record, known),
                f"{'tag' if len(tags) == 1 else 'tags'} {', '.join(tags)}" if tags else "",
                _images(record, known, str(about.get("image") or "")),
                f"{count(int(moved), 'later image')} moved down by one" if moved else "",
            ),
        )
    )


def _images(record: Record, plan: Record, original: str) -> str:
    numbers = sorted({name.split("_")[1] for file in _list(plan.get("files")) if (name := _final(file))}, key=int)
    if record.get("kept"):
        return f"its image could not be used ({record.get('error')}), the original is kept in {record['kept']}"
    if record.get("action") == "image_removed" or "image" in record:
        return ""
    if numbers:
        return f"{'image' if len(numbers) == 1 else 'images'} {', '.join(numbers)} stored"
    return "its image was there already" if original and record.get("action") in ("merged", "overridden") else ""


def _final(file: object) -> str:
    name = str(file["final"]) if isinstance(file, Mapping) and "final" in file else str(file)
    return name if name.count("_") >= 2 and name.split("_")[1].isdigit() else ""


def _by(record: Record, plan: Record) -> str:
    if record.get("source"):
        return " under the hash that was stored there"
    strategy = plan.get("strategy", "auto")
    return f" (strategy {strategy})" if strategy not in ("auto", "") else ""


def _origin(record: Record) -> str:
    if not record.get("source"):
        return f"{record['cause']}: " if record.get("cause") and record.get("action") else ""
    row = f", its row {record['source_row']}" if record.get("source_row") else ""
    return f"imported from {record['source']}{row}: "


def _number(record: Record) -> str:
    if "image" in record:
        return f" (number {record['image']})"
    named = [*_list(record.get("changed")), *_list(record.get("names"))]
    return f" ({', '.join(map(str, named))})" if named else ""


def _detected(record: Record) -> str:
    cause = str(record.get("cause", ""))
    if cause == "import":
        return (
            _origin(record) + ("waits to be hashed" if record.get("pending_id") else "known already") + _row(record)
        )
    how = {"watch": "found as it appeared", "scan": "found by a scan"}.get(cause, f"found: {cause}")
    known = "; its content is known" if record.get("sha256") else ""
    return how + known + _row(record)


def _row(record: Record, after: str = "") -> str:
    return f" (row {record['pending_id']}{after})" if record.get("pending_id") else ""


def _hashed(record: Record) -> str:
    seconds = float(record["seconds"])
    pace = f", {size(record['bytes'] / seconds)}/s" if seconds > 0 else ""
    return f"hashed: {size(record['bytes'])} in {duration(seconds)}{pace}; sha256 {short(record['sha256'])}"


def _not_hashed(record: Record) -> str:
    again = f"; tried again after {_moment(record['retry_at'])}" if record.get("retry_at") else ""
    attempts = f" (attempt {record['attempts']})" if record.get("attempts") else ""
    return f"not hashed{attempts}: {record.get('error') or 'no reason given'}{again}"


def _conflicted(record: Record) -> str:
    if record.get("action") == "ignored":
        return "left in the queue by the strategy ignore" + _row(record)
    differing = ", ".join(map(str, _list(record.get("differing"))))
    what = f"{differing} would be lost by merging" if differing else "you decide about it"
    return f"conflict: its content is in the catalogue, and {what}" + _row(record, " waits for a decision")


def _failed_migration(record: Record) -> str:
    again = f"; tried again after {_moment(record['retry_at'])}" if record.get("retry_at") else ""
    return f"failed, nothing was changed: {record.get('error') or 'no reason given'}{again}"


def _moved(record: Record) -> str:
    how = {"renamed": "moved", "said by the owner": "found where you said"}.get(str(record.get("cause", "")), "moved")
    return f"{how}: {record.get('old_path')} is now {record.get('path')}"


def _changed(record: Record) -> str:
    by = f", now {short(record['replaced_by'])}" if record.get("replaced_by") else ""
    why = f": {record['cause']}" if record.get("cause") else ""
    return f"no longer {short(record.get('sha256'))}{by}{why}"


def _missing(record: Record) -> str:
    return "gone; what is known of it stays" + (f" ({record['cause']})" if record.get("cause") else "")


def _imported(record: Record) -> str:
    parts = [
        f"{count(record[key], *nouns)} {what}" if nouns else f"{record[key]:,} {what}"
        for key, what, *nouns in _COUNTS
        if record.get(key)
    ]
    return f"import from {record['kind']} finished: {count(record['rows'], 'row')}; {', '.join(parts)}"


_COUNTS = (
    ("migrated", "became models at once"),
    ("pending", "wait to be hashed"),
    ("updated", "updated"),
    ("unchanged", "unchanged"),
    ("errors", "refused"),
    ("images_processed", "taken", "image"),
    ("image_errors", "refused", "image"),
)


def _scanned(record: Record) -> str:
    keys = (
        ("appeared", "new"),
        ("changed", "changed"),
        ("missing", "gone"),
        ("returned", "back"),
        ("moved", "moved"),
    )
    parts = [f"{record[key]:,} {what}" for key, what in keys if record.get(key)]
    found = ", ".join(parts) or "nothing new"
    why = f" ({record['cause']})" if record.get("cause") else ""
    unread = f"; cannot be read: {', '.join(record['unreadable'])}" if record.get("unreadable") else ""
    return f"scanned {record['root']}{why}: {count(record['scanned'], 'file')}, {found}{unread}"


def _swept(record: Record) -> str:
    states = ("waiting", "conflict", "failed", "missing")
    parts = [f"{record[state]:,} {state}" for state in states if record.get(state)]
    return f"queue swept: {', '.join(parts) or 'empty'}"


def _refuted(record: Record) -> str:
    return f"the older hash {short(record['claimed'])} is wrong: its content is {short(record['found'])}"


def _taken(record: Record) -> str:
    done = "says something else now" if record["action"] == "updated" else "taken"
    return f"{record['kind']}: {done}" + (", its model is not known" if record.get("orphan") else "")


def _applied(record: Record) -> str:
    told = [*_list(record["changed"]), *(f"tag {tag}" for tag in _list(record.get("tags")))]
    return f"learnt from its sources: {', '.join(map(str, told))}"


def _attached(record: Record) -> str:
    why = {"claim": ", for its hash", "owner": ", as the owner says", "ambiguous": ", though others share its name"}
    return f"what {record['kind']} says in {record['source']} belongs to it{why.get(record['how'], '')}"


def _repaired(record: Record) -> str:
    names = [str(name) for name in _list(record.get("files"))]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"repaired by doctor: {record.get('what', '')}" + (f" ({', '.join(names[:3])}{more})" if names else "")


def _recognised(record: Record) -> str:
    others_ = ", ".join(short(str(sha256)) for sha256 in _list(record.get("same_tensors_as")))
    differing = ", ".join(str(name) for name in _list(record.get("differing")))
    why = f"; both say something different of {differing}" if differing else ""
    return f"the same weights as {others_} under another header{why}: `modelkeep models inherit` takes over"


_SENTENCES: Mapping[str, Callable[[Record], str]] = {
    "daemon.started": lambda r: f"modelkeep {r['version']} started: {r['reason']} (process {r['pid']})",
    "daemon.stopped": lambda r: f"modelkeep stopped: {r['reason']} (process {r['pid']})",
    "import.started": lambda r: f"import from {r['kind']} began: {r['source']}, {count(r['rows'], 'row')}",
    "import.finished": _imported,
    "import.failed": lambda r: f"import from {r['kind']} failed: {r['error']}",
    "file.detected": _detected,
    "file.settled": lambda _: "complete, to be hashed",
    "file.moved": _moved,
    "file.missing": _missing,
    "file.returned": lambda _: "is back, with all that is known of it",
    "file.changed": _changed,
    "hash.finished": _hashed,
    "hash.failed": _not_hashed,
    "claim.confirmed": lambda r: f"the older hash {short(r['claimed'])} is right",
    "claim.refuted": _refuted,
    "model.recognised": _recognised,
    "migration.planned": lambda r: f"planned: {_INTENDED.get(r['action'], r['action'])}",
    "migration.committed": lambda r: f"in the catalogue: {_BECAME.get(r['action'], r['action'])}",
    "migration.finished": what_became,
    "migration.conflicted": _conflicted,
    "migration.failed": _failed_migration,
    "image.published": lambda r: _images({}, r, ""),
    "recovery.rolled_forward": lambda _: "completed after an interruption",
    "recovery.rolled_back": lambda r: "undone after an interruption" + _row(r, " waits again"),
    "root.unreachable": lambda r: f"root {r['root']} is unreachable: {r['cause']}; what is known of its files stays",
    "root.returned": lambda r: f"root {r['root']} is back",
    "pending.dropped": lambda r: f"row {r['pending_id']} dropped by the owner",
    "rescan.finished": _scanned,
    "sweep.finished": _swept,
    "watch.overflowed": lambda r: f"the kernel dropped events of {r['root']}; it is scanned again",
    "watch.limited": lambda r: f"only {r['watched']:,} of {r['folders']:,} folders of {r['root']} are watched",
    "journal.repaired": lambda r: f"a torn last record was cut off: {r['bytes_cut']:,} bytes of {r['segment']}",
    "journal.damaged": lambda r: f"{r['segment']} is damaged at byte {r['offset']:,}: {r['reason']}; skipped",
    "trouble.began": lambda r: f"trouble with {r['part']}: {r['error']}",
    "trouble.ended": lambda r: f"trouble with {r['part']} is over",
    "doctor.repaired": _repaired,
    "source.taken": _taken,
    "source.attached": _attached,
    "source.applied": _applied,
    "source.withdrawn": lambda r: f"what {r['kind']} says in {r['source']} is about another file of its name",
    "source.conflict": lambda r: (
        f"{r['source']} has other words of yours for {', '.join(r['differing'])}: row {r['pending_id']} waits for you"
    ),
    "source.gone": lambda r: f"{r['kind']}: its file is gone; what it said stays",
    "source.dropped": lambda r: f"{r['kind']}: dropped by the owner",
    "source.refused": lambda r: f"not taken: {r['error']}",
    "source.image_refused": lambda r: f"its image could not be used: {r['error']}",
}


def short(value: object) -> str:
    """Return the first digits of a hash."""
    return value[:HASH_DIGITS] if isinstance(value, str) else ""


def _value(value: object) -> str:
    if isinstance(value, str) and len(value) == 64:
        return short(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_object(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _moment(value: object) -> str:
    return local_time(value) if isinstance(value, int) else str(value)


def _mapping(value: object) -> Record:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
