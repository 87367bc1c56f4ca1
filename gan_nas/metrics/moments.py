"""Mean and covariance of features, streamed in float64."""

from dataclasses import dataclass

from torch import Tensor

from gan_nas.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean (d,) and scatter (d, d) = sum of (x - mean)(x - mean)', float64.

    Centred sums merge exactly (Chan, Golub & LeVeque 1979): raw second moments lose everything
    when the mean is large beside the deviation.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Return the moments of features (N, d), on their device; N >= 1."""
        assert features.ndim == 2
        assert len(features) > 0
        x = features.double()
        mean = x.mean(0)
        x = x - mean
        return cls(len(features), mean, x.T @ x)

    def update(self, features: Tensor) -> "Moments":
        """Return the moments of everything so far and features (N, d)."""
        return self.merge(Moments.of(features))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        between = delta.outer(delta) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Tensor:
        """Return the unbiased covariance (d, d); needs two images."""
        if self.count < 2:
            raise InvalidInput(
                f"a covariance of {self.count} image was asked for; score at least 2 images"
            )
        return self.scatter / (self.count - 1)

    def cpu(self) -> "Moments":
        """Move mean and scatter to the CPU."""
        return Moments(self.count, self.mean.cpu(), self.scatter.cpu())
