"""What the owner does to tags by hand, as safe from a crash as a migration."""

from collections.abc import Callable
from uuid import uuid4

from modelkeep.catalogue.catalogue import Catalogue
from modelkeep.changes.act_records import CAUSE
from modelkeep.changes.protocol import Change, Changes, Planned, to_the_end
from modelkeep.domain.migration import Committed
from modelkeep.domain.tag_acts import TagActKind, TagOrder, TagPlan
from modelkeep.domain.values import Tag


class TagActs:
    """Carries out acts on tags, one at a time.

    Args:
        catalogue: what is known.
        changes: commits and journals.
        clock_ms: milliseconds since 1970.
    """

    def __init__(self, catalogue: Catalogue, changes: Changes, clock_ms: Callable[[], int]) -> None:
        self._catalogue = catalogue
        self._changes = changes
        self._clock_ms = clock_ms

    async def add(self, *names: str) -> tuple[Tag, ...]:
        """Make tags, and return them; a name that there is stands for the tag that has it."""
        return (await self._carry_out(TagOrder(uuid4().hex, TagActKind.ADDED, names))).tags

    async def change(self, tag_id: int, name: str | None = None, color: str | None = None) -> Tag:
        """Give a tag another name or colour, None for what it has, and return it.

        Raises:
            NotFound: there is no such tag.
            Conflict: another tag has the name.
        """
        order = TagOrder(uuid4().hex, TagActKind.CHANGED, tag_id=tag_id, name=name, color=color)
        return (await self._carry_out(order)).tags[0]

    async def remove(self, tag_id: int) -> int:
        """Delete a tag, and return how many models carried it.

        Raises:
            NotFound: there is no such tag.
        """
        return (await self._carry_out(TagOrder(uuid4().hex, TagActKind.REMOVED, tag_id=tag_id))).models

    async def _carry_out(self, order: TagOrder) -> TagPlan:
        return await to_the_end(self._in_turn(order))

    async def _in_turn(self, order: TagOrder) -> TagPlan:
        async with self._changes.turn:
            return await self._changes.make(
                Change(
                    lambda finished, before: self._catalogue.act_on_tags(order, finished, self._clock_ms(), before),
                    _planned,
                    [],
                )
            )


def _planned(plan: TagPlan) -> Planned:
    order, facts = plan.order, _facts(plan)
    before = {"before": {"name": plan.before.name, "color": plan.before.color}} if plan.before else {}
    return Planned(
        plans=[("migration.planned", facts | before)],
        records=[("migration.committed", facts)],
        committed=[Committed(order.migration, "", ending=[("migration.finished", facts)])],
        failed=[("migration.failed", facts)],
    )


def _facts(plan: TagPlan) -> dict[str, object]:
    """Return what every record of an act says."""
    order = plan.order
    facts: dict[str, object] = {"migration": order.migration, "action": order.kind.value, "names": list(plan.names)}
    if plan.before is not None:
        facts |= {"old": plan.before.name, "color": plan.tags[0].color}
    if plan.models:
        facts["models"] = plan.models
    return facts | {"cause": CAUSE}
