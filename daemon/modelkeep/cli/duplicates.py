"""`modelkeep duplicates`: copies apart from links, and what could be freed."""

import typer

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.help import examples
from modelkeep.cli.output import console, print_json

EXAMPLES = examples("modelkeep duplicates", "modelkeep duplicates --json")


def duplicates(context: typer.Context, as_json: AsJson = False) -> None:
    """List contents that are stored more than once.

    It tells copies from hard links, from symbolic links and from the same weights under another header, and says
    what could be freed. Nothing is deleted: which copy
    stays is your decision.
    """
    from modelkeep.cli.duplicates_view import duplicates_view
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        found = reader.get("/api/duplicates", slowly=True)
    if as_json:
        print_json(found)
    elif found["duplicates"] or found["siblings"]:
        console().print(duplicates_view(found))
    else:
        console().print("Every model has one copy only.")
