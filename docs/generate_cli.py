"""Write docs/cli.md from the commands' own help: `make docs`. A test holds it up to date."""

from pathlib import Path

import click

from lookalike.cli.main import main

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 90


def page() -> str:
    """The text of docs/cli.md."""
    parts = ["# The command line\n", "Written by `make docs` from `lookalike --help`.\n"]
    for path, command in _walk("lookalike", main):
        settings = {**main.context_settings, **command.context_settings}
        context = click.Context(command, info_name=path, max_content_width=WIDTH, **settings)
        context.terminal_width = WIDTH
        help_text = command.get_help(context)
        parts.append(
            f"{'##' if path.count(' ') < 2 else '###'} {path}\n\n```text\n{help_text}\n```\n"
        )
    return "\n".join(parts)


def _walk(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            found += _walk(f"{path} {name}", command.get_command(context, name))
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
