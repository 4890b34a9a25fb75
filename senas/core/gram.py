"""The likelihood and the effects of a mixed model by the sums of products of its columns: where numbers are many.

The covariance of n numbers is n by n; what their c columns of effects know of them is c by c, whatever n is. One group
of effects, that of configurations, has nearly as many members as there are numbers, but each number has one of them:
the mean of a member's m numbers has the variance noise^2 / m + own^2, and their differences have that of the noise, so
that this group is integrated over in closed form. Lindley and Smith, J. Royal Statistical Society B 34 (1972).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from senas.core.scales import Array


@dataclass(frozen=True)
class Gram:
    """Numbers, and how often each has each effect.

    y:      (n,).
    table:  (n, c), of all effects but those of `own`.
    kind:   (c,), which entry of a vector of variances each column has.
    own:    (n,), which member of the group that is not in `table` each number has, from 0 on; none is left out.
    place:  which entry of a vector of variances is that group's. The last one is the noise's.
    """

    y: Array
    table: Array
    kind: npt.NDArray[np.intp]
    own: npt.NDArray[np.intp]
    place: int

    @cached_property
    def _counts(self) -> Array:
        return np.bincount(self.own).astype(float)

    @cached_property
    def _sums(self) -> Array:
        """(members, c + 1), of the columns and of y."""
        sums: Array = np.zeros((len(self._counts), self.table.shape[1] + 1))
        np.add.at(sums, self.own, np.column_stack([self.table, self.y]))
        return sums

    @cached_property
    def _products(self) -> tuple[Array, Array, Array]:
        """Of what varies alike: how many numbers, how many own effects each has in it (m, or 0), and the products."""
        both = np.column_stack([self.table, self.y])
        inside = both - (self._sums / self._counts[:, None])[self.own]
        counts, times, products = [len(self.y) - len(self._counts)], [0.0], [inside.T @ inside]
        for m in np.unique(self._counts):
            means = self._sums[self._counts == m] / np.sqrt(m)
            counts, times, products = [*counts, len(means)], [*times, m], [*products, means.T @ means]
        return np.array(counts, dtype=float), np.array(times), np.stack(products).reshape(len(counts), -1)

    def density(self, variances: Array) -> Array:
        """(count,), logarithm of the density of y, but for a constant, for each row of variances (count, entries)."""
        counts, _, _ = self._products
        each = self._each(variances)
        bordered = self._bordered(variances, each)
        y_y = bordered[:, -1, -1].copy()
        bordered[:, -1, -1] = 1.0 + 2.0 * y_y  # so that there is a factor: its last row is L^-1 b, whatever this is
        factors = np.linalg.cholesky(bordered)
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2)[:, :-1]).sum(1)
        explained = (factors[:, -1, :-1] ** 2).sum(1)
        density: Array = -0.5 * (np.log(each) @ counts) - logs - 0.5 * (y_y - explained)
        return density

    def draw(self, variances: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """One draw of all effects for each row of variances: (count, c), and (count, members) of the own ones."""
        bordered = self._bordered(variances, self._each(variances))
        spread = np.sqrt(variances[:, self.kind])
        factors = np.linalg.cholesky(bordered[:, :-1, :-1])
        explained = np.linalg.solve(factors, bordered[:, :-1, -1:])
        random = rng.normal(size=explained.shape)
        effects: Array = spread * np.linalg.solve(factors.transpose(0, 2, 1), explained + random)[:, :, 0]
        own, noise = variances[:, [self.place]], variances[:, [-1]]
        left = self._sums[:, -1] - effects @ self._sums[:, :-1].T
        around = noise + self._counts * own
        owns: Array = own * left / around + np.sqrt(own * noise / around) * rng.normal(size=left.shape)
        return effects, owns

    def _each(self, variances: Array) -> Array:
        """(count, sets of what varies alike), the variance of a number of each that `table` does not explain."""
        each: Array = variances[:, [-1]] + variances[:, [self.place]] * self._products[1]
        return each

    def _bordered(self, variances: Array, each: Array) -> Array:
        """(count, c + 1, c + 1): the precision of the effects in units of their spread, beside it what y says of them,
        and in the corner y' y, by the variances of the numbers."""
        columns = self.table.shape[1]
        precision = ((1.0 / each) @ self._products[2]).reshape(-1, columns + 1, columns + 1)
        spread = np.sqrt(variances[:, self.kind])
        precision[:, :-1] *= spread[:, :, None]
        precision[:, :, :-1] *= spread[:, None, :]
        precision[:, range(columns), range(columns)] += 1.0
        return precision
