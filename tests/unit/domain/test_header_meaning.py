"""A header says what its maker knew of the model, in whichever of the vocabularies."""

from typing import Any

import pytest

from modelkeep.domain.content_row import ContentRow
from modelkeep.domain.header_meaning import header_meaning, header_record
from modelkeep.domain.knowledge import Grade, HashClaim, HashKind, Meaning, Origin, Standing, Text, TextFormat, Weight

TENSORS = "ab" * 32


def test_modelspec_is_understood() -> None:
    said = {
        "modelspec.title": "Title",
        "modelspec.description": "<p>Words</p>",
        "modelspec.author": "Somebody",
        "modelspec.license": "CC0",
        "modelspec.usage_hint": "low cfg",
        "modelspec.tags": "a, b,a,",
        "modelspec.trigger_phrase": "trigger, other",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.lora_default_weight": "0.8",
        "source_url": "https://example.org/m",
        "air": "urn:air:sdxl:lora:civitai:12@34",
        "repo_id": "org/name",
    }
    assert header_meaning("safetensors", said) == Meaning(
        title="Title",
        description=Text("<p>Words</p>", TextFormat.HTML),
        author="Somebody",
        licence="CC0",
        usage_hint="low cfg",
        tags=("a", "b"),
        trigger_words=("trigger", "other"),
        base_model="stable-diffusion-xl-v1-base",
        weight=Weight(0.8),
        origins=(
            Origin("civitai", "12", "34"),
            Origin("huggingface", "org/name"),
            Origin("url", url="https://example.org/m"),
        ),
    )


def test_kohyas_and_additional_networks_keys_are_understood() -> None:
    said = {
        "ss_output_name": "out",
        "ss_base_model_version": "sdxl_base_v1-0",
        "ssmd_description": "d",
        "ssmd_keywords": '["k", "l"]',
        "ssmd_tags": "t",
        "ssmd_rating": "4",
        "ssmd_author": "x",
        "modelspec.title": "None",
        "modelspec.author": "null",
    }
    assert header_meaning("safetensors", said) == Meaning(
        title="out",
        description=Text("d"),
        base_model="sdxl_base_v1-0",
        trigger_words=("k", "l"),
        tags=("t",),
        rating=4,
        author="x",
    )


def test_ggufs_keys_are_understood() -> None:
    said: dict[str, Any] = {
        "general.name": "Name",
        "general.architecture": "llama",
        "general.base_model.0.name": "Base",
        "general.tags": ["a", "b"],
        "general.license": "mit",
        "general.url": "https://example.org",
        "general.version": "v2",
        "general.organization": "Org",
    }
    assert header_meaning("gguf", said) == Meaning(
        title="Name",
        version="v2",
        base_model="Base",
        tags=("a", "b"),
        licence="mit",
        author="Org",
        origins=(Origin("url", url="https://example.org"),),
    )


@pytest.mark.parametrize("value", [None, 5, True, ["x"], {"summary": "text", "length": 9}, "", "None", "\0"])
def test_what_is_no_text_where_one_belongs_says_nothing(value: object) -> None:
    keys = ("title", "description", "author", "license", "usage_hint", "architecture")
    assert header_meaning("safetensors", {f"modelspec.{key}": value for key in keys}).is_empty


@pytest.mark.parametrize("value", ["", "nan", "1e999", "x", True, [1], {"a": 1}, "9" * 5_000])
def test_a_weight_that_is_none_says_nothing(value: object) -> None:
    assert header_meaning("safetensors", {"modelspec.lora_default_weight": value}).is_empty


def test_a_url_that_runs_something_is_none() -> None:
    assert header_meaning("safetensors", {"source_url": "javascript:alert(1)"}).is_empty


def test_the_record_holds_the_header_whole_and_claims_what_it_says_of_its_tensors() -> None:
    keys = {"modelspec.hash_sha256": f"0x{TENSORS.upper()}", "sshs_model_hash": "0" * 64, "more": "x"}
    record = header_record(ContentRow("c" * 64, "safetensors", keys, "a problem"))
    assert record is not None
    assert (record.kind, record.standing, record.raw, record.owned) == ("header", Standing.HEADER, keys, frozenset())
    assert record.claims == (HashClaim(HashKind.TENSORS, TENSORS, Grade.D),)
    assert record.remarks == ("a problem",)
    assert header_record(ContentRow("c" * 64)) is None
