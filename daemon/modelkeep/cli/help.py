"""How commands present themselves: in an order and in sections, with examples below each."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typer.core import TyperArgument, TyperGroup


def examples(*commands: str) -> str:
    """Return what stands below the help of a command: command lines to try."""
    # \b keeps click from joining the lines.
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


class Group(TyperGroup):
    """A group of commands; `sections` says under which titles and in which order its commands are listed."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; its arguments are explained by their names and not by the types of Python."""
        command = super().get_command(ctx, cmd_name)
        for parameter in command.params if command else ():
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _no_type  # type: ignore[method-assign] # Typer has no setting for it
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands by sections; what is in none stands last."""
        names = [name for name in self.list_commands(ctx) if not self.get_command(ctx, name).hidden]
        placed = {name for section in self.sections.values() for name in section}
        rest = [name for name in names if name not in placed]
        longest = max(map(len, names))
        columns = formatter.width - 6 - longest
        for title, section in {**self.sections, "Commands" if not placed else "Other": rest}.items():
            rows = [
                (name.ljust(longest), self.get_command(ctx, name).get_short_help_str(columns))
                for name in section
                if name in names
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _no_type(ctx: Any) -> str:  # noqa: ARG001 - the signature is Typer's
    return ""
