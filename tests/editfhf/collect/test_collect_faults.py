"""Kills, hostile files and lying editors: nothing is asked twice, and no harm is done."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editfhf.chat.ledger import LEDGER_FILE
from editfhf.collect.edit import collect_edits
from editfhf.collect.folder import lock_collection, read_counts, read_table
from editfhf.collect.quality import QualityLimits
from editfhf.collect.sources import collect_sources
from editfhf.editors.protocol import EditRecord, EditRequest, EditResult
from mos.console import NullProgress
from mos.errors import UserError
from tests.editfhf.collect.photos import MODEL, ScriptedVlm, serve_vlm, write_photos
from tests.editfhf.collect.test_collect_end_to_end import SCORER, call
