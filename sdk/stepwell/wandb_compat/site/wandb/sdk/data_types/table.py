from stepwell._media import JoinedTable, Table

__all__ = ["JoinedTable", "Table"]
