"""`modelkeep duplicates`: copies apart from links, and what could be freed."""

import typer

from modelkeep.cli.context import AsJson, invocation
from modelkeep.cli.output import console, print_json

EXAMPLES = "Nothing is deleted: which copy stays is for the owner to say."


def duplicates(context: typer.Context, as_json: AsJson = False) -> None:
    """List the contents that lie at several places, and what could be freed."""
    from modelkeep.cli.duplicates_view import duplicates_view
    from modelkeep.cli.reading import open_reader

    with open_reader(invocation(context).settings) as reader:
        found = reader.get("/api/duplicates", slowly=True)
    if as_json:
        print_json(found)
    elif found["duplicates"]:
        console().print(duplicates_view(found))
    else:
        console().print("Every model lies at one place only.")
