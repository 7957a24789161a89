"""The option keys that BasicSR itself reads on, or adds to, any data set."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class DatasetOptions(BaseModel):
    """Keys every data set accepts; each data set adds its own. Unknown keys are refused.

    Attributes:
        name: What logs call the data set.
        type: The class, as registered.
        phase: Added by BasicSR from the section's name in the YAML.
        scale: Added by BasicSR; deblurring does not change the size.
        batch_size_per_gpu: Pictures in a step's batch, for each process.
        num_worker_per_gpu: Loader processes, for each training process.
        dataset_enlarge_ratio: How often an epoch goes through the data set.
        use_shuffle: Whether training shuffles.
        prefetch_mode: ``cpu``, ``cuda`` or none.
        num_prefetch_queue: Batches in the queue of ``prefetch_mode: cpu``.
        pin_memory: Whether the loader pins memory.
        persistent_workers: Whether loader processes outlive an epoch.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    name: str
    type: str
    phase: Literal["train", "val", "test"]
    scale: Literal[1] = 1
    batch_size_per_gpu: PositiveInt = 1
    num_worker_per_gpu: int = 0
    dataset_enlarge_ratio: PositiveFloat = 1
    use_shuffle: bool = True
    prefetch_mode: Literal["cpu", "cuda"] | None = None
    num_prefetch_queue: PositiveInt = 1
    pin_memory: bool = False
    persistent_workers: bool = False
