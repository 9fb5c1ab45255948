"""Files that lookalike writes, whichever of its calls writes them."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.core.errors import InputError
from lookalike.pages.contact_sheet import QueryPart, query_tile, write_contact_sheet
from lookalike.pages.duplicates import write_report


class Grey:
    """A model by hand: the embedding is the mean colour."""

    id, dim, has_text = "grey", 3, False

    def embed_images(self, images):
        return np.array([np.asarray(i).mean(axis=(0, 1)) + 1 for i in images], np.float32)


def write_export(file, **options):
    image = file.parent / "given.png"
    Image.new("RGB", (4, 4), (1, 2, 3)).save(image)
    try:
        lookalike.export_sql(image, file=file, model=Grey(), **options)
    finally:
        image.unlink()


def write_sheet(file, **options):
    write_contact_sheet(file, "sheet", [query_tile(QueryPart("words", 1))], **options)


def write_groups(file, **options):
    write_report(file, "photos", [], **options)


@pytest.fixture(
    params=[(write_export, ".sql"), (write_sheet, ".html"), (write_groups, ".html")],
    ids=["export", "sheet", "report"],
)
def writer(request):
    """(what writes a file, the file's ending)"""
    return request.param


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"-- Image", b"<!doctype html>\n<html>"])
def test_a_file_of_another_program_stays(tmp_path, writer, content):
    write, ending = writer
    file = tmp_path / f"mine{ending}"
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"mine{ending}: it exists, .*--force"):
        write(file)
    assert file.read_bytes() == content and list(tmp_path.iterdir()) == [file]
    write(file, force=True)
    assert len(file.read_bytes()) > 200


def test_its_own_file_is_replaced_and_keeps_its_mode(tmp_path, writer):
    write, ending = writer
    file = tmp_path / f"own{ending}"
    write(file)
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask()
    file.write_bytes(first + b"old")
    file.chmod(0o640)
    write(file)
    assert file.read_bytes() == first and file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def umask():
    old = os.umask(0o22)
    os.umask(old)
    return old


@pytest.mark.parametrize("force", [False, True])
def test_folders_links_pipes_and_other_endings_are_refused(tmp_path, writer, force):
    write, ending = writer
    (tmp_path / "own").mkdir()
    write(tmp_path / "own" / f"own{ending}")
    before = (tmp_path / "own" / f"own{ending}").read_bytes()
    folder, link, pipe = (tmp_path / f"{name}{ending}" for name in ("folder", "link", "pipe"))
    folder.mkdir()
    link.symlink_to(tmp_path / "own" / f"own{ending}")
    os.mkfifo(pipe)
    other = tmp_path / "photo.jpg"
    for file, why in [
        (folder, "it is a folder"),
        (link, "it is a link"),
        (pipe, "it is a device, a pipe or a socket"),
        (other, f"ends in {ending}"),
    ]:
        with pytest.raises(InputError, match=f"cannot write .*{file.name}: .*{why}"):
            write(file, force=force)
    assert link.is_symlink() and not other.exists()
    assert (tmp_path / "own" / f"own{ending}").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"own", folder.name, link.name, pipe.name}


def test_a_file_that_comes_meanwhile_stays(tmp_path):
    class Slow(Grey):
        def embed_images(self, images):
            (tmp_path / "out.sql").write_text("mine")
            return super().embed_images(images)

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="it exists"):
        lookalike.export_sql(tmp_path, file=tmp_path / "out.sql", model=Slow())
    assert (tmp_path / "out.sql").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "out.sql"}


KILLED = """
import resource, signal, sys
from pathlib import Path
from lookalike.pages.contact_sheet import query_tile, write_contact_sheet
from lookalike.pages.contact_sheet import QueryPart
signal.signal(signal.SIGXFSZ, signal.{action})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
write_contact_sheet(Path(sys.argv[1]), "new", [query_tile(QueryPart("words", 1))] * 100)
"""


@pytest.mark.parametrize("action", ["SIG_DFL", "SIG_IGN"])
def test_a_write_that_is_cut_short_leaves_the_old_page(tmp_path, action):
    file = tmp_path / "page.html"
    write_sheet(file)
    old = file.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(action=action), file], capture_output=True, timeout=60
    )
    if action == "SIG_DFL":
        assert done.returncode == -signal.SIGXFSZ
    else:
        assert b"page.html: File too large" in done.stderr and list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == old
