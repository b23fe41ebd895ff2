"""Scores that say how well features would serve pictures that they were not trained on, from one pass and without training.

Each function takes features `(images, features)` and class numbers `(images,)`.

- `leave_one_out`: accuracy and error of a linear probe on pictures that it was not fitted to. Of ridge regression of the
  classes, 1 or 0, all left-out predictions follow from one decomposition (the PRESS of Allen 1974), and those of every
  penalty.
- `logme`: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (arXiv:2102.11005).

How well each orders backbones was measured, beside scores that cost as much and order no better: docs/rank.md.
"""

import numpy as np

# The ridge regression's, relative to the features' largest variance.
PENALTIES = np.logspace(0, -6, 13)


def leave_one_out(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float]:
    """Compute accuracy and Brier score of the ridge regression whose penalty has the lowest score.

    The Brier score is the mean over pictures of the squared differences of the classes' scores, which add up to 1, from
    the truth: 0 at best, 1 − 1/classes from knowing nothing where the classes are even. Each picture is judged by a
    regression on all others; those of a group, by one on all other groups.

    Args:
        groups: `(images,)`, names of what is left out together.
    """
    features, images = np.asarray(features, float), len(labels)
    left, variances = principal(features - features.mean(axis=0))
    truth = np.eye(labels.max() + 1)[labels]
    along = left.T @ truth
    blocks = [] if groups is None else [rows for name in set(groups) if len(rows := np.flatnonzero(groups == name)) > 1]
    found = []
    for penalty in PENALTIES * variances[0]:
        kept = variances / (variances + penalty)
        fitted = truth.mean(axis=0) + left @ (kept[:, None] * along)
        leverage = 1 / images + left**2 @ kept  # the diagonal of the hat matrix: how much a picture's label moves its own
        error = (truth - fitted) / (1 - leverage)[:, None]  # truth minus what is predicted without the picture
        for together in blocks:  # the same with the group's block of the hat matrix
            hat = 1 / images + (left[together] * kept) @ left[together].T
            error[together] = np.linalg.solve(np.eye(len(together)) - hat, (truth - fitted)[together])
        accuracy = ((truth - error).argmax(axis=1) == labels).mean()
        found.append(((error**2).sum(axis=1).mean(), accuracy))
    brier, accuracy = min(found)
    return float(accuracy), float(brier)


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Compute the logarithm of the maximum evidence per picture, averaged over the classes.

    Whether a picture is of a class, 1 or 0, is taken for a linear function of its features with weights drawn from
    N(0, 1/α) and noise from N(0, 1/β). Then y ~ N(0, (I + F Fᵀ/λ) / β) with λ = α/β, and α and β are those that make
    the y that is there most probable. The best β for a λ is known, n / yᵀ (I + F Fᵀ/λ)⁻¹ y, so one number is left to
    search, where the paper iterates over two.
    """
    from scipy.optimize import minimize_scalar

    features, images = np.asarray(features, float), len(labels)
    left, variances = principal(features)
    evidence = []
    for label in np.unique(labels):
        y = (labels == label).astype(float)
        inside = (left.T @ y) ** 2
        outside = max(y @ y - inside.sum(), 0)

        def cost(log_ratio: float, inside: np.ndarray = inside, outside: float = outside) -> float:
            """Compute minus twice the evidence, but for a constant."""
            growth = 1 + variances * np.exp(-log_ratio)
            return images * np.log(outside + (inside / growth).sum()) + np.log(growth).sum()

        middle = np.log(variances[0])  # beyond e^±20 times the largest variance nothing is left of the features or the noise
        grid = middle + np.linspace(-20, 20, 41)
        start = grid[np.argmin([cost(point) for point in grid])]
        best = minimize_scalar(cost, bounds=(start - 1, start + 1), method="bounded", options={"xatol": 1e-8}).fun
        evidence.append(-(best / images + np.log(2 * np.pi * np.e / images)) / 2)
    return float(np.mean(evidence))


def principal(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the left singular vectors of features `(images, features)`, in columns, and the squared values, largest first."""
    if len(features) > features.shape[1]:
        left, singular, _ = np.linalg.svd(features, full_matrices=False)
        return left, singular**2
    variances, left = np.linalg.eigh(features @ features.T)  # a small matrix, where several networks give wide rows
    return left[:, ::-1], np.maximum(variances[::-1], 0)
