"""What is known of a model in the shape of Civitai's answer about a version, which several tools keep."""

from modelkeep.domain.knowledge import HashKind
from modelkeep.domain.values import JsonObject
from modelkeep.exporters.known import KnownModel, own_file
from modelkeep.exporters.merging import filled, without_empty
from modelkeep.exporters.texts import as_html


def version_answer(model: KnownModel) -> JsonObject:
    """Return an answer about a version: as it was received where somebody keeps it, else made of what is known.

    Of its files it names this one alone, by the hashes of its own bytes. Empty where the version is not known.
    """
    origin = model.civitai
    if origin is None:
        return {}
    made: JsonObject = {
        "id": int(origin.version_id),
        "modelId": int(origin.model_id),
        "name": model.meaning.version,
        "baseModel": model.meaning.base_model,
        "trainedWords": list(model.meaning.trigger_words),
        "description": as_html(model.meaning.version_description),
        "model": {
            "name": model.title,
            "type": civitai_type(model.type),
            "nsfw": False,
            "poi": False,
            "description": as_html(model.meaning.description),
            "tags": list(model.meaning.tags),
        },
        "images": [],
        **({"creator": {"username": model.meaning.author}} if model.meaning.author else {}),
    }
    is_same = model.answer.get("id") == made["id"]
    answer = filled(model.answer, made, prefer_ours=False) if is_same else made
    return {**answer, "files": [_file(model)]}


def _file(model: KnownModel) -> JsonObject:
    hashes = without_empty(
        {
            "SHA256": model.sha256.upper(),
            "AutoV2": model.sha256[:10].upper(),
            "AutoV3": model.digest(HashKind.AUTOV3).upper(),
            "BLAKE3": model.digest(HashKind.BLAKE3).upper(),
        }
    )
    received = own_file(model.answer, model.sha256)
    made = {"name": model.name, "sizeKB": model.size_bytes / 1024, "type": "Model"}
    return {**made, **received, "primary": True, "hashes": hashes}


_TYPES = {
    "checkpoints": "Checkpoint",
    "stable-diffusion": "Checkpoint",
    "diffusion_models": "Checkpoint",
    "unet": "Checkpoint",
    "loras": "LORA",
    "lora": "LORA",
    "lycoris": "LoCon",
    "embeddings": "TextualInversion",
    "hypernetworks": "Hypernetwork",
    "controlnet": "Controlnet",
    "vae": "VAE",
    "upscale_models": "Upscaler",
}


def civitai_type(type_: str) -> str:
    """Return Civitai's word for a type of models."""
    return _TYPES.get(type_.casefold(), "Other")
