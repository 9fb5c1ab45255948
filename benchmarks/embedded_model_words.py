"""Writes the words that mean ImageNet's classes: imagenet_words.tsv in models/efficientnet.

The words are WordNet 3.0's, from Debian 12's package wordnet-base 1:3.0-37, and the order of the
1000 classes is that of timm 1.0.31 (Apache-2.0), from PyPI. In an empty folder:

    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb .
    pip download --no-deps timm==1.0.31 && unzip timm-*.whl
    python benchmarks/embedded_model_words.py usr/share/wordnet timm/data/_info/imagenet_synsets.txt

ImageNet's classes are WordNet's synsets, so that a word means the classes which are it or a kind of
it ("dog": 118 of them). Three sorts of words have no such class and take their nearest kin's:

- a kind of a class ("gosling": goose);
- an animal with a class at most two steps up ("moose": the ruminants). Measured on labelled
  pictures, this finds animals as well as their own words do, and fails for artefacts and food;
- EXTRA, by hand.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from lookalike.models.efficientnet.words import singulars, spelt

TABLE = Path(__file__).parents[1] / "src/lookalike/models/efficientnet/imagenet_words.tsv"

ANIMAL = "05"
LEXICOGRAPHERS = (ANIMAL, "06", "13", "17", "18", "20")  # artefacts, food, objects, people, plants
TOPS = ("animal", "food", "plant")  # of the topmost synsets; people are only three classes
LARGEST = 100  # classes that a thing's word may mean; wider ones ("device") mean next to nothing
LARGEST_KIN = 20
KIN_STEPS = 2
# A word's senses are ordered by use. A place further down than these is not what is meant...
RARE_OWN = 10  # of a class itself ("head" for a promontory)
RARE = 6
RARE_WIDE = 3  # of more than WIDE classes ("good" for wares)
WIDE = 20
RARE_KIN = 2  # ("copper" for a butterfly)
TOGETHER = 3  # ... nor this many after the first one with classes ("cat" for a lion)

# common words that WordNet leaves without a class: the synsets that they mean, by a name in them
EXTRA = {
    "kitten": ("domestic_cat",),
    "kitty": ("domestic_cat",),
    "puppy": ("dog",),
    "pup": ("dog",),
    "calf": ("cattle",),
    "lamb": ("sheep",),
    "alpaca": ("llama",),
    "rooster": ("cock",),
    "dove": ("gallinaceous_bird",),
    "gull": ("seabird",),
    "seagull": ("seabird",),
    "seal": ("sea_lion",),
    "shrimp": ("crustacean",),
    "tuna": ("bony_fish",),
    "beach": ("seashore", "sandbar"),
    "sea": ("seashore",),
    "ocean": ("seashore",),
    "lake": ("lakeside",),
    "football": ("soccer_ball", "rugby_ball", "football_helmet"),
    "soccer": ("soccer_ball",),
    "tennis": ("tennis_ball", "racket"),
    "golf": ("golf_ball", "golf_cart"),
    "armchair": ("chair",),
    "beer": ("beer_bottle", "beer_glass"),
    "cupboard": ("china_cabinet", "wardrobe"),
    "handbag": ("purse",),
    "jet": ("airliner", "warplane"),
    "kettle": ("teapot", "caldron"),
    "lorry": ("truck",),
    "magazine": ("comic_book",),
    "pasta": ("carbonara",),
    "spaghetti": ("carbonara",),
    "sign": ("street_sign",),
    "smartphone": ("cellular_telephone",),
    "soldier": ("military_uniform",),
    "spaceship": ("space_shuttle",),
    "tire": ("car_wheel",),
    "tyre": ("car_wheel",),
    "toilet": ("toilet_seat",),
    "tv": ("television",),
    "wall": ("stone_wall",),
    "yacht": ("sailboat",),
}

HEADER = """\
# Words and phrases, and the numbers of the ImageNet classes that they mean: the classes, a tab, the
# words. Written by benchmarks/embedded_model_words.py, from WordNet 3.0; do not edit.
#
"""


class WordNet:
    """The nouns of WordNet's database files.

    names, up and lexicographer are by synset (the offset in data.noun): its words, the synsets
    that it is a kind of, and the number of its file. senses: the synsets of a word, the most used
    first. plurals: irregular ones of each noun.
    """

    def __init__(self, folder: Path) -> None:
        self.names: dict[str, list[str]] = {}
        self.up: dict[str, list[str]] = {}
        self.lexicographer: dict[str, str] = {}
        self.senses: dict[str, list[str]] = {}
        self.plurals: dict[str, list[str]] = defaultdict(list)
        data = (folder / "data.noun").read_text().splitlines()
        # each line begins with its number
        self.licence = [line.split(maxsplit=1)[1:] for line in data if line.startswith("  ")]
        for line in data[len(self.licence) :]:
            self._read_synset(line.partition(" | ")[0].split())
        for line in (folder / "index.noun").read_text().splitlines()[len(self.licence) :]:
            fields = line.split()
            self.senses[fields[0]] = fields[6 + int(fields[3]) :]
        for line in (folder / "noun.exc").read_text().splitlines():
            plural, *nouns = line.split()
            for noun in nouns:
                self.plurals[noun].append(plural)

    def _read_synset(self, fields: list[str]) -> None:
        synset, words = fields[0], int(fields[3], 16)
        self.lexicographer[synset] = fields[1]
        self.names[synset] = fields[4 : 4 + 2 * words : 2]
        pointers = fields[5 + 2 * words :]
        kinds = zip(pointers[::4], pointers[1::4], strict=False)
        self.up[synset] = [target for kind, target in kinds if kind == "@"]

    def rank(self, word: str, synset: str) -> int:
        """The place of a synset among a word's senses, from 1."""
        return self.senses[word.lower()].index(synset) + 1


