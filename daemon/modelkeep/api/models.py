"""Models: the catalogue's side of the interface."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Query, Request
from starlette.responses import Response

from modelkeep.api import answers, reports, requests
from modelkeep.api.etags import etag_of, is_expected, versioned
from modelkeep.api.parameters import Limit, Offset, Sha256, TheBackend, TheQuestion, exact_text
from modelkeep.api.responses import Json, failure
from modelkeep.api.subject import subject
from modelkeep.domain.browsing import Order
from modelkeep.domain.values import TAGS_MAX
from modelkeep.errors import Outdated

router = subject("models", "/api/models")

IfNoneMatch = Annotated[str | None, Header(description="versions that the caller has")]
IfMatch = Annotated[str | None, Header(description="the version that is to be changed, else 412")]


OneType = Annotated[str | None, Query(description="`others`: types that get_types does not name")]
SoughtText = Annotated[str, Query(max_length=requests.TEXT_MAX, description="words")]
CarriedTags = Annotated[Sequence[str], Query(max_length=TAGS_MAX, description="name of a tag; may come again")]


@router.post("/sha256", response_model=reports.Hashed, response_model_exclude_none=True)
async def hash_file(backend: TheBackend, asked: requests.HashRequest) -> Json:
    """Hash a file; a known fingerprint is answered at once."""
    sha256, action = await backend.hash_path(asked.path, migrate=asked.pending_status == "pending")
    return Json({"sha256": sha256} | ({"action_taken": str(action)} if action else {}))


@router.get("/get_types", response_model=answers.Types)
async def types(question: TheQuestion) -> Json:
    """Every type in use or configured."""
    return await question.answer()


@router.get("/find", response_model=answers.FoundModels)
async def find(question: TheQuestion, request: Request, q: Annotated[str, Query(min_length=1)]) -> Json:  # noqa: ARG001
    """The models that a hash (or its beginning), a path or a name means."""
    # `q` documents and requires the parameter; a path in it may not be UTF-8 and is taken byte for byte.
    return await question.answer(q=exact_text(request, "q"))


@router.get("/browse", response_model=answers.Models)
async def browse(
    question: TheQuestion,
    text: SoughtText = "",
    tag: CarriedTags = (),
    type: OneType = None,  # noqa: A002
    order: Order = Order.NAME,
    limit: Limit = 0,
    offset: Offset = 0,
) -> Response:
    """Models in an order: those with every word in name, path, description or a tag, which carry all tags."""
    return await question.listed("models", text=text, tag=tag, type=type, order=order, limit=limit, offset=offset)


@router.get("/count", response_model=answers.ModelCounts)
async def count(
    question: TheQuestion,
    text: SoughtText = "",
    tag: CarriedTags = (),
    type: OneType = None,  # noqa: A002
) -> Json:
    """How many models `browse` would list, altogether and of each type."""
    return await question.answer(text=text, tag=tag, type=type)


@router.get("", response_model=answers.Models)
async def list_models(
    question: TheQuestion,
    type: OneType = None,  # noqa: A002
    q: str = "",
    tag: str = "",
    limit: Limit = 0,
    offset: Offset = 0,
) -> Response:
    """Models of a type, whose name or path holds a text, which carry a tag."""
    return await question.listed("models", type=type, q=q, tag=tag, limit=limit, offset=offset)


@router.get("/{sha256}", response_model=answers.FullModel, responses={304: {"description": "as the caller knows it"}})
async def one(question: TheQuestion, sha256: Sha256, if_none_match: IfNoneMatch = None) -> Response:
    """One model; its `ETag` tells a `PATCH` which state it is about."""
    return versioned(await question.ask(sha256=sha256), if_none_match)


@router.patch("/{sha256}", response_model=answers.FullModel, responses={412: {"model": answers.OutdatedModel}})
async def edit(backend: TheBackend, sha256: Sha256, asked: requests.ModelEdit, if_match: IfMatch = None) -> Response:
    """Change what a model says; with `If-Match` only while it is as the caller knows it."""
    if asked.sha256 not in (None, sha256):
        return failure(422, "sha256 in the body: it names another model than the address.")
    try:
        return versioned(await backend.edit(sha256, asked.edit, lambda now: is_expected(etag_of(now), if_match)))
    except Outdated as error:
        now = await backend.library.ask("/api/models/{sha256}", sha256=sha256)
        return failure(412, str(error), existing=now, headers={"ETag": etag_of(now)})


@router.get("/{sha256}/details", response_model=answers.DetailedModel)
async def details(question: TheQuestion, sha256: Sha256) -> Json:
    """One model with its images and locations."""
    return await question.answer(sha256=sha256)


@router.post("/{sha256}/inherit", response_model=answers.DetailedModel)
async def inherit(backend: TheBackend, sha256: Sha256, asked: requests.Inheritance) -> Json:
    """Have a model take over what is known of another whose file holds the same tensors under a different header.

    Gaps are filled, tags unite, images follow its own; the other keeps all that is known of it.
    """
    await backend.inherit(sha256, asked.origin)
    return Json(await backend.library.ask("/api/models/{sha256}/details", sha256=sha256))


@router.post("/{sha256}/confirm", response_model=answers.DetailedModel)
async def confirm(backend: TheBackend, sha256: Sha256) -> Json:
    """Read a model's file for its BLAKE3, which confirms or refutes what other tools claim; answers when it is."""
    await backend.confirm(sha256)
    return Json(await backend.library.ask("/api/models/{sha256}/details", sha256=sha256))


@router.delete("/{sha256}", response_model=reports.Done)
async def purge(backend: TheBackend, sha256: Sha256) -> Json:
    """Forget a model with all that is known of it; only one with no present location."""
    await backend.purge(sha256)
    return Json({"status": "success"})
