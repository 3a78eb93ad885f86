"""The routes of one subject, as the application takes them over."""

from fastapi import APIRouter

from modelkeep.api.answers_base import Failure
from modelkeep.api.responses import Json


def subject(tag: str, prefix: str = "") -> APIRouter:
    """Return what routes are declared with, of which each is whole: none is made anew for an application.

    Args:
        tag: under which the documentation shows them.
        prefix: what their paths begin with.
    """
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        default_response_class=Json,
        responses={"4XX": {"model": Failure, "description": "what was wrong, in one sentence"}},
    )
