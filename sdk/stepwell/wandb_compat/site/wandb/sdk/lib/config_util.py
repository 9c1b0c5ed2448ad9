from stepwell.errors import ConfigError

__all__ = ["ConfigError"]
