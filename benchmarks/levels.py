"""Levels on labelled pictures: how often strong is right, and what is found of what is not there.

`python -m benchmarks.levels` fetches and embeds the pictures as `benchmarks.words` does, and prints
the table of docs/benchmarks.md: the levels that lookalike ships, on the half of the labels from
which they were not made. `--write` makes them anew from the other half.

A query is for things that a collection holds where a picture in it has the query's label, and all
such pictures are taken out to ask the same of a collection that does not hold them. For words the
kin stay: a lime is wrong for "lemon". For an image they are taken out as well, in a second trial
they stay: the outline of a fox is much like that of a giraffe, and neither right nor wrong.
Pictures whose names do not tell what they show are left out.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

import lookalike
from benchmarks.dataset import CACHE
from benchmarks.word_labels import LABELS
from benchmarks.words import SOURCES, Mask, Measurement
from lookalike.models.base import FloatArray
from lookalike.models.efficientnet.model import ID, build_directions
from lookalike.models.efficientnet.words import class_shares, text_directions
from lookalike.search.levels import (
    UNMEASURED,
    Scale,
    Thresholds,
    decades,
    scale_of,
    unmeasured_scores,
    word_scores,
)
from lookalike.search.percentiles import IMAGE, PERCENTILES, TEXT, WORDS, Percentiles

SEED = 20240601
BROAD = {"animal", "vehicle", "tool", "musical instrument", "clothing"}
"""Labels that say too little for two pictures to be alike."""

DISTRACTORS = (
    *("shapes/", "signs_and_symbols/flags/", "recreation/games/", "geography/"),
    *("symbols/money", "solar_system/", "digital_electricity/"),
)
"""Folders of pictures that show none of the labels: stars, flags, cards, maps, arrows, planets."""

COLLECTIONS = {100: 6, 1000: 2, 4000: 1}
"""Sizes, and how many collections of each are drawn; up to 1,000 of labelled pictures alone."""

QUERIES = 3  # images of a label that are asked for
K = 10
BACKGROUND, AXES = 150, 64  # pictures of each source, and directions that are kept of them
FALSE, RIGHT = 0.1, 0.9  # the targets: something else than chance is found, strong is right
RESAMPLES, CONFIDENCE = 40, 0.9  # of the labels: other labels are to keep the targets as well
SAME = 0.98
"""Pictures with a larger cosine are one, under two names, whatever these say."""

MIX, KIN = "mix", "kin"
SCALES = Path(lookalike.__file__).parent / "scales"

Scores = npt.NDArray[np.float64]
Scoring = Callable[["Asked"], Scores | None]


@dataclass(frozen=True)
class Asked:
    """A query of one collection, and its first results, best first.

    label: of the query, a number. held: whether the collection holds what is asked for; had:
    whether it did before that was taken out. right: which of the results show it.
    """

    kind: str
    label: int
    n: int
    held: bool
    had: bool
    query: FloatArray
    similarities: Scores
    shares: Scores
    right: Mask
    percentiles: Percentiles


Scored = tuple[Asked, Scores]


class Trial:
    """The labelled pictures, and what queries find in collections of them."""

    def __init__(self) -> None:
        measured = Measurement()
        self.unit, self.pools = measured.unit, measured.pools
        self.relevant = np.stack([measured.relevant[word] for word in LABELS], axis=1)
        self.labelled = self.relevant.any(axis=1)
        others = [any(part in name for part in DISTRACTORS) for name in measured.names]
        self.judged = self.labelled | np.array(others)
        directions = np.frombuffer(build_directions(), np.float32).reshape(1000, -1)
        self.words = text_directions(list(LABELS), directions)
        self.texts = text_directions(WORDS, directions)
        shares = [class_shares(word, self.unit, directions) for word in LABELS]
        self.shares = np.stack(shares, axis=1).astype(np.float64)
        self.fine = np.array([word not in BROAD for word in LABELS])

    def background(self) -> FloatArray:
        """Pictures without a label, as many of each source: (n, 1280), of length one."""
        rng = np.random.default_rng(SEED)
        chosen = [
            rng.choice(np.flatnonzero(self.pools[s] & ~self.labelled), BACKGROUND, replace=False)
            for s in SOURCES
        ]
        return self.unit[np.concatenate(chosen)]

    def ask(self) -> Iterator[Asked]:
        """Ask every collection for every label, by words, an image, and a mix of two images."""
        rng = np.random.default_rng(SEED)
        for n, times in COLLECTIONS.items():
            pool = np.flatnonzero(self.labelled if n <= 1000 else self.judged)
            for _ in range(times):
                stored = rng.choice(pool, min(n, len(pool)), replace=False)
                yield from self._ask(stored, n, rng)

    def _ask(
        self, stored: npt.NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> Iterator[Asked]:
        units, some = self.unit[stored], self.unit[stored[:1000]]
        pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
        levels = {IMAGE: _percentiles(pairs), TEXT: _percentiles(self.texts @ some.T)}

        def results(
            kind: str, label: int, query: FloatArray, right: Mask, out: Mask
        ) -> Iterator[Asked]:
            cosines = units @ (query / np.linalg.norm(query))
            right, shown = right | (cosines > SAME), ~out
            had = bool((right & shown).any())
            for held, allowed in ((True, shown), (False, shown & ~right))[not had :]:
                found = np.flatnonzero(allowed)
                found = found[np.argsort(-cosines[found], kind="stable")[:K]]
                yield Asked(
                    kind,
                    label,
                    n,
                    held,
                    had,
                    query,
                    cosines[found].astype(np.float64),
                    self.shares[stored[found], label],
                    right[found],
                    levels[TEXT if kind == TEXT else IMAGE],
                )

        relevant, fine = self.relevant[stored], self.relevant[:, self.fine]
        stored_fine = fine[stored]
        nothing = np.zeros(len(stored), bool)
        for label, word in enumerate(LABELS):
            yield from results(TEXT, label, self.words[label], relevant[:, label], nothing)
            if word in BROAD:
                continue
            asking = rng.permutation(np.flatnonzero(self.relevant[:, label]))[:QUERIES]
            for one, other in zip(asking, np.roll(asking, 1), strict=True):
                for kind, some in ((IMAGE, [one]), (KIN, [one]), (MIX, [one, other])):
                    right = stored_fine[:, fine[some].any(axis=0)].any(axis=1)
                    kin = relevant[:, self.relevant[some].any(axis=0)].any(axis=1)
                    out = np.isin(stored, some) | (kin & ~right & (kind != KIN))
                    yield from results(kind, label, self.unit[some].sum(axis=0), right, out)


def _percentiles(scores: npt.NDArray[np.floating]) -> Percentiles:
    return Percentiles(np.percentile(scores.astype(np.float64), PERCENTILES))


def halves() -> tuple[set[int], set[int]]:
    """The labels that levels are made from, and those that they are reported on."""
    order = np.random.default_rng(SEED).permutation(len(LABELS)).tolist()
    return set(order[: len(order) // 2]), set(order[len(order) // 2 :])


def known(scale: Scale) -> Scoring:
    """The scores that a measured model's results have."""

    def score(asked: Asked) -> Scores:
        if asked.kind == TEXT:
            return word_scores(asked.similarities, asked.shares)
        return scale.image_scores(asked.query, asked.similarities)

    return score


