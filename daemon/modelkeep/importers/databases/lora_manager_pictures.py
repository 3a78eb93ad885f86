"""LoRA Manager's recipes, which are example prompts of the models they name, and its folders of example images."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from modelkeep.domain.knowledge import Grade, HashKind, ImageFile, ImageRank, Meaning, SourceRecord
from modelkeep.domain.legacy import Refusal
from modelkeep.domain.values import JsonObject
from modelkeep.errors import SourceError
from modelkeep.importers.databases.facts import claims_of, digest_of, stem_of
from modelkeep.importers.databases.json_files import read_object
from modelkeep.importers.databases.lora_manager_places import IS_HASH, RECIPE_SUFFIX, LoraManagerPlaces
from modelkeep.importers.legacy_text import clean
from modelkeep.importers.sidecars.values import list_of, object_of, text
from modelkeep.importers.sqlite_copy import unreadable

T = TypeVar("T")

KIND = "lora-manager"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".mp4", ".webm")
_PROMPT_KEYS = ("steps", "sampler", "cfg_scale", "seed", "size", "clip_skip", "denoising_strength")


def read_recipes(places: LoraManagerPlaces) -> Iterator[SourceRecord | Refusal]:
    """Yield a record for each model that a recipe names by its hash."""
    for folder in places.recipes:
        for path in sorted(folder.glob(f"*{RECIPE_SUFFIX}")):
            try:
                recipe = read_object(path)
            except SourceError as error:
                yield Refusal("", str(path), str(error))
                continue
            yield from _of_recipe(path, recipe)


def read_examples(places: LoraManagerPlaces, named: Path | None) -> Iterator[SourceRecord | Refusal]:
    """Yield a record for each folder of example images; its name is the hash that LoRA Manager believed in.

    Args:
        places: where they lie.
        named: one more folder of them, which the owner names.
    """
    for folder in dict.fromkeys([*places.examples, *([named.absolute()] if named else [])]):
        inner = _looked_into(folder, _named_by_hashes)
        if isinstance(inner, Refusal):
            yield inner
        else:
            yield from filter(None, (_looked_into(each, _of_examples) for each in inner))


def _looked_into(folder: Path, look: Callable[[Path], T]) -> T | Refusal:
    try:
        return look(folder)
    except OSError as error:
        return Refusal("", str(folder), str(unreadable(folder, error)))


def _named_by_hashes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if IS_HASH.fullmatch(path.name))


def _of_recipe(path: Path, recipe: JsonObject) -> Iterator[SourceRecord | Refusal]:
    models = [model for model in _named_models(recipe) if isinstance(model.get("hash"), str)]
    example = _example(recipe)
    picture = path.with_name(path.name.removesuffix(RECIPE_SUFFIX) + ".webp")
    seen: set[str] = set()
    for model in models:
        claims = claims_of((HashKind.SHA256, model["hash"], Grade.C))
        if not claims or claims[0].value in seen:
            continue
        seen.add(claims[0].value)
        yield SourceRecord(
            KIND,
            key=f"{path}#{claims[0].value}",
            digest=digest_of(recipe),
            stem=stem_of(clean(model.get("file_name")) + ".safetensors"),
            meaning=Meaning(examples=(example,) if example else ()),
            raw=recipe,
            claims=claims,
            images=(ImageFile(str(picture), ImageRank.EXAMPLE),) if picture.is_file() else (),
        )


def _named_models(recipe: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for model in (*list_of(recipe.get("loras")), recipe.get("checkpoint")):
        if isinstance(model, dict):
            yield model


def _example(recipe: Mapping[str, Any]) -> JsonObject:
    made = object_of(recipe.get("gen_params"))
    example: JsonObject = {name: said for name in ("prompt", "negative_prompt") if (said := text(made.get(name)))}
    if not example:
        return {}
    known = {name: made[name] for name in _PROMPT_KEYS if isinstance(made.get(name), int | float | str)}
    title = text(recipe.get("title"))
    return {**example, **known, **({"title": title} if title else {})}


def _of_examples(folder: Path) -> SourceRecord | None:
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    claims = claims_of((HashKind.SHA256, folder.name, Grade.C))
    if not names or not claims:
        return None
    return SourceRecord(
        KIND,
        key=str(folder),
        digest=digest_of([(name, (folder / name).stat().st_size) for name in names]),
        raw={"images": names},
        claims=claims,
        images=tuple(ImageFile(str(folder / name), _rank(name)) for name in sorted(names, key=_order)),
    )


def _rank(name: str) -> ImageRank:
    return ImageRank.OWN if name.startswith("custom_") else ImageRank.EXAMPLE


def _order(name: str) -> tuple[int, int, str]:
    index = Path(name).stem.rpartition("_")[2]
    return (not name.startswith("custom_"), int(index) if index.isdecimal() and len(index) < 10 else 0, name)
