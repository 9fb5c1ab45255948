"""Every command, SQL block and Python block of the README and docs, run as written.

Each page is read by somebody who has done what the README says: a clone, its .venv, the private
MySQL and ~/Pictures in the default collection. The README and the page about installing begin
with the clone alone. What the tests cannot run is named below, with the reason.
"""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lookalike.cli.main import COMMANDS, main
from tests.conftest import SHARED_HOME
from tests.examples import PAGES, PYTHON, SHELL, SQL, Example, bare, examples, remedies
from tests.places import PHOTOS
from tests.reader import Reader, make_home
from tests.storages import s3_server

pytestmark = pytest.mark.slow

FROM_THE_CLONE = ("README.md", "docs/installing.md")
MAIN = ("README.md", "docs/adding.md", "docs/searching.md", "docs/duplicates.md")  # in CI
TWICE = ("README.md",)  # its Python is what people paste first, and again

CLIP = "needs CLIP: gigabytes of packages, and weights from a hub"
NAMES = "is the form of the command"
GROUP = "is the number of a group in another collection"
TABLES = "needs a table of one's own"
OTHERS = "needs a server of somebody's own"
CLUSTER = "needs a Ray cluster"
NOT_RUN = {
    "make test": "runs this test",
    "lookalike add ~/Pictures --model clip-ViT-B-32 --collection pictures": CLIP,
    'lookalike search --text "a red bicycle" --collection pictures': CLIP,
    ".venv/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu": CLIP,
    ".venv/bin/pip install '.[clip]'": CLIP,
    "lookalike attributes drop NAME": NAMES,
    "lookalike duplicates --group 3": GROUP,
    "lookalike collections delete NAME": NAMES,
    "lookalike collections rename OLD NEW": NAMES,
    "lookalike watch ~/Pictures --prune": "runs until Ctrl-C",
    "lookalike serve": "runs until Ctrl-C",
    "make serve-demo": "runs until Ctrl-C",
    "lookalike serve --allowed-host images.example.com": "runs until Ctrl-C",
    ".venv/bin/pip install '.[web]'": "the tests have the extra",
    ".venv/bin/pip install '.[sqlalchemy]'": "the tests have the extra",
    ".venv/bin/pip install '.[django]'": "the tests have the extra",
    "cd examples/shop && uvicorn app:app": "runs until Ctrl-C",
    "lookalike index create shop.products.embedding --id product_id": TABLES,
    "lookalike search 17 --collection products": TABLES,
    "lookalike search https://example.org/photo.jpg": "is a placeholder in the internet",
    "lookalike add gs://bucket/photos https://example.org/photos/ https://example.org/bee.jpg": (
        "is a placeholder in the internet"
    ),
    ".venv/bin/pip install '.[remote]'": "the tests have the extra",
    "lookalike add /mnt/photos --ray 10.0.0.1:6379": CLUSTER,
    "lookalike add s3://bucket/photos --ray 10.0.0.1:6379 --workers 4:32 --gpus-per-worker 1": (
        CLUSTER
    ),
    "ray start --head --node-ip-address=10.0.0.1 --port=6379 --disable-usage-stats": CLUSTER,
    "ray start --address=10.0.0.1:6379 --disable-usage-stats": CLUSTER,
    "mysqldump --hex-blob --single-transaction shop > shop.sql": OTHERS,
    "mysql shop_copy < shop.sql": OTHERS,
    "lookalike copy mysql://me@old/shop mariadb://me@new/shop --dry-run": OTHERS,
    "lookalike copy mysql://me@old/shop mariadb://me@new/shop": OTHERS,
    "lookalike copy mysql://me@old/photos mariadb://me@new/photos": OTHERS,
    "lookalike copy mysql://me@old/shop mysql://me@new/shop --collection pictures": OTHERS,
}
# What a command ends with, where that is not 0.
STATUS = {
    "lookalike screen upload.jpg --against prohibited": 1,  # a match, as the next ones
    'lookalike screen ~/uploads --exclude "checked/" --against prohibited > report.txt': 1,
    "ls ~/uploads/*.jpg | lookalike screen - --against prohibited --json": 1,
    "ls ~/uploads/*.jpg | lookalike screen - --against image_embeddings --json": 1,
}
# What would wait for somebody to type; the SQL block below it is that.
WITHOUT_INPUT = ("lookalike server shell", "lookalike server shell --engine mariadb")


