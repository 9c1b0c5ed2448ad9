from stepwell._files import Object3D
from stepwell._media import box3d

__all__ = ["Object3D", "box3d"]
