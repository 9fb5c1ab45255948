"""Oracle's own vector store (`mysql.ai`), unchanged, on MySQL Community."""

import json
import subprocess
import sys

import numpy as np
import pytest
from filelock import FileLock

import lookalike
from tests.conftest import SHARED_HOME
from tests.places import REPO

SCRIPT = REPO / "tests" / "e2e" / "mysql_ai_store.py"
ROUNDING = 1e-9
IDS = [*(f"internal_ai_id_{i}" for i in range(4)), "four", "five", "six"]  # as it numbers them


@pytest.fixture(scope="module")
def python():
    """The Python of an environment with Oracle's package, made on first use."""
    SHARED_HOME.mkdir(mode=0o700, exist_ok=True)
    with FileLock(SHARED_HOME / "mysql-ai.lock"):
        command = ["make", "--silent", ".venv-mysql-ai/installed", f"PYTHON={sys.executable}"]
        made = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return REPO / ".venv-mysql-ai" / "bin" / "python"


@pytest.mark.nightly
@pytest.mark.parametrize("autocommit", [0, 1])
def test_oracles_store_adds_searches_and_deletes(python, server, database_url, autocommit):
    with lookalike.connect(database_url) as db:
        db.install_mysql_ai()
        database = db.connection.url.database
    try:
        command = [python, SCRIPT, str(server.socket), database, str(autocommit)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        with lookalike.connect(database_url) as db:
            db.rows("DROP PROCEDURE sys.ML_SIMILARITY_SEARCH")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    vectors = np.array(told["embeddings"])
    for found in told["found"]:
        metric = found["options"].get("distance_metric", "COSINE")
        away = distances(vectors, np.array(found["query"]), metric)
        expected = nearest(away, found["options"])
        assert found["texts"] == [told["texts"][i] for i in expected]
        assert found["ids"] == [IDS[i] for i in expected]
        assert found["metadata"] == [{"place": i} if i < 4 else {} for i in expected]
    assert any(len(found["texts"]) == 4 for found in told["found"])
    assert any(not found["texts"] for found in told["found"])
    assert told["nothing"] == told["emptied"] == told["tables_left"] == []
    rest = distances(vectors[1:], vectors[0], "COSINE")  # without "a cat"
    assert told["after_delete"] == [told["texts"][1 + rest.argmin()]]
    assert told["autocommit"] == bool(autocommit)


def test_the_command_and_the_file(run, database_url):
    name = database_url.partition("?")[0].rpartition("/")[2]
    search = (
        "CALL sys.ML_SIMILARITY_SEARCH(STRING_TO_VECTOR('[1,2]'), "
        f"""'["{name}.texts"]', '{{"segment_embedding": "v"}}', 1, 'DOT', NULL, NULL, NULL, """
        "@context, @found, @info); SELECT JSON_EXTRACT(@found, '$[0].distance') AS distance;"
    )
    sql = "CREATE TABLE texts (v VECTOR(2)); INSERT INTO texts VALUES (STRING_TO_VECTOR('[3,4]'));"
    run("server", "shell", name, stdin=sql)
    remove = "DROP PROCEDURE sys.ML_SIMILARITY_SEARCH"
    try:
        done = run("install-functions", "--mysql-ai")
        assert done.stderr.splitlines() == [
            "Writing to the database sys: needs CREATE ROUTINE, ALTER ROUTINE and EXECUTE.",
            "Installed sys.ML_SIMILARITY_SEARCH in database sys.",
        ]
        run("sql", remove)
        file = run("install-functions", "--mysql-ai", "--show-sql").stdout
        assert f"`{name}`.lookalike_search_into" in file
        done = run("server", "shell", name, "--batch", stdin=file + search)
        assert done.stdout.splitlines() == ["distance", "11.0"]
    finally:
        run("sql", remove.replace("DROP PROCEDURE", "DROP PROCEDURE IF EXISTS"))


def distances(vectors, query, metric):
    if metric == "DOT":
        return -(vectors @ query)
    if metric == "EUCLIDEAN":
        return np.linalg.norm(vectors - query, axis=1)
    return 1 - vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))


def nearest(away, options, k=4):
    """The four nearest within the limits of the options, ties by id."""
    best = away.min()
    limit = min(
        options.get("max_distance", 0.6),
        best + abs(best) * options.get("percentage_distance", 20) / 100,
    )
    order = sorted(range(len(away)), key=lambda i: (round(away[i], 9), IDS[i]))
    return [i for i in order[:k] if away[i] <= limit + ROUNDING]
