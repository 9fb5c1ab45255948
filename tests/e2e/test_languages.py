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

pytestmark = pytest.mark.nightly

EXAMPLES = REPO / "examples" / "languages"
FOLDER = SHARED_HOME / "languages"
USER, PASSWORD, DATABASE = "shop", "p4ss/w0rd", "images"
N, DIM = 300, 512
NAMES = [f"photo {number} é'\".jpg" for number in range(N)]
SKUS = [f"SKU-{number:03}é" for number in range(N)]
RNG = np.random.default_rng(7)
CENTRES = RNG.standard_normal((30, DIM))


def clustered():
    """Vectors in clusters of ten: what a search with the index surely finds."""
    noise = RNG.standard_normal((N, DIM)) / 2
    return (np.repeat(CENTRES, N // len(CENTRES), axis=0) + noise).astype(np.float32)


VECTORS, PRODUCTS = clustered(), clustered()


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
            "CREATE DATABASE catalogue",
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED WITH caching_sha2_password BY '{PASSWORD}'",
            f"GRANT SELECT, EXECUTE, CREATE TEMPORARY TABLES ON {DATABASE}.* TO {USER}@'127.0.0.1'",
            f"GRANT SELECT ON catalogue.* TO {USER}@'127.0.0.1'",
        )
        with lookalike.connect(server.url(DATABASE)) as db:
            images = db.collection("image_embeddings", dim=DIM)
            images.add_embeddings(NAMES, VECTORS)
            assert images.index.status().indexed == N
            db.rows(
                "CREATE TABLE catalogue.goods (sku VARCHAR(20) PRIMARY KEY, title VARCHAR(99), "
                f"photo VECTOR({DIM}))"
            )
            for sku, name, vector in zip(SKUS, NAMES, PRODUCTS, strict=True):
                db.rows(
                    "INSERT INTO catalogue.goods VALUES (%s, %s, %s)", (sku, name, pack(vector))
                )
            products = db.table("goods", schema="catalogue", name="title", alias="products")
            assert products.index.status().indexed == N
            db.install_functions()
        yield free


@pytest.fixture(params=[(), ("products",)], ids=["collection", "table"])
def index(request):
    """The second argument of an example: none, or the index of a table of the user's own."""
    return request.param


def told(command, index, environment, *, cwd=None):
    """What an example prints about the third image, as fields of lines."""
    environment = {"PATH": os.environ["PATH"], **environment}
    settings = {"env": environment, "cwd": cwd, "capture_output": True, "text": True}
    ran = subprocess.run([*command, NAMES[2], *index], timeout=120, **settings)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [line.split("\t") for line in ran.stdout.splitlines()]


def best(vectors, ids, k=5):
    """The best k for the third image, as numpy finds them."""
    x, query = vectors.astype(np.float64), VECTORS[2].astype(np.float64)
    similarity = x @ query / (np.linalg.norm(x, axis=1) * np.linalg.norm(query))
    return [(ids[i], NAMES[i], similarity[i]) for i in np.argsort(-similarity)[:k]]


def check(lines, index):
    """Compare with numpy: five images like the third, and the five nearest to its vector."""
    images = best(VECTORS, [str(number) for number in range(1, N + 1)], 6)
    expected = images[1:] + (best(PRODUCTS, SKUS) if index else images[:5])
    assert [(key, name) for key, name, _ in lines] == [(key, name) for key, name, _ in expected]
    found = [float(similarity) for _, _, similarity in lines]
    assert found == pytest.approx([similarity for _, _, similarity in expected], abs=1e-6)


def php(port):
    """The command of PHP, and the environment of the example."""
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "DATABASE": DATABASE}
    variables |= {"USER": USER, "PASSWORD": PASSWORD}
    environment = {f"MYSQL_{name}": value for name, value in variables.items()}
    return runtimes.php(runtimes.of_debian(FOLDER)), environment


