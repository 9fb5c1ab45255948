"""What a command imports: little, so that it starts fast (`python -m benchmarks.start_up`)."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from lookalike.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(*sorted(sys.modules), file=sys.stderr)
"""
NEVER = {"tenacity", "jinja2", "psutil", "filelock", "faiss", "pandas", "torch", "asyncio"}


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        (("status",), {"PIL", "onnxruntime", "rich.console", "lookalike.search.searcher"}),
        (("collections",), {"PIL", "onnxruntime", "lookalike.search.searcher"}),
        (("search", "cat.jpg"), {"PIL", "onnxruntime", "lookalike.add", "lookalike.duplicates"}),
        (("search", "examples/photos/cat.jpg"), {"onnx", "lookalike.add", "lookalike.duplicates"}),
    ],
)
def test_a_command_imports_only_what_it_needs(run, environment, photos, arguments, others):
    run("add", photos / "cat.jpg", photos / "bee.jpg", "--model", "efficientnet-lite2")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=photos.parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert not (NEVER | others) & set(done.stderr.split())
