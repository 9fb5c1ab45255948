"""Files and folders that may not be read: named as such, by every command, and never pruned."""

import shutil

import pytest

MODEL = ("--model", "efficientnet-lite2")


@pytest.fixture
def run(environment, tmp_path, preloaded):
    """Run `lookalike ARGS...` as somebody whom permissions hold up."""

    def run_command(*args, status=0):
        arguments = [str(arg) for arg in args]
        done = preloaded.run(arguments, "", cwd=tmp_path, env=environment, obeys_permissions=True)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run_command


@pytest.fixture
def places(tmp_path, photos):
    """A folder with a readable image, an unreadable one, and a folder that cannot be listed."""
    folder = tmp_path / "pictures"
    closed = folder / "closed"
    closed.mkdir(parents=True)
    for name, target in (("cat.jpg", folder), ("bee.jpg", folder), ("rocket.jpg", closed)):
        shutil.copy(photos / name, target)
    yield folder
    for path in (closed, folder, folder / "bee.jpg"):
        if path.exists():
            path.chmod(0o755)


def close(places):
    (places / "bee.jpg").chmod(0)
    (places / "closed").chmod(0)


def test_add_names_each_and_counts_it(run, places):
    close(places)
    said = run("add", places, *MODEL, status=1)
    assert f"{places}/bee.jpg: Permission denied" in said
    assert f"{places}/closed: Permission denied" in said
    assert "Added 1 image" in said


@pytest.mark.parametrize("command", ["add", "export"])
@pytest.mark.parametrize("what", ["closed", "closed/rocket.jpg", "closed/*.jpg", "clo*/*.jpg"])
def test_what_is_named_itself_and_cannot_be_read(run, places, command, what):
    close(places)
    target = ("a.sql",) if command == "export" else ()
    assert "Permission denied" in run(command, places / what, *target, *MODEL, status=2)


def test_a_folder_in_which_all_is_closed(run, places):
    close(places)
    (places / "cat.jpg").unlink()
    (places / "bee.jpg").unlink()
    said = run("add", places, *MODEL, status=2)
    assert f"{places}/closed: Permission denied" in said
    assert "no images" not in said


def test_prune_never_takes_what_cannot_be_seen(run, places):
    run("add", places, *MODEL)
    close(places)
    said = run("add", places, "--prune", status=1)
    assert f"{places}/closed: Permission denied" in said
    assert "3" in run("sql", "SELECT COUNT(*) AS n FROM image_embeddings")
    (places / "closed").chmod(0o300)  # its files can be opened, but not listed
    run("add", places, "--prune", status=1)
    assert "3" in run("sql", "SELECT COUNT(*) AS n FROM image_embeddings")
    places.chmod(0)
    assert "Permission denied" in run("add", places, "--prune", status=2)
    assert "Permission denied" in run("add", places / "closed", "--prune", status=2)
    assert "3" in run("sql", "SELECT COUNT(*) AS n FROM image_embeddings")


@pytest.mark.parametrize("what", ["bee.jpg", "closed/rocket.jpg", "closed"])
def test_a_query_that_cannot_be_read(run, places, what):
    run("add", places / "cat.jpg", *MODEL)
    close(places)
    said = run("search", places / what, status=2)
    if what == "closed":
        assert "is a folder" in said
    else:
        assert f"{places / what}: Permission denied" in said


def test_images_to_screen_that_cannot_be_read(run, places):
    run("add", places, *MODEL)
    close(places)
    files = [str(places / "bee.jpg"), str(places / "closed" / "rocket.jpg")]
    screen = ("--against", "image_embeddings", "--min-similarity", "0.9")
    said = run("screen", *files, *screen, status=2)
    assert all(f"{file}: error: Permission denied" in said for file in files)
    said = run("screen", places, *screen, status=1)
    for file in ("bee.jpg", "closed"):
        assert f"{places / file}: error: Permission denied" in said
    assert f"{places / 'cat.jpg'}: match: " in said and "2 images of 3 could not be" in said


def test_what_cannot_be_opened_counts_in_every_run(run, places):
    close(places)
    for _ in range(2):
        said = run("add", places, *MODEL, status=1)
        assert f"{places / 'bee.jpg'}: Permission denied" in said
    assert f"{places / 'closed'}: Permission denied" in run("add", places, "--ignore-failed")


def test_duplicates_of_files_that_cannot_be_read(run, places):
    shutil.copy(places / "bee.jpg", places / "closed" / "bee.jpg")
    run("add", places, *MODEL)
    close(places)
    said = run("duplicates", "--delete", "--yes", status=1)
    assert "Permission denied" in said
    (places / "closed").chmod(0o755)
    assert (places / "closed" / "bee.jpg").is_file() and (places / "bee.jpg").is_file()


def test_a_query_of_a_folder_is_told(run, places):
    run("add", places / "cat.jpg", *MODEL)
    assert "is a folder" in run("search", places, status=2)