def unknown(asked: Asked) -> Scores | None:
    """The scores as if the model were not known."""
    return unmeasured_scores(asked.similarities, asked.percentiles)


def fit(asked: Iterable[Asked], scoring: Scoring) -> Thresholds:
    """The lowest thresholds by which most resamples of the labels keep the targets."""
    scored = [(one, scoring(one)) for one in asked]
    weak, strong = (
        {n: _threshold([pair for pair in scored if pair[0].n == n], lowest) for n in COLLECTIONS}
        for lowest in (_found_falsely, _wrong)
    )
    sizes = [decades(n) for n in COLLECTIONS]
    growth = max(0.0, float(np.polyfit(sizes, list(weak.values()), 1)[0]))
    least, most = (
        max(value - growth * decades(n) for n, value in values.items()) for values in (weak, strong)
    )
    return Thresholds(*(round(float(value), 4) for value in (least, max(least, most), growth)))


def _threshold(scored: list[Scored], lowest: Callable[[list[Scored]], float]) -> float:
    """What the lowest threshold does not exceed for most resamples of the labels."""
    rng = np.random.default_rng(SEED)
    of: dict[int, list[Scored]] = {}
    for pair in scored:
        of.setdefault(pair[0].label, []).append(pair)
    labels = sorted(of)
    found = [
        lowest([pair for label in rng.choice(labels, len(labels)) for pair in of[label]])
        for _ in range(RESAMPLES)
    ]
    return float(np.quantile(found, CONFIDENCE))


