"""The examples of the pages: what a reader can type, in the reader's order."""

import ast
import re
from dataclasses import dataclass

from tests.places import REPO

# In the order in which the README leads to them; the rest has no examples.
PAGES = ("README.md", *(f"docs/{page.name}" for page in sorted((REPO / "docs").glob("*.md"))))

SHELL, SQL, PYTHON = "sh", "sql", "python"
SHOWN = ("text", "csv", "ini", "nginx", "php", "py")  # output, and files, which other tests run
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_HELP = re.compile(r"^  (lookalike .*?)(?:   .*)?$", re.M)


@dataclass(frozen=True)
class Example:
    """One thing to run: a command, or a block of SQL or Python; line is where it begins."""

    language: str
    text: str
    line: int


def examples(page: str) -> list[Example]:
    """All examples of a page. Raises AssertionError for a block of an unknown language."""
    text = (REPO / page).read_text(encoding="utf-8")
    found = []
    for block in _BLOCK.finditer(text):
        language, content = block.groups()
        line = text.count("\n", 0, block.start()) + 2
        if language in ("", SHELL):
            found += _commands(content, line)
        elif language in (SQL, PYTHON):
            found.append(Example(language, content, line))
        else:
            assert language in SHOWN, f"{page}:{line - 1}: a block of {language!r}"
            if page == "docs/cli.md":
                found += _of_help(content, line)
    return found


def _commands(content: str, line: int) -> list[Example]:
    """One command a line; a backslash at a line's end continues it."""
    found, start = [], None
    for number, part in enumerate(content.splitlines()):
        if start is None and part.strip() and not part.startswith("#"):
            start = number
        if start is not None and not part.endswith("\\"):
            lines = content.splitlines()[start : number + 1]
            found.append(Example(SHELL, "\n".join(lines), line + start))
            start = None
    assert start is None, f"line {line}: the last command goes on after the block"
    return found


def _of_help(content: str, line: int) -> list[Example]:
    return [
        Example(SHELL, match[1].strip(), line + content.count("\n", 0, match.start()))
        for match in _HELP.finditer(content)
    ]


def bare(command: str) -> str:
    """A command without the comment at its end, its spaces made single."""
    return re.sub(r"\s+", " ", re.sub(r"(^|\s)#\s.*", "", command)).strip()


_COMMAND = re.compile(r"\blookalike (?:[a-z-]+ ?)(?:[^`;,:.()'\n]|\.(?=\w))*")


def remedies() -> list[str]:
    """The commands that messages in the source name; what they fill in is `x`."""
    found: set[str] = set()
    for file in sorted((REPO / "src").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inside = {part for node in ast.walk(tree) for part in _parts(node)}
        for node in ast.walk(tree):
            if node not in inside and (text := _text(node)):
                found |= {match[0].strip() for match in _COMMAND.finditer(text)}
    return sorted(found)


def _parts(node: ast.AST) -> list[ast.AST]:
    """The pieces of an f-string, and a docstring, which are no messages by themselves."""
    if isinstance(node, ast.JoinedStr):
        return list(node.values)
    if isinstance(node, ast.Expr):
        return [node.value]
    return []


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "x" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
