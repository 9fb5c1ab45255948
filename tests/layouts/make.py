"""Makes the dump of a layout: what this version of lookalike leaves in a database, as SQL.

    PYTHONPATH=src:. python -m tests.layouts.make > tests/layouts/v4.sql

The dump of an older layout is made by the code of that time: check its commit out beside this one
and put its `src` first in PYTHONPATH. v1.sql was made by commit 6e8309b, v2.sql by
d9a6d73, v3.sql by 045b8d2.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from lookalike import Database, PrivateServer
from lookalike.dialects import Table, literal
from tests.conftest import TEST_HOME

DATABASE = "layout_dump"
ROWS = 204
FILES = 10
DIMS = {"photos": 16, "shapes": 20, "scores": 24}
METRICS = {"photos": "cosine", "shapes": "euclidean", "scores": "dot"}
FOLDER = "/pictures"


class Greys:
    """A model that embeds an image as the greys of 4 x 4 squares."""

    id, dim, has_text = "greys", DIMS["photos"], False

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        squares = [image.convert("L").resize((4, 4), Image.Resampling.BOX) for image in images]
        return np.array([np.asarray(each, np.float32).ravel() + 1 for each in squares])


def embeddings(dim: int, n: int = ROWS) -> np.ndarray:
    """Vectors in clusters, (n, dim)."""
    rng = np.random.default_rng(dim)
    centres = rng.normal(size=(8, dim))
    return (centres[np.arange(n) % 8] + rng.normal(size=(n, dim)) / 2).astype(np.float32)


def paint(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for i in range(FILES):
        grey = rng.integers(0, 256, (4, 4), np.uint8)
        Image.fromarray(grey).resize((16, 16), Image.Resampling.NEAREST).save(folder / f"{i}.png")
    (folder / "broken.png").write_text("no image")


def brand_of(i: int) -> str:
    return "acme" if i % 3 == 0 else "other"


def fill(db: Database, folder: Path) -> None:
    """Collections of each metric with all that lookalike keeps of them, and tables of others."""
    paint(folder)
    photos = db.collection("photos", model=Greys())
    photos.add(folder)
    photos.duplicates.find(tier="identical")
    photos.duplicates.mark_distinct(1, 2)
    n = ROWS - FILES
    photos.add_embeddings([f"photo {i}" for i in range(n)], embeddings(DIMS["photos"], n))
    photos.threshold.set(0.875)
    for name in ("shapes", "scores"):
        brought = db.collection(name, dim=DIMS[name], metric=METRICS[name])
        brought.add_embeddings([f"{name} {i}" for i in range(ROWS)], embeddings(DIMS[name]))
        brought.attributes.set([{"path": f"{name} {i}", "brand": brand_of(i)} for i in range(ROWS)])
    db.collection("shapes").attributes.index("brand")
    article(db)
    for name in ("photos", "shapes", "scores", "article"):
        collection = db.collection(name)
        collection.search(1)  # measures the levels
        assert collection.status().indexed == ROWS, name
    # A training that was cut short, and tables of the user's own.
    for statement in (
        db.dialect.start_building(Table("shapes"), 7),
        *db.dialect.create_generation(Table("shapes"), 7, 24, "int"),
    ):
        db.rows(*statement)
    for other in ("photos_codes_2024", "photos_cells_9"):
        db.rows(f"CREATE TABLE {other} (id INT PRIMARY KEY)")


def article(db: Database) -> None:
    """A table that lookalike has not made, with an index."""
    db.rows(
        "CREATE TABLE article (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        "embedding VECTOR(8))"
    )
    for row in embeddings(8):
        db.rows("INSERT INTO article (image_name, embedding) VALUES ('one', %s)", (row,))
    db.collection("article").index.build()


def dump(db: Database) -> Iterator[str]:
    """Yield statements that make every table and its rows, without loss and without a `;` inside.

    (mysqldump rounds a FLOAT to six digits.)
    """
    yield "SET foreign_key_checks = 0"
    for (table,) in db.rows("SHOW TABLES")[1]:
        yield db.rows(f"SHOW CREATE TABLE `{table}`")[1][0][1]
        columns = db.rows(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = "
            "DATABASE() AND table_name = %s AND generation_expression = '' "
            "ORDER BY ordinal_position",
            (table,),
        )[1]
        names = ", ".join(f"`{name}`" for name, _ in columns)
        exact = (
            f"CAST(`{name}` AS DOUBLE)" if kind == "float" else f"`{name}`"
            for name, kind in columns
        )
        _, rows = db.rows(f"SELECT {', '.join(exact)} FROM `{table}`")
        if rows:
            kinds = [kind for _, kind in columns]
            lines = (f"({', '.join(map(written, row, kinds))})" for row in rows)
            yield f"INSERT INTO `{table}` ({names}) VALUES\n" + ",\n".join(lines)


def written(value: object, kind: str) -> str:
    """Return a value as SQL."""
    if isinstance(value, np.ndarray):
        return literal(value.tobytes())
    if kind == "float":
        return f"{value:.9g}"
    return literal(str(value) if isinstance(value, datetime) else value)


def main() -> None:
    server = PrivateServer(TEST_HOME)
    server.start()
    with lookalike.connect(server.url) as db, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        db.rows(f"CREATE DATABASE {DATABASE}")
        try:
            with lookalike.connect(server.url.replace("/lookalike?", f"/{DATABASE}?")) as new:
                fill(new, folder)
                statements = [statement.replace(str(folder), FOLDER) for statement in dump(new)]
        finally:
            db.rows(f"DROP DATABASE {DATABASE}")
    sys.stdout.writelines(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    main()
