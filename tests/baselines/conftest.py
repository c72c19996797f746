"""The reference VLA lives beside the package, and is imported the way a policy file imports its neighbours."""

from __future__ import annotations

import sys
from pathlib import Path

BASELINES = Path(__file__).resolve().parents[2] / "baselines"
sys.path.insert(0, str(BASELINES))
