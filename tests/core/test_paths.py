"""Paths in little room: their ends, and never two that look the same."""

import os

import pytest
from rich.cells import cell_len

from lookalike.core.paths import shortened


@pytest.mark.parametrize(
    "path, width, short",
    [
        ("/a/b/c.jpg", 10, "/a/b/c.jpg"),
        ("/a/b/c.jpg", 9, "…/b/c.jpg"),
        ("/pictures/2024/trip/bee.jpg", 18, "…/trip/bee.jpg"),
        ("/pictures/2024/trip/bee.jpg", 19, "…/2024/trip/bee.jpg"),
        ("/pictures/a-very-long-name.jpg", 10, "…-name.jpg"),
        ("bee.jpg", 5, "….jpg"),
    ],
)
def test_the_end_of_a_path_is_shown(path, width, short):
    assert shortened([path], width) == [short]


def test_paths_of_the_same_end_show_where_they_differ():
    paths = ["/pictures/2023/trip/day/IMG_0001.jpg", "/pictures/2024/trip/day/IMG_0001.jpg"]
    assert shortened(paths, 24) == ["…/2023/…/IMG_0001.jpg", "…/2024/…/IMG_0001.jpg"]
    # With room for the folders between there is nothing to leave out.
    assert shortened(paths, 30) == ["…/2023/trip/day/IMG_0001.jpg", "…/2024/trip/day/IMG_0001.jpg"]


def test_the_same_path_twice_is_the_same_twice():
    assert shortened(["/pictures/bee.jpg"] * 2, 9) == ["…/bee.jpg"] * 2


def test_wide_letters_count_twice():
    path = "/写真/旅行/蜂.jpg"
    assert shortened([path], 14, cell_len) == ["…/旅行/蜂.jpg"]
    assert cell_len(shortened([path], 9, cell_len)[0]) <= 9


def test_different_paths_never_look_the_same():
    folders = ["", "a", "b", "a/b", "b/a", "a/b/a", "long folder name", "a/long folder name/b"]
    paths = [os.path.join("/", f, name) for f in folders for name in ("x.jpg", "a.jpg", "ax.jpg")]  # noqa: PTH118
    for width in range(1, 40):
        short = shortened(paths, width)
        assert len(set(short)) == len(paths)
        assert all(s == p or "…" in s for s, p in zip(short, paths, strict=True))
