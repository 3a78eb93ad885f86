"""Duplicates: contents that lie at several places."""

from fastapi import APIRouter

from modelkeep.api import schemas, shapes
from modelkeep.api.parameters import TheBackend
from modelkeep.api.responses import Json

router = APIRouter(prefix="/api/duplicates", tags=["models"])


@router.get("", response_model=schemas.Duplicates)
async def list_duplicates(backend: TheBackend) -> Json:
    """Copies apart from links, and what could be freed; those that free the most come first."""
    return Json(shapes.duplicates(await backend.duplicates()))