@pytest.fixture(scope="module")
def homes(installed_mysqld: Path, installed_mariadbd: Path) -> Iterator[tuple[Reader, Path, Path]]:
    """A reader, and two folders to copy its home from: after cloning, and after the README."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        home, cloned, read = (Path(folder, name) for name in ("home", "cloned", "read"))
        trees = {place: SHARED_HOME / place for place in ("mysql", "mariadb/mariadb")}
        reader = make_home(home, trees, SHARED_HOME / "cache")
        shutil.copytree(home, cloned, symlinks=True)
        for command in ("server start", "add ~/Pictures", "server stop"):
            status, said = reader.type(f"lookalike {command}")
            assert status == 0, said
        home.rename(read)
        yield reader, cloned, read


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """S3 with the folders photos and 2024 in the bucket of the docs."""
    folder = tmp_path_factory.mktemp("s3")
    for name in ("photos", "2024"):
        shutil.copytree(PHOTOS, folder / "bucket" / name, ignore=shutil.ignore_patterns("[!b]*"))
    with s3_server(folder):
        yield


@pytest.fixture
def reader(homes: tuple[Reader, Path, Path], bucket: None, page: str) -> Iterator[Reader]:
    """The reader of a page, in a new home."""
    reader, cloned, read = homes
    shutil.copytree(cloned if page in FROM_THE_CLONE else read, reader.home, symlinks=True)
    own = Reader(reader.home)
    yield own
    own.close()
    shutil.rmtree(reader.home)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page in MAIN else pytest.mark.nightly) for page in PAGES],
)
def test_every_example_of_a_page_runs(reader: Reader, page: str) -> None:
    found = examples(page)
    problems = [
        f"{page}:{example.line}: {example.text.strip()}\n{problem}"
        for example in found
        if (problem := _run(reader, example))
    ]
    if page in TWICE:
        again = [example for example in found if example.language == PYTHON]
        problems += [f"the second time: {p}" for e in again if (p := _run(reader, e))]
    assert not problems, "\n\n".join(problems)


def test_every_exception_is_still_in_the_docs() -> None:
    found = {_key(example) for page in PAGES for example in examples(page)}
    assert not {*NOT_RUN, *STATUS, *WITHOUT_INPUT} - found


def test_every_command_that_a_message_names_is_one() -> None:
    named = [text for text in remedies() if text.split()[1] in COMMANDS]
    assert len(named) > 10
    assert {text: problem for text in named if (problem := _parse(text))} == {}


def _key(example: Example) -> str:
    return bare(example.text) if example.language == SHELL else example.text.strip()


def _run(reader: Reader, example: Example) -> str | None:
    """Run an example, or check one that cannot run; return what is wrong, None for nothing."""
    if example.language == PYTHON:
        return reader.python(example.text)
    if example.language == SQL:
        status, said = reader.sql(example.text)
        return said if status else None
    command = bare(example.text)
    if command in NOT_RUN:
        return _parse(command)
    text = f"{command} </dev/null" if command in WITHOUT_INPUT else example.text
    status, said = reader.type(text)
    expected = STATUS.get(command, 0)
    if status != expected or "Traceback" in said:
        return f"status {status}, not {expected}:\n{said}"
    return None


def _parse(command: str) -> str | None:
    """Check the arguments of a lookalike command without running it."""
    words = shlex.split(command)
    if words[0] != "lookalike":
        return None
    try:
        context: click.Context = main.make_context("lookalike", words[1:])
        while isinstance(context.command, click.Group):
            name, sub, rest = context.command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            context = sub.make_context(name, rest, parent=context)
    except click.MissingParameter:
        return None  # messages leave out what the reader knows
    except click.ClickException as error:
        return error.format_message()
    return None
