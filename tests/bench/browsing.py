"""S11: the page with a large library: how soon its questions are answered, and how soon a view is painted."""

import random
import statistics
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from tests.bench.measuring import Measured
from tests.bench.scene import Measuring, Scene
from tests.browser.person import CHROMIUM, started_browser

from modelkeep.catalogue.dialect import writing_engine
from modelkeep.catalogue.store.models import upsert_models
from modelkeep.catalogue.store.tags import create_tag, tag_model
from modelkeep.catalogue.upgrade import upgrade
from modelkeep.domain.values import Model

MODELS, TAGS = 50_000, 80
ANSWERS = 20
PAINT_MS_MAX = 300
WORDS = (
    "anime",
    "photo",
    "portrait",
    "flux",
    "pony",
    "hero",
    "water",
    "fire",
    "city",
    "dragon",
    "armor",
    "cat",
    "film",
)
TYPES = ("checkpoints", "controlnet", "embeddings", "vae", *["loras"] * 7)
QUESTIONS: Mapping[str, Mapping[str, str | int]] = {
    "first page by name": {"order": "name"},
    "last page by date": {"order": "newest", "from_end": 60},
    "search of a rare word": {"text": "zeppelin"},
    "search of two common words": {"text": "dragon cat", "order": "newest"},
    "models of a tag": {"tag": "tag 7"},
}
VIEWS = ("/", "/decide", "/queue", "/library", "/library?q=zeppelin", "/model/{sha256}", "/duplicates", "/journal")
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length"
_PAINT_MS = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def looking_through(scene: Scene) -> Iterator[Measured]:
    """Questions of the library view, and the first paint of every view, with a warm daemon."""
    number = scene.sized(MODELS)
    with scene.daemon() as daemon:
        known = _make_library(daemon.process.data_dir / "modelkeep.db", number)
        daemon.start()
        for work, asked in QUESTIONS.items():
            median, worst = _answer_ms(daemon, number, asked)
            yield Measured(
                work, f"{number:,} models", median, "ms", median, note=f"slowest of {ANSWERS}: {worst:.0f} ms"
            )
        for view, painted in _paints(daemon.process.url, known) if CHROMIUM else ():
            yield Measured(
                f"first paint of {view}",
                f"{number:,} models",
                painted,
                "ms",
                painted,
                "≤ 300 ms",
                painted <= PAINT_MS_MAX,
            )


def _make_library(path: Path, number: int) -> str:
    """Make a catalogue of so many models, and return the hash of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    upgrade(path)
    chance = random.Random(1)
    engine = writing_engine(path)
    with engine.begin() as connection:
        tags = [create_tag(connection, f"tag {count}").id for count in range(TAGS)]
        made = [_model(chance, count) for count in range(number)]
        upsert_models(connection, made)
        for model in made:
            tag_model(connection, model.sha256, chance.choice(tags))
    engine.dispose()
    return made[0].sha256


def _model(chance: random.Random, number: int) -> Model:
    name = f"{' '.join(chance.sample(WORDS, 2))} {number}"
    type_ = chance.choice(TYPES)
    description = " ".join([*chance.choices(WORDS, k=60), *(["zeppelin"] if number % 10_000 == 7 else [])])
    return Model(
        sha256=sha256(name.encode()).hexdigest(),
        path=f"/nowhere/{type_}/{name}.safetensors",
        name=name,
        type=type_,
        size_bytes=chance.randrange(1 << 33),
        created_at=chance.randrange(1 << 40),
        meta={
            "description": description,
            "prompts": {"positive": " ".join(chance.choices(WORDS, k=20)), "negative": ""},
        },
    )


def _answer_ms(daemon: Measuring, number: int, asked: Mapping[str, str | int]) -> tuple[float, float]:
    """Return the median and the longest time of an answer."""
    others = dict(asked)
    from_end = int(others.pop("from_end", number))
    taken = []
    for _ in range(ANSWERS):
        began = time.perf_counter()
        daemon.process.get("/api/models/browse", **others, limit=60, offset=max(0, number - from_end))
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken), max(taken)


def _paints(url: str, known: str) -> Iterator[tuple[str, float]]:
    """Yield how soon each view is painted first, in ms: the median of several."""
    with started_browser() as browser:
        page = browser.new_page()
        for view in VIEWS:
            taken = []
            for _ in range(5):
                page.goto("about:blank")
                page.goto(url + view.replace("{sha256}", known))
                page.wait_for_function(_PAINTED)
                taken.append(page.evaluate(_PAINT_MS))
            yield view, statistics.median(taken)
