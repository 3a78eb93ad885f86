"""What the demo library holds: every model file, and what the legacy database says of it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Claim(Enum):
    """What the legacy database holds as a file's hash."""

    NONE = "none"
    RIGHT = "right"
    UPPER_CASE = "upper-case"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class DemoModel:
    """One model file. `content` names its bytes (empty: those of its own), `image` is a kind of image or empty.

    `is_known` tells whether the legacy database has a row of it, `is_there` whether the file is there.
    """

    path: str
    size_kb: int = 60
    content: str = ""
    claim: Claim = Claim.NONE
    tags: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    image: str = ""
    is_known: bool = True
    is_there: bool = True


TAG_COLOURS = {
    "favourite": "#f1c40f",
    "photo": "#3498db",
    "style": "#9b59b6",
    "hero": "#e67e22",
    "to sort": "#e74c3c",
}

MODELS = (
    DemoModel(
        "checkpoints/sd15/dreamlike_v2.safetensors",
        260,
        claim=Claim.RIGHT,
        tags=("favourite", "photo"),
        extra={
            "description": "Dreamy checkpoint.\nUse CFG 7 and clip skip 2.",
            "community_links": "https://example.org/dreamlike",
            "prompts": {"positive": "masterpiece, best quality", "negative": "lowres, blurry"},
            "params": {"steps": 28, "sampler": "dpmpp_2m", "cfg": 7.0},
        },
        image="large png",
    ),
    DemoModel("checkpoints/sd15/anything-v3.ckpt", 220, tags=("to sort",)),
    DemoModel(
        "checkpoints/sdxl/juggernautXL_v9.safetensors",
        300,
        content="juggernaut",
        claim=Claim.RIGHT,
        tags=("photo",),
        extra={"description": "Photographs. 832x1216 works best."},
        image="lying jpeg",
    ),
    DemoModel("checkpoints/sdxl/backup/juggernautXL_v9.safetensors", 300, content="juggernaut", tags=("to sort",)),
    DemoModel("checkpoints/flux/flux1-dev-Q4_K_S.gguf", 280, claim=Claim.RIGHT, image="png"),
    DemoModel("checkpoints/turbo/sd_turbo.safetensors", 200),
    DemoModel("checkpoints/new/mystery_merge.safetensors", 180, is_known=False),
    DemoModel(
        "loras/style/watercolour.safetensors",
        90,
        claim=Claim.UPPER_CASE,
        tags=("style", "favourite"),
        extra={"description": "Wet on wet.", "params": {"weight": 0.6, "clip_skip": 2}},
        image="webp",
    ),
    DemoModel(
        "loras/style/水彩スタイル.safetensors", 70, tags=("style",), extra={"description": "水彩"}, image="png"
    ),
    DemoModel(
        "loras/style/pixel-art-xl.safetensors",
        80,
        tags=("style",),
        extra={"prompts": {"positive": "pixel art, 16 bit", "negative": "3d render"}, "trigger": "pixel art"},
        image="gif",
    ),
    DemoModel(
        "loras/style/ink_wash.safetensors",
        60,
        tags=("style",),
        extra={"community_links": "https://example.org/ink-wash", "rating": 4},
    ),
    DemoModel(
        "loras/char/hero_v12.safetensors",
        75,
        content="hero",
        tags=("hero", "favourite"),
        extra={
            "description": "The hero of our story.",
            "prompts": {"positive": "hero, cape", "negative": ""},
            "params": {"weight": 0.8},
        },
        image="png",
    ),
    DemoModel(
        "loras/char/from a friend/hero_v12.safetensors",
        75,
        content="hero",
        tags=("hero", "to sort"),
        extra={"description": "Somebody sent me this one; ask for the licence."},
        image="jpeg",
    ),
    DemoModel("loras/detail/add_detail.safetensors", 55, claim=Claim.WRONG, extra={"description": "Sharper skin."}),
    DemoModel("loras/detail/age_slider.safetensors", 50, extra={"description": "From -5 to 5."}, is_there=False),
    DemoModel("loras/detail/hand_fix.safetensors", 65, tags=("to sort",), image="text"),
    DemoModel("loras/speed/lcm-lora-sdv1-5.safetensors", 110, claim=Claim.RIGHT),
    DemoModel("loras/new/just_downloaded.safetensors", 85, is_known=False),
    DemoModel("vae/vae-ft-mse-840000.safetensors", 120, claim=Claim.RIGHT),
    DemoModel("vae/sdxl_vae.safetensors", 130),
    DemoModel("controlnet/canny_fp16.safetensors", 150, extra={"description": "Edges."}, image="png"),
    DemoModel("controlnet/openpose/control_v11p_openpose.pth", 160),
    DemoModel("embeddings/badhand_v4.pt", 50, tags=("favourite",), extra={"prompts": {"negative": "badhand_v4"}}),
    DemoModel("embeddings/negative/EasyNegative.safetensors", 52, claim=Claim.RIGHT),
    DemoModel("upscale_models/4x-UltraSharp.pth", 140, claim=Claim.RIGHT, tags=("favourite",), image="jpeg"),
    DemoModel("upscale_models/RealESRGAN_x2plus.pth", 145),
)

LOOK_FOR = (
    "rows whose hash the old database held are models at once; one hash is upper-case, and taken all the same",
    "loras/detail/add_detail: the old hash is wrong; the daemon finds out when it is idle, and corrects it",
    "loras/char: hero_v12 is there twice with different descriptions; that is a conflict for you to decide",
    "checkpoints/sdxl: a backup copy with nothing of its own to say joins its model",
    "loras/detail/age_slider: its file is gone; what is known of it stays",
    "loras/detail/hand_fix: its preview is no image; the row is taken without it",
    "loras/new, checkpoints/new: two files that the old database does not know are found",
    "images: one lies on its side, one is animated, one is transparent, one has more than two megapixels",
)
