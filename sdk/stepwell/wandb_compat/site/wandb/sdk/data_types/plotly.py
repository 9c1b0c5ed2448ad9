from stepwell._plotly import Plotly

__all__ = ["Plotly"]
