"""The article "From Image to Vector", as written, in the mysql client."""

import json

import numpy as np
import pytest

from tests.places import REPO

MODEL = ("--model", "efficientnet-lite2")
CREATE = """
CREATE TABLE image_embeddings (
    id INT PRIMARY KEY AUTO_INCREMENT,
    image_name VARCHAR(255),
    embedding VECTOR(512)
);
"""
QUERY = """
SELECT image_name, (my_dot_product(embedding, @target) /
    (my_vec_norm(embedding) * my_vec_norm(@target))) AS similarity
FROM image_embeddings
ORDER BY similarity DESC
LIMIT 5;
"""


@pytest.fixture
def mysql(run, database_url):
    """Run SQL in the mysql client, in the test's own database."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    return lambda sql: run("server", "shell", name, "--batch", stdin=sql).stdout


def rows(text):
    return [line.split("\t") for line in text.splitlines()[1:]]


def test_an_exported_folder_is_ranked_by_the_articles_query(run, mysql, photos, tmp_path):
    run("export", photos, "photos.sql", *MODEL)
    mysql((tmp_path / "photos.sql").read_text())
    run("install-functions")
    target = "SET @target = (SELECT embedding FROM image_embeddings WHERE image_name = 'cat.jpg');"
    ranked = rows(mysql(target + QUERY))
    found = json.loads(
        run("search", "cat.jpg", "-k", 5, "--json", "--include-self", *MODEL).stdout
    )["matches"]
    assert [name for name, _ in ranked] == [match["image_name"] for match in found]
    expected = [match["similarity"] for match in found]
    assert [float(value) for _, value in ranked] == pytest.approx(expected, abs=1e-9)
    assert f"{float(ranked[0][1]):.2f}" == "1.00"


def test_the_articles_own_table_and_embedding(run, mysql):
    data = REPO / "examples" / "data" / "article_target.json"
    target = np.array(json.loads(data.read_text())["embedding"])
    noise = np.random.default_rng(3).standard_normal((7, 512)) * 0.05
    others = np.array([target + noise[i] * i for i in range(7)])
    inserts = [
        f"INSERT INTO image_embeddings (image_name, embedding) VALUES ('t{i}.jpg', "
        f"STRING_TO_VECTOR('{json.dumps(row.tolist())}'));"
        for i, row in enumerate(others)
    ]
    run("install-functions")
    mysql(CREATE + "\n".join(inserts))
    text = f"SET @target = STRING_TO_VECTOR('{json.dumps(target.tolist())}');" + QUERY
    expected = others @ target / (np.linalg.norm(others, axis=1) * np.linalg.norm(target))
    order = np.argsort(-expected)[:5]
    ranked = rows(mysql(text))
    assert [name for name, _ in ranked] == [f"t{i}.jpg" for i in order]
    assert [float(v) for _, v in ranked] == pytest.approx(expected[order].tolist(), abs=1e-6)
    assert f"{float(ranked[0][1]):.2f}" == "1.00"


def test_embeddings_survive_the_file_bit_for_bit(run, mysql, photos, tmp_path, embedded_model):
    run("export", photos, "photos.sql", *MODEL)
    run("add", photos, "--collection", "direct", *MODEL)
    mysql((tmp_path / "photos.sql").read_text())
    differing = (
        "SELECT COUNT(*), SUM(a.embedding <> b.embedding) FROM image_embeddings AS a "
        "JOIN direct AS b USING (image_name)"
    )
    differing = differing.replace(
        "a.embedding <> b.embedding", "HEX(a.embedding) <> HEX(b.embedding)"
    )
    assert rows(mysql(differing)) == [["26", "0"]]


def test_the_functions_as_a_file(run, mysql):
    mysql(run("install-functions", "--show-sql").stdout)
    text = "SELECT my_dot_product(STRING_TO_VECTOR('[1,2]'), STRING_TO_VECTOR('[3,4]')) AS dot;"
    assert rows(mysql(text)) == [["11"]]


def test_hostile_names_survive_the_file(run, mysql, photos, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [
        "x'); DROP TABLE image_embeddings; -- .jpg",
        'back\\slash".jpg',
        "new\nline.jpg",
        "é🐈.jpg",
    ]
    for name in names:
        (folder / name).write_bytes((photos / "cat.jpg").read_bytes())
    run("export", folder, "names.sql", *MODEL)
    mysql((tmp_path / "names.sql").read_text())
    stored = json.loads(run("sql", "SELECT image_name FROM image_embeddings", "--json").stdout)
    assert sorted(row["image_name"] for row in stored) == sorted(names)
