"""The article's own SQL functions, as published: loops over the JSON text of a vector.

lookalike's functions of the same names are quicker and exact; these are what a reader of the
article runs, and what the benchmark compares with. They are measured on a few hundred rows and
scaled, since a query costs the same for every row.
"""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from lookalike import Database
from lookalike.core.vectors import FloatArray, pack

ROWS = 300
QUERIES = 3

DOT_PRODUCT = """\
CREATE FUNCTION my_dot_product(v1 VECTOR(16383), v2 VECTOR(16383)) RETURNS DOUBLE DETERMINISTIC
BEGIN
    DECLARE json1 JSON DEFAULT CAST(VECTOR_TO_STRING(v1) AS JSON);
    DECLARE json2 JSON DEFAULT CAST(VECTOR_TO_STRING(v2) AS JSON);
    DECLARE total DOUBLE DEFAULT 0;
    DECLARE i INT DEFAULT 0;
    DECLARE n INT DEFAULT JSON_LENGTH(json1);
    WHILE i < n DO
        SET total = total + JSON_EXTRACT(json1, CONCAT('$[', i, ']'))
                          * JSON_EXTRACT(json2, CONCAT('$[', i, ']'));
        SET i = i + 1;
    END WHILE;
    RETURN total;
END"""

NORM = """\
CREATE FUNCTION my_vec_norm(v VECTOR(16383)) RETURNS DOUBLE DETERMINISTIC
BEGIN
    RETURN SQRT(my_dot_product(v, v));
END"""

SEARCH = """\
SELECT image_name, (my_dot_product(embedding, @target)
    / (my_vec_norm(embedding) * my_vec_norm(@target))) AS similarity
FROM image_embeddings ORDER BY similarity DESC LIMIT 5"""


@dataclass(frozen=True)
class ArticleTime:
    """What a search by the article's SQL takes.

    seconds: the median query over `rows` rows. top_agrees: whether the nearest row was the true
    one each time.
    """

    rows: int
    seconds: float
    top_agrees: bool

    @property
    def per_row(self) -> float:
        """Seconds for each row of the table."""
        return self.seconds / self.rows

    def scaled(self, rows: int) -> float:
        """Seconds that a search over so many rows would take."""
        return self.per_row * rows


def measure(
    db: Database, base: FloatArray, queries: FloatArray, *, rows: int = ROWS, repeats: int = QUERIES
) -> ArticleTime:
    """Times the article's query over the first rows of a base, in a database that may be changed.

    base: shape (n, dim). queries: shape (n_queries, dim), of which the first `repeats` are
    searched. The database gets the article's table and its functions, and loses what it had under
    these names.
    """
    create_table(db, np.asarray(base[:rows]))
    create_functions(db)
    seconds, agrees = [], True
    for query in np.asarray(queries[:repeats]):
        with db.session():
            db.rows("SET @target = CAST(%s AS BINARY)", (pack(query),))
            db.rows("SELECT my_vec_norm(@target)")  # compiles both functions
            start = time.perf_counter()
            _, found = db.rows(SEARCH)
            seconds.append(time.perf_counter() - start)
        agrees = agrees and found[0][0] == f"{_nearest(query, base[:rows])}.jpg"
    return ArticleTime(len(base[:rows]), statistics.median(seconds), agrees)


def create_table(db: Database, embeddings: FloatArray) -> None:
    """The article's table with embeddings (n, dim); row i, counted from 0, is named i.jpg."""
    db.rows("DROP TABLE IF EXISTS image_embeddings")
    db.rows(
        "CREATE TABLE image_embeddings (id INT PRIMARY KEY AUTO_INCREMENT, "
        f"image_name VARCHAR(255), embedding VECTOR({embeddings.shape[1]}))"
    )
    values = [(f"{row}.jpg", pack(embedding)) for row, embedding in enumerate(embeddings)]
    db.rows(
        "INSERT INTO image_embeddings (image_name, embedding) VALUES "
        + ", ".join(["(%s, %s)"] * len(values)),
        tuple(value for row in values for value in row),
    )


def create_functions(db: Database) -> None:
    for name, function in (("my_dot_product", DOT_PRODUCT), ("my_vec_norm", NORM)):
        db.rows(f"DROP FUNCTION IF EXISTS {name}")
        db.rows(function)


def _nearest(query: FloatArray, rows: FloatArray) -> int:
    cosines = rows @ query / np.linalg.norm(rows, axis=1)
    return int(np.argmax(cosines))
