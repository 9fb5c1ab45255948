"""What has taken a file's place, and is none, leaves the file gone: `--prune` says and does so."""

import os
import socket
from pathlib import Path

import lookalike
from tests.colours import FEW, TABLE, Colours, paint, paint_many


def replace_all(files: list[Path], elsewhere: Path) -> None:
    """Put a pipe, a folder, a socket, a device, and links to two of them in files' places."""
    pipe, folder, plug, device, to_pipe, to_folder = files
    for file in files:
        file.unlink()
    os.mkfifo(pipe)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        folder_of_socket = os.open(plug.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder_of_socket}/{plug.name}")
        os.close(folder_of_socket)
    device.symlink_to("/dev/null")
    to_pipe.symlink_to(pipe)
    to_folder.symlink_to(elsewhere)


def test_rows_whose_files_are_no_files_any_more_are_pruned(database_url, tmp_path):
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    files = paint_many(images, 9)
    elsewhere.mkdir()
    said = []
    with lookalike.connect(database_url, index_sizes=FEW, notify=said.append) as db:
        colours = db.collection(TABLE, model=Colours())
        assert colours.add(images).added == 9
        replace_all(files[:6], elsewhere)
        files[6].unlink()
        files[6].symlink_to(files[7])  # still an image
        files[8].unlink()
        files[8].symlink_to(tmp_path / "not mounted" / "image.png")  # perhaps there tomorrow
        assert colours.add(images, retry=True).removed == 0
        report = colours.add(images, prune=True, retry=True)
        assert (report.removed, report.unchanged) == (6, 2)
        assert "Removing 6 images whose files are gone." in said
        paths = "SELECT path FROM colours_files ORDER BY path"
        assert db.rows(paths)[1] == [(str(file),) for file in files[6:]]
        assert colours.index.check().is_consistent


def test_failures_of_what_is_no_file_any_more_are_forgotten(database_url, tmp_path):
    images = tmp_path / "images"
    paint(images / "a.png", 1)
    (images / "b.png").write_text("no image")
    with lookalike.connect(database_url, index_sizes=FEW) as db:
        colours = db.collection(TABLE, model=Colours())
        assert len(colours.add(images).failed) == 1
        (images / "b.png").unlink()
        os.mkfifo(images / "b.png")
        colours.add(images, prune=True)
        assert colours.failures() == []
