"""The exit status of `lookalike screen` where the database is lost among the answers."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from lookalike import ConnectionFailed, Match, Screening
from lookalike.cli import screen as command
from lookalike.cli.main import main

CLEAN = Screening("clean.jpg", (), None)
MATCH = Screening("match.jpg", (Match(1, "bad.jpg", 0.9, path=Path("/bad.jpg")),), None)
ERROR = Screening("error.jpg", (), "not an image")


@pytest.fixture
def screened(monkeypatch):
    """Run the command on a collection that gives these answers and then loses its database."""

    def run(*answers, is_lost=False, args=()):
        def screen(*_, **__):
            yield from answers
            if is_lost:
                raise ConnectionFailed("the server is gone", code=2006)

        images = SimpleNamespace(screen=screen)
        db = SimpleNamespace(collection=lambda name: images)
        monkeypatch.setattr(command, "connect", lambda *_, **__: nullcontext(db))
        return CliRunner().invoke(main, ["screen", "x", "--against", "y", *args])

    return run


@pytest.mark.parametrize(
    ("answers", "is_lost", "status"),
    [
        ([], False, 0),
        ([CLEAN], False, 0),
        ([CLEAN, ERROR], False, 2),
        ([ERROR, MATCH, CLEAN, ERROR], False, 1),
        ([MATCH], False, 1),
        ([CLEAN], True, 2),
        ([CLEAN, MATCH, ERROR], True, 1),
    ],
)
def test_a_match_decides(screened, answers, is_lost, status):
    done = screened(*answers, is_lost=is_lost)
    assert done.exit_code == status
    told = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert told == [answer.image for answer in answers]
    assert ("Error: the server is gone" in done.stderr) == is_lost


def test_errors_are_counted_also_where_little_is_said(screened):
    done = screened(ERROR, MATCH, args=["--quiet"])
    assert done.stderr == "1 image of 2 could not be checked\n"
