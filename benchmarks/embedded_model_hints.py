"""Writes the hints for words that the embedded model does not know: models/word_hints.tsv.gz.

The words are WordNet 3.0's, from Debian 12's package wordnet-base 1:3.0-37. In an empty folder:

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb .
    python -m benchmarks.embedded_model_hints usr/share/wordnet

A hint is a known word near in meaning: a synonym, a part or a whole, or a word at most STEPS steps
away among the kinds of things ("book": a comic book, as both are publications). People, actions,
qualities and what cannot be seen have no hints; their words are kept without, so that a real word
is never taken for a misspelt one.
"""

import argparse
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.embedded_model_words import WordNet
from lookalike.models.efficientnet.words import singulars, spelt, table

HINTS = Path(__file__).parents[1] / "src/lookalike/models/efficientnet/word_hints.tsv.gz"
# WordNet's files of what can be seen and shown: animals, artefacts, food, plants
SEEN = {"05", "06", "13", "20"}
WRITTEN = "10"  # first senses such as "book" for what is written in it are passed over
SENSES = 2  # of a word, the most used first
STEPS = 2
LOWEST = 6  # synsets nearer to the top than this ("artefact", "surface") make nothing near
MOST = 3  # hints
HEADER = "# Hints for words that the embedded model does not know: known words near in meaning, a\n"
HEADER += "# tab, the words. Written by benchmarks/embedded_model_hints.py; do not edit.\n#\n"


class Graph:
    """WordNet's nouns, and what each is a kind of, a part of, and made of."""

    def __init__(self, folder: Path) -> None:
        self.net = WordNet(folder)
        self._depths: dict[str, int] = {}
        self.down: dict[str, list[str]] = defaultdict(list)
        self.parts: dict[str, list[str]] = defaultdict(list)
        for synset, above in self.net.up.items():
            for kind in above:
                self.down[kind].append(synset)
        lines = (folder / "data.noun").read_text().splitlines()
        for fields in (line.partition(" | ")[0].split() for line in lines if line[0] != " "):
            pointers = fields[5 + 2 * int(fields[3], 16) :]
            for sort, target in zip(pointers[::4], pointers[1::4], strict=False):
                if sort in ("#p", "%p"):
                    self.parts[fields[0]].append(target)

    def depth(self, synset: str) -> int:
        """How many steps a synset is below the top."""
        if synset not in self._depths:
            above = self.net.up[synset]
            self._depths[synset] = 1 + min(map(self.depth, above)) if above else 0
        return self._depths[synset]

    def known(self, synset: str) -> list[str]:
        """The names of a synset that the model knows and that mostly mean this."""
        if self.net.lexicographer[synset] not in SEEN or self.depth(synset) < LOWEST:
            return []
        names = (n for n in self.net.names[synset] if n.islower() and self.net.rank(n, synset) == 1)
        return [name for name in map(spelt, names) if name in table()]

    def near(self, synset: str) -> Iterator[str]:
        """The known words nearest to a synset, the nearest first."""
        seen, level = {synset}, [synset]
        for _ in range(STEPS + 1):
            for one in level:
                yield from self.known(one)[:1]
            reached = [other for one in level for other in self._beside(one)]
            level = [one for one in dict.fromkeys(reached) if one not in seen]
            seen.update(level)

    def _beside(self, synset: str) -> list[str]:
        above = [one for one in self.net.up[synset] if self.depth(one) >= LOWEST]
        return [*self.parts[synset], *self.down[synset], *above]


def hints(graph: Graph, word: str) -> list[str]:
    """The known words nearest to a word in meaning, the nearest first."""
    found: dict[str, None] = {}
    for synset in graph.net.senses[word][:SENSES]:
        if graph.net.lexicographer[synset] in SEEN:
            found |= dict.fromkeys(graph.near(synset))
        elif graph.net.lexicographer[synset] != WRITTEN:
            break  # what is mostly meant cannot be seen
    return list(found)[:MOST]


def all_words(folder: Path) -> set[str]:
    """The single words of all of WordNet: nouns, verbs, adjectives and adverbs."""
    words = set()
    for kind in ("noun", "verb", "adj", "adv"):
        lines = (folder / f"index.{kind}").read_text().splitlines()
        words |= {line.split()[0] for line in lines if line[0] != " "}
    return {word for word in words if word.isalpha()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wordnet", type=Path, help="the folder of data.noun")
    folder = parser.parse_args().wordnet
    graph = Graph(folder)
    lines: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for word in sorted(all_words(folder)):
        if not any(one in table() for one in singulars(word)):
            lines[tuple(hints(graph, word)) if word in graph.net.senses else ()].append(word)
    text = HEADER + "".join(" ".join(["#", *line]).rstrip() + "\n" for line in graph.net.licence)
    text += "".join(f"{', '.join(near)}\t{' '.join(lines[near])}\n" for near in sorted(lines))
    HINTS.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    hinted = sum(len(words) for near, words in lines.items() if near)
    every = sum(map(len, lines.values()))
    print(f"{hinted:,} of {every:,} words with hints, {HINTS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
