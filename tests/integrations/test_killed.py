"""A program that stores documents is killed: what it was told is there, and no batch in part."""

import random
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.nightly

SIZE = 50
STORE = f"""
import sys, lookalike
with lookalike.connect(sys.argv[1]) as db:
    documents = db.collection("notes").documents
    for run in range(1, 1000):
        keys = [f"k{{i}}" for i in range({SIZE})] + [f"{{run}} {{i}}" for i in range({SIZE})]
        n = len(keys)
        documents.put(keys, [[run, 1]] * n, [str(run)] * n, [{{"run": run}}] * n)
        print(run, flush=True)
"""


def test_nothing_is_half_stored_or_lost(database_url, db):
    generator, told = random.Random(2), 0
    for _ in range(5):
        db.collection("notes").documents.delete_where(None)
        command = [sys.executable, "-c", STORE, database_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(generator.randint(2, 8)):
                told = int(process.stdout.readline())
            time.sleep(generator.random() / 20)
            process.kill()
            rest = process.stdout.read().split()
        told = int(rest[-1]) if rest else told
        found = db.collection("notes").documents.find()
        (last,) = {each.text for each in found if each.key.startswith("k")}
        assert int(last) in (told, told + 1)
        assert len({each.key for each in found}) == len(found) == SIZE * (int(last) + 1)
        assert all(each.text == str(each.metadata["run"]) for each in found)
        assert db.collection("notes").status().rows == len(found)
