"""What somebody who looks through the library wants to see, and in which order. Pure."""

from dataclasses import dataclass
from enum import StrEnum

WORDS_MAX = 12


class Order(StrEnum):
    """How models follow each other; those that are alike follow by their hash, so pages never overlap."""

    NAME = "name"
    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    SMALLEST = "smallest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models are wanted; what is left out is no condition.

    Args:
        text: words, each of which stands in the name, the path, the description or a tag.
        tags: names of tags, all of which it carries.
        type: of the model; None for all.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    type: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text, each once; more than anybody types are no conditions."""
        return tuple(dict.fromkeys(self.text.split()))[:WORDS_MAX]


@dataclass(frozen=True, slots=True)
class TypeCount:
    """How many models of a type there are."""

    type: str
    models: int
