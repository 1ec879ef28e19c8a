# Written by python/make_stubs.py; do not edit.
from typing import Any

from .collate import default_collate as default_collate, default_convert as default_convert
from .dataloader import DataLoader as DataLoader, batch_generator as batch_generator
from .dataset import ConcatDataset as ConcatDataset, Dataset as Dataset, Subset as Subset, TensorDataset as TensorDataset, random_split as random_split, stratified_split as stratified_split
from .sampler import BatchSampler as BatchSampler, RandomSampler as RandomSampler, Sampler as Sampler, SequentialSampler as SequentialSampler, SubsetRandomSampler as SubsetRandomSampler, WeightedRandomSampler as WeightedRandomSampler
