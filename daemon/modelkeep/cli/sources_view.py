"""How source records look: those of a model, and those without one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from modelkeep.cli.output import facts, named, plain, table
from modelkeep.cli.wording import local_time
from modelkeep.domain.images import is_video

_VERDICT_STYLES = {"confirmed": "green", "refuted": "red"}
_OFFERS_LISTED = 3


def sources_parts(sources: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[RenderableType]:
    """Return what other tools know of a model, and what became of the hashes that they claim."""
    every = [source for kind in sorted(sources) for source in sources[kind]]
    if not every:
        return []
    claimed = [(source, claim) for source in every for claim in source["claims"]]
    parts: list[RenderableType] = ["", _sources(every)]
    return [*parts, "", _claims(claimed)] if claimed else parts


def orphans_table(orphans: Sequence[Mapping[str, Any]]) -> Table:
    """Return source records without a model, and what is offered to each."""
    made = table("id", "tool", "file", "title", "may belong to", right=("id",))
    for orphan in orphans:
        made.add_row(
            str(orphan["id"]),
            plain(orphan["kind"]),
            named(orphan["key"]),
            named(orphan["title"]),
            named(", ".join(_offer(offer) for offer in orphan["offers"][:_OFFERS_LISTED])),
        )
    return made


def orphan_view(orphan: Mapping[str, Any]) -> RenderableType:
    """Return all of a source record without a model, and what is offered to it."""
    record = orphan["record"]
    parts: list[RenderableType] = [
        named(orphan["key"], "bold"),
        facts(
            [
                ("tool", orphan["kind"]),
                ("stem", orphan["stem"]),
                ("first seen", local_time(orphan["first_seen"])),
                ("file", "it is there no more" if orphan["gone"] else ""),
                *((key, in_words(value)) for key, value in record["meaning"].items()),
                *(("remark", text) for text in record["remarks"]),
            ]
        ),
    ]
    if record["claims"]:
        parts += ["", _claims([(record, claim) for claim in record["claims"]])]
    offers = table("may belong to", "hash", "because of")
    for offer in orphan["offers"]:
        offers.add_row(plain(offer["path"]), plain(offer["sha256"][:12], "dim"), plain(offer["by"]))
    return Group(*parts, "", offers if orphan["offers"] else "No model is known that it may belong to.")


def in_words(value: Any) -> str:
    """Return a value of a meaning as text."""
    if isinstance(value, Mapping):
        said = value.get("value", value.get("url")) or ", ".join(f"{key} {inner}" for key, inner in value.items())
        return str(said)
    if isinstance(value, list):
        return ", ".join(map(in_words, value))
    return str(value)


def _sources(every: Sequence[Mapping[str, Any]]) -> Table:
    made = table("source", "file", "says", "remarks")
    for source in every:
        says = ", ".join([*sorted(source["meaning"]), *_pictures(source["images"])])
        remarks = [*source["remarks"], *(["the file is gone"] if source["gone"] else [])]
        if source["how"] != "beside":
            remarks.insert(0, f"attached by: {source['how']}")
        made.add_row(plain(source["kind"]), named(source["key"]), plain(says), named("; ".join(remarks)))
    return made


def _pictures(images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how many images a record names, and how many videos, which are shown by their names alone."""
    videos = sum(is_video(image["path"]) for image in images)
    counts = {"image": len(images) - videos, "video": videos}
    return [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items() if count]


def _claims(claimed: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Table:
    made = table("claimed by", "hash", "value", "verdict")
    for source, claim in claimed:
        style = _VERDICT_STYLES.get(claim["verdict"], "")
        said = f"{claim['verdict']} ({claim['grade']})"
        if claim.get("of_sibling"):
            said, style = f"of another header of the same weights ({claim['grade']})", ""
        verdict = plain(said, style)
        made.add_row(plain(source["kind"]), plain(claim["kind"]), plain(claim["value"]), verdict)
    return made


def _offer(offer: Mapping[str, Any]) -> str:
    return f"{offer['path'].rsplit('/', 1)[-1]} ({offer['by']})"
