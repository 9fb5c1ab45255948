"""Add uploads to collections: a thread for each collection takes what has come in meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from lookalike import AddReport, Collection, InputError, LookalikeError, MissingTable
from lookalike.web.collections import Collections
from lookalike.web.cores import use_all_cores
from lookalike.web.problems import Busy, Problem
from lookalike.web.settings import Settings
from lookalike.web.upload_folder import Kept, UploadFolder, upload_folders
from lookalike.web.uploads import Upload

_LOG = logging.getLogger(__name__)

_BATCH = 64
_MOST_WAITING = 1000
_RETRY_SECONDS = 5


@dataclass(frozen=True)
class Added:
    """What became of an upload.

    Attributes:
        id: Row id; None if it could not be added.
        image_name: Name of the row.
        error: Why it could not be added.
    """

    id: int | None
    image_name: str | None
    error: str | None


@dataclass(frozen=True)
class _Waiting:
    kept: Kept
    answer: Future[Added]


class Adder:
    """Adds uploads to one collection, in batches.

    Args:
        folder: Where they are kept.
        collections: Where the collection is, which may not exist yet.
        name: Its name.
    """

    def __init__(self, folder: UploadFolder, collections: Collections, name: str) -> None:
        self._folder = folder
        self._collections = collections
        self._name = name
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="adder", daemon=True)
        self._thread.start()

    def add(self, upload: Upload) -> Future[Added]:
        """Keep an upload on disk; return what becomes of it. Raises Busy if too many wait."""
        if self._queue.qsize() >= _MOST_WAITING:
            raise Busy(_RETRY_SECONDS)
        waiting = _Waiting(_kept(self._folder, upload), Future())
        waiting.answer.set_running_or_notify_cancel()  # a client that goes away cancels nothing
        self._queue.put(waiting)
        return waiting.answer

    def close(self) -> None:
        """End, once all that waits is added."""
        self._queue.put(None)
        self._thread.join()
        self._folder.close()

    def _run(self) -> None:
        use_all_cores()
        self._recover()
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            with suppress(Empty):
                while len(batch) < _BATCH:
                    batch.append(self._queue.get_nowait())
            is_open = None not in batch
            self._answer([each for each in batch if each is not None])

    def _recover(self) -> None:
        """Finish what a killed server began."""
        try:
            for left in self._folder.left():
                for start in range(0, len(left), _BATCH):
                    self._store(left[start : start + _BATCH])
        # Whatever it is, new uploads are added.
        except Exception:  # noqa: BLE001
            _LOG.warning("uploads are not added yet: the next start tries again", exc_info=True)

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        try:
            stored = self._store([each.kept for each in batch])
        # Whatever it is, those who wait are told, and the next batch is tried.
        except BaseException as error:  # noqa: BLE001
            for each in batch:
                each.answer.set_exception(error)
            return
        for each, added in zip(batch, stored, strict=True):
            each.answer.set_result(added)

    def _store(self, batch: Sequence[Kept]) -> list[Added]:
        """Add files and return what became of each. If it raises, their notes stay."""
        self._folder.sync(batch)
        # Two requests may have brought the same image, and the first one dropped its file.
        paths = list(dict.fromkeys(each.path for each in batch if each.path.is_file()))
        if not paths:
            return [self._settled(None, each, {}) for each in batch]
        images, report = self._add(paths)
        reasons = {each.path: each.reason for each in (*report.failed, *report.failed_before)}
        return [self._settled(images, each, reasons) for each in batch]

    def _add(self, paths: Sequence[Path]) -> tuple[Collection, AddReport]:
        """Add files to the collection, which is created if it does not exist."""
        try:
            return self._add_to(self._collections.open(self._name), paths)
        except MissingTable:
            self._collections.forget_gone()
        return self._add_to(self._collections.open(self._name), paths)

    def _add_to(self, images: Collection, paths: Sequence[Path]) -> tuple[Collection, AddReport]:
        is_new = not images.exists
        report = images.add(*paths, only=paths)
        if is_new:
            self._collections.forget(self._name)
        return images, report

    def _settled(self, images: Collection | None, kept: Kept, reasons: Mapping[Path, str]) -> Added:
        try:
            if images is None:
                raise InputError("it is gone")
            (record,) = images.find(kept.path)
        except InputError:
            kept.drop()
            reason = reasons.get(kept.path, "it was removed while it was being added")
            return Added(None, None, reason)
        kept.forget()
        return Added(record.id, record.image_name, None)


def _kept(folder: UploadFolder, upload: Upload) -> Kept:
    try:
        return folder.keep(upload)
    except OSError as error:
        reason = error.strerror or "its name is taken"
        raise Problem(503, f"the upload cannot be kept: {reason}") from error


class Adders:
    """The adders of a server, by collection; threads may share it."""

    def __init__(self, settings: Settings, collections: Collections) -> None:
        self._settings = settings
        self._collections = collections
        self._adders: dict[str, Adder] = {}
        self._lock = Lock()

    def get(self, name: str | None) -> Adder:
        """Return the adder of a collection. Raises InputError for an invalid name."""
        collection = self._collections.open(name)
        with self._lock:
            if collection.name not in self._adders:
                self._adders[collection.name] = self._new(collection.name)
            return self._adders[collection.name]

    def recover(self) -> None:
        """Finish what killed servers began, in the background."""
        for name in upload_folders(self._settings.uploads):
            with suppress(LookalikeError, OSError):
                self.get(name)

    def close(self) -> None:
        """End all, once what waits is added."""
        with self._lock:
            for adder in self._adders.values():
                adder.close()
            self._adders.clear()

    def _new(self, name: str) -> Adder:
        folder = UploadFolder(self._settings.uploads, name)
        return Adder(folder, self._collections, name)
