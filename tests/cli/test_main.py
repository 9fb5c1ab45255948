"""The command group: its help, completion, and what is said of a command that does not exist."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lookalike.cli.main import COMMANDS, MEANT, main

SLOW = {"numpy", "PIL", "pymysql", "rich", "onnxruntime", "lookalike.client"}


def run(*arguments):
    return CliRunner().invoke(main, arguments, prog_name="lookalike")


def test_the_lines_of_help_are_the_commands_own():
    context = click.Context(main)
    for name, (_, line) in COMMANDS.items():
        command = main.get_command(context, name)
        assert command.name == name
        assert command.get_short_help_str(limit=200) == line


def test_help_lists_every_command():
    found = run("--help").stdout
    assert all(f"\n  {name} " in found for name in COMMANDS)


@pytest.mark.parametrize("arguments", [(), ("search",), ("collections", "delete")])
def test_help_is_a_command_too(arguments):
    assert run("help", *arguments).stdout == run(*arguments, "--help").stdout
    assert run("help", *arguments).exit_code == 0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("serach", "lookalike search"),
        ("stauts", "lookalike status"),
        ("ls", "lookalike collections, lookalike status"),
        ("list", "lookalike collections, lookalike status"),
        (
            "drop",
            "lookalike collections delete, lookalike attributes drop, lookalike index drop",
        ),
        ("delete", "lookalike remove, lookalike collections delete, lookalike duplicates --delete"),
    ],
)
def test_an_unknown_command_is_answered_with_the_one_that_was_meant(typed, meant):
    found = run(typed)
    assert found.exit_code == 2
    assert f"No such command '{typed}'. Did you mean: {meant}?" in found.stderr


def test_nothing_is_suggested_for_a_word_like_no_command():
    assert "No such command 'nonsense'.\n" in run("nonsense").stderr


def test_help_does_not_know_other_commands():
    assert "No such command 'nonsense'" in run("help", "nonsense").stderr


@pytest.mark.parametrize("command", [each for meant in MEANT.values() for each in meant])
def test_what_is_suggested_exists(command):
    *names, option = command.split() if "--" in command else [*command.split(), "--help"]
    assert option in run(*names, "--help").stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_nothing_slow(option):
    program = (
        "import sys; from lookalike.cli.main import main\n"
        f"main([{option!r}], standalone_mode=False)\n"
        f"print({SLOW!r} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "set()\n"


@pytest.mark.parametrize(
    ("words", "number", "expected"),
    [
        ("lookalike s", 1, ["search", "screen", "status", "sql", "serve", "server"]),
        ("lookalike search --weighted", 2, ["--weighted", "--weighted-text"]),
    ],
)
def test_completion(words, number, expected):
    done = subprocess.run(
        [sys.executable, "-m", "lookalike"],
        env={
            "_LOOKALIKE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(number),
        },
        capture_output=True,
        text=True,
    )
    found = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["search", "--json"], "InputError", "give a query"),
        (["search", "--json", "--bad"], "NoSuchOption", "No such option '--bad'"),
        (["sql", "SELECT 1", "--json", "--database", "x"], "InputError", "is not a database URL"),
        (["serach", "--json"], "UsageError", "lookalike search"),
    ],
)
def test_errors_are_json_too(arguments, kind, said):
    done = run(*arguments)
    document = json.loads(done.stdout)
    assert (done.exit_code, document["type"], done.stderr) == (2, kind, "")
    assert said in document["error"]
