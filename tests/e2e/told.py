"""What commands print and leave, as tests read it."""

import json

MODEL = ("--model", "efficientnet-lite2")


def names_in(folder):
    return {file.name for file in folder.iterdir()}


def table(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def n_rows(run):
    return json.loads(run("status", "--json").stdout)[0]["rows"]
