"""What can be read off a layer by a linear map, and how the classes lie in it. scikit-learn does the work."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError

FOLDS = 5
STRENGTHS = (0.1, 1.0)  # of the regularisation (sklearn's C), chosen on held-out groups within each training fold
MOST_COMPONENTS = 50  # of the PCA before silhouette and t-SNE


def probe(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Cross-validated accuracy of multinomial logistic regression from (n, d) features to n labels.

    groups: n scene numbers; the pictures of one scene are never on both sides. Labels with fewer than five examples do
    not count. Returns accuracy, its chance level (the most frequent label), the standard error over folds, n and the
    number of labels; NaN where fewer than two labels or five scenes are left.
    """
    sklearn = _sklearn()
    kept = np.isin(
        labels, [label for label, n in zip(*np.unique(labels, return_counts=True), strict=True) if n >= FOLDS]
    )
    features, labels, groups = features[kept], labels[kept], groups[kept]
    known = {"n": len(labels), "labels": len(np.unique(labels))}
    if known["labels"] < 2 or len(np.unique(groups)) < FOLDS:
        return {**dict.fromkeys(("accuracy", "se", "chance"), float("nan")), **known}
    folds = sklearn["model_selection"].GroupKFold(FOLDS, shuffle=True, random_state=seed)
    scores = []
    for train, test in folds.split(features, labels, groups):
        inner = sklearn["model_selection"].GroupKFold(2)
        search = sklearn["model_selection"].GridSearchCV(
            sklearn["pipeline"].make_pipeline(
                sklearn["preprocessing"].StandardScaler(), sklearn["linear_model"].LogisticRegression(max_iter=300)
            ),
            {"logisticregression__C": STRENGTHS},
            cv=list(inner.split(features[train], labels[train], groups[train])),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of folds that lack a label, and of probes that have not quite converged
            search.fit(features[train], labels[train])
        scores.append(float((search.predict(features[test]) == labels[test]).mean()))
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    error = float(np.std(scores, ddof=1) / np.sqrt(FOLDS))
    return {"accuracy": float(np.mean(scores)), "se": error, "chance": chance, **known}


def position_probe(features: np.ndarray, places: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Cross-validated ridge regression from (n, d) features to (n, 2) places (m): R^2 and the median error (cm)."""
    sklearn = _sklearn()
    folds = sklearn["model_selection"].GroupKFold(FOLDS, shuffle=True, random_state=seed)
    guessed = np.zeros_like(places)
    for train, test in folds.split(features, places, groups):
        model = sklearn["pipeline"].make_pipeline(
            sklearn["preprocessing"].StandardScaler(), sklearn["linear_model"].RidgeCV(np.logspace(-2, 4, 13))
        )
        guessed[test] = model.fit(features[train], places[train]).predict(features[test])
    residual = ((guessed - places) ** 2).sum() / ((places - places.mean(0)) ** 2).sum()
    errors = np.linalg.norm(guessed - places, axis=1)
    return {"r2": float(1 - residual), "median_cm": float(100 * np.median(errors)), "n": len(places)}


def silhouette(features: np.ndarray, labels: np.ndarray, draws: int = 200, seed: int = 0) -> dict[str, float]:
    """Silhouette of the labels' clusters in the first principal components, and the 95 % point of shuffled labels."""
    sklearn = _sklearn()
    reduced = _reduced(features)
    score = sklearn["metrics"].silhouette_score
    rng = np.random.default_rng(seed)
    chance = [score(reduced, rng.permutation(labels)) for _ in range(draws)]
    return {"silhouette": float(score(reduced, labels)), "chance_95": float(np.quantile(chance, 0.95))}


def tsne(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2): a picture of how examples lie to each other. An illustration; nothing is measured on it."""
    sklearn = _sklearn()
    perplexity = min(30.0, (len(features) - 1) / 3)
    return (
        sklearn["manifold"].TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(_reduced(features))
    )


def _reduced(features: np.ndarray) -> np.ndarray:
    count = min(MOST_COMPONENTS, *features.shape)
    return _sklearn()["decomposition"].PCA(count, random_state=0).fit_transform(features)


def _sklearn() -> dict[str, Any]:
    import importlib

    parts = ("model_selection", "pipeline", "preprocessing", "linear_model", "metrics", "manifold", "decomposition")
    try:
        return {name: importlib.import_module(f"sklearn.{name}") for name in parts}
    except ImportError as error:
        raise OodbenchError("the probes need scikit-learn: pip install 'oodbench[diagnostics]'") from error
