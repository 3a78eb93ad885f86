"""What all that the documentation at `/docs` says of answers has in common."""

from pydantic import BaseModel, ConfigDict


class Documented(BaseModel):
    """What only the documentation knows: answers are made without it, so it is made ready when that is asked for."""

    model_config = ConfigDict(defer_build=True)


class Answer(Documented):
    """An answer has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Failure(Documented):
    """Every error."""

    error: str


class Further(Answer):
    """What is known besides and that lists leave out."""

    base: str
