"""Change what a model says, asked for and answered in the shapes of the interface."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelkeep.api import shapes
from modelkeep.api.shapes import Shape
from modelkeep.changes.owner import OwnerActs
from modelkeep.domain.edits import Edit
from modelkeep.domain.naming import Root, root_of


async def edit_model(
    acts: OwnerActs, roots: Sequence[Root], sha256: str, edit: Edit, is_current: Callable[[Shape], bool]
) -> Shape:
    """Carry out an edit; return the model as it is then.

    Args:
        acts: carries it out.
        roots: in which its main path has to lie.
        sha256: the model.
        edit: what it shall say.
        is_current: tells whether it is still as the caller knows it.
    """
    inside = edit.path is not None and root_of(edit.path, roots) is not None
    plan = await acts.edit(
        sha256,
        replace(edit, inside_roots=inside),
        lambda known: is_current(shapes.model_full(known.model, known.images_count)),
    )
    return shapes.model_full(plan.edited or plan.model, len(plan.images))
