"""The progress bar on a real terminal: rate and time left, and notices on lines of their own."""

import os
import pty
import re
import subprocess
import sys

PROGRAM = """
import time
from lookalike.cli.output import Output
out = Output(as_json=False, quiet=False, verbose=False)
with out.progress("images") as bar:
    task = bar.add_task("Adding", total=40)
    for done in range(40):
        time.sleep(0.03)
        bar.update(task, completed=done + 1)
        if done == 20:
            out.say("A notice with [markup] and a file: /a/" + "long" * 40)
            out.warn("skipped x")
out.say("The end.")
"""


def test_notices_do_not_stick_to_the_bar():
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        **dict.fromkeys(("stdin", "stdout", "stderr"), its_end),
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(its_end)
    said = b""
    try:
        while part := os.read(terminal, 4096):
            said += part
    except OSError:  # how the end of a terminal is told
        pass
    assert process.wait(timeout=60) == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
    lines = [line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n")]
    assert "A notice with [markup] and a file: /a/" + "long" * 40 in lines
    assert "skipped x" in lines and "The end." in lines
    assert re.search(r"Adding .* 2\d/40 +images +\d+\.\d/s +\d:\d\d:\d\d +left +\d\d:\d\d", shown)
