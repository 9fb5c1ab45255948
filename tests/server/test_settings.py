import pytest

from lookalike import InputError, ServerError
from lookalike.server.folders import Folders
from lookalike.server.settings import Settings, load, read_duration, read_size, save


@pytest.mark.parametrize(
    ("text", "megabytes"), [("64M", 64), ("1G", 1024), ("0.5 gib", 512), ("67108864", 64)]
)
def test_sizes(text, megabytes):
    assert read_size(text) == megabytes * 2**20


@pytest.mark.parametrize("text", ["", "1", "15M", "9999T", "-1G", "1X", "G", "1e9", "²G"])
def test_what_is_no_size(text):
    with pytest.raises(InputError, match="such as 512M or 1G, or auto"):
        read_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("2H", 7200), ("1d", 86400)]
)
def test_times(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "-1m", "1.5h", "1y", "h"])
def test_what_is_no_time(text):
    with pytest.raises(InputError, match="such as 30m or 2h, or never"):
        read_duration(text)


def test_settings_are_kept_and_taken_back(tmp_path):
    folders = Folders(tmp_path)
    assert load(folders) == Settings(None, None)
    save(folders, Settings().changed("64M", "30m"))
    assert load(folders) == Settings(64 * 2**20, 1800)
    assert load(folders).changed(None, None) == Settings(64 * 2**20, 1800)
    save(folders, load(folders).changed("auto", "never"))
    assert load(folders) == Settings(None, None)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"other": 1}'])
def test_settings_that_cannot_be_read_are_told(tmp_path, text):
    (tmp_path / "server.json").write_text(text)
    with pytest.raises(ServerError, match=r"server\.json cannot be read.*remove it"):
        load(Folders(tmp_path))
