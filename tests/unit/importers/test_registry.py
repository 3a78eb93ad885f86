"""Importers are found by the name of their kind."""

import pytest

from modelkeep.errors import SourceError
from modelkeep.importers.registry import IMPORTERS, importer_for


def test_every_importer_is_found_under_its_own_kind() -> None:
    assert IMPORTERS
    for kind, importer in IMPORTERS.items():
        assert importer_for(kind) is importer
        assert importer.kind == kind
        assert importer.description


def test_an_unknown_kind_is_told_with_the_kinds_that_there_are() -> None:
    with pytest.raises(
        SourceError, match="'civitai' is no kind of source; the kinds are: civitai-helper, comfyui, hikaze"
    ):
        importer_for("civitai")
