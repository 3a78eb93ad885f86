"""Tags: what models and rows of the queue carry."""

from modelkeep.api import answers, reports, requests, shapes
from modelkeep.api.parameters import TagId, TheBackend, TheQuestion
from modelkeep.api.responses import Json
from modelkeep.api.subject import subject

router = subject("tags", "/api")


@router.get("/tags", response_model=answers.Tags)
async def list_tags(question: TheQuestion) -> Json:
    """Every tag by name."""
    return await question.answer()


@router.get("/tags/details", response_model=answers.CarriedTags)
async def carried_tags(question: TheQuestion) -> Json:
    """Every tag by name, with its colour and the numbers of models and of pending rows that carry it."""
    return await question.answer()


@router.post("/tags_add", response_model=answers.Tags)
async def add(backend: TheBackend, asked: requests.NewTags) -> Json:
    """Make tags; a name that there is answers the tag that has it."""
    return Json({"tags": [shapes.tag(tag) for tag in await backend.add_tags(asked.newtags)]})


@router.patch("/tags/{id}", response_model=answers.ColoredTag)
async def change(backend: TheBackend, tag_id: TagId, asked: requests.TagEdit) -> Json:
    """Give a tag another name or another colour."""
    return Json(shapes.colored_tag(await backend.change_tag(tag_id, asked.name, asked.color)))


@router.delete("/tags/{id}", response_model=reports.RemovedTag)
async def remove(backend: TheBackend, tag_id: TagId) -> Json:
    """Delete a tag; whatever carried it loses it."""
    return Json({"status": "success", "models": await backend.remove_tag(tag_id)})
