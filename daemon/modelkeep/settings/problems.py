"""Turn what is wrong with a configuration into one line a problem: where, which key, which value, what is allowed."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Key = tuple[str | int, ...]

CROSS_CHECK = "modelkeep.cross_check"
"""Type of the errors of checks over several keys; their context has a `sentence` and the `key` below the table."""

_VALUE_LENGTH_MAX = 100
_SECRET_NAMES = ("token", "api", "api_token")
_WHOLE_VALUE_WRONG = ("tuple_type", "model_type", "model_attributes_type")


@dataclass(frozen=True)
class Source:
    """Where some of the values come from; `variables` maps a key to the environment variable that holds it."""

    name: str
    values: Mapping[str, Any]
    variables: Mapping[Key, str] = field(default_factory=dict)

    def holds(self, key: Key) -> bool:
        """Return whether this source gives a value to a key or to something in it."""
        value: Any = self.values
        for part in key:
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            else:
                # The whole table or list came as one value: a part of it that is wrong came from here too.
                return value is not self.values and not isinstance(value, Mapping)
        return True

    def place(self, key: Key) -> str:
        """Return the name of the file or variable that a key's value comes from."""
        parts = (key[:length] for length in range(len(key), 0, -1))
        return next((self.variables[part] for part in parts if part in self.variables), self.name)


def sentences(error: ValidationError, settings: type[BaseModel], sources: Sequence[Source]) -> list[str]:
    """Return one line for each problem.

    Args:
        error: what pydantic found.
        settings: the class whose values they are.
        sources: where they come from, the strongest first.
    """
    return [_sentence(detail, settings, sources) for detail in error.errors(include_url=False)]


def unknown_variables(names: Iterable[str], settings: type[BaseModel], known_besides: Iterable[str]) -> list[str]:
    """Return one line for each environment variable with the prefix that stands for no key.

    Its value is never shown: a misspelt variable may well hold the token.
    """
    prefix = str(settings.model_config.get("env_prefix", ""))
    known = [*known_besides, *(variable_of(key, prefix) for key in all_keys(settings))]
    # Without the prefix, which would make every two of them look alike.
    endings = {name.removeprefix(prefix): f"${name}" for name in known}
    unknown = [name for name in names if name.upper().startswith(prefix) and name.upper() not in known]
    return [
        f"${name} is no setting of modelkeep{_suggestion(name.upper().removeprefix(prefix), endings) or '.'}"
        for name in sorted(unknown)
    ]


def variable_of(key: Key, prefix: str) -> str:
    """Return the name of the environment variable that stands for a key."""
    return prefix + "__".join(map(str, key)).upper()


def all_keys(table: type[BaseModel]) -> list[Key]:
    """Return every key of a configuration, the tables themselves included."""
    keys: list[Key] = []
    for name, info in table.model_fields.items():
        keys.append((name,))
        if _is_table(info.annotation):
            keys += [(name, *inner) for inner in all_keys(info.annotation)]
    return keys


def _sentence(detail: ErrorDetails, settings: type[BaseModel], sources: Sequence[Source]) -> str:
    key: Key = detail["loc"]
    context = detail.get("ctx", {})
    if detail["type"] == CROSS_CHECK:
        key += tuple(int(part) if part.isdecimal() else part for part in context["key"].split("."))
    place = next((source.place(key) for source in sources if source.holds(key)), "the configuration")
    if detail["type"] == CROSS_CHECK:
        return f"{place}: {_dotted(key)}: {context['sentence']}."
    if detail["type"] == "extra_forbidden":
        return f"{place}: {_unknown(key, detail['input'], settings)}."
    allowed = _allowed(key, settings)
    if place.startswith("$") and detail["type"] in _WHOLE_VALUE_WRONG:
        allowed += ", written as JSON"
    if detail["type"] == "missing":
        return f"{place}: {_dotted(key)} is missing; it has to be {allowed}."
    value = "" if _may_be_secret(key, settings) else f" = {_shown(detail['input'])}"
    rule = f" in {allowed}" if isinstance(key[-1], int) else f"; it has to be {allowed}"
    return f"{place}: {_dotted(key)}{value} is not allowed{rule}."


def _unknown(key: Key, value: object, settings: type[BaseModel]) -> str:
    table = _table_at(key[:-1], settings)
    siblings = sorted(table.model_fields) if table else []
    elsewhere = {str(other[-1]): _dotted(other) for other in all_keys(settings)}
    meant = {**elsewhere, **{name: _dotted((*key[:-1], name)) for name in siblings}}
    where = f"in [{_dotted(key[:-1])}]" if len(key) > 1 else "at the top level"
    shown = "" if _may_be_secret(key, settings) else f" = {_shown(value)}"
    near = _suggestion(str(key[-1]), meant) or "."
    return f"{_dotted(key)}{shown} is no known key{near} Allowed {where}: {', '.join(siblings)}"


def _suggestion(wrong: str, meant: Mapping[str, str]) -> str:
    """Return a question for the nearest of the names that `meant` maps to their full spelling, or empty."""
    near = difflib.get_close_matches(wrong, meant, n=1)
    return f"; did you mean {meant[near[0]]}?" if near else ""


def _may_be_secret(key: Key, settings: type[BaseModel]) -> bool:
    """Return whether a value may be the token: its own, that of a misspelt key, or of the whole table around it."""
    known = all_keys(settings)
    if key[:1] == ("api",):
        return key[:2] in (("api",), ("api", "token")) or key[:2] not in known
    unknown = [str(part).lower() for length, part in enumerate(key, start=1) if key[:length] not in known]
    return any(difflib.get_close_matches(name, _SECRET_NAMES) for name in unknown)


def _allowed(key: Key, settings: type[BaseModel]) -> str:
    """Return what a key may hold: the description of the innermost field that it lies in."""
    for length in range(len(key), 0, -1):
        table = _table_at(key[: length - 1], settings)
        info = table.model_fields.get(str(key[length - 1])) if table else None
        if info is not None and info.description:
            return info.description
    return "something else"


def _table_at(key: Key, settings: type[BaseModel]) -> type[BaseModel] | None:
    table = settings
    for part in key:
        if isinstance(part, int):
            continue
        info = table.model_fields.get(part)
        kinds: list[object] = [] if info is None else [info.annotation, *get_args(info.annotation)]
        inner = next((kind for kind in kinds if _is_table(kind)), None)
        if inner is None:
            return None
        table = inner
    return table


def _is_table(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _dotted(key: Key) -> str:
    """Return a key as TOML's reader thinks of it: `api.port`, `roots[0].path`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(str(value)) if not isinstance(value, int | float) else repr(value)
    return text if len(text) <= _VALUE_LENGTH_MAX else f"{text[:_VALUE_LENGTH_MAX]}…"
