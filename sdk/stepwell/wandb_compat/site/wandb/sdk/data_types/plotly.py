from stepwell._media import Plotly

__all__ = ["Plotly"]
