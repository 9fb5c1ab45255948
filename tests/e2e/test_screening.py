"""`lookalike screen` and `calibrate` as an upload handler uses them."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import pytest
from PIL import Image


@pytest.fixture
def blocked(run, photos):
    images = [photos / name for name in ("cat.jpg", "bee.jpg", "rocket.jpg", "moose.webp")]
    run("add", *images, "--collection", "prohibited", "--model", "efficientnet-lite2")
    return run


def test_the_exit_status_is_the_verdict(blocked, photos):
    against = ("--against", "prohibited")
    clean = blocked("screen", photos / "grass.jpg", photos / "coffee.jpg", *against)
    assert [line.rpartition(": ")[2] for line in clean.stdout.splitlines()] == ["clean"] * 2
    found = blocked("screen", photos / "grass.jpg", photos / "cat-crop.jpg", *against, status=1)
    assert f": match: {photos / 'cat.jpg'} (0.9" in found.stdout.splitlines()[1]
    bad = blocked("screen", photos / "grass.jpg", "gone.jpg", *against, status=2)
    assert "gone.jpg: error: No such file" in bad.stdout
    assert bad.stderr == "1 image of 2 could not be checked\n"
    both = blocked("screen", "gone.jpg", photos / "cat-crop.jpg", "no.jpg", *against, status=1)
    assert [line.split(": ")[1] for line in both.stdout.splitlines()] == ["error", "match", "error"]
    assert both.stderr == "2 images of 3 could not be checked\n"
    strict = blocked("screen", photos / "cat-crop.jpg", *against, "--min-similarity", 0.999)
    assert strict.stdout.endswith(": clean\n")


def test_a_process_that_is_kept_open_answers_line_by_line(blocked, photos, environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "screen", "-", "--against", "prohibited", "--json"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    verdicts = []
    for name in ("cat-crop.jpg", "grass.jpg", "SOURCES.md", "bee.jpg"):
        process.stdin.write(f"{photos / name}\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer["image"] == str(photos / name)
        verdicts.append(answer["verdict"])
    assert verdicts == ["match", "clean", "error", "match"]
    process.stdin.close()
    assert process.stdout.read() == ""
    assert process.wait(timeout=30) == 1
    process.stdout.close()


@pytest.mark.nightly
def test_any_name_of_a_file_is_judged(blocked, photos, environment, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes((photos / "cat.jpg").read_bytes())
    (tmp_path / "~$cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    names = [b"caf\xe9.jpg", b"~$cat.jpg", b"a\0b.jpg", b"~nobody/gone.jpg"]
    for form in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", "screen", "-", "--against", "prohibited", *form],
            env=environment | {"PYTHONIOENCODING": "utf-8:strict"},
            input=b"\n".join(names),
            capture_output=True,
            cwd=tmp_path,
        )
        lines = done.stdout.splitlines()
        assert (done.returncode, len(lines)) == (1, 4)
        assert done.stderr == b"2 images of 4 could not be checked\n"
    answers = [json.loads(line) for line in lines]
    assert [os.fsencode(answer["image"]) for answer in answers] == names
    assert [answer["verdict"] for answer in answers] == ["match", "match", "error", "error"]


def test_any_line_is_answered_by_a_line(blocked, photos, environment):
    lines = [b"http://[/", b"http://\xff/", b"https://\0", b"http://\xe2\x84\x80/", b"http://"]
    lines += [b"http://[64:ff9b::7f00:1]:9/a.jpg", os.fsencode(photos / "cat.jpg")]
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", "screen", "-", "--against", "prohibited", "--json"],
        env=environment,
        input=b"\n".join(lines),
        capture_output=True,
    )
    assert done.returncode == 1 and done.stderr == b"6 images of 7 could not be checked\n"
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [os.fsencode(answer["image"]) for answer in answers] == lines
    assert [answer["verdict"] for answer in answers] == ["error"] * 6 + ["match"]


@pytest.mark.nightly
def test_a_threshold_is_suggested_and_kept(blocked, photos):
    examples = ["--positives", photos / "cat-*", "--positives", photos / "bee-*"]
    examples += ["--negatives", photos / "co*", "--negatives", photos / "gr*"]
    command = ["calibrate", "--collection", "prohibited", *examples]
    done = blocked(*command, "--json")
    assert done.stderr == (
        "Warning: too few examples to rely on the rates: "
        "4 positives (30 would do) and 5 negatives (30 would do)\n"
    )
    found = json.loads(done.stdout)
    assert (found["false_positive_rate"], found["false_negative_rate"]) == (0, 0)
    assert "add --store to use it" in blocked(*command).stderr
    assert "Stored: `lookalike screen --against prohibited`" in blocked(*command, "--store").stderr
    stored = blocked("sql", "SELECT min_similarity FROM lookalike_thresholds", "--json").stdout
    assert str(found["min_similarity"]) in stored


MISTAKES = [
    (["screen", "a.jpg"], "Missing option '--against'"),
    (["screen", "a.jpg", "--against", "nowhere"], "there is no collection 'nowhere'"),
    (["screen", "-", "a.jpg", "--against", "prohibited"], "not both"),
    (["screen", "-", "--hidden", "--against", "prohibited"], "they do not go with -"),
    (["screen", "a.jpg", "--against", "prohibited", "-k", "0"], "k is 0"),
    (["calibrate", "--positives", "x"], "Missing option '--negatives'"),
    (["calibrate", "--positives", "x", "--negatives", "x"], "there is no collection"),
]


def test_wrong_use_is_told_in_a_line(blocked):
    for args, message in MISTAKES:
        assert message in blocked(*args, status=2).stderr, args


def test_a_kill_leaves_no_uploads_behind(blocked, photos, environment, tmp_path):
    stream, asked_again = BytesIO(), threading.Event()
    Image.open(photos / "cat.jpg").resize((1200, 900)).save(stream, "BMP")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/slow.bmp":
                asked_again.set()
                killed.wait(60)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(stream.getvalue())

        def log_message(self, *_):
            pass

    killed = threading.Event()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        base = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, "-m", "lookalike", "screen", "-", "--against", "prohibited"]
        process = subprocess.Popen(
            [*command, "--allow-private-urls"],
            env=environment | {"TMPDIR": str(temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            process.stdin.write("".join(f"{base}/{i}.bmp\n" for i in range(20)))
            process.stdin.write(f"{base}/slow.bmp\n")
            process.stdin.flush()
            assert "/cat.jpg (" in process.stdout.readline()
            assert asked_again.wait(60)
        finally:
            process.kill()
            process.wait()
            killed.set()
            process.stdin.close()
            process.stdout.close()
            server.shutdown()
    # onnxruntime leaves the number of its session.
    assert [file for file in temporary.iterdir() if file.name != ".ses"] == []
