"""The built side: from a corpus to a dataset that `datasets.load_dataset` opens."""

__version__ = "0.1.0"
