"""The Debian mirror is found in the machine's apt sources, of both formats."""

from pathlib import Path

import pytest

from lookalike.server.install.sources import AptSource, debian_mirror, parse_deb822, parse_list

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

STANZAS = f"""\
Types: deb
# a comment between fields
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}
"""


def test_a_stanza_is_one_source_for_each_suite() -> None:
    assert list(parse_deb822(STANZAS)) == [
        AptSource("http://mirror.example/debian", "bookworm", ("main", "contrib"), KEYRING),
        AptSource("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"), KEYRING),
        AptSource("http://mirror.example/debian-security", "bookworm-security", ("main",), KEYRING),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Types: deb\n",
        "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\n",
        "Enabled: no\nTypes: deb\nURIs: http://a.example/debian\nSuites: sid\nComponents: main\n",
    ],
)
def test_stanzas_that_are_no_enabled_binary_source(text: str) -> None:
    assert list(parse_deb822(text)) == []


def test_fields_go_on_in_indented_lines_and_in_any_case() -> None:
    text = "types: deb\nURIS:\n http://a.example/debian/\n http://b.example/x\nsuites: sid\n"
    assert [source.uri for source in parse_deb822(text)] == [
        "http://a.example/debian/",
        "http://b.example/x",
    ]


def test_one_line_sources() -> None:
    text = f"""\
# deb http://commented.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # the mirror
deb [arch=amd64 signed-by={KEYRING}] https://other.example/x sid main
"""
    assert list(parse_list(text)) == [
        AptSource("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        AptSource("https://other.example/x", "sid", ("main",), KEYRING),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (AptSource("http://mirror.example/debian", "bookworm", ("main",)), True),
        (AptSource("http://mirror.example/debian/", "bookworm", ("main",), KEYRING), True),
        (AptSource("mirror+file:/etc/apt/mirrors.list", "trixie", ("main",), KEYRING), True),
        (AptSource("http://mirror.example/debian-security", "x", ("main",), KEYRING), False),
        (AptSource("http://mirror.example/debian", "x-security", ("main",), KEYRING), False),
        (AptSource("http://mirror.example/ubuntu", "noble", ("main",)), False),
        (AptSource("cdrom:[Debian]/debian", "bookworm", ("main",)), False),
        (AptSource("https://d.example/linux/debian", "bookworm", ("stable",)), False),
        (AptSource("https://d.example/debian", "x", ("main",), "/etc/keyrings/d.asc"), False),
    ],
)
def test_only_mirrors_of_the_main_archive_are_debian(source: AptSource, expected: bool) -> None:
    assert source.is_debian is expected


def test_the_first_mirror_in_apts_order_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(STANZAS)
    (folder / "a.list.disabled").write_text("deb http://disabled.example/debian sid main\n")
    assert debian_mirror(tmp_path) == "http://mirror.example/debian"
    (tmp_path / "sources.list").write_text("deb http://first.example/debian bookworm main\n")
    assert debian_mirror(tmp_path) == "http://first.example/debian"


def test_no_mirror(tmp_path: Path) -> None:
    assert debian_mirror(tmp_path) is None