class Words:
    """The classes of words, exact ones first, then kin's."""

    def __init__(self, wordnet: WordNet, synsets: list[str]) -> None:
        self._wordnet = wordnet
        self._own = set(synsets)
        self._classes: dict[str, set[int]] = defaultdict(set)
        for number, synset in enumerate(synsets):
            for above in {synset, *self._all_above(synset)}:
                self._classes[above].add(number)
        self.table = self._exact()
        self._add_kin()
        for word, names in EXTRA.items():
            self.table[word] = set().union(*(self._named(name) for name in names))
        self._add_plurals()

    def _all_above(self, synset: str) -> Iterable[str]:
        for above in self._wordnet.up[synset]:
            yield above
            yield from self._all_above(above)

    def _named(self, name: str) -> set[int]:
        return next(self._classes[s] for s in self._wordnet.senses[name] if s in self._classes)

    def _exact(self) -> dict[str, set[int]]:
        ranks: dict[str, dict[str, int]] = defaultdict(dict)
        for synset in self._classes:
            for word in self._wordnet.names[synset]:
                if self._is_meant(word, synset):
                    ranks[spelt(word)][synset] = self._wordnet.rank(word, synset)
        table = {}
        for word, senses in ranks.items():
            last = min(senses.values()) + TOGETHER
            near = (self._classes[synset] for synset, rank in senses.items() if rank <= last)
            table[word] = set().union(*near)
        return table

    def _is_meant(self, word: str, synset: str) -> bool:
        file, size = self._wordnet.lexicographer[synset], len(self._classes[synset])
        top = self._wordnet.names[synset][0] in TOPS
        if synset not in self._own and file not in LEXICOGRAPHERS and not top:
            return False
        if file != ANIMAL and not top and size >= LARGEST:
            return False
        rare = RARE_OWN if synset in self._own else RARE if size <= WIDE else RARE_WIDE
        return self._wordnet.rank(word, synset) <= rare

    def _add_kin(self) -> None:
        kin = {synset: self._kin(synset) for synset in self._wordnet.names}
        for rank in range(1, RARE_KIN + 1):
            for synset, classes in kin.items():
                for word in self._wordnet.names[synset] if classes else []:
                    # names with capitals are Latin ones, most of them
                    if word.islower() and self._wordnet.rank(word, synset) == rank:
                        self.table.setdefault(spelt(word), classes)

    def _kin(self, synset: str) -> set[int]:
        if synset in self._classes or self._wordnet.lexicographer[synset] not in LEXICOGRAPHERS:
            return set()
        if owners := self._own.intersection(self._all_above(synset)):
            return set().union(*(self._classes[owner] for owner in owners))
        level = [synset] if self._wordnet.lexicographer[synset] == ANIMAL else []
        for _ in range(KIN_STEPS):
            level = [above for lower in level for above in self._wordnet.up[lower]]
            if found := [self._classes[above] for above in level if above in self._classes]:
                classes = set().union(*found)
                return classes if len(classes) <= LARGEST_KIN else set()
        return set()

    def _add_plurals(self) -> None:
        for word, classes in list(self.table.items()):
            for plural in self._wordnet.plurals.get(word, []):
                if word not in singulars(plural):
                    self.table.setdefault(plural, classes)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in order, with runs of them as first-last: "1 3-5"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wordnet", type=Path, help="the folder of data.noun")
    parser.add_argument("synsets", type=Path, help="the classes' synsets in order, as n01440764")
    arguments = parser.parse_args()
    wordnet = WordNet(arguments.wordnet)
    synsets = [line.removeprefix("n") for line in arguments.synsets.read_text().split()]
    lines: dict[tuple[int, ...], set[str]] = defaultdict(set)
    table = Words(wordnet, synsets).table
    for word, classes in table.items():
        lines[tuple(sorted(classes))].add(word)
    with TABLE.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEADER)
        file.writelines(" ".join(["#", *line]).rstrip() + "\n" for line in wordnet.licence)
        file.writelines(f"{ranges(c)}\t{', '.join(sorted(lines[c]))}\n" for c in sorted(lines))
    print(f"{len(table):,} words in {len(lines):,} lines, {TABLE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
