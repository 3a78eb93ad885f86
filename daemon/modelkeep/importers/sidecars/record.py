"""What the records of all formats have in common."""

import os

from modelkeep.importers.sidecars.base import FoundSidecar


def model_names(found: FoundSidecar) -> tuple[str, ...]:
    """Return the base names of the models of a sidecar."""
    return tuple(map(os.path.basename, found.models))
