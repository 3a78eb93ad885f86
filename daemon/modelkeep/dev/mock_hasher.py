"""The mock hasher: gives shadow files the hash that the file they stand for had."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from modelkeep.domain.naming import SHADOW_PREFIX
from modelkeep.domain.values import normalise_sha256
from modelkeep.errors import FileVanished, HashError


class MockHasher:
    """Answers for shadow files alone; may be sent to a worker process.

    Args:
        claims: base name of a legacy row's file, and the hash that the legacy database holds for it.
    """

    def __init__(self, claims: Mapping[str, str] = MappingProxyType({})) -> None:
        self.learn(claims)

    def learn(self, claims: Mapping[str, str]) -> None:
        """Have these claims instead of those of before."""
        valid = ((name, normalise_sha256(claim)) for name, claim in claims.items())
        self._claims = {name: claim for name, claim in valid if claim is not None}

    def digest(self, path: str) -> str | None:
        """Return a shadow file's hash: the legacy one, else one that its name and bytes always give.

        None for every other file: that one has to be hashed in earnest.

        Raises:
            FileVanished: the shadow file is not there (any more).
            HashError: it cannot be read.
        """
        shadow = Path(path)
        if not shadow.name.startswith(SHADOW_PREFIX):
            return None
        name = shadow.name.removeprefix(SHADOW_PREFIX)
        try:
            content = shadow.read_bytes()
        except FileNotFoundError as error:
            raise FileVanished(f"{path} is not there any more") from error
        except OSError as error:
            raise HashError(f"{path} cannot be read: {error.strerror}") from error
        return self._claims.get(name) or hashlib.sha256(name.encode("utf-8", "surrogateescape") + content).hexdigest()
