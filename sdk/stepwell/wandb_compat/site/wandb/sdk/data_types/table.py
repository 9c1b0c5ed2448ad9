from stepwell._media import JoinedTable
from stepwell._table import Table

__all__ = ["JoinedTable", "Table"]
