from stepwell._media import Object3D, box3d

__all__ = ["Object3D", "box3d"]
