"""Tables: files of Parquet, asked by the embedded engine in workers without a data folder."""
