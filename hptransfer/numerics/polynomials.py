"""Polynomials in (x, y) without a constant, as coefficients over a fixed list of monomials.

Moving the origin of a polynomial is a matrix, so a bowl that is shared by all cells and sits elsewhere in
each is a product of small matrices, and so are its derivatives.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from hptransfer.numerics.arrays import FloatArray, IntArray

Powers = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Basis:
    """Monomials x^i y^j and the tables that move and differentiate polynomials over them.

    Attributes:
        powers:    (i, j) of each monomial, n_monomials of them, by total degree.
        binomials: (n_monomials, n_monomials), of (x - a)^i (y - b)^j in each monomial.
        power_x, power_y: the exponents of -a and -b beside them.
        d_dx, d_dy: (n_monomials, n_monomials), coefficients -> those of the derivative, its constant dropped.
        free:      monomials of degree two and more: a bowl with its bottom at the origin.
        quadratic: how many of the free ones have degree two; they come first.
        doubled:   monomials of twice the degree, the constant first.
        product:   index among `doubled` of the product of two monomials, constant included.
    """

    powers: Powers
    binomials: FloatArray
    power_x: IntArray
    power_y: IntArray
    d_dx: FloatArray
    d_dy: FloatArray
    free: IntArray
    quadratic: int
    doubled: Powers
    product: IntArray

    @property
    def free_powers(self) -> Powers:
        """Powers of the free monomials."""
        return tuple(self.powers[k] for k in self.free)


def monomials(degree: int, *, variables: int) -> Powers:
    """Powers with 1 <= i + j <= degree; with one variable those of x alone."""
    highest_y = degree if variables == 2 else 0
    return tuple((t - j, j) for t in range(1, degree + 1) for j in range(min(t, highest_y) + 1))


@functools.cache
def basis(degree: int, *, variables: int) -> Basis:
    """All monomials up to a degree in one or two variables, with their tables."""
    powers = monomials(degree, variables=variables)
    index = {power: k for k, power in enumerate(powers)}
    size = len(powers)
    binomials, d_dx, d_dy = (np.zeros((size, size)) for _ in range(3))
    power_x, power_y = (np.zeros((size, size), dtype=np.int64) for _ in range(2))
    for k, (i, j) in enumerate(powers):
        for m, (a, b) in enumerate(powers):
            if a <= i and b <= j:
                binomials[k, m] = comb(i, a) * comb(j, b)
                power_x[k, m], power_y[k, m] = i - a, j - b
        if (i - 1, j) in index:
            d_dx[k, index[i - 1, j]] = i
        if (i, j - 1) in index:
            d_dy[k, index[i, j - 1]] = j
    whole = ((0, 0), *powers)
    doubled = ((0, 0), *monomials(2 * degree, variables=variables))
    place = {power: k for k, power in enumerate(doubled)}
    return Basis(
        powers=powers,
        binomials=binomials,
        power_x=power_x,
        power_y=power_y,
        d_dx=d_dx,
        d_dy=d_dy,
        free=np.array([k for k, power in enumerate(powers) if sum(power) >= 2]),
        quadratic=sum(sum(power) == 2 for power in powers),
        doubled=doubled,
        product=np.array([[place[a[0] + b[0], a[1] + b[1]] for b in whole] for a in whole]),
    )


def shift_matrices(form: Basis, offset: FloatArray) -> FloatArray:
    """Matrices (..., n_monomials, n_monomials) that move the origin to `offset` (..., 2).

    Row k holds (x - a)^i (y - b)^j in monomials of (x, y), its constant dropped.
    """
    highest = max(i + j for i, j in form.powers)
    power_a, power_b = (_powers_up_to(-offset[..., q], highest) for q in (0, 1))
    return np.asarray(form.binomials * power_a[..., form.power_x] * power_b[..., form.power_y])


def _powers_up_to(values: FloatArray, highest: int) -> FloatArray:
    """1, x, x^2, ... along a new last axis; multiplying is faster than raising."""
    powers = np.ones((*values.shape, highest + 1))
    np.cumprod(np.broadcast_to(values[..., None], (*values.shape, highest)), axis=-1, out=powers[..., 1:])
    return powers


def monomial_values(powers: Sequence[tuple[int, int]], x: FloatArray, y: FloatArray) -> FloatArray:
    """Values x^i y^j, (n_powers, ...) for x, y of shape (...).

    >>> monomial_values(((1, 0), (1, 1)), np.array([2.0]), np.array([3.0])).ravel()
    array([2., 6.])
    """
    x_powers, y_powers = ([np.ones_like(v)] for v in (x, y))
    for values, v in ((x_powers, x), (y_powers, y)):
        for _ in range(max(max(p) for p in powers)):
            values.append(values[-1] * v)
    return np.stack([x_powers[i] * y_powers[j] for i, j in powers])
