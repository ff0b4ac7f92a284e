"""What permuting hidden units and flipping their signs does to MLE, MAP and posterior, and how to undo it."""

from bayesnn.symmetry.align import align, alignment_element, canonical_element, canonicalize, element_of, symmetrize
from bayesnn.symmetry.group import (
    GroupElement,
    SymmetryGroup,
    apply_symmetry,
    check_symmetry,
    random_symmetry,
    symmetry_group,
)
from bayesnn.symmetry.modes import Modes, count_modes
from bayesnn.symmetry.orbit import Orbit, OrbitPoint, orbit, stabiliser_order

__all__ = [
    "GroupElement",
    "Modes",
    "Orbit",
    "OrbitPoint",
    "SymmetryGroup",
    "align",
    "alignment_element",
    "apply_symmetry",
    "canonical_element",
    "canonicalize",
    "check_symmetry",
    "count_modes",
    "element_of",
    "orbit",
    "random_symmetry",
    "stabiliser_order",
    "symmetrize",
    "symmetry_group",
]
