"""Datasets, samplers and batches that worker threads prepare ahead of time.

    loader = DataLoader(TensorDataset(pictures, labels), batch_size=64, shuffle=True, num_workers=2)
    for pictures, labels in loader: ...
"""

from .collate import default_collate, default_convert
from .dataloader import DataLoader, batch_generator
from .dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split, stratified_split
from .sampler import (
    BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler,
)

__all__ = [
    "BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "RandomSampler", "Sampler", "SequentialSampler", "Subset",
    "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "batch_generator", "default_collate", "default_convert",
    "random_split", "stratified_split",
]
