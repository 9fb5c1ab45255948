"""Folders served as storage elsewhere: an S3 server and a web server, both rclone's."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY, SECRET = "a-key", "a-secret"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Serve the folders of a folder as S3's buckets; the environment then leads there."""
    with _rclone("s3", "--auth-key", f"{KEY},{SECRET}", folder=folder) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", url)
            patch.setenv("AWS_ACCESS_KEY_ID", KEY)
            patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            patch.setenv("AWS_REGION", "us-east-1")
            forget_clients()
            yield "s3://"


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder, with its lists of files, over HTTP."""
    with _rclone("http", folder=folder) as url:
        yield url


def forget_clients() -> None:
    """Have fsspec read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def _rclone(kind: str, *options: str, folder: Path) -> Iterator[str]:
    command = [Path(sys.executable).with_name("rclone"), "serve", kind, *options]
    # Otherwise it answers with a list of five minutes ago.
    command += ["--dir-cache-time", "0", "--addr", "127.0.0.1:0", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
                    yield address[0]
                    return
            raise OSError(f"rclone did not start to serve {kind}")
        finally:
            process.kill()