def test_php(port, index):
    command, environment = php(port)
    check(told([*command, EXAMPLES / "search.php"], index, environment), index)


BYTES = """<?php
['MYSQL_HOST' => $host, 'MYSQL_PORT' => $port, 'MYSQL_DATABASE' => $database] = getenv();
$db = new PDO("mysql:host=$host;port=$port;dbname=$database;charset=$argv[2]",
              getenv('MYSQL_USER'), getenv('MYSQL_PASSWORD'));
$db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $argv[1] === 'emulated');
$stored = $db->query('SELECT id, CAST(embedding AS BINARY) FROM image_embeddings ORDER BY id');
foreach ($stored->fetchAll(PDO::FETCH_NUM) as [$id, $vector]) {
    $search = $db->prepare('CALL lookalike_search(?, ?, ?)');
    $search->execute(['image_embeddings', $vector, 1]);
    [$row] = $search->fetchAll();
    $search->closeCursor();
    if ($row['id'] != $id || $row['similarity'] < .9999999) exit("$id is not found: $row[id]\n");
}
echo count($search->fetchAll()), "\tall\tfound\n";
"""


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
@pytest.mark.parametrize("prepares", ["emulated", "native"])
def test_php_passes_any_bytes(port, tmp_path, prepares, charset):
    """PDO's emulated prepares, its default, write the bytes into the statement."""
    command, environment = php(port)
    (tmp_path / "bytes.php").write_text(BYTES)
    lines = told([*command, tmp_path / "bytes.php", prepares, charset], (), environment)
    assert lines == [["0", "all", "found"]]


def test_java(port, index):
    url = (
        f"jdbc:mariadb://127.0.0.1:{port}/{DATABASE}?user={USER}&password={PASSWORD}"
        "&allowPublicKeyRetrieval=true"
    )
    command = [*runtimes.java(runtimes.of_debian(FOLDER)), EXAMPLES / "Search.java"]
    check(told(command, index, {"JDBC_URL": url, "LC_ALL": "C.UTF-8"}), index)


def test_go(port, index):
    command, environment = runtimes.go(runtimes.of_debian(FOLDER), FOLDER / "go-build")
    dsn = f"{USER}:{PASSWORD}@tcp(127.0.0.1:{port})/{DATABASE}"
    environment |= {"MYSQL_DSN": dsn}
    check(told([*command, EXAMPLES / "search.go"], index, environment), index)


def test_node(port, index, tmp_path):
    place = runtimes.of_npm(FOLDER)
    (tmp_path / "node_modules").symlink_to(place / "node_modules")
    shutil.copy(EXAMPLES / "search.mjs", tmp_path)
    url = f"mysql://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}/{DATABASE}"
    command = [runtimes.program("node"), "search.mjs"]
    check(told(command, index, {"MYSQL_URL": url}, cwd=tmp_path), index)


def test_the_mysql_client(port, index, installed_mysqld, tmp_path):
    options = tmp_path / "my.cnf"
    options.write_text(
        f"[client]\nhost=127.0.0.1\nport={port}\nuser={USER}\npassword={PASSWORD}\n"
        f"[mysql]\ndatabase={DATABASE}\ndefault-character-set=utf8mb4\n"
    )
    client = tmp_path / "mysql"  # on the PATH, where users have it
    client.write_text(f'#!/bin/sh\nexec {shlex.join(inspect(installed_mysqld).client())} "$@"\n')
    client.chmod(0o700)
    environment = {"MYSQL_OPTIONS": str(options), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    check(told([EXAMPLES / "search.sh"], index, environment), index)


def test_the_examples_are_short():
    for example in EXAMPLES.iterdir():
        assert example.read_text().count("\n") <= 20, example


def test_the_example_in_the_docs_is_the_file():
    page = (REPO / "docs" / "procedures.md").read_text()
    assert f"```php\n{(EXAMPLES / 'search.php').read_text()}```" in page
