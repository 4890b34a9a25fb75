"""What was trained on, as MLflow's datasets: which images, how many, and a digest that tells two versions apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities import Dataset, DatasetInput, InputTag

CONTEXT = "mlflow.data.context"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartUsed:
    """One part of a study's data.

    context:  what it was used for: `training` or `validation`.
    digest:   of its images and labels; at most 36 characters.
    source:   where the images come from, for people.
    shape:    (C, H, W) of an image.
    """

    name: str
    context: str
    digest: str
    source: str
    images: int
    shape: tuple[int, ...]
    classes: Sequence[str]


def inputs(parts: Sequence[PartUsed]) -> list[DatasetInput]:
    """As MLflow takes them."""
    return [
        DatasetInput(
            Dataset(
                name=part.name,
                digest=part.digest,
                source_type="local",
                source=json.dumps({"uri": part.source}),
                schema=json.dumps(_schema(part)),
                profile=json.dumps({"images": part.images, "classes": len(part.classes)}),
            ),
            [InputTag(CONTEXT, part.context)],
        )
        for part in parts
    ]


def _schema(part: PartUsed) -> dict[str, object]:
    def tensor(kind: str, shape: Sequence[int]) -> list[dict[str, object]]:
        return [{"type": "tensor", "tensor-spec": {"dtype": kind, "shape": list(shape)}}]

    images, labels = tensor("float32", (-1, *part.shape)), tensor("int64", (-1,))
    return {"mlflow_tensorspec": {"features": json.dumps(images), "targets": json.dumps(labels)}}
