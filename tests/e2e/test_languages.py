"""The examples in other languages, over TCP with a password, by their own drivers."""

import os
import shlex
import shutil
import socket
import subprocess

import numpy as np
import pytest

import lookalike
from lookalike.core.vectors import pack
from lookalike.server.mysqld import inspect
from tests.conftest import SHARED_HOME
from tests.e2e import runtimes
from tests.own_server import own_server
from tests.places import REPO

pytestmark = pytest.mark.slow

EXAMPLES = REPO / "examples" / "languages"
FOLDER = SHARED_HOME / "languages"
USER, PASSWORD, DATABASE = "shop", "p4ss/w0rd", "images"
NAMES = [f"photo {number} é'\".jpg" for number in range(12)]
VECTORS = np.random.default_rng(7).standard_normal((len(NAMES), 512)).astype(np.float32)

# A STUB, until the procedures of lookalike itself are there: then this test installs those.
STUB = """
CREATE PROCEDURE lookalike_search(name VARCHAR(64), vector LONGBLOB, k INT)
BEGIN
    IF LEFT(vector, 1) = '[' THEN
        SET vector = CAST(STRING_TO_VECTOR(CONVERT(vector USING utf8mb4)) AS BINARY);
    END IF;
    SELECT id, image_name AS name, 1 - DISTANCE(embedding, vector, 'COSINE') AS similarity
    FROM image_embeddings WHERE name = 'image_embeddings' ORDER BY similarity DESC LIMIT k;
END //
CREATE PROCEDURE lookalike_similar(name VARCHAR(64), id BIGINT, k INT)
BEGIN
    DECLARE vector LONGBLOB DEFAULT (
        SELECT CAST(embedding AS BINARY) FROM image_embeddings AS i WHERE i.id = id);
    SELECT i.id, image_name AS name, 1 - DISTANCE(embedding, vector, 'COSINE') AS similarity
    FROM image_embeddings AS i WHERE name = 'image_embeddings' AND i.id <> id
    ORDER BY similarity DESC LIMIT k;
END
"""


@pytest.fixture(scope="module")
def port(installed_mysqld):
    """The port of a server with a collection and a user who may search it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    options = ("--skip-networking=OFF", "--bind-address=127.0.0.1", f"--port={free}")
    with own_server(installed_mysqld, *options) as server:
        server.run(
            f"CREATE DATABASE {DATABASE}",
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'",
            f"GRANT SELECT, EXECUTE ON {DATABASE}.* TO {USER}@'127.0.0.1'",
        )
        with lookalike.connect(server.url(DATABASE)) as db:
            db.rows(
                "CREATE TABLE image_embeddings (id INT PRIMARY KEY AUTO_INCREMENT, "
                "image_name VARCHAR(255), embedding VECTOR(512))"
            )
            for name, vector in zip(NAMES, VECTORS, strict=True):
                row = (name, pack(vector))
                db.rows("INSERT INTO image_embeddings VALUES (NULL, %s, %s)", row)
            db.install_functions()
            for procedure in STUB.split("//"):
                db.rows(procedure)
        yield free


def told(command, environment, *, cwd=None):
    """What an example prints about the third image, as fields of lines."""
    environment = {"PATH": os.environ["PATH"], **environment}
    settings = {"env": environment, "cwd": cwd, "capture_output": True, "text": True}
    ran = subprocess.run([*command, NAMES[2]], timeout=120, **settings)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


def check(lines):
    """Compare with numpy: five images like the third, and five like its vector."""
    x = VECTORS.astype(np.float64)
    similarity = x @ x[2] / (np.linalg.norm(x, axis=1) * np.linalg.norm(x[2]))
    order = np.argsort(-similarity)
    expected = [*order[order != 2][:5], *order[:5]]
    assert [int(id) - 1 for id, _, _ in lines] == expected
    assert [name for _, name, _ in lines] == [NAMES[i] for i in expected]
    found = [float(similarity) for _, _, similarity in lines]
    assert found == pytest.approx(similarity[expected], abs=1e-6)


def test_php(port):
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "DATABASE": DATABASE}
    variables |= {"USER": USER, "PASSWORD": PASSWORD}
    command = [*runtimes.php(runtimes.of_debian(FOLDER)), EXAMPLES / "search.php"]
    check(told(command, {f"MYSQL_{name}": value for name, value in variables.items()}))


def test_java(port):
    url = (
        f"jdbc:mariadb://127.0.0.1:{port}/{DATABASE}?user={USER}&password={PASSWORD}"
        "&allowPublicKeyRetrieval=true"
    )
    command = [*runtimes.java(runtimes.of_debian(FOLDER)), EXAMPLES / "Search.java"]
    check(told(command, {"JDBC_URL": url, "LC_ALL": "C.UTF-8"}))


def test_go(port):
    command, environment = runtimes.go(runtimes.of_debian(FOLDER), FOLDER / "go-build")
    dsn = f"{USER}:{PASSWORD}@tcp(127.0.0.1:{port})/{DATABASE}"
    check(told([*command, EXAMPLES / "search.go"], {**environment, "MYSQL_DSN": dsn}))


def test_node(port, tmp_path):
    place = runtimes.of_npm(FOLDER)
    (tmp_path / "node_modules").symlink_to(place / "node_modules")
    shutil.copy(EXAMPLES / "search.mjs", tmp_path)
    url = f"mysql://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}/{DATABASE}"
    command = [runtimes.program("node"), "search.mjs"]
    check(told(command, {"MYSQL_URL": url}, cwd=tmp_path))


def test_the_mysql_client(port, installed_mysqld, tmp_path):
    options = tmp_path / "my.cnf"
    options.write_text(
        f"[client]\nhost=127.0.0.1\nport={port}\nuser={USER}\npassword={PASSWORD}\n"
        f"[mysql]\ndatabase={DATABASE}\ndefault-character-set=utf8mb4\n"
    )
    client = tmp_path / "mysql"  # on the PATH, where users have it
    client.write_text(f'#!/bin/sh\nexec {shlex.join(inspect(installed_mysqld).client())} "$@"\n')
    client.chmod(0o700)
    environment = {"MYSQL_OPTIONS": str(options), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    check(told([EXAMPLES / "search.sh"], environment))


def test_the_examples_are_short():
    for example in EXAMPLES.iterdir():
        assert example.read_text().count("\n") <= 20, example
