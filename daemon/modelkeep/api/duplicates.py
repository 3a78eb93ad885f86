"""Duplicates: contents that lie at several places."""

from modelkeep.api import answers
from modelkeep.api.parameters import TheQuestion
from modelkeep.api.responses import Json
from modelkeep.api.subject import subject

router = subject("models", "/api/duplicates")


@router.get("", response_model=answers.Duplicates)
async def list_duplicates(question: TheQuestion) -> Json:
    """Copies apart from links, and what could be freed; those that free the most come first."""
    return await question.answer()
