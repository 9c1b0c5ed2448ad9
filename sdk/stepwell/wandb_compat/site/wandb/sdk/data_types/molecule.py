from stepwell._files import Molecule

__all__ = ["Molecule"]
