"""Images of models and of rows of the queue. Names in addresses are parsed and looked up, never joined to paths."""

import asyncio
import re
from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from modelkeep.api import reports, requests
from modelkeep.api.image_files import answer_with_file
from modelkeep.api.parameters import Sha256, TheBackend, TheQuestion
from modelkeep.api.responses import Json, failure
from modelkeep.api.subject import subject
from modelkeep.domain.images import SEQ_MAX, SOURCE_BYTES
from modelkeep.domain.values import normalise_sha256
from modelkeep.errors import NotFound

router = subject("images", "/api/images")

_MODEL_IMAGE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64})(?:_(?P<seq>0|[1-9][0-9]{0,8}))?(?:\.webp)?")
_ROW_IMAGE = re.compile(r"(?P<id>[1-9][0-9]{0,18})(?P<rest>(?:-again)?(?:\.[a-z0-9]{1,9})?)")
_FORM_FIELDS_MAX = 8
_UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image", "sha256"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "sha256": {"type": "string", "description": "the model's hash"},
                    },
                }
            }
        },
    }
}

Quality = Annotated[Literal["high", "medium", "low"], Query(description="high: at most 2 megapixels")]
Seq = Annotated[int, Query(ge=0, le=SEQ_MAX, description="number of the image, from 0 on")]


@router.get("/get_img_count", response_model=reports.ImageCount)
async def count(question: TheQuestion, sha256: Sha256) -> Json:
    """How many images a model has."""
    return await question.answer(sha256=sha256)


@router.post("/get_sample_imgs", response_model=list[str])
async def names(question: TheQuestion, asked: requests.SampleRequest) -> Json:
    """The names under which a model's images can be had."""
    return await question.answer(sha256=asked.hash)


@router.post("/upload", response_model=reports.Uploaded, openapi_extra=_UPLOAD_FORM)
async def upload(backend: TheBackend, request: Request) -> Json:
    """Add an image to a model, as the next one; the same image is not stored twice."""
    try:
        async with request.form(max_files=1, max_fields=_FORM_FIELDS_MAX) as form:
            image, sha256 = form.get("image"), normalise_sha256(form.get("sha256"))
            if not isinstance(image, UploadFile):
                return failure(422, "image in the form: it has to be a file.")
            if sha256 is None:
                return failure(422, "sha256 in the form: it has to be a model's hash, 64 hex digits.")
            if (image.size or 0) > SOURCE_BYTES:
                return failure(413, f"image in the form: at most {SOURCE_BYTES // 2**20} MB are taken.")
            seq = await backend.add_image(sha256, image.file)
    except HTTPException as error:  # the framework's word for a form that it cannot read
        return failure(error.status_code, f"The form cannot be read: {error.detail}")
    except ClientDisconnect:
        return failure(400, "The form came only in part.")
    return Json({"status": "success", "base_name": f"{sha256}_{seq}"})


@router.delete("/delete", response_model=reports.Removed)
async def delete(backend: TheBackend, sha256: Sha256, seq: Seq) -> Json:
    """Remove an image; later ones move down by one."""
    return Json({"status": "success", "count": await backend.remove_image(sha256, seq)})


@router.get("/pending/{name}", response_class=Response)
async def pending_image(backend: TheBackend, request: Request, name: str) -> Response:
    """A row's image as it came, by the row's number or by its base name."""
    match = _ROW_IMAGE.fullmatch(name)
    path = None
    if match is not None and int(match["id"]) <= requests.ROW_ID_MAX:
        path = await backend.library.pending_image(int(match["id"]), name if match["rest"] else "")
    if path is None:
        raise NotFound("There is no such image of a pending row.")
    return await asyncio.to_thread(answer_with_file, path, request.headers.get("if-none-match"))


@router.get("/{name}", response_class=Response)
async def image(backend: TheBackend, request: Request, name: str, quality: Quality = "high") -> Response:
    """A model's image: `<sha256>_<number>.webp`; without a number the first."""
    match = _MODEL_IMAGE.fullmatch(name)
    if match is None:
        raise NotFound("There is no such image: its name is <sha256>_<number>.webp.")
    path = backend.library.image(match["sha256"].lower(), int(match["seq"] or 0), quality)
    return await asyncio.to_thread(answer_with_file, path, request.headers.get("if-none-match"))
