"""Products of two small matrices: their weighted sum as one product, and its best one of lower rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.engines.adapter_matrices import Change
from tuning.merging.method import Shares


@dataclass(frozen=True)
class Cut:
    """A product of lower rank, and the squared Frobenius norms of what was kept and of the whole."""

    change: Change
    kept: float
    whole: float


def weighted_sum(changes: Sequence[Change], shares: Shares) -> Change:
    """Return the sum of share x scale x B A, exactly: B = [share x scale x B, ...], A = [A; ...], scale 1, float32."""
    pairs = list(zip(changes, shares, strict=True))
    up = torch.cat([change.up.float() * (share * change.scale) for change, share in pairs], dim=1)
    return Change(torch.cat([change.down.float() for change in changes]), up, 1.0)


def cut(change: Change, rank: int) -> Cut:
    """Return the nearest product of this rank (Eckart and Young 1936), from the small matrices alone.

    B = Q R and A' = P S, so B A = Q (R S') P', and only the small R S' is decomposed. The singular values' roots go to
    both sides. Where there are fewer singular values than `rank`, zeros stand for the rest.
    """
    left, small_left = torch.linalg.qr(change.up * change.scale)
    right, small_right = torch.linalg.qr(change.down.T)
    u, values, v = torch.linalg.svd(small_left @ small_right.T)
    roots = values[:rank].sqrt()
    up = left @ u[:, : len(roots)] * roots
    down = roots[:, None] * (v[: len(roots)] @ right.T)
    return Cut(padded(Change(down, up, 1.0), rank), float(values[:rank].square().sum()), float(values.square().sum()))


def padded(change: Change, rank: int) -> Change:
    """Return the same product with zeros up to `rank`."""
    missing = rank - len(change.down)
    pad = torch.nn.functional.pad
    return Change(pad(change.down, (0, 0, 0, missing)), pad(change.up, (0, missing)), change.scale)
