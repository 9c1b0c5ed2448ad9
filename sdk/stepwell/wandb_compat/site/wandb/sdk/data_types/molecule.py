from stepwell._media import Molecule

__all__ = ["Molecule"]
