"""`modelkeep page`: the daemon's page in the browser."""

import os
from typing import Annotated

import typer

from modelkeep.cli.context import invocation
from modelkeep.cli.help import examples
from modelkeep.cli.output import console
from modelkeep.cli.wording import clean

EXAMPLES = examples("modelkeep page", "modelkeep page --print")

_BROWSER_SIGNS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Without any of them there is no browser that could be seen."""

_EVERYWHERE = {"//0.0.0.0:": "//127.0.0.1:", "//[::]:": "//[::1]:"}
"""Addresses that are listened on, and what a browser on this machine calls instead."""


def page(
    context: typer.Context,
    only_print: Annotated[bool, typer.Option("--print", help="Only print its address.")] = False,
) -> None:
    """Open the page in the browser, or print its address.

    The daemon serves it. It shows what the daemon does, the library, and both sides of conflicts with their images.
    """
    from modelkeep.cli.client import require

    call = invocation(context)
    with require(call.settings, call.command("run")) as client:
        address = address_of(client.get("/api/address")["url"])
    if only_print or not _opened(address):
        print(clean(address))
    else:
        console().print(f"Opened {clean(address)}")


def address_of(url: str) -> str:
    """Return the address of the page as a browser of this machine calls it.

    Args:
        url: where the daemon listens.
    """
    address = url
    for listened, called in _EVERYWHERE.items():
        address = address.replace(listened, called)
    return f"{address}/"


def _opened(address: str) -> bool:
    import webbrowser

    return any(os.environ.get(name) for name in _BROWSER_SIGNS) and webbrowser.open(address)
