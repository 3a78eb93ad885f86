"""What the catalogue keeps of a content's bytes besides their SHA-256."""

from dataclasses import field
from typing import Any, Self

from modelkeep.domain.content_facts import ContentFacts
from modelkeep.domain.frozen import frozen


@frozen
class ContentRow:
    """What is kept of a content's bytes.

    `header` are the keys, `image_waits` says that an image in it was not looked at yet, `heir` is the content that
    has taken over what is known of the model.
    """

    sha256: str
    format: str = ""
    header: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    tensors: str | None = ""
    autov1: str = ""
    blake3: str = ""
    image_waits: bool = False
    heir: str = ""

    @classmethod
    def of(cls, sha256: str, facts: ContentFacts) -> Self:
        """Return what is kept of what was read."""
        header = facts.header
        known = header.format, header.keys, header.problem, facts.tensors, facts.autov1
        return cls(sha256, *known, image_waits=header.has_image)
