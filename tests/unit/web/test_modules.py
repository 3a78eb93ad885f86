"""The page's pure modules, in the JavaScript of node."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.programs import needs

from modelkeep.cli import journal_words

STATIC = Path(__file__).parents[3] / "daemon" / "modelkeep" / "web" / "static"

Evaluate = Callable[..., Any]

pytestmark = needs("node")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluate:
    """Return what an expression gives; in it `m` is the module, `v` are the values."""
    # Not every node takes a `.js` for a module without being told.
    folder = shutil.copytree(STATIC, tmp_path_factory.mktemp("page") / "static")
    (folder / "package.json").write_text('{"type": "module"}')

    def evaluate(module: str, expression: str, *values: object, **environment: str) -> Any:
        script = (
            f"import * as m from {json.dumps((folder / module).as_uri())};"
            f"const v = {json.dumps(values)}; console.log(JSON.stringify({expression}));"
        )
        command = [str(shutil.which("node")), "--input-type=module", "--eval", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        return json.loads(done.stdout)

    return evaluate


def test_the_words_that_differ_are_found(evaluated: Evaluate) -> None:
    pairs = [
        ("a quiet evening light", "a loud morning light"),
        ("same", "same"),
        ("", "new words"),
        ("0.6, at night", "0.8, at night"),
        ("ein schöner Tag", "ein Tag"),
    ]
    marked = evaluated(
        "diff.js",
        "v[0].map(([a, b]) => Object.values(m.diffWords(a, b))"
        ".map((side) => side.map(({ text, differs }) => differs ? `[${text}]` : text).join('')))",
        pairs,
    )
    assert marked == [
        ["a [quiet evening] light", "a [loud morning] light"],
        ["same", "same"],
        ["", "[new words]"],
        ["0.[6], at night", "0.[8], at night"],
        ["ein [schöner ]Tag", "ein Tag"],
    ]


def test_texts_that_are_too_long_to_compare_are_told_apart_as_a_whole(evaluated: Evaluate) -> None:
    one, other = " ".join(f"a{number}" for number in range(3000)), " ".join(f"b{number}" for number in range(3000))
    sides = evaluated("diff.js", "m.diffWords(...v)", f"begin {one} end", f"begin {other} end")
    assert [piece["differs"] for piece in sides["one"]] == [False, True, False]
    assert "".join(piece["text"] for piece in sides["other"]) == f"begin {other} end"


def test_the_page_has_words_for_every_event_that_the_command_line_has_words_for() -> None:
    sentences = (STATIC / "words.js").read_text("utf-8").partition("const SENTENCES")[2]
    assert set(journal_words._SENTENCES) <= set(re.findall(r'^  "([a-z_.]+)":', sentences, re.MULTILINE))


def test_a_record_of_another_version_is_shown_with_its_fields(evaluated: Evaluate) -> None:
    records = [
        {"seq": 1, "event": "hash.finished", "bytes": 6_400_000_000, "seconds": 4, "sha256": "ab" * 32},
        {"seq": 2, "event": "image.published", "files": None},
        {"seq": 3, "event": "moon.risen", "phase": "full", "height_m": 12000},
        {"seq": 4, "event": "hash.failed", "error": "it is gone", "attempts": 2},
    ]
    said = evaluated("words.js", "v[0].map(m.sentence)", records, LC_ALL="en_US.UTF-8")
    assert said == [
        "hashed: 6.4 GB in 4 sec, 1.6 GB/s; sha256 abababababab",
        "0 files of its images stored",
        "phase full, height m 12,000",
        "not hashed (attempt 2): it is gone",
    ]


def test_numbers_and_times_are_the_readers(evaluated: Evaluate) -> None:
    expression = "[m.count(1234567), m.size(1500000), m.share(1, 3), m.dateTime(1795168800000), m.dateTime(0)]"
    german = evaluated("format.js", expression, LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo")
    assert german == ["1.234.567", "1,5 MB", "33\xa0%", "20.11.2026, 19:00:00", "\u2013"]


CONFLICTS = """await (async () => {
    const [there, stays, decided] = v;
    globalThis.fetch = async (address) => {
        const asked = new URLSearchParams(address.split("?")[1]);
        const from = Number(asked.get("offset"));
        const pending = there.slice(from, from + Number(asked.get("limit"))).map((id) => ({ id, name: "" }));
        if (from === 500 && decided) {
            conflicts.drop(decided);
        }
        return new Response(JSON.stringify({ pending }));
    };
    const conflicts = new m.Conflicts();
    const shown = [];
    await conflicts.fetch(stays ?? undefined, () => shown.push(conflicts.current?.id ?? null));
    return [shown, conflicts.rows.length];
})()"""


@pytest.mark.parametrize(
    ("stays", "decided", "shown", "left"),
    [
        (None, None, [1, 1, 1], 1200),
        (3, None, [3, 3, 3], 1200),
        (900, None, [900, 900], 1200),  # nobody is led to the first one meanwhile
        (7777, None, [1], 1200),
        (3, 2, [3, 3, 3], 1199),  # what is decided meanwhile does not come back
    ],
)
def test_a_reader_stays_at_a_conflict_while_the_list_is_fetched(
    evaluated: Evaluate, stays: int | None, decided: int | None, shown: list[int], left: int
) -> None:
    assert evaluated("conflicts.js", CONFLICTS, list(range(1, 1201)), stays, decided) == [shown, left]
