"""How a server begins, and what who has no token sees."""

import os
import subprocess
import sys

import pytest

NO_FASTAPI = (
    "import sys; sys.modules['fastapi'] = None; sys.argv = ['lookalike', 'serve']; "
    "from lookalike.__main__ import main; main()"
)


def test_without_the_extra_the_command_is_named_and_nothing_started(tmp_path):
    environment = {**os.environ, "LOOKALIKE_HOME": str(tmp_path)}
    environment.pop("LOOKALIKE_DATABASE", None)
    done = subprocess.run(
        [sys.executable, "-c", NO_FASTAPI], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: lookalike serve needs an extra: ")
    assert "-m pip install" in done.stderr and "[web]" in done.stderr
    assert not list(tmp_path.glob("*mysql*"))


@pytest.mark.parametrize(
    ("path", "heading"),
    [("/", "You need the token"), ("/?token=nonsense", "This token is wrong")],
)
def test_the_page_says_where_the_token_is(served, path, heading):
    with served.client(token="") as client:
        answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 401
    assert f"<h2>{heading}</h2>" in answer.text
    assert "<code>lookalike serve</code> printed" in answer.text


def test_a_page_that_does_not_exist_says_so_in_words(api):
    answer = api.get("/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no such page." in answer.text
