"""Painted images, and what is stored of them."""

from tests.colours import TABLE

RED, GREEN, BLUE, GREY = 0xFF0000, 0x00FF00, 0x0000FF, 0x808080


def stored(db):
    """{path: (id, size, mtime_ns)}"""
    return {
        row[0]: row[1:] for row in db.rows(f"SELECT path, id, size, mtime_ns FROM {TABLE}_files")[1]
    }


def counts(report):
    return report.added, report.updated, report.reused, report.unchanged, report.removed
