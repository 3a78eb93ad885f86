"""What all that the documentation at `/docs` says of answers has in common."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """An answer has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Failure(BaseModel):
    """Every error."""

    error: str


class Further(Answer):
    """What is known besides and that lists leave out."""

    base: str
