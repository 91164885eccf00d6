"""The vectorised core: topologies, splines, and the 90 points of the contract. Pure arrays."""
