"""`modelkeep dev tour`, which `make run` calls: the main job once, shown from beginning to end.

It imports what it is given (or a demo library that it makes), runs the daemon in the foreground, shows how the queue
becomes empty, sums up, and stays until Ctrl-C.
"""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modelkeep.cli.context import Invocation
from modelkeep.cli.daemon import describe
from modelkeep.cli.exits import WrongUse, signals_held_back
from modelkeep.cli.import_progress import run_import
from modelkeep.cli.import_view import guessed_mapping, print_report
from modelkeep.cli.imports import path_pairs
from modelkeep.cli.output import console
from modelkeep.cli.wording import clean
from modelkeep.dev.place import demo_folder
from modelkeep.domain.legacy import ImportOrder

_KIND = "hikaze"


@dataclass(frozen=True)
class TourPlan:
    """What the environment asks the tour to do; empty fields were not given."""

    roots: tuple[Path, ...] = ()
    legacy: Path | None = None
    images: Path | None = None
    path_map: tuple[tuple[str, str], ...] = ()
    data_dir: Path | None = None


def plan_from(environment: Mapping[str, str]) -> TourPlan:
    """Read ROOT (several joined by `:`), LEGACY, IMAGES, MAP (`OLD=NEW`) and DATA_DIR.

    Raises:
        WrongUse: a folder or file that does not exist, or a MAP without `=`.
    """

    def given(name: str) -> Path | None:
        text = environment.get(name, "")
        return Path(text).expanduser().absolute() if text else None

    roots = tuple(Path(text).expanduser().absolute() for text in environment.get("ROOT", "").split(":") if text)
    plan = TourPlan(
        roots=roots,
        legacy=given("LEGACY"),
        images=given("IMAGES"),
        path_map=path_pairs([text] if (text := environment.get("MAP", "")) else []),
        data_dir=given("DATA_DIR"),
    )
    _check(plan)
    return plan


def tour(call: Invocation) -> int:
    """Do what the environment asks for, until Ctrl-C; return the exit status."""
    plan = plan_from(os.environ)
    call.data_dir = plan.data_dir or call.data_dir
    plan = _with_library(plan, call)
    describe(call.settings)
    steps = itertools.count(1)
    out = console()
    if plan.legacy is not None:
        out.print(f"{next(steps)}. Import what {clean(plan.legacy)} knows", style="bold")
        _import(call, ImportOrder(_KIND, str(plan.legacy), str(plan.images or ""), plan.path_map))
    what = "it hashes every file and moves what is known to its content"
    out.print(f"{next(steps)}. Run the daemon: {what}", style="bold")
    return _run(call)


def _import(call: Invocation, order: ImportOrder) -> None:
    out = console()
    rehearsal, _ = run_import(call.settings, replace(order, dry_run=True))
    lost = rehearsal["not_found"]
    guessed = guessed_mapping(call.settings, order, lost) if lost else None
    if guessed is not None:
        old, new = guessed
        out.print(f"No file is at its path, e.g. {clean(lost[0])}, but below {clean(new)} they are. So this is used:")
        out.print(f"  MAP={call.quoted(f'{old}={new}')}", style="cyan")
        order = replace(order, path_map=(*order.path_map, guessed))
    report, _ = run_import(call.settings, order)
    print_report(report, out)
    if lost and guessed is None:
        out.print(
            f"No file is at its path, e.g. {clean(lost[0])}: set MAP=OLD=NEW to where they are.", style="yellow"
        )


def _run(call: Invocation) -> int:
    from modelkeep.cli.tour_watch import watching
    from modelkeep.service.running import run_daemon

    with watching(call) as announce:
        return run_daemon(call.settings, announce=announce, log_level="error")


def _with_library(plan: TourPlan, call: Invocation) -> TourPlan:
    """Set the roots: those given, those configured, or else a demo library in the data folder."""
    if plan.roots:
        call.overrides["roots"] = [{"path": str(root)} for root in plan.roots]
        return plan
    settings = call.settings
    if settings.model_roots() and not call.shows_demo:
        return plan
    if plan.legacy is not None:
        raise WrongUse(
            "LEGACY is set but ROOT is not, and no root is configured: set ROOT to the folder of the models"
        )
    return _with_demo(plan, call, demo_folder(settings.data_dir))


def _with_demo(plan: TourPlan, call: Invocation, folder: Path) -> TourPlan:
    from modelkeep.dev.demo import make_demo

    with signals_held_back():
        # Half a demo would be in the way of every later run.
        library = make_demo(folder)
    out = console()
    out.print(f"No root is configured, so this is a demo library: {clean(library.folder)}", style="bold")
    out.print("Your own: make run ROOT=/path/to/models LEGACY=/path/to/hikaze_mm.sqlite3")
    for sentence in library.look_for:
        out.print(f"- {clean(sentence)}")
    call.overrides["roots"] = [{"path": str(library.models)}]
    del call.settings  # it is read again, now with the demo's root
    return replace(plan, legacy=library.database, images=library.images)


def _check(plan: TourPlan) -> None:
    for name, path in (*(("ROOT", root) for root in plan.roots), ("IMAGES", plan.images)):
        if path is not None and not path.is_dir():
            raise WrongUse(f"{name}: {path} is no folder")
    if plan.legacy is not None and not plan.legacy.exists():
        raise WrongUse(f"LEGACY: {plan.legacy} does not exist")