def _found_falsely(scored: list[Scored]) -> float:
    return float(np.quantile([s.max() for one, s in scored if not one.held], 1 - FALSE))


def _wrong(scored: list[Scored]) -> float:
    scores = np.concatenate([s for one, s in scored if one.had])
    right = np.concatenate([one.right for one, _ in scored if one.had])
    order = np.argsort(-scores)
    precise = np.flatnonzero(np.cumsum(right[order]) >= RIGHT * np.arange(1, len(order) + 1))
    return float(scores[order][precise.max(initial=0)])


def row(name: str, asked: list[Asked], scoring: Scoring, thresholds: Thresholds) -> str:
    """A row of the report."""
    results = []
    for one in asked:
        scores = scoring(one)
        assert scores is not None
        results.append((one, np.array([thresholds.level(s, one.n) for s in scores.tolist()])))
    strong = np.concatenate([one.right[levels == "strong"] for one, levels in results if one.had])
    absent = [bool((levels != "chance").any()) for one, levels in results if not one.held]
    held = [(one, levels) for one, levels in results if one.held]
    shares = [
        np.mean([bool((one.right & passes(levels)).any()) for one, levels in held])
        for passes in (lambda s: s == "strong", lambda s: s != "chance", lambda s: s != "")
    ]
    columns = [f"{strong.mean() if len(strong) else np.nan:.3f}", f"{np.mean(absent):.3f}"]
    return f"| {name} | " + " | ".join([*columns, *(f"{share:.2f}" for share in shares)]) + " |"


def report(asked: list[Asked], scale: Scale) -> str:
    """The Markdown table, of the labels that the levels were not made from."""
    _, reported = halves()
    lines = [
        "| queries | images | strong is right | not held: anything but chance | held: right and "
        "strong | right and not chance | right among the first ten |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    assert scale.words is not None
    images = (IMAGE, MIX, KIN)
    ways: dict[str, tuple[Scoring, dict[str, Thresholds]]] = {
        ID: (known(scale), {TEXT: scale.words} | dict.fromkeys(images, scale.images)),
        "any other model": (unknown, UNMEASURED | dict.fromkeys(images, UNMEASURED[IMAGE])),
    }
    names = {IMAGE: "an image", MIX: "two images", TEXT: "words", KIN: "an image, kin stay"}
    for (way, (scoring, levels)), (kind, name) in product(ways.items(), names.items()):
        for n in COLLECTIONS:
            some = [
                one for one in asked if (one.kind, one.n) == (kind, n) and one.label in reported
            ]
            lines.append(row(f"{name}, {way} | {n:,}", some, scoring, levels[kind]))
    return "\n".join(lines)


def write(trial: Trial, asked: list[Asked]) -> None:
    """Make the file of the model's scale, and print what belongs into lookalike.search.levels."""
    fitted, _ = halves()
    asked = [one for one in asked if one.label in fitted]
    background = trial.background().astype(np.float64)
    mean = background.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(background.T, bias=True))
    axes = (vectors[:, -AXES:] * np.sqrt(values[-AXES:])).T
    rest = values[:-AXES].sum() / len(mean)
    none = Thresholds(0, 0, 0)
    scale = Scale(mean.astype(np.float32), axes.astype(np.float16), rest, none, none)
    of = {kind: [one for one in asked if one.kind == kind] for kind in (IMAGE, TEXT)}
    np.savez_compressed(
        SCALES / f"{ID}.npz",
        mean=mean.astype(np.float16),
        axes=axes.astype(np.float16),
        rest=rest,
        images=astuple(fit(of[IMAGE], known(scale))),
        words=astuple(fit(of[TEXT], known(scale))),
    )
    for kind, some in of.items():
        print(f"UNMEASURED[{kind!r}] = {fit(some, unknown)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the model's levels first")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    trial = Trial()
    asked = list(trial.ask())
    if arguments.write:
        write(trial, asked)
        scale_of.cache_clear()
    scale = scale_of(ID)
    assert scale is not None
    print(f"{len(asked):,} queries; {trial.labelled.sum():,} of {trial.judged.sum():,} labelled\n")
    print(report(asked, scale))


if __name__ == "__main__":
    main()
