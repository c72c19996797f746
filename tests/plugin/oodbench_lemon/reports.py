"""A section of reports, and a metric."""

from collections.abc import Sequence

import numpy as np

from oodbench.report.metrics import metric
from oodbench.report.sections import report_section
from oodbench.report.summary import RunSummary
from oodbench.run.columns import Episodes


@metric("haste (successes per 100 control steps)")
def haste(episodes: Episodes) -> np.ndarray:
    """Successes per 100 control steps."""
    return 100 * (episodes.success == 1) / np.maximum(episodes.steps, 1)


def _picture(runs: Sequence[RunSummary]) -> str:
    return f'<svg role="img" aria-label="lemons" width="{40 * len(runs)}" height="20"></svg>'


@report_section("lemon", "Lemons", "How many episodes there are for each lemon.", html=_picture)
def lemon(runs: Sequence[RunSummary]) -> list[list[str]]:
    """A row a policy."""
    return [["policy", "episodes a lemon"], *([run.label, f"{len(run.episodes)} in all"] for run in runs)]
