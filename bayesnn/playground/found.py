"""What has been found for the state of a page so far: it fills up while one looks."""

from dataclasses import dataclass, field

from bayesnn.playground.answers import ChainsAnswer, Plane, PointAnswer, PosteriorAnswer
from bayesnn.playground.settings import Settings


@dataclass
class Found:
    """All that the panels show.

    Parameters
    ----------
    settings : Settings
        State of the page.
    mle, map : PointAnswer or None
        Maxima; None until they are there.
    posterior : PosteriorAnswer or None
        By tempering.
    chains : ChainsAnswer or None
        By NUTS.
    plane : Plane or None
        Over two weights.
    widths : dict of int to (float, float, float)
        For hidden units of the first layer: log evidence, its standard error, and the log-likelihood of the MAP.
    troubles : dict of str to str
        From the name of a field to why it can't be had.
    """

    settings: Settings
    mle: PointAnswer | None = None
    map: PointAnswer | None = None
    posterior: PosteriorAnswer | None = None
    chains: ChainsAnswer | None = None
    plane: Plane | None = None
    widths: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
