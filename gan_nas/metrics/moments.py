"""Mean and covariance of features, streamed in float64."""

from dataclasses import dataclass

from torch import Tensor

from gan_nas.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean (d,) and scatter (d, d) = sum of (x - mean)(x - mean)', float64.

    Of several samples of the same images at once, mean and scatter are (P, d) and (P, d, d).
    Centred sums merge exactly (Chan, Golub & LeVeque 1979): raw second moments lose everything
    when the mean is large beside the deviation.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Return the moments of features (N, d) or (P, N, d), on their device; N >= 1."""
        assert features.ndim in (2, 3)
        assert features.shape[-2] > 0
        x = features.double()
        mean = x.mean(-2)
        x = x - mean.unsqueeze(-2)
        return cls(features.shape[-2], mean, x.mT @ x)

    def update(self, features: Tensor) -> "Moments":
        """Return the moments of everything so far and features (N, d)."""
        return self.merge(Moments.of(features))

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        between = delta.unsqueeze(-1) * delta.unsqueeze(-2)
        between.mul_(self.count * other.count / count)
        return Moments(count, mean, (self.scatter + other.scatter).add_(between))

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
