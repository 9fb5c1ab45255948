import ast
import re
import runpy

import lookalike
from tests.places import REPO

PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]


def test_the_command_line_page_is_up_to_date():
    generated = runpy.run_path(str(REPO / "docs" / "generate_cli.py"))["page"]()
    assert (REPO / "docs" / "cli.md").read_text() == generated, "run `make docs`"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_public_error_is_documented():
    text = (REPO / "docs" / "python.md").read_text()
    for name in lookalike.__all__:
        if name.endswith("Error") or name in ("ConnectionFailed", "UnsupportedServer"):
            assert name in text


def test_troubleshooting_quotes_messages_that_exist():
    page = (REPO / "docs" / "troubleshooting.md").read_text()
    quoted = re.findall(r"^> (.+)$", page, re.M)
    trees = [ast.parse(file.read_text()) for file in (REPO / "src").rglob("*.py")]
    said = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(quoted) > 10
    assert [q for q in quoted if not any(q in text for text in said)] == []
