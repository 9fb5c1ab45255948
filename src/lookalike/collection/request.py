"""The arguments of opening a collection, checked against the stored collection."""

from collections.abc import Callable
from dataclasses import dataclass

from lookalike.core.arguments import check_int, wrong
from lookalike.core.errors import InputError, ModelError
from lookalike.core.types import METRICS, Metric
from lookalike.core.vectors import MAX_DIM
from lookalike.database.schema import CollectionRecord, check_metric, check_model
from lookalike.models.base import Model
from lookalike.models.registry import load_model

AUTO = "auto"


@dataclass(frozen=True)
class Request:
    """The arguments of `Database.collection`."""

    name: str
    model: str | Model | None
    dim: int | None
    metric: Metric | None
    shards: tuple[str, ...] = ()

    def check(self, record: CollectionRecord | None) -> None:
        """Check the arguments, also against the stored collection, without loading a model.

        Raises InputError, and ModelError if the embeddings are another model's.
        """
        if not (self.model is None or isinstance(self.model, str) or hasattr(self.model, "dim")):
            raise wrong("model", self.model, "a model, or its name")
        if self.dim is not None:
            check_int("dim", self.dim)
        if self.model is not None and self.dim is not None:
            raise InputError("give model= or dim=, not both: a model determines the dim")
        if self.dim is not None and not 1 <= self.dim <= MAX_DIM:
            raise InputError(f"dim is {self.dim}; MySQL stores 1 to {MAX_DIM} dimensions")
        if self.metric is not None and self.metric not in METRICS:
            raise InputError(f"unknown metric {self.metric!r}; choose {', '.join(METRICS)}")
        if self.shards and self.metric == "dot":
            raise InputError("shards rank by cosine or euclidean, not by dot")
        if record is None:
            return
        if self.shards and self.shards != record.shards:
            where = f"spread over {', '.join(record.shards)}" if record.shards else "on one server"
            raise InputError(
                f"collection {self.name!r} is {where}: shards are named when it is made, so choose "
                "another name for one that is spread otherwise"
            )
        if self.metric is not None:
            check_metric(record, self.metric)
        if self.dim is not None and self.dim != record.dim:
            raise InputError(f"collection {self.name!r} has dim {record.dim}, not {self.dim}")
        if self.dim is not None and record.model is not None:
            raise ModelError(
                f"collection {self.name!r} holds embeddings of model {record.model}: "
                "open it without dim="
            )

    def load_model(self, record: CollectionRecord | None, notify: Callable[[str], None]) -> Model:
        """Return the model to use. Raises ModelError if there is none, or if another is stored."""
        stored = record.model if record is not None else None
        if self.dim is not None or (record is not None and record.is_registered and stored is None):
            raise ModelError(
                f"collection {self.name!r} has no model, because its embeddings were added without "
                "one: query it with a vector or a stored image"
            )
        wanted = self.model
        if wanted is None or wanted == AUTO:
            wanted = stored or AUTO
        model = load_model(wanted, notify=notify) if isinstance(wanted, str) else wanted
        if record is not None:
            check_model(record, model.id)
            if record.dim != model.dim:
                raise ModelError(
                    f"collection {self.name!r} has embeddings of length {record.dim}, and model "
                    f"{model.id} makes {model.dim}: name the model that made them with --model"
                )
        return model
