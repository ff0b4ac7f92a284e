"""A multilayer perceptron as one PyTensor operation, with its gradient: all of the package's speed lives here.

`mlp` has the operations and what they mean (NumPy, plain PyTensor, JAX), `lowering` hands them to numba, `kernels` has
the compiled loops, `simd` the activation functions on vector registers.
"""

from bayesnn.ops import lowering as lowering
from bayesnn.ops.mlp import mlp_forward

__all__ = ["mlp_forward"]
