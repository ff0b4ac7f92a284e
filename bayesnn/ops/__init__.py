"""A multilayer perceptron and its log density, compiled: all of the package's speed lives here.

`mlp` has the network as a PyTensor operation with its gradient, for models (NumPy, plain PyTensor, JAX), and `lowering`
hands it to numba. `density` has likelihood and priors around it in one function, for our own samplers and optimisers.
Both are made of the loops in `kernels`, the activation functions on vector registers in `simd`, and the likelihoods in
`likelihoods`; `callback` keeps the compiled result on disk.
"""

from bayesnn.ops import lowering as lowering
from bayesnn.ops.mlp import mlp_forward

__all__ = ["mlp_forward"]
