"""The command line: one module per group of commands, and what they share."""

from modelkeep.cli.app import run

__all__ = ["run"]
